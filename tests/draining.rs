//! The end of a gateway: told before, paced, and with exit code 0.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, Gateway, RawSocket, Resource, try_get, wait_until};

#[tokio::test]
async fn sigterm_tells_everybody_when_to_come_back_and_closes_them_evenly_with_1012() {
    let mut gateway = Gateway::start(&Resource::open().set("drain.windowSeconds", json!(3)));
    let mut clients = Vec::new();
    for _ in 0..30 {
        clients.push(gateway.subscriber(&["a"]).await);
    }
    gateway.process.signal("TERM");
    let begun = Instant::now();
    let mut waits = Vec::new();
    for client in &mut clients {
        waits.push(stays(client).await);
    }
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 10, "the times are to be spread: {waits:?}");
    assert!(*waits.last().unwrap() <= 10_000, "{waits:?}");
    wait_until("readiness is off or the gateway gone", || !gateway.ready());
    let closing = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let (code, reason) = client.closed().await;
            assert_eq!(code, 1012, "{reason}");
            assert!(!reason.is_empty());
            begun.elapsed()
        })
    });
    let mut ends = Vec::new();
    for task in closing.collect::<Vec<_>>() {
        ends.push(task.await.unwrap());
    }
    ends.sort_unstable();
    assert!(ends[29] < Duration::from_secs(6), "the last at {:?}", ends[29]);
    assert!(ends[29] > ends[0] + Duration::from_secs(1), "all at once: {:?} to {:?}", ends[0], ends[29]);
    assert!(gateway.process.wait().success());
}

/// For how many milliseconds a client is told that it may stay.
async fn stays(client: &mut Client) -> u64 {
    let draining = client.expect("draining").await;
    draining["reconnectAfterMs"].as_u64().unwrap_or_else(|| panic!("{draining}"))
}

#[tokio::test]
async fn while_draining_nobody_new_is_let_in_and_messages_still_arrive() {
    let mut gateway = Gateway::start(&Resource::open().set("drain.windowSeconds", json!(3)));
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(gateway.subscriber(&["a"]).await);
    }
    gateway.process.signal("TERM");
    let mut told = Vec::new();
    for mut client in clients {
        told.push((stays(&mut client).await, client));
    }
    wait_until("new connections are refused", || {
        try_get(gateway.address, "/ws").is_none_or(|answer| answer.status == 503)
    });
    // Whoever is still there is served to the end.
    let (_, mut last) = told.into_iter().max_by_key(|(stays, _)| *stays).expect("clients");
    last.send(json!({"type": "publish", "topic": "a", "messageId": "m", "payload": 1})).await;
    let mut kinds = Vec::new();
    while let Some(kind) = last.next_kind().await {
        kinds.push(kind);
    }
    kinds.sort();
    assert_eq!(kinds, ["ack", "message"]);
    assert!(gateway.process.wait().success());
}

#[test]
fn an_idle_gateway_ends_at_once_on_sigterm_and_on_ctrl_c() {
    for signal in ["TERM", "INT"] {
        let mut gateway = Gateway::start(&Resource::open());
        let begun = Instant::now();
        gateway.process.signal(signal);
        assert!(gateway.process.wait().success(), "SIG{signal}");
        assert!(begun.elapsed() < Duration::from_secs(5), "SIG{signal}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn ctrl_c_closes_the_clients_in_good_order() {
    let mut gateway = Gateway::start(&Resource::open().set("drain.windowSeconds", json!(1)));
    let mut client = Client::connect(&gateway.url("/ws/sub/a")).await;
    client.expect("subscribed").await;
    gateway.process.signal("INT");
    assert_eq!(client.closed().await.0, 1012);
    assert!(gateway.process.wait().success());
}

#[test]
fn ctrl_c_ends_within_two_seconds_though_a_client_does_not_answer_its_close() {
    let mut gateway = Gateway::start(&Resource::open());
    let _deaf = RawSocket::open(gateway.address);
    let begun = Instant::now();
    gateway.process.signal("INT");
    assert!(gateway.process.wait().success());
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}
