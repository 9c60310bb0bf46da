//! From publish to socket, as the metric tells.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::streams::{resource, subscriber};
use crate::support::{Configured, Gateway, NatsServer, Resource};

const NAME: &str = "topicgateway_delivery_latency_seconds";

/// How many deliveries took no longer than this bound.
fn within(gateway: &Gateway, bound: &str) -> f64 {
    gateway.metrics().sum(&format!("{NAME}_bucket"), &[("le", bound)])
}

#[track_caller]
fn assert_is(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-9, "{actual} instead of {expected}");
}

#[tokio::test]
async fn every_delivery_of_a_message_of_the_stream_is_measured() {
    let nats = NatsServer::with_streams();
    let gateway = Configured::start(&resource(&nats));
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(subscriber(&gateway, "prices.btc").await.0);
    }
    let mut outside = nats.client();
    for n in 1..=4 {
        outside.publish("prices.btc", n.to_string());
    }
    outside.flush();
    for client in &mut clients {
        for n in 1..=4 {
            assert_eq!(client.expect("message").await["data"], n);
        }
    }
    gateway.wait_for_metric(&format!("{NAME}_count"), &[], 12.0);
    assert_is(within(&gateway, "60"), 12.0);
    let mut late = gateway.client().await;
    late.ask(json!({"type": "subscribe", "topic": "prices.btc", "last": 4})).await;
    for _ in 1..=4 {
        late.expect("message").await;
    }
    gateway.wait_for_metric("topicgateway_messages_delivered_total", &[], 16.0);
    assert_is(gateway.metrics().sum(&format!("{NAME}_count"), &[]), 12.0);
}

#[tokio::test]
async fn a_publisher_without_a_stream_says_by_a_header_when_it_was() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut client = gateway.subscriber(&["a"]).await;
    let mut outside = nats.client();
    let published = Timestamp::now() - SignedDuration::from_millis(2_100);
    outside.publish_with_headers("a", &[("Nats-Time-Stamp", &published.to_string())], "1");
    outside.publish_with_headers("a", &[("Nats-Time-Stamp", "a while ago")], "2");
    outside.publish("a", "3");
    outside.flush();
    for n in 1..=3 {
        assert_eq!(client.expect("message").await["data"], n);
    }
    gateway.wait_for_metric("topicgateway_messages_delivered_total", &[], 3.0);
    gateway.wait_for_metric(&format!("{NAME}_count"), &[], 1.0);
    assert_is(within(&gateway, "2"), 0.0);
    // A machine that is busy makes it later still.
    assert_is(within(&gateway, "30"), 1.0);
    assert!(gateway.metrics().sum(&format!("{NAME}_sum"), &[]) >= 2.1);
}

#[tokio::test]
async fn what_a_client_publishes_is_measured_with_and_without_nats() {
    let nats = NatsServer::start();
    for resource in [Resource::open().on(&nats), Resource::open()] {
        let gateway = Gateway::start(&resource);
        let mut client = gateway.subscriber(&["a"]).await;
        client.publish_to_itself("a", "m", json!(1)).await;
        gateway.wait_for_metric(&format!("{NAME}_count"), &[], 1.0);
        assert_is(within(&gateway, "30"), 1.0);
    }
}
