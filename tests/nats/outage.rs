//! NATS goes away and comes back: sockets stay, what may be lost is told, everything else is answered.

use serde_json::{Value, json};

use crate::support::{Client, Gateway, NatsServer, Resource, wait_for, wait_until};

async fn refused(client: &mut Client, command: Value) {
    client.send(command).await;
    let error = client.expect_error("BACKBONE_UNAVAILABLE").await;
    assert_eq!(error["retryable"], true, "{error}");
}

/// Tries a publish again until it is accepted, as the error tells a client to.
async fn publish_again(client: &mut Client, topic: &str) {
    for _ in 0..200 {
        let answer = client
            .ask(json!({"type": "publish", "topic": topic, "messageId": "again", "payload": "again"}))
            .await;
        if answer["type"] == "ack" {
            assert_eq!(answer["status"], "ok", "a publish that failed must not count as done");
            return;
        }
        assert_eq!(answer["code"], "BACKBONE_UNAVAILABLE", "{answer}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the backbone did not come back");
}

#[tokio::test]
async fn a_restart_of_nats_is_survived_and_told() {
    let mut nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut client = gateway.subscriber(&["a", "b.*"]).await;
    let mut publisher = gateway.client().await;
    gateway.wait_for_metric("topicgateway_backbone_connected", &[], 1.0);
    nats.kill();
    wait_until("the gateway is not ready", || !gateway.ready());
    assert_eq!(gateway.admin("/livez").status, 200);
    refused(&mut publisher, json!({"type": "publish", "topic": "a", "messageId": "again", "payload": 1}))
        .await;
    nats.start_again();
    wait_until("the gateway is ready again", || gateway.ready());
    let mut gaps = Vec::new();
    for _ in 0..2 {
        let gap = client.expect("gap").await;
        assert_eq!(gap["reason"], "backbone", "{gap}");
        gaps.push(gap["topic"].as_str().unwrap().to_owned());
    }
    gaps.sort();
    assert_eq!(gaps, ["a", "b.*"]);
    nats.wait_for_subscriptions(&["a", "b.*"]);
    publish_again(&mut publisher, "a").await;
    assert_eq!(client.expect_data("a").await, "again");
    gateway.wait_for_metric("topicgateway_backbone_reconnects_total", &[], 1.0);
    gateway.wait_for_metric("topicgateway_backbone_connected", &[], 1.0);
}

#[tokio::test]
async fn subscribing_while_nats_is_away_is_answered_and_works_when_it_is_back() {
    let mut nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut client = gateway.subscriber(&["a"]).await;
    nats.kill();
    wait_until("the gateway is not ready", || !gateway.ready());
    refused(&mut client, json!({"type": "subscribe", "topic": "new"})).await;
    nats.start_again();
    wait_until("the gateway is ready again", || gateway.ready());
    assert_eq!(client.expect("gap").await["topic"], "a");
    client.subscribe("new").await;
    let mut outside = nats.client();
    outside.publish("new", "1");
    outside.flush();
    assert_eq!(client.expect_data("new").await, 1);
}

#[tokio::test]
async fn a_gateway_starts_without_nats_and_says_so() {
    let mut nats = NatsServer::start();
    nats.kill();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    assert!(!gateway.ready());
    assert_eq!(gateway.admin("/livez").status, 200);
    let mut client = gateway.client().await;
    refused(&mut client, json!({"type": "publish", "topic": "a", "messageId": "m", "payload": 1})).await;
    refused(&mut client, json!({"type": "subscribe", "topic": "a"})).await;
    wait_for("the gateway says that NATS is not there", || {
        gateway.process.stderr().to_lowercase().contains("nats").then_some(())
    });
    nats.start_again();
    wait_until("the gateway is ready", || gateway.ready());
    client.subscribe("a").await;
    publish_again(&mut client, "b").await;
}

#[tokio::test]
async fn a_server_that_stops_answering_leaves_no_publish_unanswered() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut client = gateway.client().await;
    client.publish("a", "before", json!(1)).await;
    nats.freeze();
    client.send(json!({"type": "publish", "topic": "a", "messageId": "frozen", "payload": 1, "id": 1})).await;
    let answer = client.frame().await;
    nats.thaw();
    assert_eq!((&answer["code"], &answer["id"]), (&json!("BACKBONE_UNAVAILABLE"), &json!(1)), "{answer}");
}
