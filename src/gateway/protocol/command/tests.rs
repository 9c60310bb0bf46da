//! Every command with every field missing, of the wrong kind and too long.

use proptest::prelude::*;

use super::*;

fn command(text: &str) -> Command<'_> {
    parse(text).unwrap_or_else(|rejection| panic!("{text}: {}", rejection.message)).command
}

fn rejected(text: &str) -> Rejection {
    match parse(text) {
        Err(rejection) => rejection,
        Ok(envelope) => panic!("{text}: {envelope:?}"),
    }
}

#[test]
fn every_command_is_read() {
    let topic = || Cow::Borrowed("a");
    for (text, expected) in [
        (r#"{"type":"ping"}"#, Command::Ping),
        (" { \"type\" : \"ping\" } \n", Command::Ping),
        (r#"{"ty\u0070e":"p\u0069ng","unknown":{"type":1}}"#, Command::Ping),
        (r#"{"type":"setup"}"#, Command::Setup { token: None, topics: vec![] }),
        (
            r#"{"type":"setup","token":"t","topics":["a","\u0062"]}"#,
            Command::Setup { token: Some(Token("t".into())), topics: vec!["a".into(), "b".into()] },
        ),
        (
            r#"{"type":"subscribe","topic":"a"}"#,
            Command::Subscribe { topic: topic(), history: None, epoch: None },
        ),
        (
            r#"{"type":"subscribe","topic":"a","fromSeq":0}"#,
            Command::Subscribe { topic: topic(), history: Some(Start::After(0)), epoch: None },
        ),
        (
            r#"{"type":"subscribe","topic":"a","last":5}"#,
            Command::Subscribe { topic: topic(), history: Some(Start::Newest(5)), epoch: None },
        ),
        (
            r#"{"type":"subscribe","topic":"a","fromSeq":18446744073709551615}"#,
            Command::Subscribe { topic: topic(), history: Some(Start::After(u64::MAX - 1)), epoch: None },
        ),
        (
            r#"{"type":"subscribe","topic":"a","last":18446744073709551615}"#,
            Command::Subscribe { topic: topic(), history: Some(Start::Newest(10_000)), epoch: None },
        ),
        (r#"{"type":"unsubscribe","topic":"a"}"#, Command::Unsubscribe { topic: topic() }),
        (
            r#"{"type":"publish","topic":"a","messageId":"m","payload": null }"#,
            Command::Publish { topic: topic(), message_id: "m".into(), payload: "null" },
        ),
        (
            r#"{"type":"publish","topic":"a","idempotencyKey":"k","payload":{"a": [1e999, "\ud800"]}}"#,
            Command::Publish {
                topic: topic(),
                message_id: "k".into(),
                payload: r#"{"a": [1e999, "\ud800"]}"#,
            },
        ),
        (r#"{"type":"ack","messageId":"m"}"#, Command::Ack(Ack::Message { id: "m".into(), topic: None })),
        (
            r#"{"type":"ack","messageId":"m","topic":"a"}"#,
            Command::Ack(Ack::Message { id: "m".into(), topic: Some(topic()) }),
        ),
        (r#"{"type":"ack","topic":"a","seqNo":1}"#, Command::Ack(Ack::UpTo { topic: topic(), seq: 1 })),
        (
            r#"{"type":"replay","topic":"a","fromSeq":1,"toSeq":18446744073709551615}"#,
            Command::Replay { topic: topic(), from_seq: 1, to_seq: Some(u64::MAX) },
        ),
        (
            r#"{"type":"replay","topic":"a","fromSeq":1}"#,
            Command::Replay { topic: topic(), from_seq: 1, to_seq: None },
        ),
        (
            r#"{"type":"resume","sessionId":"s","lastSeqPerTopic":{"a":3},"token":"t"}"#,
            Command::Resume {
                session_id: "s".into(),
                last_seq_per_topic: vec![(topic(), 3)],
                epoch: None,
                token: Some(Token("t".into())),
            },
        ),
        (
            r#"{"type":"subscribe","topic":"a","fromSeq":3,"epoch":"00000000000000ff"}"#,
            Command::Subscribe {
                topic: topic(),
                history: Some(Start::After(2)),
                epoch: Some(Epoch::from_bytes([0, 0, 0, 0, 0, 0, 0, 255])),
            },
        ),
    ] {
        assert_eq!(command(text), expected, "{text}");
    }
}

/// A field that may be left out if marked `!`, a good value, and values that must be refused.
type Field = (&'static str, &'static str, &'static [&'static str]);

/// A valid frame of each type.
const FIELDS: &[(&str, &[Field])] = {
    const NOT_TEXT: &[&str] = &["1", "null", "true", "[]", "{}", r#""\ud800""#];
    const EPOCH: &str = r#""00000000000000ff""#;
    const NOT_EPOCH: &[&str] = &["255", "null", "{}", r#""""#, r#""ff""#, r#""00000000000000FF""#];
    const NOT_SEQ: &[&str] =
        &["-1", "1.0", "1e3", "18446744073709551616", "null", "\"1\"", "[]", "{}", "true"];
    &[
        (
            "setup",
            &[
                ("!token", "\"t\"", NOT_TEXT),
                ("!topics", "[]", &["1", "null", "\"a\"", "{}", "[1]", "[null]"]),
            ],
        ),
        (
            "subscribe",
            &[("topic", "\"a\"", NOT_TEXT), ("!fromSeq", "1", NOT_SEQ), ("!epoch", EPOCH, NOT_EPOCH)],
        ),
        ("subscribe", &[("topic", "\"a\"", NOT_TEXT), ("!last", "1", NOT_SEQ)]),
        ("unsubscribe", &[("topic", "\"a\"", NOT_TEXT)]),
        ("publish", &[("topic", "\"a\"", NOT_TEXT), ("messageId", "\"m\"", NOT_TEXT), ("payload", "1", &[])]),
        (
            "publish",
            &[("topic", "\"a\"", NOT_TEXT), ("idempotencyKey", "\"m\"", NOT_TEXT), ("payload", "1", &[])],
        ),
        ("ack", &[("messageId", "\"m\"", NOT_TEXT)]),
        ("ack", &[("topic", "\"a\"", NOT_TEXT), ("seqNo", "1", NOT_SEQ)]),
        ("replay", &[("topic", "\"a\"", NOT_TEXT), ("fromSeq", "1", NOT_SEQ), ("!toSeq", "1", NOT_SEQ)]),
        (
            "resume",
            &[
                ("sessionId", "\"s\"", NOT_TEXT),
                (
                    "lastSeqPerTopic",
                    "{}",
                    &["1", "null", "[]", r#"{"a":-1}"#, r#"{"a":"1"}"#, r#"{"a":null}"#, r#"{"\ud800":1}"#],
                ),
                ("!token", "\"t\"", NOT_TEXT),
                ("!epoch", EPOCH, NOT_EPOCH),
            ],
        ),
    ]
};

fn write(kind: &str, fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
    format!(r#"{{"id":7,"type":"{kind}"{}}}"#, fields.concat())
}

#[test]
fn each_field_is_named_when_it_is_missing_wrong_or_given_twice() {
    for (kind, fields) in FIELDS {
        let good: Vec<(&str, &str)> =
            fields.iter().map(|(name, value, _)| (name.trim_start_matches('!'), *value)).collect();
        command(&write(kind, &good));
        for (index, (marked, _, wrong)) in fields.iter().enumerate() {
            let name = format!("`{}`", marked.trim_start_matches('!'));
            let refuses = |text: &str, named: &str| {
                let rejection = rejected(text);
                assert!(rejection.message.contains(named), "{text}: {}", rejection.message);
                assert_eq!(rejection.id.as_deref(), Some("7"), "{text}");
            };
            let mut without = good.clone();
            without.remove(index);
            let text = write(kind, &without);
            if marked.starts_with('!') {
                command(&text);
            } else {
                // Either name of the publisher's id may be asked for.
                refuses(&text, if name == "`idempotencyKey`" { "`messageId`" } else { &name });
            }
            for value in *wrong {
                let mut changed = good.clone();
                changed[index].1 = value;
                refuses(&write(kind, &changed), &name);
            }
            let mut twice = good.clone();
            twice.push(good[index]);
            refuses(&write(kind, &twice), &name);
        }
    }
}

#[test]
fn a_subscription_begins_at_one_place() {
    let rejection = rejected(r#"{"type":"subscribe","topic":"a","fromSeq":1,"last":1}"#);
    assert_eq!(rejection.message, "`fromSeq` and `last` exclude each other: give one");
}

#[test]
fn what_is_too_long_is_refused() {
    let topics = |count: usize| vec!["\"a\""; count].join(",");
    let positions = |count| (0..count).map(|n| format!("\"a{n}\":1")).collect::<Vec<_>>().join(",");
    let id = |len: usize| "x".repeat(len);
    for (over, field, write) in [
        (
            1025,
            "`topics`",
            &(|n| format!(r#"{{"type":"setup","topics":[{}]}}"#, topics(n))) as &dyn Fn(usize) -> String,
        ),
        (1025, "`lastSeqPerTopic`", &|n| {
            format!(r#"{{"type":"resume","sessionId":"s","lastSeqPerTopic":{{{}}}}}"#, positions(n))
        }),
        (257, "`messageId`", &|n| format!(r#"{{"type":"ack","messageId":"{}"}}"#, id(n))),
        (257, "`idempotencyKey`", &|n| {
            format!(r#"{{"type":"publish","topic":"a","idempotencyKey":"{}","payload":1}}"#, id(n))
        }),
        (129, "`id`", &|n| format!(r#"{{"type":"ping","id":"{}"}}"#, id(n))),
        (129, "`id`", &|n| format!(r#"{{"type":"ping","id":{}}}"#, "7".repeat(n))),
    ] {
        command(&write(over - 1));
        let rejection = rejected(&write(over));
        assert!(rejection.message.contains(field), "{}", rejection.message);
        assert!(rejection.message.len() < 200);
    }
    assert!(rejected(r#"{"type":"ack","messageId":""}"#).message.contains("`messageId`"));
}

#[test]
fn a_topic_that_is_given_two_positions_is_refused() {
    let frame = r#"{"type":"resume","sessionId":"s","lastSeqPerTopic":{"a":1,"b":1,"\u0061":2}}"#;
    assert!(rejected(frame).message.contains("`lastSeqPerTopic` gives a topic twice"));
}

#[test]
fn an_unknown_type_is_named_beside_the_known_ones() {
    let message = rejected(r#"{"type":"sub\nscribe"}"#).message;
    assert!(message.contains(r#""sub\nscribe""#), "{message}");
    for known in ["setup", "subscribe", "unsubscribe", "publish", "ack", "replay", "resume", "ping"] {
        assert!(message.contains(known), "{message}");
    }
    assert!(rejected(&format!(r#"{{"type":"{}"}}"#, "é".repeat(500))).message.len() < 300);
    assert!(rejected("{}").message.contains("`type` is missing"));
    assert!(rejected(r#"{"type":null}"#).message.contains("`type` must be a string"));
}

#[test]
fn what_is_no_json_object_is_refused() {
    for text in [
        "",
        " ",
        "[]",
        "1",
        "null",
        "\"x\"",
        "ping",
        "{",
        "{}{}",
        "{} x",
        "{\"a\"}",
        "{a:1}",
        "{\"a\":1,}",
        "{'a':1}",
        "\u{feff}{}",
    ] {
        let rejection = rejected(text);
        assert!(!rejection.message.is_empty() && rejection.id.is_none(), "{text}");
    }
    assert!(rejected("[1]").message.contains("one JSON object"));
}

#[test]
fn the_id_is_echoed_byte_for_byte_however_wrong_the_rest_is() {
    for id in ["7", "-7", "0", "123456789012345678901234567890", r#""a""#, r#""""#, r#""\u0061\"""#] {
        let text = format!(r#"{{"type":"ping","id": {id} }}"#);
        assert_eq!(parse(&text).unwrap().id.as_deref(), Some(id));
        for rest in [r#""type":"nope""#, r#""type":1"#, r#""topic":1,"topic":2"#, r#""a":"#, r#""a":1}x"#] {
            let text = format!(r#"{{"id":{id},"topic":"t",{rest}}}"#);
            assert_eq!(rejected(&text).id.as_deref(), Some(id), "{text}");
        }
    }
    for id in ["1.5", "1e3", "null", "true", "[]", "{}"] {
        let rejection = rejected(&format!(r#"{{"type":"ping","id":{id}}}"#));
        assert_eq!((rejection.id, rejection.message.contains("`id`")), (None, true), "{id}");
    }
}

#[test]
fn the_topic_is_told_where_it_could_be_read() {
    assert_eq!(rejected(r#"{"type":"publish","topic":"a.b"}"#).topic.as_deref(), Some("a.b"));
    assert_eq!(rejected(r#"{"type":"publish","topic":1}"#).topic, None);
}

#[test]
fn a_replay_does_not_go_backwards() {
    assert!(rejected(r#"{"type":"replay","topic":"a","fromSeq":2,"toSeq":1}"#).message.contains("`toSeq`"));
}

#[test]
fn depth_and_size_do_no_harm() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let text = format!(r#"{{"type":"publish","topic":"a","messageId":"m","payload":{}}}"#, deep(100_000));
    assert!(matches!(command(&text), Command::Publish { payload, .. } if payload.len() == 200_000));
    let text = format!(r#"{{"type":"ping","x":{}}}"#, deep(100_000));
    assert_eq!(command(&text), Command::Ping);
    let text = format!(r#"{{"type":"setup","topics":{}}}"#, deep(100_000));
    assert!(rejected(&text).message.contains("`topics`"));
    assert!(!rejected(&r#"{"a":"#.repeat(100_000)).message.is_empty());
    let text = format!(r#"{{"type":"replay","topic":"a","fromSeq":1{}}}"#, "0".repeat(10_000));
    assert!(rejected(&text).message.contains("`fromSeq`"));
}

#[test]
fn a_line_of_a_batch_is_an_id_and_a_payload_or_says_what_is_wrong() {
    for (line, id, payload) in [
        (r#"{"messageId":"1","payload":{"a":[1]}}"#, Some("1"), Ok(r#"{"a":[1]}"#)),
        (r#" {"payload":null,"idempotencyKey":"k","x":1} "#, Some("k"), Ok("null")),
        (r#"{"payload":1}"#, None, Ok("1")),
        (r#"{"messageId":"1"}"#, Some("1"), Err("`payload` is missing")),
        (r#"{"messageId":1,"payload":1}"#, None, Err("`messageId` must be a string")),
        (r#"{"messageId":"","payload":1}"#, None, Err("`messageId` must have 1 to 256")),
        (r#"{"messageId":"a\nb","payload":1}"#, None, Err("`messageId` must not hold line ends")),
        (r#"{"messageId":" a","payload":1}"#, None, Err("`messageId` must not begin or end with a space")),
        (r#"{"messageId":"a b","payload":1}"#, Some("a b"), Ok("1")),
        (r#"{"messageId":"1","payload":1"#, Some("1"), Err("the line is not valid JSON")),
        (r#"{"payload":1,"payload":2}"#, None, Err("`payload` is given twice")),
        ("[1]", None, Err("a line must be one JSON object")),
        ("", None, Err("a line must be one JSON object")),
    ] {
        let entry = parse_entry(line);
        assert_eq!(entry.message_id.as_deref(), id, "{line}");
        match (entry.payload, payload) {
            (Err(message), Err(part)) => assert!(message.contains(part), "{line}: {message}"),
            (found, expected) => assert_eq!(found, expected.map_err(String::from), "{line}"),
        }
    }
}

#[test]
fn a_token_is_never_printed() {
    let text = r#"{"type":"setup","token":"secret"}"#;
    assert!(!format!("{:?}", command(text)).contains("secret"));
}

proptest! {
    #[test]
    fn arbitrary_text_is_a_command_or_a_rejection(text in ".*") {
        let _ = parse(&text);
    }

    #[test]
    fn arbitrary_json_is_a_command_or_a_rejection_that_names_something(
        fields in prop::collection::vec((
            prop::sample::select(vec!["type", "id", "topic", "topics", "token", "fromSeq", "payload", "messageId", "x"]),
            prop::sample::select(vec![
                "\"ping\"", "\"publish\"", "\"setup\"", "\"subscribe\"", "1", "-1", "null", "[\"a\"]", "{\"a\":1}", "\"\\ud800\"", "1e400", "[", "\"",
            ]),
        ), 0..6)
    ) {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let text = format!("{{{}}}", fields.join(","));
        match parse(&text) {
            Ok(_) => prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok()),
            Err(rejection) => prop_assert!(!rejection.message.is_empty()),
        }
    }
}
