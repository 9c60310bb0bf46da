//! The handshake, under the bounds of every connection.

use rustls::{ClientConfig, pki_types::ServerName};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::{
    api::SecretRef,
    gateway::certificate::{self, Certificate, fixture},
};

/// A server with TLS, and clients that trust it.
fn server(head: Duration) -> (Server, TlsConnector) {
    let authority = fixture::Authority::new();
    let secrets = fixture::secret("t", &authority.pair(7));
    let certificate = Certificate::read(&secrets, &SecretRef { name: "t".into() }).unwrap();
    let client = ClientConfig::builder_with_provider(certificate::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let tls = Some(Arc::new(Tls::new(certificate).unwrap()));
    let server = Server::with(&Limits::default(), head, |front| front.tls = tls);
    (server, TlsConnector::from(Arc::new(client)))
}

async fn connect(server: &Server, connector: &TlsConnector) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(server.address).await.unwrap();
    connector.connect(ServerName::try_from("127.0.0.1").unwrap(), socket).await.unwrap()
}

fn failures(server: &Server, why: Failure) -> u64 {
    server.front.tls.as_ref().unwrap().failures(why)
}

/// Waits until the server ends a connection.
async fn ended(socket: &mut TcpStream) {
    let read = timeout(Duration::from_secs(20), socket.read(&mut [0])).await.expect("the connection ends");
    assert_eq!(read.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go_as_one_without_tls_is() {
    let (server, _) = server(Duration::from_millis(100));
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    ended(&mut silent).await;
    assert_eq!(failures(&server, Failure::Timeout), 1);
}

#[tokio::test]
async fn silent_connections_keep_no_client_out_and_those_that_have_to_go_are_counted() {
    let (server, connector) = server(Duration::from_mins(5));
    let mut silent = Vec::new();
    // One more than there are places.
    for _ in 0..=100 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut client = timeout(Duration::from_secs(20), connect(&server, &connector)).await.unwrap();
    client.write_all(b"GET /stats HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    ended(&mut silent[0]).await;
    assert!(failures(&server, Failure::Timeout) >= 1);
}

#[tokio::test]
async fn after_the_end_no_handshake_is_waited_for() {
    let (server, _) = server(Duration::from_mins(5));
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    server.cancel.cancel();
    server.tasks.close();
    timeout(Duration::from_secs(10), server.tasks.wait()).await.unwrap();
    ended(&mut silent).await;
}

#[tokio::test]
async fn an_upgraded_connection_takes_its_session_to_the_shard() {
    let (mut server, connector) = server(Duration::from_secs(10));
    let stream = connect(&server, &connector).await;
    let (websocket, _) = client_async("ws://gw/ws".into_client_request().unwrap(), stream).await.unwrap();
    let hello = server.hello().await;
    assert!(matches!(hello.socket, ClientSocket::Tls(_)), "{:?}", hello.socket);
    drop(websocket);
}
