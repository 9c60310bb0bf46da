//! What the gateway subscribes to on NATS, as NATS' own monitoring tells it.

use serde_json::json;

use crate::support::{Gateway, NatsServer, Resource};

#[tokio::test]
async fn a_topic_is_subscribed_once_with_its_first_subscriber_and_released_with_its_last() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    nats.wait_for_subscriptions(&[]);
    let mut first = gateway.subscriber(&["prices.btc", "prices.eth"]).await;
    assert_eq!(nats.subscriptions(), ["prices.btc", "prices.eth"]);
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(gateway.subscriber(&["prices.btc"]).await);
    }
    assert_eq!(nats.subscriptions(), ["prices.btc", "prices.eth"]);
    first.ask(json!({"type": "unsubscribe", "topic": "prices.eth"})).await;
    nats.wait_for_subscriptions(&["prices.btc"]);
    for client in others {
        client.close().await;
    }
    first.subscribe("prices.btc").await;
    assert_eq!(nats.subscriptions(), ["prices.btc"]);
    drop(first);
    nats.wait_for_subscriptions(&[]);
}

#[tokio::test]
async fn a_pattern_is_subscribed_as_it_is() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let client = gateway.subscriber(&["prices.*"]).await;
    assert_eq!(nats.subscriptions(), ["prices.*"]);
    client.close().await;
    nats.wait_for_subscriptions(&[]);
}

#[tokio::test]
async fn topic_and_pattern_that_overlap_bring_each_message_once_to_everybody() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut topic = gateway.subscriber(&["a.b"]).await;
    let mut pattern = gateway.subscriber(&["a.*"]).await;
    let mut rest = gateway.subscriber(&["a.>"]).await;
    let mut all_of_it = gateway.subscriber(&["a.>", "a.b", "a.*"]).await;
    let mut outside = nats.client();
    for n in 0..20 {
        outside.publish("a.b", n.to_string());
    }
    outside.publish("a.c", "20");
    outside.publish("a.b", "21");
    outside.flush();
    for client in [&mut topic, &mut pattern, &mut rest, &mut all_of_it] {
        for n in 0..20 {
            assert_eq!(client.expect_data("a.b").await, n);
        }
    }
    assert_eq!(topic.expect_data("a.b").await, 21);
    topic.expect_nothing().await;
    // Order is kept within a topic; these are two.
    for client in [&mut pattern, &mut rest, &mut all_of_it] {
        let (one, other) = (client.expect("message").await, client.expect("message").await);
        let mut seen =
            [(one["topic"].clone(), one["data"].clone()), (other["topic"].clone(), other["data"].clone())];
        seen.sort_by_key(|(topic, _)| topic.to_string());
        assert_eq!(seen, [(json!("a.b"), json!(21)), (json!("a.c"), json!(20))]);
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn subscribing_and_leaving_in_quick_succession_ends_without_a_subscription() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats).set("limits.subscribePerSecond", json!(0)));
    let mut client = gateway.client().await;
    for _ in 0..100 {
        client.send(json!({"type": "subscribe", "topic": "a"})).await;
        client.send(json!({"type": "unsubscribe", "topic": "a"})).await;
    }
    let mut answers = 0;
    while answers < 200 {
        let answer = client.frame().await;
        assert!(["subscribed", "unsubscribed"].contains(&answer["type"].as_str().unwrap()), "{answer}");
        answers += 1;
    }
    nats.wait_for_subscriptions(&[]);
    client.subscribe("a").await;
    let mut outside = nats.client();
    outside.publish("a", "1");
    outside.flush();
    assert_eq!(client.expect_data("a").await, 1);
}

#[tokio::test]
async fn wildcard_mode_subscribes_to_the_subjects_alone_and_routes_by_topic() {
    let nats = NatsServer::start();
    let resource = Resource::open()
        .on(&nats)
        .set("backbone.nats.subscription", json!("Wildcard"))
        .set("backbone.nats.subjects", json!(["prices.>", "news.*"]));
    let gateway = Gateway::start(&resource);
    nats.wait_for_subscriptions(&["news.*", "prices.>"]);
    let mut client = gateway.subscriber(&["prices.btc", "prices.*"]).await;
    let mut other = gateway.subscriber(&["news.eu"]).await;
    assert_eq!(nats.subscriptions(), ["news.*", "prices.>"]);
    let mut outside = nats.client();
    for (subject, body) in [("prices.btc", "1"), ("prices.eth", "2"), ("news.eu", "3"), ("prices.x.y", "4")] {
        outside.publish(subject, body);
    }
    outside.flush();
    assert_eq!(client.expect_data("prices.btc").await, 1);
    assert_eq!(client.expect_data("prices.eth").await, 2);
    client.expect_nothing().await;
    assert_eq!(other.expect_data("news.eu").await, 3);
    other.expect_nothing().await;
    client.close().await;
    other.close().await;
    assert_eq!(nats.subscriptions(), ["news.*", "prices.>"]);
}
