//! Streams, between the accept loop and the shard.

use std::io::{Read as _, Write as _};

use super::*;
use crate::gateway::{
    metrics::Transport,
    protocol::session::{Beginning, Reached},
    websocket::{self, CloseCode},
};

/// Places for two, and time for what is not tried.
fn bounds() -> accept::Bounds {
    let long = Duration::from_mins(1);
    accept::Bounds { connections: 2, head: Duration::from_millis(100), stay: long, stall: long }
}

/// A server on which anybody may read anything.
fn server(bounds: accept::Bounds) -> Server {
    Server::within(&Limits::default(), bounds, |front| {
        front.identify = Box::new(|_| {
            let all: Vec<crate::api::Pattern> = vec![">".parse().unwrap()];
            let grants = Grants { subscribe: all.clone(), publish: Vec::new(), scope: all.into() };
            let (user, basis) = ("ann".into(), Basis::default());
            Ok(Some(Arc::new(Identity { user, grants: grants.into(), expires_at: None, basis })))
        });
    })
}

impl Server {
    /// The shard's side and the client's of a stream that has begun.
    async fn stream(&mut self, query: &str) -> (Hello, TcpStream) {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET /sse?{query} HTTP/1.1\r\nHost: gw\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        (self.hello().await, socket)
    }

    /// Waits until only the accept loop is left.
    async fn wait_for_the_end_of_connections(&self) {
        let ended = async {
            while self.tasks.len() > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), ended).await.expect("the connection ends");
    }
}

/// The shard's end of the pair.
fn pair(hello: &mut Hello) -> &mut mio::net::UnixStream {
    match &mut hello.socket {
        ClientSocket::Pair(socket) => socket,
        other => panic!("{other:?}"),
    }
}

async fn read_on(client: &mut TcpStream, until: &str) -> String {
    let mut text = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&text).contains(until) {
            let mut piece = [0; 1024];
            let count = client.read(&mut piece).await.unwrap();
            assert!(count > 0, "no {until:?} in {:?}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&piece[..count]);
        }
    };
    timeout(Duration::from_secs(20), read).await.expect("what is waited for");
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_stream_reaches_the_shard_with_its_seat_user_topics_and_positions() {
    let mut server = server(bounds());
    let (hello, mut client) = server.stream("topics=a,b&lastEventId=b%3D7").await;
    let Hello { socket, greeting } = hello;
    assert_eq!(greeting.transport, Transport::Sse);
    assert_eq!(greeting.identity.as_ref().map(|who| &*who.user), Some("ann"));
    let topics =
        vec![("a".parse().unwrap(), None), ("b".parse().unwrap(), Some(Reached { seq: 7, epoch: None }))];
    assert_eq!(greeting.beginning, Some(Beginning::Stream { topics }));
    assert_eq!(server.front.admission.connections(), 1);
    drop((socket, greeting));
    let answer = read_on(&mut client, "0\r\n\r\n").await.to_lowercase();
    assert!(answer.starts_with("http/1.1 200 ok\r\n"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "no other request follows");
    assert_eq!(server.front.admission.connections(), 0);
}

#[tokio::test]
async fn a_stream_outlasts_what_bounds_other_requests_and_leaves_them_its_place() {
    let mut server = server(accept::Bounds { stay: Duration::from_millis(200), ..bounds() });
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(server.stream("topics=a").await);
    }
    assert!(server.get("/stats").await.starts_with("HTTP/1.1 200"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    for (hello, client) in &mut streams {
        pair(hello).write_all(&websocket::text_frame(r#"{"type":"late"}"#)).unwrap();
        read_on(client, r#"data: {"type":"late"}"#).await;
    }
}

#[tokio::test]
async fn the_end_of_the_gateway_waits_for_the_shard_to_end_a_stream() {
    let mut server = server(bounds());
    let (mut hello, mut client) = server.stream("topics=a").await;
    server.cancel.cancel();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut bytes = Vec::new();
    websocket::close(&mut bytes, CloseCode::Drain, "elsewhere");
    pair(&mut hello).write_all(&bytes).unwrap();
    read_on(&mut client, r#""code":1012"#).await;
    server.tasks.close();
    timeout(Duration::from_secs(10), server.tasks.wait()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_ends_the_pair() {
    let mut server = server(bounds());
    let (mut hello, client) = server.stream("topics=a").await;
    drop(client);
    server.wait_for_the_end_of_connections().await;
    assert_eq!(pair(&mut hello).read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_though_its_shard_has_let_it_go() {
    let mut server = server(accept::Bounds { stall: Duration::from_millis(300), ..bounds() });
    let (mut hello, client) = server.stream("topics=a").await;
    // More than the buffers on the way hold: written until nothing is taken any more.
    let frame = websocket::text_frame(&format!(r#"{{"type":"x","filler":"{}"}}"#, "x".repeat(60_000)));
    let mut left = frame.as_slice();
    for _ in 0..20 {
        while let Ok(count) = pair(&mut hello).write(left) {
            left = if count == left.len() { &frame } else { &left[count..] };
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(hello);
    server.wait_for_the_end_of_connections().await;
    drop(client);
}
