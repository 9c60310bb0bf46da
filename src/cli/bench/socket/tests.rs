use std::{fs, net::TcpListener, thread, time::Duration};

use mio::{Events, Poll};
use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::*;
use crate::{
    cli::client::trusting,
    gateway::{certificate::fixture, websocket::text_frame},
};

const READY: &str = r#"{"type":"ready","id":0}"#;
const TEXTS: usize = 300;
const LENGTH: usize = 5_000;
const DEADLINE: Duration = Duration::from_secs(20);

/// Counts what comes.
#[derive(Default)]
struct Counter(usize);

impl Owner for Counter {
    fn set_up(&self) -> String {
        "set-up".into()
    }

    fn hear(&mut self, text: &[u8], _: Instant) {
        assert_eq!(text.len(), LENGTH);
        self.0 += 1;
    }
}

/// Upgrades, is ready, sends all texts, and waits until the client has gone.
fn gateway(mut stream: impl Read + Write) {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let (_, key) = request.split_once("Sec-WebSocket-Key: ").unwrap();
    let accept = derive_accept_key(key.split("\r\n").next().unwrap().as_bytes());
    let answer = format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {accept}\r\n\r\n");
    stream.write_all(answer.as_bytes()).unwrap();
    // The set-up: header, mask and payload.
    stream.read_exact(&mut [0; 12]).unwrap();
    stream.write_all(&text_frame(READY)).unwrap();
    for _ in 0..TEXTS {
        stream.write_all(&text_frame(&"x".repeat(LENGTH))).unwrap();
    }
    stream.flush().unwrap();
    let _ = stream.read(&mut byte);
}

/// Reads until everything has come.
fn read_all(dialer: &Dialer) {
    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(8));
    let mut wire = dialer.dial(0, 0, poll.registry()).unwrap();
    let (mut counter, mut buffer, began) = (Counter::default(), vec![0; 16 * 1024], Instant::now());
    while counter.0 < TEXTS {
        assert!(began.elapsed() < DEADLINE, "{} came, then {:?}", counter.0, wire.ending());
        poll.poll(&mut events, Some(Duration::from_millis(100))).unwrap();
        for event in &events {
            wire.serve(dialer, &mut buffer, event.is_read_closed(), &mut counter).unwrap();
        }
    }
    assert!(wire.is_live());
}

#[test]
fn everything_is_read_from_a_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dialer =
        Dialer::new(&format!("ws://{}/ws", listener.local_addr().unwrap()), &trusting(None).unwrap())
            .unwrap();
    let server = thread::spawn(move || gateway(listener.accept().unwrap().0));
    read_all(&dialer);
    server.join().unwrap();
}

#[test]
fn everything_is_read_through_tls() {
    let home = TempDir::new().unwrap();
    fixture::authority(home.path());
    fixture::server(home.path(), "server", 30);
    let certificate =
        CertificateDer::from_pem_slice(&fs::read(home.path().join("server.crt")).unwrap()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&fs::read(home.path().join("server.key")).unwrap()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let tls = trusting(Some(&home.path().join("ca.crt"))).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}/ws", listener.local_addr().unwrap());
    let dialer = Dialer::new(&url, &tls).unwrap();
    let server = thread::spawn(move || {
        let session = ServerConnection::new(Arc::new(config)).unwrap();
        gateway(StreamOwned::new(session, listener.accept().unwrap().0));
    });
    read_all(&dialer);
    server.join().unwrap();
}

#[test]
fn a_host_that_is_not_there_is_told_with_the_option_to_change() {
    let failure = Dialer::new("ws://no-such-host.invalid/ws", &trusting(None).unwrap()).unwrap_err();
    assert!(failure.code == 69 && failure.message.contains("--url"), "{failure}");
}
