//! Publishing over HTTP: what the command `publish` does, one message or many in a request.

use serde_json::{Value, json};

use crate::support::{Answer, Client, Gateway, Issuer, Resource, request};

#[track_caller]
fn post(gateway: &Gateway, topic: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    request(gateway.address, &format!("POST /publish/{topic}"), headers, body)
}

#[track_caller]
fn batch(gateway: &Gateway, topic: &str, headers: &[(&str, &str)], body: &str) -> Vec<Value> {
    let headers = [&[("Content-Type", "application/x-ndjson")], headers].concat();
    let answer = post(gateway, topic, &headers, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_publish_is_answered_with_what_ack_carries_and_delivered_byte_for_byte() {
    let gateway = Gateway::start(&Resource::open());
    let mut subscriber = gateway.subscriber(&["a.b"]).await;
    let body = r#"{"x": 1.50, "y": [ ]}"#;
    let answer = post(&gateway, "a.b", &[("Idempotency-Key", "m1")], body);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), json!({"type": "ack", "messageId": "m1", "status": "ok", "seqNo": 1}));
    let frame = subscriber.text().await;
    assert!(frame.ends_with(&format!(r#","messageId":"m1","data":{body}}}"#)), "{frame}");
}

#[tokio::test]
async fn the_same_key_again_is_a_duplicate_over_http_and_over_websocket() {
    let gateway = Gateway::start(&Resource::open());
    let mut subscriber = gateway.subscriber(&["a"]).await;
    let key = [("Idempotency-Key", "m")];
    assert_eq!(post(&gateway, "a", &key, "1").json()["status"], "ok");
    let again = post(&gateway, "a", &key, "2");
    assert_eq!(again.status, 200);
    assert_eq!(again.json(), json!({"type": "ack", "messageId": "m", "status": "duplicate", "seqNo": 1}));
    assert_eq!(gateway.client().await.publish("a", "m", json!(3)).await["status"], "duplicate");
    gateway.client().await.publish("a", "n", json!(4)).await;
    assert_eq!(post(&gateway, "a", &[("Idempotency-Key", "n")], "5").json()["status"], "duplicate");
    assert_eq!(subscriber.expect_data("a").await, 1);
    assert_eq!(subscriber.expect_data("a").await, 4);
    subscriber.expect_nothing().await;
    gateway.wait_for_metric("topicgateway_publish_total", &[("result", "ok")], 2.0);
    gateway.wait_for_metric("topicgateway_publish_total", &[("result", "duplicate")], 3.0);
}

#[tokio::test]
async fn a_message_without_a_key_gets_one_of_its_own() {
    let gateway = Gateway::start(&Resource::open());
    let mut subscriber = gateway.subscriber(&["a"]).await;
    let ids: Vec<_> = (0..2).map(|_| post(&gateway, "a", &[], "1").json()["messageId"].clone()).collect();
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        assert_eq!(subscriber.expect("message").await["messageId"], id);
    }
}

#[tokio::test]
async fn the_key_counts_per_user() {
    let issuer = Issuer::shared();
    let gateway = Gateway::start(&Resource::with_tokens(&issuer));
    for user in ["ann", "bob"] {
        let bearer = format!("Bearer {}", issuer.token(json!({"sub": user})));
        let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", "m")];
        assert_eq!(post(&gateway, "a", &headers, "1").json()["status"], "ok", "{user}");
        assert_eq!(post(&gateway, "a", &headers, "1").json()["status"], "duplicate", "{user}");
    }
    let token = issuer.token(json!({"sub": "ann"}));
    let answer = post(&gateway, &format!("a?access_token={token}"), &[("Idempotency-Key", "m")], "1");
    assert_eq!(answer.json()["status"], "duplicate");
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_with_status_and_code() {
    let issuer = Issuer::shared();
    let rules = json!([{"users": ["ann"], "publish": ["mine.>"], "subscribe": [">"]}]);
    let gateway = Gateway::start(&Resource::with_tokens(&issuer).set("authorization", rules));
    let token = issuer.token(json!({}));
    let mut subscriber = Client::connect(&gateway.url(&format!("/ws/sub/mine.a?access_token={token}"))).await;
    subscriber.expect("subscribed").await;
    let bearer = format!("Bearer {token}");
    let good = [("Authorization", bearer.as_str())];
    let long = "x".repeat(257);
    let long = [good[0], ("Idempotency-Key", long.as_str())];
    for (topic, headers, body, status, code, named) in [
        ("mine.a", &[][..], "1", 401, "AUTH_REQUIRED", "token"),
        ("mine.a", &[("Authorization", "Bearer x")], "1", 401, "AUTH_FAILED", "token"),
        ("yours.a", &good, "1", 403, "ACL_DENIED", "policy"),
        ("mine..a", &good, "1", 400, "TOPIC_INVALID", "empty token"),
        ("mine.*", &good, "1", 400, "TOPIC_INVALID", "wildcard"),
        ("$SYS.a", &good, "1", 400, "TOPIC_INVALID", "messaging system"),
        ("mine.a", &good, "{\"x\":\n1,}", 400, "BAD_REQUEST", "line 2 column 3"),
        ("mine.a", &good, "", 400, "BAD_REQUEST", "JSON"),
        ("mine.a", &good, "1 2", 400, "BAD_REQUEST", "column 3"),
        ("mine.a", &long, "1", 400, "BAD_REQUEST", "`Idempotency-Key`"),
    ] {
        let answer = post(&gateway, topic, headers, body);
        assert_eq!(answer.status, status, "{topic} {body}: {answer:?}");
        let error = answer.json();
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{error}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains(named)), "{error}");
        assert_eq!(error["retryable"], false, "{error}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{answer:?}");
    }
    assert_eq!(request(gateway.address, "GET /publish/mine.a", &good, "").status, 405);
    subscriber.expect_nothing().await;
    gateway.wait_for_metric("topicgateway_errors_total", &[("code", "ACL_DENIED")], 1.0);
    gateway.wait_for_metric("topicgateway_errors_total", &[("code", "BAD_REQUEST")], 4.0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_its_length_is_told_or_not() {
    let gateway = Gateway::start(&Resource::open().set("limits.messageBytes", json!(4096)));
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    assert_eq!(post(&gateway, "a", &[], &text(4096)).status, 200);
    let answer = post(&gateway, "a", &[], &text(4097));
    assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("LIMIT_EXCEEDED")), "{answer:?}");
    let chunk = format!("1001\r\n{}\r\n0\r\n\r\n", text(4097));
    let head = format!(
        "POST /publish/a HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}",
        gateway.address
    );
    let mut socket = std::net::TcpStream::connect(gateway.address).unwrap();
    std::io::Write::write_all(&mut socket, head.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut socket, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("LIMIT_EXCEEDED"), "{answer}");
}

#[tokio::test]
async fn publishing_faster_than_the_limit_is_refused_per_user_and_told_to_come_later() {
    let issuer = Issuer::shared();
    let gateway = Gateway::start(&Resource::with_tokens(&issuer).set("limits.publishPerSecond", json!(5)));
    let bearer = |user: &str| format!("Bearer {}", issuer.token(json!({"sub": user})));
    let (ann, bob) = (bearer("ann"), bearer("bob"));
    let answers: Vec<_> = (0..40).map(|_| post(&gateway, "a", &[("Authorization", &ann)], "1")).collect();
    let (granted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(granted.len() >= 5 && !refused.is_empty(), "{} of 40 at 5 per second", granted.len());
    for answer in refused {
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")), "{answer:?}");
        let error = answer.json();
        assert_eq!(
            (&error["code"], &error["retryable"]),
            (&json!("LIMIT_EXCEEDED"), &json!(true)),
            "{error}"
        );
    }
    assert_eq!(post(&gateway, "a", &[("Authorization", &bob)], "1").status, 200);
}

#[tokio::test]
async fn a_batch_is_published_in_order_and_answered_line_by_line() {
    let gateway = Gateway::start(&Resource::open().set("limits.messageBytes", json!(1024)));
    let mut subscriber = gateway.subscriber(&["a"]).await;
    let large = format!(r#"{{"messageId":"l","payload":"{}"}}"#, "x".repeat(2000));
    let body = [
        r#"{"messageId":"1","payload":{"n":1}}"#,
        r#"{"idempotencyKey":"2","payload":2}"#,
        "nonsense",
        r#"{"messageId":"3"}"#,
        "",
        large.as_str(),
        r#"{"messageId":"1","payload":"again"}"#,
        r#"{"payload":4}"#,
        "",
    ]
    .join("\r\n");
    let answers = batch(&gateway, "a", &[], &body);
    let told: Vec<_> = answers
        .iter()
        .map(|answer| {
            let outcome = answer.get("status").or(answer.get("code")).unwrap();
            (answer["messageId"].as_str().unwrap_or("-"), outcome.as_str().unwrap(), answer["seqNo"].as_u64())
        })
        .collect();
    let [one, two, three, four, five, six, (made, "ok", Some(3))] = told[..] else { panic!("{told:?}") };
    assert_eq!(
        [one, two, three, four, five, six],
        [
            ("1", "ok", Some(1)),
            ("2", "ok", Some(2)),
            ("-", "BAD_REQUEST", None),
            ("3", "BAD_REQUEST", None),
            ("l", "LIMIT_EXCEEDED", None),
            ("1", "duplicate", Some(1)),
        ]
    );
    assert!(made.len() >= 16, "{made}");
    assert!(answers[2]["message"].as_str().unwrap().starts_with("line 3:"), "{}", answers[2]);
    for expected in [json!({"n": 1}), json!(2), json!(4)] {
        assert_eq!(subscriber.expect_data("a").await, expected);
    }
    subscriber.expect_nothing().await;
}

#[tokio::test]
async fn a_batch_that_is_sent_again_under_its_key_is_published_once() {
    let gateway = Gateway::start(&Resource::open());
    let mut subscriber = gateway.subscriber(&["a"]).await;
    let body = "{\"payload\":1}\n{\"messageId\":\"own\",\"payload\":2}\n{\"payload\":3}";
    for status in ["ok", "duplicate"] {
        let answers = batch(&gateway, "a", &[("Idempotency-Key", "k")], body);
        for (answer, id) in answers.iter().zip(["k-1", "own", "k-3"]) {
            assert_eq!((&answer["messageId"], &answer["status"]), (&json!(id), &json!(status)), "{answer}");
        }
        assert_eq!(answers.len(), 3);
    }
    for n in 1..=3 {
        assert_eq!(subscriber.expect_data("a").await, n);
    }
    subscriber.expect_nothing().await;
}

#[tokio::test]
async fn a_batch_is_as_fast_as_the_limit_lets_it_be_and_loses_nothing() {
    let gateway = Gateway::start(&Resource::open().set("limits.publishPerSecond", json!(20)));
    let mut subscriber = gateway.subscriber(&["a"]).await;
    let lines: Vec<_> =
        (1..=50).map(|n| json!({"messageId": n.to_string(), "payload": n}).to_string()).collect();
    let begun = std::time::Instant::now();
    let answers = batch(&gateway, "a", &[], &lines.join("\n"));
    assert!(answers.iter().all(|answer| answer["status"] == "ok"), "{answers:?}");
    assert!(
        begun.elapsed().as_secs_f64() > 1.4,
        "20 at once, then 30 at 20 per second: {:?}",
        begun.elapsed()
    );
    for n in 1..=50 {
        assert_eq!(subscriber.expect_data("a").await, n);
    }
}

#[tokio::test]
async fn a_batch_is_bounded_in_lines_and_bytes_and_then_nothing_of_it_is_published() {
    let gateway = Gateway::start(&Resource::open().set("limits.publishPerSecond", json!(0)));
    let kind = [("Content-Type", "application/x-ndjson; charset=utf-8")];
    let lines = |count: usize| "{\"payload\":1}\n".repeat(count);
    assert_eq!(post(&gateway, "a", &kind, &lines(1000)).body.lines().count(), 1000);
    for body in [lines(1001), format!("{{\"payload\":\"{}\"}}", "x".repeat(1_048_576))] {
        let answer = post(&gateway, "b", &kind, &body);
        assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("LIMIT_EXCEEDED")), "{answer:?}");
    }
    let answer = post(&gateway, "b", &kind, "\n \n");
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("BAD_REQUEST")), "{answer:?}");
    assert_eq!(post(&gateway, "b", &[], "1").json()["seqNo"], 1);
}

#[tokio::test]
async fn a_page_publishes_where_its_origin_is_listed() {
    let gateway =
        Gateway::start(&Resource::open().set("listeners.allowedOrigins", json!(["https://app.example.com"])));
    let (good, evil) = (("Origin", "https://app.example.com"), ("Origin", "https://evil.example.com"));
    let asked = [
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type,idempotency-key"),
    ];
    let answer = request(gateway.address, "OPTIONS /publish/a", &[&[good], &asked[..]].concat(), "");
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    for name in ["authorization", "content-type", "idempotency-key"] {
        assert!(answer.header("access-control-allow-headers").unwrap().contains(name), "{answer:?}");
    }
    let refused = request(gateway.address, "OPTIONS /publish/a", &[&[evil], &asked[..]].concat(), "");
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, None));
    let answer = post(&gateway, "a", &[good], "1");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(good.1)));
    let answer = post(&gateway, "a", &[good], "nonsense");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (400, Some(good.1)));
    assert_eq!(post(&gateway, "a", &[evil], "1").status, 403);
    assert_eq!(post(&gateway, "a", &[], "1").json()["seqNo"], 2);
}
