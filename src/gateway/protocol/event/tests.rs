//! The exact text of every event.

use proptest::prelude::*;

use super::*;
use crate::gateway::{
    protocol::body::scan,
    websocket::{header_len, text_frame},
};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = vec![b'!'];
    write(&mut out);
    payload(&out[1..])
}

/// The text of a frame, whose header must be right.
fn payload(frame: &[u8]) -> String {
    let text = match frame[1] {
        126 => &frame[4..],
        127 => &frame[10..],
        _ => &frame[2..],
    };
    let text = std::str::from_utf8(text).unwrap().to_owned();
    assert_eq!(text_frame(&text), frame);
    text
}

const EPOCH: Option<Epoch> = Some(Epoch::from_bytes([0, 0, 0, 0, 0, 0, 0, 255]));

#[test]
fn topic_and_number_of_a_message_are_read_back_and_of_nothing_else() {
    for seq in [None, Some(0), Some(u64::MAX)] {
        for (prev, id, body) in
            [(None, None, "1"), (seq, Some("m\""), r#"{"seqNo":9}"#), (None, None, "\u{7}")]
        {
            let frame = message("a.b=:/@~+%", seq, prev, id, body.as_bytes(), &scan(body.as_bytes()));
            assert_eq!(message_position(&payload(&frame)), Some(("a.b=:/@~+%", seq)));
        }
    }
    let other = written(|out| subscribed(out, None, "a", 7, EPOCH, true, None));
    assert_eq!(message_position(&other), None);
}

#[test]
fn the_id_of_a_message_is_read_back_whatever_its_length() {
    let bodies = [0..400, 31_400..31_500, 65_400..65_600].into_iter().flatten();
    for body in bodies.map(|length| "0".repeat(length)) {
        let body = format!("\"{body}\"");
        let frame = message("a", Some(7), Some(6), Some("m{1"), body.as_bytes(), &scan(body.as_bytes()));
        assert_eq!(message_id(&frame).as_deref(), Some("m{1"), "{} bytes", frame.len());
    }
}

#[test]
fn every_event_has_its_exact_text() {
    let id: &Id = &r#""a\u0062""#.into();
    let id = Some(id);
    for (text, expected) in [
        (
            written(|out| ready(out, id, "s", "ann", 25, false, Some(1_700_000_000))),
            r#"{"type":"ready","id":"a\u0062","sessionId":"s","userId":"ann","heartbeatSeconds":25,"resumed":false,"expiresAt":1700000000}"#,
        ),
        (
            written(|out| ready(out, None, "s", "ann", 25, true, None)),
            r#"{"type":"ready","sessionId":"s","userId":"ann","heartbeatSeconds":25,"resumed":true}"#,
        ),
        (
            written(|out| subscribed(out, id, "a.b", 0, EPOCH, false, None)),
            r#"{"type":"subscribed","id":"a\u0062","topic":"a.b","seqNo":0,"recoverable":false}"#,
        ),
        (
            written(|out| subscribed(out, None, "a", 7, EPOCH, true, Some(true))),
            r#"{"type":"subscribed","topic":"a","seqNo":7,"recoverable":true,"recovered":true,"epoch":"00000000000000ff"}"#,
        ),
        (
            written(|out| replayed(out, id, "a", 3, 9, false)),
            r#"{"type":"replayed","id":"a\u0062","topic":"a","fromSeq":3,"toSeq":9,"complete":false}"#,
        ),
        (
            written(|out| unsubscribed(out, None, "a\"\\\n")),
            r#"{"type":"unsubscribed","topic":"a\"\\\u000a"}"#,
        ),
        (
            written(|out| ack(out, id, "m", false, Some(u64::MAX))),
            r#"{"type":"ack","id":"a\u0062","messageId":"m","status":"ok","seqNo":18446744073709551615}"#,
        ),
        (
            written(|out| ack(out, None, "m", true, None)),
            r#"{"type":"ack","messageId":"m","status":"duplicate"}"#,
        ),
        (
            written(|out| error(out, id, ErrorCode::AclDenied, "no", Some("t"), None)),
            r#"{"type":"error","id":"a\u0062","code":"ACL_DENIED","message":"no","topic":"t","retryable":false}"#,
        ),
        (
            written(|out| error(out, None, ErrorCode::BackboneUnavailable, "no", None, None)),
            r#"{"type":"error","code":"BACKBONE_UNAVAILABLE","message":"no","retryable":true}"#,
        ),
        (
            written(|out| error(out, None, ErrorCode::LimitExceeded, "no", None, Some(true))),
            r#"{"type":"error","code":"LIMIT_EXCEEDED","message":"no","retryable":true}"#,
        ),
        (written(|out| pong(out, None)), r#"{"type":"pong"}"#),
        (written(|out| pong(out, id)), r#"{"type":"pong","id":"a\u0062"}"#),
        (
            written(|out| gap(out, "t", Some(2), Some(10), GapReason::Expired)),
            r#"{"type":"gap","topic":"t","fromSeq":2,"toSeq":10,"reason":"expired"}"#,
        ),
        (
            written(|out| gap(out, "t", None, None, GapReason::Backbone)),
            r#"{"type":"gap","topic":"t","reason":"backbone"}"#,
        ),
        (
            written(|out| gap(out, "t", Some(2), None, GapReason::Dropped)),
            r#"{"type":"gap","topic":"t","fromSeq":2,"reason":"dropped"}"#,
        ),
        (written(|out| draining(out, 1500)), r#"{"type":"draining","reconnectAfterMs":1500}"#),
    ] {
        assert_eq!(text, expected);
    }
}

#[test]
fn the_error_codes_are_those_of_the_protocol_and_only_the_backbone_may_be_retried() {
    let codes: Vec<(&str, bool)> =
        ErrorCode::ALL.iter().map(|code| (code.as_str(), code.retryable())).collect();
    assert_eq!(
        codes,
        [
            ("BAD_REQUEST", false),
            ("AUTH_REQUIRED", false),
            ("AUTH_FAILED", false),
            ("ACL_DENIED", false),
            ("TOPIC_INVALID", false),
            ("SESSION_EXPIRED", false),
            ("LIMIT_EXCEEDED", false),
            ("HISTORY_UNAVAILABLE", false),
            ("BACKBONE_UNAVAILABLE", true),
        ]
    );
}

#[test]
fn a_json_body_is_the_data_byte_for_byte() {
    let body = br#" {"b" : 1.00, "a":"\u00e9"} "#;
    let frame = message("t", Some(5), Some(4), Some("m"), body, &scan(body));
    assert_eq!(
        payload(&frame),
        r#"{"type":"message","topic":"t","seqNo":5,"prevSeqNo":4,"messageId":"m","data": {"b" : 1.00, "a":"\u00e9"} }"#
    );
    let frame = message("t", None, None, None, b"1", &scan(b"1"));
    assert_eq!(payload(&frame), r#"{"type":"message","topic":"t","data":1}"#);
}

#[test]
fn any_other_body_is_base64() {
    let frame = message("t", None, None, None, b"not json", &scan(b"not json"));
    assert_eq!(
        payload(&frame),
        r#"{"type":"message","topic":"t","encoding":"base64","data":"bm90IGpzb24="}"#
    );
    let frame = message("t", None, None, None, b"", &scan(b""));
    assert_eq!(payload(&frame), r#"{"type":"message","topic":"t","encoding":"base64","data":""}"#);
}

proptest! {
    #[test]
    fn a_message_is_one_right_frame_whatever_the_body(
        topic in "\\PC{1,20}", seq: Option<u64>, prev: Option<u64>, id: Option<String>,
        body in prop::collection::vec(any::<u8>(), 0..3000), quoted: bool,
    ) {
        let body = if quoted { serde_json::to_vec(&String::from_utf8_lossy(&body)).unwrap() } else { body };
        let found = scan(&body);
        let frame = message(&topic, seq, prev, id.as_deref(), &body, &found);
        let text = payload(&frame);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(value["topic"].as_str(), Some(&topic[..]));
        prop_assert_eq!(value["seqNo"].as_u64(), seq);
        prop_assert_eq!(value["prevSeqNo"].as_u64(), prev);
        prop_assert_eq!(value["messageId"].as_str(), id.as_deref());
        if found.json {
            let spliced = format!("\"data\":{}}}", std::str::from_utf8(&body).unwrap());
            prop_assert!(text.ends_with(&spliced));
        } else {
            use base64::Engine;
            let data = value["data"].as_str().unwrap();
            prop_assert_eq!(base64::engine::general_purpose::STANDARD.decode(data).unwrap(), body);
            prop_assert_eq!(value["encoding"].as_str(), Some("base64"));
        }
        // Made in one allocation of the right size.
        let vec = Vec::from(frame);
        prop_assert_eq!(vec.capacity(), header_len(text.len()) + text.len());
    }
}
