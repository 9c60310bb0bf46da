//! What is counted, and that it all goes back to zero.

use serde_json::json;

use crate::support::{Gateway, Metrics, RawSocket, Resource, frame};

/// Names of `docs/metrics.md` that need no special event. They are an interface.
const NAMES: [&str; 25] = [
    "topicgateway_accept_errors_total",
    "topicgateway_backbone_connected",
    "topicgateway_backbone_dropped_total",
    "topicgateway_backbone_errors_total",
    "topicgateway_backbone_reconnects_total",
    "topicgateway_build_info",
    "topicgateway_closed_total",
    "topicgateway_config_generation",
    "topicgateway_connections",
    "topicgateway_delivery_latency_seconds_bucket",
    "topicgateway_delivery_latency_seconds_count",
    "topicgateway_delivery_latency_seconds_sum",
    "topicgateway_errors_total",
    "topicgateway_lagging_subscribers",
    "topicgateway_log_bytes",
    "topicgateway_messages_delivered_bytes_total",
    "topicgateway_messages_delivered_total",
    "topicgateway_messages_ignored_total",
    "topicgateway_messages_not_json_total",
    "topicgateway_messages_received_bytes_total",
    "topicgateway_messages_received_total",
    "topicgateway_publish_total",
    "topicgateway_subscriptions",
    "topicgateway_topic_series",
    "topicgateway_topics",
];

fn subscribers(metrics: &Metrics, topic: &str) -> f64 {
    metrics.sum("topicgateway_topic_subscribers", &[("topic", topic)])
}

#[track_caller]
fn assert_is(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-9, "{actual} instead of {expected}");
}

#[tokio::test]
async fn every_name_is_there_after_some_traffic() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.subscriber(&["a"]).await;
    client.send_text("x").await;
    client.expect_error("BAD_REQUEST").await;
    client.publish_to_itself("a", "m", json!(1)).await;
    gateway.client().await.close().await;
    gateway.wait_for_metric("topicgateway_closed_total", &[], 1.0);
    let metrics = gateway.metrics();
    let missing: Vec<_> = NAMES.iter().filter(|name| !metrics.has(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {:?}", metrics.names().collect::<Vec<_>>());
    assert!(metrics.has("process_resident_memory_bytes"));
}

#[tokio::test]
async fn gauges_count_what_is_there_and_are_zero_after_everybody_left() {
    let gateway = Gateway::start(&Resource::open());
    let clients = [
        gateway.subscriber(&["a", "b"]).await,
        gateway.subscriber(&["b", "c.*"]).await,
        gateway.subscriber(&["b"]).await,
    ];
    let metrics = gateway.metrics();
    for (name, value) in [
        ("topicgateway_connections", 3.0),
        ("topicgateway_topics", 3.0),
        ("topicgateway_subscriptions", 5.0),
        ("topicgateway_topic_subscribers", 5.0),
    ] {
        assert_is(metrics.sum(name, &[]), value);
    }
    for (topic, value) in [("a", 1.0), ("b", 3.0), ("c.*", 1.0)] {
        assert_is(subscribers(&metrics, topic), value);
    }
    for client in clients {
        client.close().await;
    }
    for name in [
        "topicgateway_connections",
        "topicgateway_topics",
        "topicgateway_subscriptions",
        "topicgateway_lagging_subscribers",
        "topicgateway_log_bytes",
    ] {
        gateway.wait_for_metric(name, &[], 0.0);
    }
    assert_eq!(
        gateway.metrics().count("topicgateway_topic_subscribers", &[]),
        0,
        "series of topics without subscribers"
    );
}

#[tokio::test]
async fn beyond_the_cap_the_smallest_topics_are_folded_and_the_sum_stays_exact() {
    let gateway = Gateway::start(&Resource::open().set("metrics.maxTopicSeries", json!(2)));
    let mut clients = Vec::new();
    for topics in [["big", "middle", "small"], ["big", "middle", "tiny"], ["big", "one", "two"]] {
        clients.push(gateway.subscriber(&topics).await);
    }
    let metrics = gateway.metrics();
    assert_is(subscribers(&metrics, "big"), 3.0);
    assert_is(subscribers(&metrics, "middle"), 2.0);
    assert_is(subscribers(&metrics, "__other__"), 4.0);
    assert_is(metrics.sum("topicgateway_topic_subscribers", &[]), 9.0);
    assert_eq!(metrics.count("topicgateway_topic_subscribers", &[]), 3);
    assert_is(metrics.sum("topicgateway_topic_series", &[("state", "exported")]), 2.0);
    assert_is(metrics.sum("topicgateway_topic_series", &[("state", "folded")]), 4.0);
}

#[tokio::test]
async fn topics_of_a_pattern_share_one_label() {
    let labels = json!([{"pattern": "user.*", "label": "user.*"}]);
    let gateway = Gateway::start(&Resource::open().set("metrics.topicLabels", labels));
    let _client = gateway.subscriber(&["user.ann", "user.bob", "user.ann.x", "other"]).await;
    let metrics = gateway.metrics();
    assert_is(subscribers(&metrics, "user.*"), 2.0);
    assert_is(subscribers(&metrics, "user.ann.x"), 1.0);
    assert_is(subscribers(&metrics, "other"), 1.0);
    assert_eq!(metrics.count("topicgateway_topic_subscribers", &[]), 3);
}

#[tokio::test]
async fn messages_publishes_errors_and_closes_are_counted() {
    let gateway = Gateway::start(&Resource::open());
    let mut ann = gateway.subscriber(&["a"]).await;
    let mut bob = gateway.subscriber(&["a"]).await;
    let mut publisher = gateway.client().await;
    publisher.publish("a", "1", json!("x")).await;
    publisher.publish("a", "1", json!("x")).await;
    ann.expect("message").await;
    bob.expect("message").await;
    bob.send(json!({"type": "subscribe", "topic": "a b"})).await;
    bob.expect_error("TOPIC_INVALID").await;
    gateway.wait_for_metric("topicgateway_messages_received_total", &[], 1.0);
    gateway.wait_for_metric("topicgateway_messages_delivered_total", &[], 2.0);
    gateway.wait_for_metric("topicgateway_publish_total", &[("result", "ok")], 1.0);
    gateway.wait_for_metric("topicgateway_publish_total", &[("result", "duplicate")], 1.0);
    gateway.wait_for_metric("topicgateway_errors_total", &[("code", "TOPIC_INVALID")], 1.0);
    let bytes = gateway.metrics().sum("topicgateway_messages_delivered_bytes_total", &[]);
    assert!((100.0..1000.0).contains(&bytes), "{bytes} bytes for two short messages");
    ann.close().await;
    let mut rude = RawSocket::open(gateway.address);
    rude.write(&frame(0x82, b""));
    assert_eq!(rude.end().code(), Some(1003));
    gateway.wait_for_metric("topicgateway_closed_total", &[("code", "1005")], 1.0);
    gateway.wait_for_metric("topicgateway_closed_total", &[("code", "1003")], 1.0);
}
