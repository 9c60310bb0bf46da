//! Publishing: confirmed once the backbone has the message, never twice.

use serde_json::json;

use crate::support::{Client, Gateway, Issuer, Resource};

#[tokio::test]
async fn the_ack_carries_message_id_status_and_number() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.client().await;
    let command = json!({"type": "publish", "topic": "a", "messageId": "m1", "payload": {"x": 1}, "id": 9});
    let answer = client.ask(command).await;
    assert_eq!(answer, json!({"type": "ack", "id": 9, "messageId": "m1", "status": "ok", "seqNo": 1}));
}

#[tokio::test]
async fn the_same_message_id_again_is_a_duplicate_and_is_not_delivered() {
    let gateway = Gateway::start(&Resource::open());
    let mut subscriber = gateway.subscriber(&["a"]).await;
    let mut publisher = gateway.client().await;
    assert_eq!(publisher.publish("a", "m", json!(1)).await["status"], "ok");
    let again = publisher.publish("a", "m", json!(1)).await;
    assert_eq!((&again["status"], &again["seqNo"]), (&json!("duplicate"), &json!(1)), "{again}");
    let mut elsewhere = gateway.client().await;
    assert_eq!(elsewhere.publish("a", "m", json!(1)).await["status"], "duplicate");
    assert_eq!(publisher.publish("a", "n", json!(2)).await["status"], "ok");
    assert_eq!(subscriber.expect_data("a").await, 1);
    assert_eq!(subscriber.expect_data("a").await, 2);
    subscriber.expect_nothing().await;
}

#[tokio::test]
async fn the_message_id_counts_per_topic() {
    let gateway = Gateway::start(&Resource::open());
    let mut publisher = gateway.client().await;
    assert_eq!(publisher.publish("a", "m", json!(1)).await["status"], "ok");
    assert_eq!(publisher.publish("b", "m", json!(1)).await["status"], "ok");
}

#[tokio::test]
async fn the_message_id_counts_per_user() {
    let issuer = Issuer::shared();
    let gateway = Gateway::start(&Resource::with_tokens(&issuer));
    for user in ["ann", "bob"] {
        let token = issuer.token(json!({"sub": user}));
        let mut client = Client::connect(&gateway.url(&format!("/ws?access_token={token}"))).await;
        client.ask(json!({"type": "setup"})).await;
        assert_eq!(client.publish("a", "m", json!(1)).await["status"], "ok", "{user}");
        assert_eq!(client.publish("a", "m", json!(1)).await["status"], "duplicate", "{user}");
    }
}

#[tokio::test]
async fn many_at_once_with_one_message_id_are_accepted_once() {
    let gateway = Gateway::start(&Resource::open());
    let mut subscriber = gateway.subscriber(&["a"]).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(gateway.client().await);
    }
    for client in &mut clients {
        client.send(json!({"type": "publish", "topic": "a", "messageId": "m", "payload": 1})).await;
    }
    let mut accepted = 0;
    for client in &mut clients {
        accepted += u32::from(client.expect("ack").await["status"] == "ok");
    }
    assert_eq!(accepted, 1);
    assert_eq!(subscriber.expect_data("a").await, 1);
    subscriber.expect_nothing().await;
}

#[tokio::test]
async fn idempotency_key_is_accepted_for_message_id() {
    let gateway = Gateway::start(&Resource::open());
    let mut subscriber = gateway.subscriber(&["a"]).await;
    let mut client = gateway.client().await;
    for status in ["ok", "duplicate"] {
        let command = json!({"type": "publish", "topic": "a", "idempotencyKey": "k", "payload": 1});
        let answer = client.ask(command).await;
        assert_eq!((&answer["messageId"], &answer["status"]), (&json!("k"), &json!(status)), "{answer}");
    }
    assert_eq!(subscriber.expect("message").await["messageId"], "k");
}

#[tokio::test]
async fn a_publisher_that_subscribes_gets_its_own_message() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.subscriber(&["a"]).await;
    client.send(json!({"type": "publish", "topic": "a", "messageId": "m", "payload": [1]})).await;
    let mut kinds = Vec::new();
    for _ in 0..2 {
        kinds.push(client.frame().await["type"].as_str().unwrap().to_owned());
    }
    kinds.sort();
    assert_eq!(kinds, ["ack", "message"]);
}

#[tokio::test]
async fn the_message_names_topic_number_message_id_and_data() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.subscriber(&["a"]).await;
    gateway.client().await.publish("a", "m", json!(null)).await;
    let expected =
        json!({"type": "message", "topic": "a", "seqNo": 1, "prevSeqNo": 0, "messageId": "m", "data": null});
    assert_eq!(client.expect("message").await, expected);
}
