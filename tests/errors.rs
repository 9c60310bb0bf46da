//! Every command that cannot be carried out is answered with a code, and the connection stays.

use serde_json::json;

use crate::support::{Gateway, Resource};

/// What a client may send wrong, and words that the message must have so that one can mend it.
fn malformed() -> Vec<(String, &'static str, &'static str)> {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let texts = [
        ("", "BAD_REQUEST", ""),
        ("hello", "BAD_REQUEST", "JSON"),
        ("{", "BAD_REQUEST", "JSON"),
        (r#"{"type":"ping"} x"#, "BAD_REQUEST", "JSON"),
        (r#"{"type":"ping"}{"type":"ping"}"#, "BAD_REQUEST", "JSON"),
        ("[]", "BAD_REQUEST", "object"),
        ("null", "BAD_REQUEST", "object"),
        ("1", "BAD_REQUEST", "object"),
        (r#""ping""#, "BAD_REQUEST", "object"),
        (r"{}", "BAD_REQUEST", "type"),
        (r#"{"type":null}"#, "BAD_REQUEST", "type"),
        (r#"{"type":1}"#, "BAD_REQUEST", "type"),
        (r#"{"type":"Subscribe","topic":"a"}"#, "BAD_REQUEST", "type"),
        (r#"{"type":"message","topic":"a"}"#, "BAD_REQUEST", "type"),
        (r#"{"type":"ping","id":{}}"#, "BAD_REQUEST", "id"),
        (r#"{"type":"ping","id":true}"#, "BAD_REQUEST", "id"),
        (r#"{"type":"ping","id":1.5}"#, "BAD_REQUEST", "id"),
        (r#"{"type":"setup","token":1}"#, "BAD_REQUEST", "token"),
        (r#"{"type":"setup","topics":"a"}"#, "BAD_REQUEST", "topics"),
        (r#"{"type":"setup","topics":[1]}"#, "BAD_REQUEST", "topics"),
        (r#"{"type":"subscribe"}"#, "BAD_REQUEST", "topic"),
        (r#"{"type":"subscribe","topic":null}"#, "BAD_REQUEST", "topic"),
        (r#"{"type":"subscribe","topic":7}"#, "BAD_REQUEST", "topic"),
        (r#"{"type":"subscribe","topic":["a"]}"#, "BAD_REQUEST", "topic"),
        (r#"{"type":"subscribe","topic":""}"#, "TOPIC_INVALID", "empty"),
        (r#"{"type":"subscribe","topic":"a..b"}"#, "TOPIC_INVALID", "empty token"),
        (r#"{"type":"subscribe","topic":".a"}"#, "TOPIC_INVALID", "empty token"),
        (r#"{"type":"subscribe","topic":"a."}"#, "TOPIC_INVALID", "empty token"),
        (r#"{"type":"subscribe","topic":"a b"}"#, "TOPIC_INVALID", "' '"),
        (r#"{"type":"subscribe","topic":"a\u0000"}"#, "TOPIC_INVALID", ""),
        (r#"{"type":"subscribe","topic":"é"}"#, "TOPIC_INVALID", "é"),
        (r#"{"type":"subscribe","topic":"a*"}"#, "TOPIC_INVALID", "*"),
        (r#"{"type":"subscribe","topic":">.a"}"#, "TOPIC_INVALID", ">"),
        (r#"{"type":"subscribe","topic":"$SYS.a"}"#, "TOPIC_INVALID", "$"),
        (r#"{"type":"subscribe","topic":"$JS.API.INFO"}"#, "TOPIC_INVALID", "$"),
        (r#"{"type":"subscribe","topic":"_INBOX.a"}"#, "TOPIC_INVALID", "_INBOX"),
        (r#"{"type":"unsubscribe"}"#, "BAD_REQUEST", "topic"),
        (r#"{"type":"unsubscribe","topic":false}"#, "BAD_REQUEST", "topic"),
        (r#"{"type":"publish","messageId":"1","payload":1}"#, "BAD_REQUEST", "topic"),
        (r#"{"type":"publish","topic":"a","payload":1}"#, "BAD_REQUEST", "messageId"),
        (r#"{"type":"publish","topic":"a","messageId":"1"}"#, "BAD_REQUEST", "payload"),
        (r#"{"type":"publish","topic":"a","messageId":{},"payload":1}"#, "BAD_REQUEST", "messageId"),
        (r#"{"type":"publish","topic":"a b","messageId":"1","payload":1}"#, "TOPIC_INVALID", "' '"),
        (r#"{"type":"publish","topic":"$SYS.x","messageId":"1","payload":1}"#, "TOPIC_INVALID", "$"),
    ];
    let mut rows: Vec<_> = texts.map(|(text, code, word)| (text.to_owned(), code, word)).into();
    rows.push((deep, "BAD_REQUEST", ""));
    rows.push((format!(r#"{{"type":"subscribe","topic":"{}"}}"#, "a".repeat(256)), "TOPIC_INVALID", "255"));
    rows.push((format!(r#"{{"type":"subscribe","topic":"a{}"}}"#, ".a".repeat(16)), "TOPIC_INVALID", "16"));
    rows
}

#[tokio::test]
async fn each_malformed_command_is_answered_with_its_code_and_harms_nobody() {
    let gateway = Gateway::start(&Resource::open());
    let mut neighbour = gateway.subscriber(&["calm"]).await;
    let mut publisher = gateway.client().await;
    for (n, (text, code, word)) in malformed().into_iter().enumerate() {
        // Each on its own connection: repeated abuse may end one.
        let mut client = gateway.client().await;
        client.send_text(&text).await;
        let error = client.frame().await;
        let shown: String = text.chars().take(100).collect();
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{shown}: {error}");
        assert_eq!(error["retryable"], false, "{shown}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(word), "{shown}: {message:?} should speak of {word:?}");
        client.expect_nothing().await;
        publisher.publish("calm", &n.to_string(), json!(n)).await;
        assert_eq!(neighbour.expect_data("calm").await, n);
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.client().await;
    let answer = client.ask(json!({"type": "subscribe", "topic": "a", "colour": {"deep": [1, 2]}})).await;
    assert_eq!(answer["type"], "subscribed", "{answer}");
}

#[tokio::test]
async fn an_error_names_the_topic_of_its_command() {
    let gateway = Gateway::start(&Resource::open().set("authorization", json!([])));
    let mut client = gateway.client().await;
    for command in [
        json!({"type": "subscribe", "topic": "a", "id": 1}),
        json!({"type": "publish", "topic": "a", "messageId": "m", "payload": 1, "id": 1}),
    ] {
        client.send(command).await;
        let error = client.expect_error("ACL_DENIED").await;
        assert_eq!(
            (&error["topic"], &error["id"], &error["retryable"]),
            (&json!("a"), &json!(1), &json!(false))
        );
    }
}

#[tokio::test]
async fn what_this_gateway_does_not_have_is_refused_by_name() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.client().await;
    for (command, code) in [
        (json!({"type": "subscribe", "topic": "a.*", "last": 1, "id": 1}), "HISTORY_UNAVAILABLE"),
        (json!({"type": "replay", "topic": "a.*", "fromSeq": 1, "id": 1}), "TOPIC_INVALID"),
        (json!({"type": "resume", "sessionId": "x", "lastSeqPerTopic": {}, "id": 1}), "SESSION_EXPIRED"),
    ] {
        let error = client.ask(command.clone()).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{command}: {error}");
        assert_eq!(error["id"], 1, "{command}: {error}");
    }
}
