//! A stream of events goes on at another gateway, out of the stream of the server.

use serde_json::json;

use super::streams::resource;
use crate::support::{Configured, EventStream, NatsServer, request, wait_for};

/// A stream of events on a topic whose history is there; the server's stream may still be on its way.
fn stream(gateway: &Configured, id: &str) -> EventStream {
    wait_for("the topic has a history", || {
        let headers: &[(&str, &str)] = if id.is_empty() { &[] } else { &[("Last-Event-ID", id)] };
        let mut stream = EventStream::open(gateway.address, "/sse?topics=prices.btc", headers);
        stream.expect("ready");
        let answer = stream.next()?.json();
        (answer["type"] == "subscribed" && answer["recoverable"] == true).then_some(stream)
    })
}

/// The messages that come next must have these data, each following the one before it.
fn expect_chain(stream: &mut EventStream, last: &mut u64, data: impl IntoIterator<Item = u64>) {
    for n in data {
        let frame = stream.expect("message");
        assert_eq!((&frame["data"], frame["prevSeqNo"].as_u64()), (&json!(n), Some(*last)), "{frame}");
        *last = frame["seqNo"].as_u64().unwrap();
        assert!(stream.last_id.ends_with(&format!(",prices.btc={last}")), "{}", stream.last_id);
    }
}

#[tokio::test]
async fn what_was_missed_at_one_gateway_comes_at_another_by_last_event_id() {
    let server = NatsServer::with_streams();
    let [first, second] = [(); 2].map(|()| Configured::start(&resource(&server)));
    let mut events = stream(&first, "");
    let mut last = events.last_id.rsplit_once('=').unwrap().1.parse().unwrap();
    let mut outside = server.client();
    let mut publish = |numbers: std::ops::RangeInclusive<u64>| {
        for n in numbers {
            outside.publish("prices.btc", n.to_string());
            outside.publish("prices.eth", "0");
        }
        outside.flush();
    };
    publish(1..=3);
    expect_chain(&mut events, &mut last, 1..=3);
    drop(first);
    let id = events.last_id.clone();
    publish(4..=6);
    let mut events = stream(&second, &id);
    expect_chain(&mut events, &mut last, 4..=6);
    publish(7..=7);
    expect_chain(&mut events, &mut last, 7..=7);
}

#[tokio::test]
async fn a_publish_over_http_counts_once_whichever_gateway_it_is_sent_to() {
    let server = NatsServer::with_streams();
    let [first, second] = [(); 2].map(|()| Configured::start(&resource(&server)));
    let mut events = stream(&second, "");
    let _ = stream(&first, "");
    let answers = [&first, &second, &first].map(|gateway| {
        let key = [("Idempotency-Key", "m")];
        request(gateway.address, "POST /publish/prices.btc", &key, r#"{"bid": 1}"#).json()
    });
    let statuses: Vec<_> = answers.iter().map(|answer| &answer["status"]).collect();
    assert_eq!(statuses, ["ok", "duplicate", "duplicate"], "{answers:?}");
    assert!(answers.iter().all(|answer| answer["seqNo"] == answers[0]["seqNo"]), "{answers:?}");
    let frame = events.expect("message");
    assert_eq!((&frame["seqNo"], &frame["data"]), (&answers[0]["seqNo"], &json!({"bid": 1})), "{frame}");
    let other = request(second.address, "POST /publish/prices.btc", &[("Idempotency-Key", "n")], "2");
    assert_eq!(events.expect("message")["seqNo"], other.json()["seqNo"], "nothing came twice");
}

#[tokio::test]
async fn while_the_server_is_away_a_publish_over_http_is_answered_503() {
    let mut server = NatsServer::with_streams();
    let gateway = Configured::start(&resource(&server));
    let _ = stream(&gateway, "");
    server.kill();
    let answer = request(gateway.address, "POST /publish/prices.btc", &[("Idempotency-Key", "m")], "1");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
    let error = answer.json();
    assert_eq!(
        (&error["code"], &error["retryable"], &error["messageId"]),
        (&json!("BACKBONE_UNAVAILABLE"), &json!(true), &json!("m")),
        "{error}"
    );
    server.start_again();
    wait_for("it is taken once the server is back", || {
        let answer = request(gateway.address, "POST /publish/prices.btc", &[("Idempotency-Key", "m")], "1");
        (answer.status == 200).then_some(())
    });
}
