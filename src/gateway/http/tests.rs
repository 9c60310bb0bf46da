//! The real server on a real socket, up to the shard's inbox.

mod publishing;
mod streams;
mod tls;

use std::{
    net::SocketAddr,
    sync::{Mutex, atomic::AtomicBool},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{client::IntoClientRequest, http::HeaderValue},
};

use super::*;
use crate::{
    api::Limits,
    gateway::{
        access::{Basis, Grants},
        shard::{ClientSocket, Hello, Inbox, ShardEvent},
    },
};

/// A running server with one shard that nobody empties but the test.
struct Server {
    address: SocketAddr,
    inbox: Arc<Inbox>,
    poll: mio::Poll,
    front: Arc<Front>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

fn person(user: &str) -> Arc<Identity> {
    let all: Vec<crate::api::Pattern> = vec!["open.>".parse().unwrap()];
    let grants = Grants { subscribe: Vec::new(), publish: all.clone(), scope: all.into() };
    Arc::new(Identity { user: user.into(), grants: grants.into(), expires_at: None, basis: Basis::default() })
}

/// Anonymous clients are admitted; of tokens only `good` is taken.
fn identify(token: Option<&str>) -> Result<Option<Arc<Identity>>, String> {
    match token {
        None => Ok(Some(person("anonymous"))),
        Some("good") => Ok(Some(person("ann"))),
        Some(_) => Err("the token is not valid".into()),
    }
}

fn front(limits: &Limits, inbox: Arc<Inbox>) -> Front {
    Front {
        tls: None,
        admission: Admission::new(limits, 1000),
        origins: ArcSwap::from_pointee(Origins::parse(&["https://app.test"]).unwrap()),
        deflate: AtomicBool::new(true),
        playground: AtomicBool::new(false),
        identify: Box::new(identify),
        publish: Box::new(|user, topic, id, body| {
            assert_eq!((&*user, &body[..]), ("anonymous", &br#"{"bid":1.5,"by":"me"}"#[..]));
            async move {
                match (topic.as_str(), &*id) {
                    ("open.down", _) => PublishAnswer::Unavailable("no backbone".into()),
                    (_, "again") => PublishAnswer::Duplicate(Some(3)),
                    _ => PublishAnswer::Accepted(Some(4)),
                }
            }
            .boxed()
        }),
        counts: Arc::default(),
        stats: Box::new(|| Stats { connections: 1, topics: 2, subscriptions: 3 }),
        placement: Placement::new(vec![inbox], |_| 0),
        demo: true,
        accept_errors: Arc::default(),
    }
}

impl Server {
    fn start() -> Self {
        Self::with(&Limits::default(), Duration::from_secs(10), |_| {})
    }

    fn with(limits: &Limits, head: Duration, change: impl FnOnce(&mut Front)) -> Self {
        let (stay, stall) = (Duration::from_mins(1), Duration::from_mins(1));
        Self::within(limits, accept::Bounds { connections: 100, head, stay, stall }, change)
    }

    fn within(limits: &Limits, bounds: accept::Bounds, change: impl FnOnce(&mut Front)) -> Self {
        let poll = mio::Poll::new().unwrap();
        let inbox = Arc::new(Inbox::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap()));
        let mut front = front(limits, inbox.clone());
        change(&mut front);
        let front = Arc::new(front);
        let socket = TcpSocket::new_v4().unwrap();
        accept::prepare(&socket).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let (state, owner, end) = (front.clone(), tasks.clone(), cancel.clone());
        tasks.spawn(async move { accept::serve_within(bounds, listener, state, &owner, end).await });
        Self { address, inbox, poll, front, tasks, cancel }
    }

    /// Sends the text and returns all that is answered until the server closes.
    async fn raw(&self, request: &str) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(20), socket.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")).await
    }

    /// Connects a WebSocket; the shard's side of it.
    async fn upgrade(
        &mut self,
        path: &str,
        header: Option<(&'static str, &'static str)>,
    ) -> (Hello, TcpStream) {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let mut request = format!("ws://gw{path}").into_client_request().unwrap();
        if let Some((name, value)) = header {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let (websocket, _) = client_async(request, socket).await.unwrap();
        (self.hello().await, websocket.into_inner())
    }

    /// The next connection in the inbox; the inbox wakes the poller.
    async fn hello(&mut self) -> Hello {
        let mut poll = std::mem::replace(&mut self.poll, mio::Poll::new().unwrap());
        let (poll, woken) = tokio::task::spawn_blocking(move || {
            let mut events = mio::Events::with_capacity(4);
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            let woken = !events.is_empty();
            (poll, woken)
        })
        .await
        .unwrap();
        self.poll = poll;
        assert!(woken, "the inbox did not wake its shard");
        let mut events = Vec::new();
        self.inbox.drain(&mut events);
        match events.pop() {
            Some(ShardEvent::Connect(hello)) => *hello,
            other => panic!("{other:?}"),
        }
    }
}

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: gw\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

#[tokio::test]
async fn an_upgraded_connection_reaches_the_shard_with_its_seat_and_user() {
    let mut server = Server::start();
    let (hello, _client) = server.upgrade("/ws", None).await;
    assert_eq!(hello.greeting.identity.as_ref().map(|who| &*who.user), Some("anonymous"));
    assert_eq!((&hello.greeting.refused, hello.greeting.close, &hello.greeting.topic), (&None, None, &None));
    assert_eq!(server.front.admission.connections(), 1);
    drop(hello);
    assert_eq!(server.front.admission.connections(), 0);
}

#[tokio::test]
async fn the_sockets_ends_are_joined_and_the_shards_end_does_not_block() {
    use std::io::{ErrorKind, Read, Write};
    let mut server = Server::start();
    let (mut hello, mut client) = server.upgrade("/ws", None).await;
    assert_eq!(hello.socket.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let ClientSocket::Tcp(socket) = &mut hello.socket else { panic!("{:?}", hello.socket) };
    assert!(socket.nodelay().unwrap());
    socket.write_all(b"hi").unwrap();
    let mut heard = [0; 2];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hi");
}

#[tokio::test]
async fn bytes_sent_behind_the_request_are_handed_over() {
    let mut server = Server::start();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(format!("{HANDSHAKE}early").as_bytes()).await.unwrap();
    assert_eq!(&server.hello().await.greeting.early[..], b"early");
}

#[tokio::test]
async fn the_topic_in_the_path_is_decoded() {
    let mut server = Server::start();
    for (path, topic) in [
        ("/ws/sub/prices.btc", "prices.btc"),
        ("/ws/sub/a%2Fb/c", "a/b/c"),
        ("/ws/sub/a%25b?access_token=good", "a%b"),
        ("/ws/sub/prices.%2A", "prices.*"),
    ] {
        assert_eq!(server.upgrade(path, None).await.0.greeting.topic.as_deref(), Some(topic), "{path}");
    }
}

#[tokio::test]
async fn a_token_in_header_or_query_names_the_user_or_is_refused() {
    let mut server = Server::start();
    for (path, header, user, refused) in [
        ("/ws", Some(("authorization", "Bearer good")), Some("ann"), false),
        ("/ws?access_token=good", None, Some("ann"), false),
        ("/ws?access_token=bad", None, None, true),
    ] {
        let (hello, _client) = server.upgrade(path, header).await;
        assert_eq!(hello.greeting.identity.as_ref().map(|who| &*who.user), user, "{path}");
        assert_eq!(hello.greeting.refused.is_some(), refused, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_upgraded_only_to_be_told_why_not() {
    let mut server = Server::start();
    for (origin, close) in [("https://app.test", None), ("https://evil.test", Some(4403))] {
        let (hello, _client) = server.upgrade("/ws", Some(("origin", origin))).await;
        assert_eq!(hello.greeting.close.map(|(code, _)| code.code()), close, "{origin}");
    }
}

#[tokio::test]
async fn at_the_limit_the_answer_is_503_with_retry_after() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let mut server = Server::with(&limits, Duration::from_secs(10), |_| {});
    let (_held, _client) = server.upgrade("/ws", None).await;
    let answer = server.raw(&HANDSHAKE.replace("Upgrade\r\n", "Upgrade, close\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 5"), "{answer}");
}

#[tokio::test]
async fn a_page_is_told_that_this_is_a_websocket() {
    let answer = Server::start().get("/ws").await;
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains("sec-websocket-version: 13"), "{answer}");
}

#[tokio::test]
async fn small_answers_are_as_the_table_says() {
    let server = Server::start();
    for (path, status, part) in [
        ("/", 200, "/ws/sub/{topic}"),
        ("/stats", 200, r#"{"connections":1,"topics":2,"subscriptions":3}"#),
        ("/nothing", 404, r#""code":"NOT_FOUND""#),
        ("/ws/sub/", 404, "NOT_FOUND"),
        ("/ws/sub/%FF", 400, "TOPIC_INVALID"),
        (
            "/demo/publish/open.x?bid=1.5&by=me&messageId=m1",
            200,
            r#"{"type":"ack","messageId":"m1","status":"ok","seqNo":4}"#,
        ),
        ("/demo/publish/open.x?bid=1.5&by=me&messageId=again", 200, r#""status":"duplicate","seqNo":3"#),
        ("/demo/publish/open.down?bid=1.5&by=me", 503, "retry-after: 1"),
        ("/demo/publish/open..x", 400, "TOPIC_INVALID"),
        ("/demo/publish/closed.x?a=1", 403, "ACL_DENIED"),
        ("/demo/publish/open.x?messageId=", 400, "`messageId` must have 1 to 256 bytes"),
    ] {
        let answer = server.get(path).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(part),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn demo_publish_refuses_pages_of_other_sites() {
    let server = Server::start();
    for (header, status) in [
        ("Origin: https://app.test", 200),
        ("Origin: https://app.test\r\nSec-Fetch-Site: cross-site", 200),
        ("Origin: https://other.test", 403),
        ("Sec-Fetch-Site: none", 200),
        ("Sec-Fetch-Site: same-origin", 200),
        ("Sec-Fetch-Site: cross-site", 403),
    ] {
        let path = "/demo/publish/open.x?bid=1.5&by=me";
        let request = format!("GET {path} HTTP/1.1\r\nHost: gw\r\n{header}\r\nConnection: close\r\n\r\n");
        let answer = server.raw(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{header}: {answer}");
    }
}

#[tokio::test]
async fn what_is_for_development_is_not_there_outside_dev_mode() {
    let server = Server::with(&Limits::default(), Duration::from_secs(10), |front| front.demo = false);
    for path in ["/demo/publish/open.x?bid=1.5&by=me", "/openapi.json", "/docs", "/docs/style.css"] {
        assert!(server.get(path).await.starts_with("HTTP/1.1 404"), "{path}");
    }
}

#[tokio::test]
async fn the_playground_is_there_where_it_is_asked_for() {
    let asked = |front: &mut Front| {
        front.demo = false;
        *front.playground.get_mut() = true;
    };
    let server = Server::with(&Limits::default(), Duration::from_secs(10), asked);
    let page = server.get("/docs").await;
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains("content-security-policy: default-src 'none'"),
        "{page}"
    );
    let parts = page.split(['"', '\'']).filter(|part| part.starts_with("docs/"));
    for part in parts.chain(["docs/client/index.js", "openapi.json"]) {
        assert!(server.get(&format!("/{part}")).await.starts_with("HTTP/1.1 200"), "{part}");
    }
    assert!(!server.get("/openapi.json").await.contains("/demo/publish"));
    assert!(server.get("/docs/client/../index.html").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn the_api_is_described_and_everything_described_is_there() {
    let server = Server::start();
    let answer = server.get("/openapi.json").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("content-type: application/json"),
        "{answer}"
    );
    let document: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let (method, path) = (method.to_uppercase(), path.replace("{topic}", "open.x"));
            let request = format!("{method} {path} HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n");
            let answer = server.raw(&request).await;
            let missing = answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 405");
            assert!(!missing, "{method} {path}: {answer}");
        }
    }
}

#[tokio::test]
async fn another_method_is_refused_with_what_is_allowed() {
    let request = "POST /stats HTTP/1.1\r\nHost: gw\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let answer = Server::start().raw(request).await;
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("METHOD_NOT_ALLOWED"), "{answer}");
    assert!(answer.contains("allow: GET"), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let server = Server::with(&Limits::default(), Duration::from_millis(50), |_| {});
    let answer = server.raw("GET /stats HTTP/1.1\r\nHost: g").await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn silent_connections_do_not_keep_a_request_out() {
    let server = Server::with(&Limits::default(), Duration::from_mins(5), |_| {});
    let mut silent = Vec::new();
    // One more than there are places.
    for _ in 0..=100 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert!(server.get("/stats").await.starts_with("HTTP/1.1 200"));
    assert_eq!(silent[0].read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let answer = Server::start().get(&format!("/{}", "x".repeat(20_000))).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn after_the_end_nothing_is_accepted_and_no_task_is_left() {
    let server = Server::start();
    let idle = TcpStream::connect(server.address).await.unwrap();
    server.get("/stats").await;
    server.cancel.cancel();
    server.tasks.close();
    timeout(Duration::from_secs(10), server.tasks.wait()).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    drop(idle);
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_token_does_not_reach_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("the log is heard");
    let mut server = Server::start();
    server.upgrade("/ws?access_token=good", None).await;
    server.upgrade("/ws?access_token=hush", None).await;
    server.get("/ws?access_token=hush").await;
    let told = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(told.contains("the log is heard"));
    assert!(!told.contains("hush") && !told.contains("access_token"), "{told}");
}
