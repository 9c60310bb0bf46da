//! How connections end: the close codes that no other file shows.

use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::support::{Client, DEADLINE, Gateway, Issuer, RawSocket, Resource, frame};

#[test]
fn a_close_of_the_client_is_answered_with_its_code() {
    let gateway = Gateway::start(&Resource::open());
    for code in [1000_u16, 1001, 3000, 4999] {
        let mut socket = RawSocket::open(gateway.address);
        socket.write(&frame(0x88, &[&code.to_be_bytes()[..], b"bye"].concat()));
        let end = socket.end();
        assert_eq!(end.code(), Some(code), "{end:?}");
    }
}

#[test]
fn a_close_without_a_code_is_answered_without_one_or_with_1000() {
    let gateway = Gateway::start(&Resource::open());
    let mut socket = RawSocket::open(gateway.address);
    socket.write(&frame(0x88, &[]));
    let (head, payload) = socket.read().unwrap();
    assert_eq!(head, 0x88);
    assert!(payload.is_empty() || payload[..2] == 1000_u16.to_be_bytes(), "{payload:?}");
    assert_eq!(socket.read(), None);
    gateway.wait_for_metric("topicgateway_closed_total", &[("code", "1005")], 1.0);
}

#[tokio::test]
async fn a_connection_that_is_not_authenticated_in_ten_seconds_is_closed_with_4401() {
    let gateway = Gateway::start(&Resource::with_tokens(&Issuer::shared()));
    let mut client = gateway.client().await;
    let begun = std::time::Instant::now();
    let (code, reason) = client.closed().await;
    assert_eq!(code, 4401, "{reason}");
    assert!((8..15).contains(&begun.elapsed().as_secs()), "10 s, not {:?}", begun.elapsed());
}

#[tokio::test]
async fn beyond_the_connections_of_the_gateway_the_upgrade_is_answered_with_503() {
    let gateway = Gateway::start(&Resource::open().set("limits.connections", json!(2)));
    let first = gateway.subscriber(&["a"]).await;
    let _second = gateway.subscriber(&["a"]).await;
    let refused = Client::try_connect(&gateway.url("/ws"), &[]).await.err().unwrap();
    assert_eq!(refused.status, 503);
    let seconds: u32 = refused.retry_after.expect("Retry-After").parse().unwrap();
    assert!(seconds > 0);
    first.close().await;
    // Its place is free when its socket is gone, a little after the close.
    let next = async {
        while Client::try_connect(&gateway.url("/ws"), &[]).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, next).await.expect("a place becomes free");
}

#[tokio::test]
async fn beyond_the_connections_of_a_user_a_connection_is_closed_with_1013() {
    let issuer = Issuer::shared();
    let gateway = Gateway::start(&Resource::with_tokens(&issuer).set("limits.connectionsPerUser", json!(1)));
    let url = |user: &str| {
        let token = issuer.token(json!({"sub": user}));
        gateway.url(&format!("/ws?access_token={token}"))
    };
    let mut first = Client::connect(&url("ann")).await;
    first.subscribe("a").await;
    let (code, reason) = Client::connect(&url("ann")).await.closed().await;
    assert_eq!(code, 1013, "{reason}");
    Client::connect(&url("bob")).await.subscribe("a").await;
    let mut by_setup = gateway.client().await;
    by_setup.send(json!({"type": "setup", "token": issuer.token(json!({"sub": "ann"}))})).await;
    assert_eq!(by_setup.closed().await.0, 1013);
    first.expect_nothing().await;
}

#[tokio::test]
async fn beyond_the_new_connections_of_a_second_the_upgrade_is_answered_with_503() {
    let gateway = Gateway::start(&Resource::open().set("limits.connectionsPerSecond", json!(3)));
    let (mut served, mut refused) = (Vec::new(), 0);
    for _ in 0..12 {
        match Client::try_connect(&gateway.url("/ws"), &[]).await {
            Ok(client) => served.push(client),
            Err(answer) => {
                assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("1")));
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "12 connections at once, all of them served");
    assert!(served.len() >= 3);
}
