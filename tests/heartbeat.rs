//! The gateway pings; a client that does not answer is closed with 4408.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Gateway, RawSocket, Resource, frame};

fn quick() -> Resource {
    Resource::open().set("heartbeatSeconds", json!(1))
}

#[tokio::test]
async fn a_client_that_answers_pings_stays() {
    let gateway = Gateway::start(&quick());
    let mut client = gateway.subscriber(&["a"]).await;
    // Reading is what makes tungstenite answer.
    for _ in 0..3 {
        assert!(matches!(client.next_message().await, Some(Message::Ping(_))));
    }
    client.expect_nothing().await;
}

#[test]
fn a_client_that_answers_no_ping_is_closed_with_4408() {
    let gateway = Gateway::start(&quick());
    let mut socket = RawSocket::open(gateway.address);
    let (head, payload) = socket.read().unwrap();
    assert_eq!(head, 0x89, "a ping");
    let asked = Instant::now();
    assert!(payload.len() <= 125);
    assert_eq!(socket.end().code(), Some(4408));
    let waited = asked.elapsed();
    assert!((Duration::from_secs(8)..Duration::from_secs(14)).contains(&waited), "10 s, not {waited:?}");
}

#[test]
fn a_ping_of_the_client_is_answered_with_its_payload_between_fragments_too() {
    let gateway = Gateway::start(&Resource::open());
    let mut socket = RawSocket::open(gateway.address);
    socket.write(&frame(0x89, b"one"));
    assert_eq!(socket.read(), Some((0x8a, b"one".to_vec())));
    socket.write(&frame(0x01, br#"{"type":"#));
    socket.write(&frame(0x89, b""));
    socket.write(&frame(0x80, br#""ping"}"#));
    assert_eq!(socket.read(), Some((0x8a, Vec::new())));
    assert_eq!(socket.json(), json!({"type": "pong"}));
}

#[test]
fn a_pong_nobody_asked_for_is_ignored() {
    let gateway = Gateway::start(&Resource::open());
    let mut socket = RawSocket::open(gateway.address);
    socket.write(&frame(0x8a, b"unasked"));
    socket.text(r#"{"type":"ping"}"#);
    assert_eq!(socket.json(), json!({"type": "pong"}));
}
