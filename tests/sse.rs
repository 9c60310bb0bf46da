//! Server-Sent Events: the same topics, the same rules and the same guarantees as over WebSocket.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Answer, EventStream, Gateway, Issuer, Resource, data_of, now, request, wait_until};

fn open() -> Resource {
    Resource::open().set("limits.publishPerSecond", json!(0))
}

async fn publish(gateway: &Gateway, topic: &str, numbers: std::ops::RangeInclusive<u64>) {
    let mut publisher = gateway.client().await;
    for n in numbers {
        publisher.publish(topic, &n.to_string(), json!(n)).await;
    }
}

/// A stream of these topics that has been told of every subscription.
fn subscribed(gateway: &Gateway, topics: &str, headers: &[(&str, &str)]) -> EventStream {
    let mut stream = EventStream::open(gateway.address, &format!("/sse?topics={topics}"), headers);
    stream.expect("ready");
    for _ in topics.split(',') {
        stream.expect("subscribed");
    }
    stream
}

/// An id without the epoch that it begins with.
#[track_caller]
fn numbers(id: &str) -> &str {
    let (epoch, rest) = id.split_once(',').unwrap_or_else(|| panic!("{id}"));
    assert!(epoch.len() == 16 && !epoch.contains('='), "{id}");
    rest
}

#[track_caller]
fn refused(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Answer {
    match EventStream::try_open(gateway.address, path, headers) {
        Err(answer) => answer,
        Ok(_) => panic!("{path} {headers:?} was to be refused"),
    }
}

#[tokio::test]
async fn events_are_the_frames_of_the_websocket_in_order_with_the_position_as_id() {
    let gateway = Gateway::start(&open());
    let mut stream = EventStream::open(gateway.address, "/sse?topics=b,a", &[]);
    for (name, value) in
        [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")]
    {
        assert_eq!(stream.head.header(name), Some(value), "{:?}", stream.head);
    }
    let ready = stream.next().unwrap();
    assert!(ready.name == "ready" && ready.retry.is_some() && ready.id.is_none(), "{ready:?}");
    assert_eq!(ready.json()["userId"], "anonymous");
    let mut told = [stream.expect("subscribed"), stream.expect("subscribed")];
    told.sort_by_key(|frame| frame["topic"].to_string());
    for (frame, topic) in told.iter().zip(["a", "b"]) {
        let told = (&frame["topic"], &frame["seqNo"], &frame["recoverable"]);
        assert_eq!(told, (&json!(topic), &json!(0), &json!(true)), "{frame}");
        assert_eq!(frame["epoch"], stream.last_id[..16], "{frame}");
    }
    assert_eq!(numbers(&stream.last_id), "a=0,b=0");
    let mut socket = gateway.subscriber(&["a", "b"]).await;
    let mut publisher = gateway.client().await;
    for n in 1..=50_u64 {
        let topic = if n % 2 == 0 { "b" } else { "a" };
        publisher.publish(topic, &n.to_string(), json!({"n": n, "text": "é\n"})).await;
        let (event, frame) = (stream.next().unwrap(), socket.text().await);
        assert_eq!((event.name.as_str(), &event.data), ("message", &frame));
        assert_eq!(numbers(&event.id.unwrap()), format!("a={},b={}", n.div_ceil(2), n / 2));
    }
}

#[tokio::test]
async fn a_body_of_several_lines_is_one_event() {
    let gateway = Gateway::start(&open());
    let mut stream = subscribed(&gateway, "a", &[]);
    let body = "{\n  \"text\": \"a\\nb\",\r\n  \"n\": [1,\n\n2]}\n";
    let answer = request(gateway.address, "POST /publish/a", &[], body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let event = stream.next().unwrap();
    assert_eq!(data_of(&event.data), body.trim_end().replace("\r\n", "\n"));
}

#[tokio::test]
async fn a_stream_that_ended_goes_on_without_hole_or_double() {
    let gateway = Gateway::start(&open());
    let mut stream = subscribed(&gateway, "a,b", &[]);
    publish(&gateway, "a", 1..=3).await;
    for n in 1..=3 {
        assert_eq!(stream.expect("message")["data"], n);
    }
    let id = stream.last_id.clone();
    assert_eq!(numbers(&id), "a=3,b=0");
    drop(stream);
    publish(&gateway, "a", 4..=6).await;
    publish(&gateway, "b", 1..=2).await;
    let mut stream = EventStream::open(gateway.address, "/sse?topics=b,a", &[("Last-Event-ID", &id)]);
    stream.expect("ready");
    publish(&gateway, "a", 7..=8).await;
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for _ in 0..9 {
        let frame = stream.next().unwrap().json();
        let what = if frame["type"] == "subscribed" { &frame["recovered"] } else { &frame["data"] };
        told.entry(frame["topic"].as_str().unwrap().into()).or_default().push(what.clone());
    }
    assert_eq!(json!(told), json!({"a": [true, 4, 5, 6, 7, 8], "b": [true, 1, 2]}));
    assert_eq!(numbers(&stream.last_id), "a=8,b=2");
    let path = "/sse?topics=a&lastEventId=a%3D7";
    let mut stream = EventStream::open(gateway.address, path, &[]);
    assert_eq!(stream.expect("ready")["resumed"], true);
    assert_eq!(stream.expect("subscribed")["recovered"], true);
    assert_eq!(stream.expect("message")["data"], 8);
}

#[tokio::test]
async fn what_is_gone_is_told_and_positions_that_never_were_are_answered() {
    let gateway = Gateway::start(&open().set("topics", json!([{"pattern": "a", "historyMessages": 2}])));
    publish(&gateway, "a", 1..=6).await;
    let mut stream = EventStream::open(gateway.address, "/sse?topics=a", &[("Last-Event-ID", "a=1")]);
    stream.expect("ready");
    assert_eq!(stream.expect("subscribed")["recovered"], false);
    let gap = stream.next().unwrap();
    assert_eq!(
        gap.json(),
        json!({"type": "gap", "topic": "a", "fromSeq": 2, "toSeq": 4, "reason": "expired"})
    );
    assert_eq!((gap.name.as_str(), numbers(&gap.id.unwrap())), ("gap", "a=4"));
    assert_eq!(stream.expect("message")["seqNo"], 5);
    // Ahead of the newest, of a topic that had no history.
    for ahead in ["a=7", "a=18446744073709551614", "a=-"] {
        let mut stream = EventStream::open(gateway.address, "/sse?topics=a", &[("Last-Event-ID", ahead)]);
        stream.expect("ready");
        let answer = stream.expect("subscribed");
        assert_eq!((&answer["recovered"], &answer["seqNo"]), (&json!(false), &json!(6)), "{ahead}: {answer}");
        assert_eq!(stream.expect("gap")["reason"], "expired");
        assert_eq!(numbers(&stream.last_id), "a=6");
    }
    // Of another stream: what was there is gone, and all of this one comes.
    let other = [("Last-Event-ID", "0000000000000001,a=5")];
    let mut stream = EventStream::open(gateway.address, "/sse?topics=a", &other);
    stream.expect("ready");
    let answer = stream.expect("subscribed");
    assert_eq!((&answer["recovered"], &answer["seqNo"]), (&json!(false), &json!(0)), "{answer}");
    assert_eq!(stream.expect("gap")["toSeq"], json!(null));
    assert_eq!(stream.expect("gap")["toSeq"], 4);
    assert_eq!([(); 2].map(|()| stream.expect("message")["seqNo"].clone()), [5, 6]);
    assert_eq!(numbers(&stream.last_id), "a=6");
}

#[tokio::test]
async fn a_pattern_brings_its_topics() {
    let gateway = Gateway::start(&open());
    let mut stream = subscribed(&gateway, "a.*", &[]);
    publish(&gateway, "a.x", 1..=1).await;
    assert_eq!(stream.expect("message")["topic"], "a.x");
    let id = stream.last_id.clone();
    assert_eq!(id, "a.*=-");
    // A pattern has no positions: what may have been missed is told.
    let mut stream = subscribed(&gateway, "a.*", &[("Last-Event-ID", &id)]);
    let gap = stream.expect("gap");
    assert_eq!((&gap["topic"], &gap["reason"]), (&json!("a.*"), &json!("expired")), "{gap}");
}

#[tokio::test]
async fn what_cannot_be_streamed_is_refused_before_the_stream_with_status_and_code() {
    let issuer = Issuer::shared();
    let rules = json!([{"users": ["ann"], "subscribe": ["mine.>"]}]);
    let gateway = Gateway::start(
        &Resource::with_tokens(&issuer)
            .set("authorization", rules)
            .set("limits.topicsPerConnection", json!(3)),
    );
    let bearer = format!("Bearer {}", issuer.token(json!({})));
    let old = format!("Bearer {}", issuer.token(json!({"exp": now() - 100})));
    let (good, expired, bad) = (
        [("Authorization", bearer.as_str())],
        [("Authorization", old.as_str())],
        [("Authorization", "Bearer x")],
    );
    let garbled = [good[0], ("Last-Event-ID", "42")];
    for (path, headers, status, code) in [
        ("/sse?topics=mine.a", &[][..], 401, "AUTH_REQUIRED"),
        ("/sse?topics=mine.a", &bad, 401, "AUTH_FAILED"),
        ("/sse?topics=mine.a", &expired, 401, "AUTH_FAILED"),
        ("/sse?topics=mine.a&access_token=x", &[], 401, "AUTH_FAILED"),
        ("/sse", &good, 400, "BAD_REQUEST"),
        ("/sse?topics=", &good, 400, "BAD_REQUEST"),
        ("/sse?topics=mine..a", &good, 400, "TOPIC_INVALID"),
        ("/sse?topics=$SYS.a", &good, 400, "TOPIC_INVALID"),
        ("/sse?topics=yours.a,yours.b", &good, 403, "ACL_DENIED"),
        ("/sse?topics=mine.a,mine.b,mine.c,mine.d", &good, 413, "LIMIT_EXCEEDED"),
        ("/sse?topics=mine.a", &garbled, 400, "BAD_REQUEST"),
    ] {
        let answer = refused(&gateway, path, headers);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        let body = answer.json();
        assert_eq!((&body["type"], &body["code"]), (&json!("error"), &json!(code)), "{path}: {body}");
        assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        assert_eq!(body["retryable"], false, "{body}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{answer:?}");
    }
    assert!(gateway.metrics().sum("topicgateway_errors_total", &[("code", "AUTH_FAILED")]) >= 3.0);
    let path = "/sse?topics=mine.a,yours.b";
    let mut stream = EventStream::open(gateway.address, path, &good);
    assert_eq!(stream.expect("ready")["userId"], "ann");
    let mut told = [stream.next().unwrap(), stream.next().unwrap()];
    told.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(told[0].json()["code"], "ACL_DENIED", "{told:?}");
    assert_eq!((told[0].name.as_str(), told[1].name.as_str()), ("error", "subscribed"));
    let token = issuer.token(json!({}));
    EventStream::open(gateway.address, &format!("/sse?topics=mine.a&access_token={token}"), &[]);
}

#[tokio::test]
async fn a_full_gateway_answers_503_and_a_user_with_too_many_connections_429() {
    let gateway = Gateway::start(&open().set("limits.connections", json!(1)));
    let stream = subscribed(&gateway, "a", &[]);
    let answer = refused(&gateway, "/sse?topics=a", &[]);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{answer:?}");
    assert_eq!((&answer.json()["type"], &answer.json()["retryable"]), (&json!("error"), &json!(true)));
    drop(stream);
    wait_until("the seat is free again", || {
        EventStream::try_open(gateway.address, "/sse?topics=a", &[]).is_ok()
    });
    let gateway = Gateway::start(&open().set("limits.connectionsPerUser", json!(1)));
    let _stream = subscribed(&gateway, "a", &[]);
    let answer = refused(&gateway, "/sse?topics=a", &[]);
    assert_eq!((answer.status, &answer.json()["code"]), (429, &json!("LIMIT_EXCEEDED")), "{answer:?}");
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_says_so() {
    let issuer = Issuer::shared();
    let gateway = Gateway::start(&Resource::with_tokens(&issuer));
    let token = issuer.token(json!({"exp": now() + 3}));
    let mut stream = EventStream::open(gateway.address, &format!("/sse?topics=a&access_token={token}"), &[]);
    let ready = stream.expect("ready");
    assert!(ready["expiresAt"].is_u64(), "{ready}");
    stream.expect("subscribed");
    let mut event = stream.next().unwrap();
    if event.name == "error" {
        assert_eq!(event.json()["code"], "AUTH_REQUIRED", "{event:?}");
        event = stream.next().unwrap();
    }
    assert_eq!((event.name.as_str(), &event.json()["code"]), ("closed", &json!(4401)), "{event:?}");
    assert_eq!(stream.next(), None);
}

#[tokio::test]
async fn a_stream_is_kept_alive_by_comments() {
    let gateway = Gateway::start(&open().set("heartbeatSeconds", json!(1)));
    let mut stream = subscribed(&gateway, "a", &[]);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    publish(&gateway, "a", 1..=1).await;
    stream.expect("message");
    assert!(stream.comments >= 1);
}

#[tokio::test]
async fn a_client_that_reads_too_slowly_is_told_and_ended_and_harms_nobody() {
    let gateway = Gateway::start(
        &open().set("limits.messageBytes", json!(16_384)).set("limits.windowBytes", json!(131_072)),
    );
    let mut slow = EventStream::open_small(gateway.address, "/sse?topics=a");
    slow.expect("ready");
    slow.expect("subscribed");
    let mut reader = subscribed(&gateway, "a", &[]);
    let mut publisher = gateway.client().await;
    let filler = "x".repeat(8_000);
    for n in 1..=800_u64 {
        publisher.publish("a", &n.to_string(), json!(filler)).await;
        assert_eq!(reader.expect("message")["seqNo"], n);
    }
    gateway.wait_for_metric("topicgateway_closed_total", &[("code", "4409")], 1.0);
    gateway.wait_for_metric("topicgateway_connections", &[("transport", "sse")], 1.0);
    let mut last = 0;
    let closed = loop {
        let event = slow.next().expect("a last event");
        if event.name != "message" {
            break event;
        }
        last += 1;
        assert_eq!(event.json()["seqNo"], last, "no hole before the end");
    };
    assert_eq!((closed.name.as_str(), &closed.json()["code"]), ("closed", &json!(4409)), "{closed:?}");
    assert!(last < 800);
    assert_eq!(slow.next(), None);
}

#[tokio::test]
async fn a_client_that_pauses_within_the_window_misses_nothing() {
    let resource = open().set("limits.messageBytes", json!(16_384));
    let gateway = Gateway::start(&resource.set("limits.windowBytes", json!(16_777_216)));
    let mut stream = EventStream::open_small(gateway.address, "/sse?topics=a");
    stream.expect("ready");
    stream.expect("subscribed");
    let mut publisher = gateway.client().await;
    for n in 1..=600_u64 {
        publisher.publish("a", &n.to_string(), json!("x".repeat(8_000))).await;
    }
    assert!(gateway.metrics().sum("topicgateway_lagging_subscribers", &[]) > 0.0);
    for n in 1..=600_u64 {
        assert_eq!(stream.expect("message")["seqNo"], n);
    }
    gateway.wait_for_metric("topicgateway_lagging_subscribers", &[], 0.0);
    publish(&gateway, "a", 601..=601).await;
    assert_eq!(stream.expect("message")["data"], 601);
}

#[tokio::test]
async fn a_drain_tells_when_to_come_back_and_ends_the_stream() {
    let mut gateway = Gateway::start(&open().set("drain.windowSeconds", json!(2)));
    let mut streams: Vec<_> = (0..8).map(|_| subscribed(&gateway, "a", &[])).collect();
    gateway.process.signal("TERM");
    let begun = Instant::now();
    for stream in &mut streams {
        let draining = stream.next().unwrap();
        assert_eq!(draining.name, "draining");
        let after = draining.json()["reconnectAfterMs"].as_u64();
        assert!(after.is_some() && draining.retry == after, "{draining:?}");
        let closed = stream.next().unwrap();
        assert_eq!((closed.name.as_str(), &closed.json()["code"]), ("closed", &json!(1012)), "{closed:?}");
        assert!(closed.retry.is_some(), "{closed:?}");
        assert_eq!(stream.next(), None);
    }
    assert!(gateway.process.wait().success());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_client_that_goes_leaves_nothing_behind() {
    let gateway = Gateway::start(&open());
    let _socket = gateway.subscriber(&["a"]).await;
    let streams: Vec<_> = (0..5).map(|_| subscribed(&gateway, "a,b.*", &[])).collect();
    gateway.wait_for_metric("topicgateway_connections", &[("transport", "sse")], 5.0);
    gateway.wait_for_metric("topicgateway_connections", &[("transport", "websocket")], 1.0);
    gateway.wait_for_metric("topicgateway_subscriptions", &[], 11.0);
    drop(streams);
    gateway.wait_for_metric("topicgateway_connections", &[("transport", "sse")], 0.0);
    gateway.wait_for_metric("topicgateway_subscriptions", &[], 1.0);
    gateway.wait_for_metric("topicgateway_closed_total", &[("code", "1005")], 5.0);
    gateway.wait_for_metric("topicgateway_log_bytes", &[], 0.0);
    assert_eq!(gateway.get("/stats").json()["connections"], 1);
}

#[tokio::test]
async fn streams_take_no_place_from_other_requests() {
    let gateway = Gateway::start(&open());
    // More than there are places for connections that are HTTP.
    let streams: Vec<_> = (0..600).map(|_| subscribed(&gateway, "a", &[])).collect();
    let asked = Instant::now();
    assert_eq!(gateway.get("/stats").json()["connections"], 600);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    publish(&gateway, "a", 1..=1).await;
    for mut stream in streams {
        stream.expect("message");
    }
}

#[tokio::test]
async fn a_page_reads_a_stream_where_its_origin_is_listed() {
    let gateway = Gateway::start(&open().set("listeners.allowedOrigins", json!(["https://app.example.com"])));
    let stream =
        EventStream::open(gateway.address, "/sse?topics=a", &[("Origin", "https://app.example.com")]);
    assert_eq!(stream.head.header("access-control-allow-origin"), Some("https://app.example.com"));
    let answer = refused(&gateway, "/sse?topics=a", &[("Origin", "https://evil.example.com")]);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{answer:?}");
    assert_eq!(answer.json()["type"], "error");
    let ask = [
        ("Origin", "https://app.example.com"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "authorization,last-event-id"),
    ];
    let answer = request(gateway.address, "OPTIONS /sse?topics=a", &ask, "");
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.com"));
    for (name, part) in [
        ("access-control-allow-methods", "GET"),
        ("access-control-allow-headers", "last-event-id"),
        ("access-control-allow-headers", "authorization"),
        ("vary", "origin"),
    ] {
        assert!(answer.header(name).is_some_and(|value| value.contains(part)), "{name}: {answer:?}");
    }
}
