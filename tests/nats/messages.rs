//! What is published on NATS reaches the subscribers unchanged, and the other way round.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::support::{Gateway, NatsServer, Resource, data_of};

#[tokio::test]
async fn data_is_the_body_byte_for_byte() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut client = gateway.subscriber(&["prices.btc"]).await;
    let mut outside = nats.client();
    let long = format!(r#"{{"long":"{}"}}"#, "é".repeat(40_000));
    let bodies = [
        r#"{"price":1.50,  "b" : [ 1e3 , null ] }"#,
        r#"{"seqNo":7,"messageId":"m-7","a":1,"a":2}"#,
        "12345678901234567890.0",
        "null",
        r#""text with \u00e9 and é""#,
        "  [1]\n",
        "[]",
        &long,
    ];
    for body in bodies {
        outside.publish("prices.btc", body);
    }
    outside.flush();
    for body in bodies {
        let frame = client.text().await;
        // White space around a JSON value is not part of the value.
        assert_eq!(data_of(&frame), body.trim());
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_comes_as_base64_and_the_feed_goes_on() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut client = gateway.subscriber(&["a"]).await;
    let mut outside = nats.client();
    let bodies: [&[u8]; 9] =
        [b"", b"hello", b"{", b"{} {}", &[0xff, 0xfe, 0x00], b"[1,]", b"NaN", b"'a'", &[b'"', 0xff, b'"']];
    for body in bodies {
        outside.publish("a", body);
        outside.publish("a", "1");
    }
    outside.flush();
    for body in bodies {
        let frame = client.expect("message").await;
        assert_eq!((&frame["encoding"], &frame["data"]), (&json!("base64"), &json!(STANDARD.encode(body))));
        let next = client.expect("message").await;
        assert_eq!((&next["data"], next.get("encoding")), (&json!(1), None));
    }
}

#[tokio::test]
async fn what_comes_from_nats_is_counted_by_what_it_is() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let _client = gateway.subscriber(&["a.*"]).await;
    let mut outside = nats.client();
    for (subject, body) in [("a.b", "1"), ("a.b", "{}"), ("a.b", "hello"), ("a.$b", "12")] {
        outside.publish(subject, body);
    }
    outside.flush();
    for (name, count) in [
        ("topicgateway_messages_received_total", 4.0),
        ("topicgateway_messages_received_bytes_total", 10.0),
        ("topicgateway_messages_not_json_total", 1.0),
        ("topicgateway_messages_ignored_total", 1.0),
        ("topicgateway_backbone_dropped_total", 0.0),
        ("topicgateway_backbone_errors_total", 0.0),
    ] {
        gateway.wait_for_metric(name, &[], count);
    }
}

#[tokio::test]
async fn number_and_message_id_are_those_of_the_body_where_it_has_them() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut client = gateway.subscriber(&["a"]).await;
    let mut outside = nats.client();
    for (body, seq, message_id) in [
        (r#"{"x":1}"#, None, None),
        (r#"{"seqNo":41,"messageId":"m"}"#, Some(json!(41)), Some(json!("m"))),
        (r#"{"seqNo":42,"y":{"seqNo":1,"messageId":"inner"}}"#, Some(json!(42)), None),
        (r#"{"y":{"seqNo":1,"messageId":"inner"}}"#, None, None),
        (r#"{"messageId":"n"}"#, None, Some(json!("n"))),
        (r#"[{"seqNo":1}]"#, None, None),
    ] {
        outside.publish("a", body);
        outside.flush();
        let frame = client.expect("message").await;
        assert_eq!(
            (frame.get("seqNo"), frame.get("messageId")),
            (seq.as_ref(), message_id.as_ref()),
            "{body}: {frame}"
        );
    }
}

#[tokio::test]
async fn headers_of_a_message_are_not_part_of_its_body() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut client = gateway.subscriber(&["a"]).await;
    let mut outside = nats.client();
    outside.publish_with_headers("a", &[("X-Trace", "1")], r#"{"x":1}"#);
    outside.flush();
    assert_eq!(client.expect_data("a").await, json!({"x": 1}));
}

#[tokio::test]
async fn what_a_client_publishes_is_on_nats_once_the_ack_has_come() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut outside = nats.client();
    outside.subscribe("a.>");
    let mut client = gateway.client().await;
    let payload = r#"{ "b":1.50,"a":"é" }"#;
    client
        .send_text(&format!(r#"{{"type":"publish","topic":"a.b","messageId":"m","payload":{payload}}}"#))
        .await;
    let ack = client.expect("ack").await;
    assert_eq!((&ack["status"], ack.get("seqNo")), (&json!("ok"), None), "core NATS has no numbers");
    let message = outside.next();
    assert_eq!((message.subject.as_str(), message.body.as_slice()), ("a.b", payload.as_bytes()));
    assert_eq!(client.publish("a.b", "m", json!(1)).await["status"], "duplicate");
    client.publish("a.b", "n", json!("next")).await;
    assert_eq!(outside.next().body, br#""next""#);
}

#[tokio::test]
async fn two_gateways_on_one_server_share_their_topics() {
    let nats = NatsServer::start();
    let resource = Resource::open().on(&nats);
    let (one, two) = (Gateway::start(&resource), Gateway::start(&resource));
    let mut here = one.subscriber(&["a"]).await;
    let mut there = two.subscriber(&["a"]).await;
    one.client().await.publish("a", "m", json!({"x": 1})).await;
    assert_eq!(here.expect_data("a").await, json!({"x": 1}));
    assert_eq!(there.expect_data("a").await, json!({"x": 1}));
}

#[tokio::test]
async fn nothing_published_after_subscribed_is_missed() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut outside = nats.client();
    for round in 0..30 {
        // A topic of its own each time, so that the subscription on NATS is made anew.
        let topic = format!("fresh.{round}");
        let mut client = gateway.subscriber(&[&topic]).await;
        outside.publish(&topic, "1");
        outside.flush();
        assert_eq!(client.expect_data(&topic).await, 1);
    }
}

#[tokio::test]
async fn the_order_of_many_messages_is_kept_for_every_subscriber() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(gateway.subscriber(&[["a", "b"][n % 2]]).await);
    }
    let mut outside = nats.client();
    for n in 0..2_000 {
        outside.publish("a", n.to_string());
        outside.publish("b", (n + 10_000).to_string());
    }
    outside.flush();
    for (at, client) in clients.iter_mut().enumerate() {
        for n in 0..2_000 {
            assert_eq!(client.expect("message").await["data"], n + 10_000 * (at % 2));
        }
    }
}
