//! Subscriptions to patterns, where the policy grants them.

use serde_json::json;

use crate::support::{Gateway, Resource};

#[tokio::test]
async fn a_pattern_brings_the_messages_of_its_topics_under_their_own_names() {
    let gateway = Gateway::start(&Resource::open());
    let mut one = gateway.subscriber(&["prices.*"]).await;
    let mut rest = gateway.subscriber(&["prices.>"]).await;
    let mut publisher = gateway.client().await;
    publisher.publish("prices.btc", "1", json!(1)).await;
    publisher.publish("prices.btc.eur", "2", json!(2)).await;
    publisher.publish("prices", "3", json!(3)).await;
    publisher.publish("prices.eth", "4", json!(4)).await;
    assert_eq!(one.expect_data("prices.btc").await, 1);
    assert_eq!(one.expect_data("prices.eth").await, 4);
    one.expect_nothing().await;
    assert_eq!(rest.expect_data("prices.btc").await, 1);
    assert_eq!(rest.expect_data("prices.btc.eur").await, 2);
    assert_eq!(rest.expect_data("prices.eth").await, 4);
    rest.expect_nothing().await;
}

#[tokio::test]
async fn topic_and_pattern_held_together_bring_each_message_once() {
    let gateway = Gateway::start(&Resource::open());
    let mut publisher = gateway.client().await;
    for held in [["a.b", "a.*"], ["a.*", "a.b"], ["a.>", "a.*"], [">", "a.b"]] {
        let mut client = gateway.subscriber(&held).await;
        for n in 0..3 {
            publisher.publish("a.b", &format!("{held:?}{n}"), json!(n)).await;
        }
        for n in 0..3 {
            assert_eq!(client.expect_data("a.b").await, n, "{held:?}");
        }
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn what_is_left_goes_on_when_one_of_topic_and_pattern_is_given_up() {
    let gateway = Gateway::start(&Resource::open());
    let mut publisher = gateway.client().await;
    for (given_up, kept) in [("a.b", "a.*"), ("a.*", "a.b")] {
        let mut client = gateway.subscriber(&[given_up, kept]).await;
        client.ask(json!({"type": "unsubscribe", "topic": given_up})).await;
        publisher.publish("a.b", given_up, json!(given_up)).await;
        assert_eq!(client.expect_data("a.b").await, given_up, "kept {kept}");
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_pattern_is_denied_unless_one_rule_covers_all_of_it() {
    let rules = json!([{"subscribe": ["prices.*", "news.eu.>", "news.us.>"]}]);
    let gateway = Gateway::start(&Resource::open().set("authorization", rules));
    let mut client = gateway.client().await;
    for (topic, granted) in [
        ("prices.*", true),
        ("prices.btc", true),
        ("news.eu.*", true),
        ("news.eu.>", true),
        ("news.*.x", false),
        ("news.>", false),
        ("prices.>", false),
        ("prices.btc.eur", false),
        ("*.btc", false),
        (">", false),
        ("*", false),
    ] {
        let answer = client.ask(json!({"type": "subscribe", "topic": topic})).await;
        if granted {
            assert_eq!(answer["type"], "subscribed", "{answer}");
        } else {
            assert_eq!(
                (&answer["code"], &answer["topic"]),
                (&json!("ACL_DENIED"), &json!(topic)),
                "{answer}"
            );
        }
    }
}

#[tokio::test]
async fn nobody_publishes_to_a_pattern() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.client().await;
    for topic in ["a.*", ">"] {
        client.send(json!({"type": "publish", "topic": topic, "messageId": "1", "payload": 1})).await;
        client.expect_error("TOPIC_INVALID").await;
    }
}
