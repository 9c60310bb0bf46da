//! Topics on a JetStream stream: nothing is lost, whatever breaks in between.

use serde_json::{Value, json};

use crate::support::{Client, Configured, NatsServer, Resource};

const KEY: &str = "a-key-of-32-bytes-for-all-of-us.";

/// A gateway that makes the stream `PRICES` for `prices.>`.
pub(super) fn resource(server: &NatsServer) -> Resource {
    Resource::open().session_keys(KEY, None).set("limits.publishPerSecond", json!(0)).set(
        "backbone",
        json!({"nats": {
            "servers": [server.url()],
            "subjects": ["prices.>"],
            "jetStream": {"stream": "PRICES", "manage": true},
        }}),
    )
}

/// A client that is subscribed; the stream may still be on its way.
pub(super) async fn subscriber(gateway: &Configured, topic: &str) -> (Client, String, u64) {
    let mut client = gateway.client().await;
    let session = client.ask(json!({"type": "setup"})).await["sessionId"].as_str().unwrap().to_owned();
    loop {
        let answer = client.ask(json!({"type": "subscribe", "topic": topic})).await;
        if answer["type"] == "subscribed" && answer["recoverable"] == true {
            return (client, session, answer["seqNo"].as_u64().unwrap());
        }
        assert!(answer["type"] == "subscribed" || answer["retryable"] == true, "{answer}");
        client.ask(json!({"type": "unsubscribe", "topic": topic})).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The messages that come next on one topic must have these data, each following the one before it.
async fn expect_chain(client: &mut Client, last: &mut u64, data: impl IntoIterator<Item = u64>) {
    for n in data {
        let frame = client.expect("message").await;
        let told = (&frame["data"], frame["prevSeqNo"].as_u64());
        assert_eq!(told, (&json!(n), Some(*last)), "{frame}");
        *last = frame["seqNo"].as_u64().unwrap();
    }
}

#[tokio::test]
async fn what_was_missed_at_one_gateway_comes_at_another() {
    let server = NatsServer::with_streams();
    let [first, second] = [(); 2].map(|()| Configured::start(&resource(&server)));
    let (mut client, session, mut last) = subscriber(&first, "prices.btc").await;
    let mut outside = server.client();
    for n in 1..=3 {
        outside.publish("prices.btc", n.to_string());
        outside.publish("prices.eth", "0");
    }
    outside.flush();
    expect_chain(&mut client, &mut last, 1..=3).await;
    drop(first);
    for n in 4..=6 {
        outside.publish("prices.btc", n.to_string());
        outside.publish("prices.eth", "0");
    }
    outside.flush();
    let mut client = second.client().await;
    client
        .send(json!({"type": "resume", "sessionId": session, "lastSeqPerTopic": {"prices.btc": last}}))
        .await;
    assert_eq!(client.expect("ready").await["resumed"], true);
    let subscribed = client.expect("subscribed").await;
    assert_eq!(
        (&subscribed["recovered"], &subscribed["seqNo"]),
        (&json!(true), &json!(last)),
        "{subscribed}"
    );
    expect_chain(&mut client, &mut last, 4..=6).await;
    outside.publish("prices.btc", "7");
    outside.flush();
    expect_chain(&mut client, &mut last, 7..=7).await;
}

#[tokio::test]
async fn a_restart_of_the_server_is_not_noticed_by_subscribers() {
    let mut server = NatsServer::with_streams();
    let gateway = Configured::start(&resource(&server));
    let (mut client, _, mut last) = subscriber(&gateway, "prices.btc").await;
    let mut publisher = gateway.client().await;
    publisher.publish("prices.btc", "a", json!(1)).await;
    expect_chain(&mut client, &mut last, 1..=1).await;
    server.kill();
    publisher.send(json!({"type": "publish", "topic": "prices.btc", "messageId": "b", "payload": 2})).await;
    assert_eq!(publisher.expect_error("BACKBONE_UNAVAILABLE").await["retryable"], true);
    server.start_again();
    let publish = json!({"type": "publish", "topic": "prices.btc", "messageId": "b", "payload": 2});
    let answer = loop {
        let answer = publisher.ask(publish.clone()).await;
        if answer["type"] == "ack" {
            break answer;
        }
        assert_eq!(answer["code"], "BACKBONE_UNAVAILABLE", "{answer}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    expect_chain(&mut client, &mut last, 2..=2).await;
    assert_eq!(answer["seqNo"], last);
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_message_counts_once_whichever_gateway_it_is_published_at() {
    let server = NatsServer::with_streams();
    let [first, second] = [(); 2].map(|()| Configured::start(&resource(&server)));
    let (mut client, _, mut last) = subscriber(&second, "prices.btc").await;
    let _ = subscriber(&first, "prices.btc").await;
    let publish = json!({"type": "publish", "topic": "prices.btc", "messageId": "m", "payload": 1});
    let mut answers = Vec::new();
    for gateway in [&first, &second, &first] {
        let mut publisher = gateway.client().await;
        answers.push(publisher.ask(publish.clone()).await);
    }
    let statuses: Vec<&Value> = answers.iter().map(|answer| &answer["status"]).collect();
    assert_eq!(statuses, ["ok", "duplicate", "duplicate"], "{answers:?}");
    assert!(answers.iter().all(|answer| answer["seqNo"] == answers[0]["seqNo"]), "{answers:?}");
    expect_chain(&mut client, &mut last, 1..=1).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_and_then_no_more() {
    let server = NatsServer::with_streams();
    let at_least_once = json!([{"pattern": "prices.>", "delivery": "AtLeastOnce", "ackTimeoutSeconds": 1}]);
    let gateway = Configured::start(&resource(&server).set("topics", at_least_once));
    let (mut client, _, _) = subscriber(&gateway, "prices.btc").await;
    let mut outside = server.client();
    outside.publish("prices.btc", "1");
    outside.flush();
    let first = client.expect("message").await;
    assert_eq!(client.expect("message").await, first, "it comes again");
    client.send(json!({"type": "ack", "topic": "prices.btc", "seqNo": first["seqNo"]})).await;
    outside.publish("prices.btc", "2");
    outside.flush();
    // One that was on its way already may come before.
    let mut next = client.expect("message").await;
    if next == first {
        next = client.expect("message").await;
    }
    assert_eq!(next["data"], 2, "{next}");
}

#[tokio::test]
async fn behind_a_position_in_a_stream_that_was_made_anew_comes_a_gap_and_then_all_that_the_new_one_has() {
    let server = NatsServer::with_streams();
    let gateway = Configured::start(&resource(&server));
    let (mut client, _, mut last) = subscriber(&gateway, "prices.btc").await;
    let session = client.ask(json!({"type": "setup"})).await["sessionId"].clone();
    let mut outside = server.client();
    outside.publish("prices.btc", "1");
    outside.flush();
    expect_chain(&mut client, &mut last, 1..=1).await;
    let old = epoch(&gateway).await;
    // The gateway makes it again.
    outside.publish("$JS.API.STREAM.DELETE.PRICES", "");
    outside.flush();
    loop {
        let now = epoch(&gateway).await;
        if now.is_string() && now != old {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mut publisher = gateway.client().await;
    for n in 1..=3 {
        publisher.publish("prices.btc", &format!("anew-{n}"), json!(n)).await;
    }
    let mut client = gateway.client().await;
    client
        .send(json!({"type": "resume", "sessionId": session, "lastSeqPerTopic": {"prices.btc": last}}))
        .await;
    client.expect("ready").await;
    let subscribed = client.expect("subscribed").await;
    assert_eq!((&subscribed["recovered"], &subscribed["seqNo"]), (&json!(false), &json!(0)), "{subscribed}");
    assert_ne!(subscribed["epoch"], old);
    assert_eq!(client.expect("gap").await["reason"], "expired");
    expect_chain(&mut client, &mut 0, 1..=3).await;
    client.expect_nothing().await;
}

/// What the gateway says numbers belong to now; null while there is no stream.
async fn epoch(gateway: &Configured) -> Value {
    let mut client = gateway.client().await;
    client.ask(json!({"type": "subscribe", "topic": "prices.any"})).await["epoch"].clone()
}
