//! Prefix and subjects: what of NATS clients see at all.

use serde_json::json;

use crate::support::{Gateway, NatsServer, Resource};

#[tokio::test]
async fn the_prefix_is_taken_from_subjects_and_put_before_topics() {
    let nats = NatsServer::start();
    for prefix in ["market.live", "market.live."] {
        let resource = Resource::open()
            .on(&nats)
            .set("backbone.nats.subjectPrefix", json!(prefix))
            .set("backbone.nats.subjects", json!(["market.live.>"]));
        let gateway = Gateway::start(&resource);
        let mut client = gateway.subscriber(&["prices.btc", "prices.*"]).await;
        assert_eq!(nats.subscriptions(), ["market.live.prices.*", "market.live.prices.btc"]);
        let mut outside = nats.client();
        outside.subscribe("market.>");
        outside.publish("prices.btc", "0");
        outside.publish("market.live.prices.btc", "1");
        outside.flush();
        assert_eq!(outside.next().body, b"1");
        assert_eq!(client.expect_data("prices.btc").await, 1);
        let mut publisher = gateway.client().await;
        publisher.publish("prices.eth", "m", json!(2)).await;
        assert_eq!(outside.next().subject, "market.live.prices.eth");
        assert_eq!(client.expect_data("prices.eth").await, 2);
        client.expect_nothing().await;
        client.close().await;
        nats.wait_for_subscriptions(&[]);
    }
}

#[tokio::test]
async fn nothing_outside_the_subjects_is_reachable_whatever_a_rule_says() {
    let nats = NatsServer::start();
    for mode in ["PerTopic", "Wildcard"] {
        let resource = Resource::open()
            .on(&nats)
            .set("backbone.nats.subscription", json!(mode))
            .set("backbone.nats.subjects", json!(["prices.>", "news"]));
        let gateway = Gateway::start(&resource);
        let mut client = gateway.client().await;
        for (topic, reachable) in [
            ("prices.btc", true),
            ("prices.>", true),
            ("news", true),
            ("news.eu", false),
            ("secret", false),
            ("*.btc", false),
            (">", false),
        ] {
            let answer = client.ask(json!({"type": "subscribe", "topic": topic})).await;
            let expected = if reachable { json!("subscribed") } else { json!("error") };
            assert_eq!(answer["type"], expected, "{mode}: {answer}");
            if !reachable {
                assert_eq!(answer["code"], "ACL_DENIED", "{mode}: {answer}");
            }
        }
        client.send(json!({"type": "publish", "topic": "secret", "messageId": "m", "payload": 1})).await;
        client.expect_error("ACL_DENIED").await;
    }
}
