//! What each command leads to, before and after authentication, within and over the limits.

use proptest::prelude::*;

use super::*;
use crate::{
    api::{Filter, Limits, Pattern},
    gateway::{
        access::{Basis, Grants},
        history::Start,
        protocol::command::Token,
        websocket,
    },
};

struct Topics(&'static [&'static str]);

impl Held for Topics {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn holds(&self, filter: &str) -> bool {
        self.0.contains(&filter)
    }
}

fn setup(topic: &str) -> Beginning {
    Beginning::Setup { topics: vec![topic.into()] }
}

const NONE: &Topics = &Topics(&[]);

fn policy() -> Policy {
    let limits = Limits {
        topics_per_connection: 2,
        publish_per_second: 3,
        subscribe_per_second: 0,
        message_bytes: 20,
        ..Limits::default()
    };
    Policy::from(&limits)
}

fn patterns(list: &[&str]) -> Vec<Pattern> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

fn ann() -> Arc<Identity> {
    let scope = patterns(&["prices.>", "chat.>"]).into();
    let grants = Grants { subscribe: patterns(&["prices.>"]), publish: patterns(&["chat.*"]), scope };
    Arc::new(Identity {
        user: "ann".into(),
        grants: grants.into(),
        expires_at: None,
        basis: Basis::default(),
    })
}

fn known() -> Session {
    Session::new(Some(ann()))
}

/// The decision, and the answer's JSON if there is one.
fn ask(
    session: &mut Session,
    frame: &str,
    held: &Topics,
    now_ms: u64,
) -> (Decision, Option<serde_json::Value>) {
    let mut out = Vec::new();
    let decision = session.command(frame, held, now_ms, &policy(), &mut out);
    (decision, answer(&out))
}

fn answer(out: &[u8]) -> Option<serde_json::Value> {
    Some(serde_json::from_slice(websocket::payload(out)?).expect("one frame"))
}

/// Must be answered with this error, the id echoed and the topic named.
fn refused(session: &mut Session, frame: &str, held: &Topics, code: &str, topic: Option<&str>) {
    let (decision, answer) = ask(session, frame, held, 0);
    let answer = answer.unwrap_or_else(|| panic!("{frame}: {decision:?}"));
    assert!(matches!(decision, Decision::Refused(told) if told.as_str() == code), "{frame}: {decision:?}");
    assert_eq!(answer["type"], "error", "{frame}");
    assert_eq!(answer["code"], code, "{frame}: {answer}");
    assert_eq!(answer["id"], 1, "{frame}");
    assert_eq!(answer["topic"].as_str(), topic, "{frame}");
    let over_a_rate = answer["message"].as_str().is_some_and(|text| text.starts_with("too many"));
    assert_eq!(answer["retryable"], over_a_rate, "{answer}");
}

fn id() -> Id {
    "1".into()
}

const SUBSCRIBE: &str = r#"{"id":1,"type":"subscribe","topic":"prices.btc"}"#;
const PUBLISH: &str = r#"{"id":1,"type":"publish","topic":"chat.x","messageId":"m","payload":{"a": 1}}"#;

#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 32);
}

#[test]
fn before_authentication_only_setup_and_ping_work() {
    let mut session = Session::new(None);
    for (frame, topic) in [
        (r#"{"id":1,"type":"setup"}"#, None),
        (r#"{"id":1,"type":"setup","topics":["prices.btc"]}"#, None),
        (SUBSCRIBE, Some("prices.btc")),
        (r#"{"id":1,"type":"subscribe","topic":"a..b"}"#, Some("a..b")),
        (r#"{"id":1,"type":"unsubscribe","topic":"prices.btc"}"#, Some("prices.btc")),
        (PUBLISH, Some("chat.x")),
        (r#"{"id":1,"type":"ack","messageId":"m"}"#, None),
        (r#"{"id":1,"type":"replay","topic":"prices.btc","fromSeq":1}"#, Some("prices.btc")),
        (r#"{"id":1,"type":"resume","sessionId":"s","lastSeqPerTopic":{}}"#, None),
    ] {
        refused(&mut session, frame, NONE, "AUTH_REQUIRED", topic);
    }
    let (decision, pong) = ask(&mut session, r#"{"type":"ping","id":"x"}"#, NONE, 0);
    assert_eq!((decision, pong), (Decision::Answered, Some(serde_json::json!({"type": "pong", "id": "x"}))));
    let (decision, none) =
        ask(&mut session, r#"{"id":1,"type":"setup","token":"t","topics":["a"]}"#, NONE, 0);
    let expected = Decision::Authenticate { id: Some(id()), token: Token("t".into()), beginning: setup("a") };
    assert_eq!((decision, none), (expected, None));
    session.authenticated(ann());
    assert_eq!(session.identity().map(|identity| &*identity.user), Some("ann"));
    assert!(matches!(ask(&mut session, SUBSCRIBE, NONE, 0).0, Decision::Subscribe { .. }));
}

#[test]
fn what_is_allowed_is_left_to_the_shard() {
    let prices: Filter = "prices.btc".parse().unwrap();
    for (frame, held, expected) in [
        (
            r#"{"id":1,"type":"setup","topics":["a"]}"#,
            NONE,
            Decision::Begin { id: Some(id()), beginning: setup("a") },
        ),
        (SUBSCRIBE, NONE, Decision::Subscribe { id: Some(id()), filter: prices.clone(), catch_up: None }),
        (
            SUBSCRIBE,
            &Topics(&["prices.btc", "x"]),
            Decision::Subscribe { id: Some(id()), filter: prices.clone(), catch_up: None },
        ),
        (
            r#"{"id":1,"type":"subscribe","topic":"prices.*"}"#,
            NONE,
            Decision::Subscribe { id: Some(id()), filter: "prices.*".parse().unwrap(), catch_up: None },
        ),
        (
            r#"{"id":1,"type":"unsubscribe","topic":"prices.btc"}"#,
            &Topics(&["prices.btc"]),
            Decision::Unsubscribe { id: Some(id()), filter: prices.clone() },
        ),
        (
            PUBLISH,
            NONE,
            Decision::Publish {
                id: Some(id()),
                topic: "chat.x".parse().unwrap(),
                message_id: "m".into(),
                payload: r#"{"a": 1}"#.into(),
            },
        ),
        (
            r#"{"id":1,"type":"ack","messageId":"m"}"#,
            NONE,
            Decision::Acknowledge(Acknowledged::Message { id: "m".into(), topic: None }),
        ),
        (
            r#"{"id":1,"type":"ack","topic":"t","seqNo":7}"#,
            NONE,
            Decision::Acknowledge(Acknowledged::UpTo { topic: "t".into(), seq: 7 }),
        ),
        (
            r#"{"id":1,"type":"subscribe","topic":"prices.btc","fromSeq":8}"#,
            NONE,
            Decision::Subscribe {
                id: Some(id()),
                filter: prices.clone(),
                catch_up: Some(CatchUp { start: Start::After(7), resumed: false, epoch: None }),
            },
        ),
        (
            r#"{"id":1,"type":"replay","topic":"prices.btc","fromSeq":1,"toSeq":3}"#,
            NONE,
            Decision::Replay { id: Some(id()), topic: "prices.btc".parse().unwrap(), from: 1, to: Some(3) },
        ),
        (
            r#"{"id":1,"type":"resume","sessionId":"s","lastSeqPerTopic":{"prices.btc":7}}"#,
            NONE,
            Decision::Begin {
                id: Some(id()),
                beginning: Beginning::Resume {
                    session: "s".into(),
                    positions: vec![("prices.btc".into(), 7)],
                    epoch: None,
                },
            },
        ),
    ] {
        assert_eq!(ask(&mut known(), frame, held, 0), (expected, None), "{frame}");
    }
}

#[test]
fn each_refusal_has_its_code_and_the_first_reason_wins() {
    let full = &Topics(&["prices.a", "prices.b"]);
    for (frame, code, topic) in [
        (r#"{"id":1,"type":"subscribe","topic":"a..b"}"#, "TOPIC_INVALID", Some("a..b")),
        (r#"{"id":1,"type":"subscribe","topic":"$SYS.x","last":1}"#, "TOPIC_INVALID", Some("$SYS.x")),
        (r#"{"id":1,"type":"subscribe","topic":"chat.x","last":1}"#, "ACL_DENIED", Some("chat.x")),
        (r#"{"id":1,"type":"subscribe","topic":">"}"#, "ACL_DENIED", Some(">")),
        (
            r#"{"id":1,"type":"subscribe","topic":"prices.*","fromSeq":0}"#,
            "HISTORY_UNAVAILABLE",
            Some("prices.*"),
        ),
        (SUBSCRIBE, "LIMIT_EXCEEDED", Some("prices.btc")),
        (r#"{"id":1,"type":"unsubscribe","topic":"a b"}"#, "TOPIC_INVALID", Some("a b")),
        (
            r#"{"id":1,"type":"publish","topic":"chat.*","messageId":"m","payload":1}"#,
            "TOPIC_INVALID",
            Some("chat.*"),
        ),
        (
            r#"{"id":1,"type":"publish","topic":"prices.a","messageId":"m","payload":1}"#,
            "ACL_DENIED",
            Some("prices.a"),
        ),
        (
            r#"{"id":1,"type":"publish","topic":"chat.x","messageId":"m","payload":"20 bytes and no less"}"#,
            "LIMIT_EXCEEDED",
            Some("chat.x"),
        ),
        (r#"{"id":1,"type":"publish","topic":"chat.x","messageId":"m"}"#, "BAD_REQUEST", Some("chat.x")),
        (r#"{"id":1,"type":"replay","topic":"prices.*","fromSeq":1}"#, "TOPIC_INVALID", Some("prices.*")),
        (r#"{"id":1,"type":"replay","topic":"chat.x","fromSeq":1}"#, "ACL_DENIED", Some("chat.x")),
        (r#"{"id":1,"type":"what"}"#, "BAD_REQUEST", None),
    ] {
        refused(&mut known(), frame, full, code, topic);
    }
}

#[test]
fn a_topic_outside_the_scope_is_denied_whatever_the_grants_say() {
    let mut identity = Arc::unwrap_or_clone(ann());
    let all = patterns(&[">"]);
    let scope = identity.grants.scope.clone();
    identity.grants = Grants { subscribe: all.clone(), publish: all, scope }.into();
    let mut session = Session::new(Some(identity.into()));
    refused(
        &mut session,
        r#"{"id":1,"type":"subscribe","topic":"other"}"#,
        NONE,
        "ACL_DENIED",
        Some("other"),
    );
    let publish = r#"{"id":1,"type":"publish","topic":"other","messageId":"m","payload":1}"#;
    refused(&mut session, publish, NONE, "ACL_DENIED", Some("other"));
}

#[test]
fn to_leave_what_is_not_held_is_answered_as_if_it_were() {
    let (decision, answer) =
        ask(&mut known(), r#"{"id":1,"type":"unsubscribe","topic":"prices.x"}"#, NONE, 0);
    assert_eq!(decision, Decision::Answered);
    assert_eq!(answer, Some(serde_json::json!({"type": "unsubscribed", "id": 1, "topic": "prices.x"})));
}

#[test]
fn publishes_have_a_rate_that_comes_back() {
    let mut session = known();
    for _ in 0..3 {
        assert!(matches!(ask(&mut session, PUBLISH, NONE, 0).0, Decision::Publish { .. }));
    }
    refused(&mut session, PUBLISH, NONE, "LIMIT_EXCEEDED", Some("chat.x"));
    assert!(matches!(ask(&mut session, PUBLISH, NONE, 334).0, Decision::Publish { .. }));
}

#[test]
fn setups_subscribes_and_unsubscribes_share_a_rate_that_the_topics_of_a_setup_do_not_touch() {
    let policy = Policy { subscribe_per_second: 1, topics_per_connection: 3, ..policy() };
    let mut session = known();
    for topic in ["prices.a", "prices.b", "prices.c"] {
        let mut out = Vec::new();
        let decision = session.subscribe(topic, None, NONE, 0, &policy, &mut out);
        assert_eq!(
            decision,
            Decision::Subscribe { id: None, filter: topic.parse().unwrap(), catch_up: None }
        );
    }
    let mut ask = |frame, now_ms| {
        let mut out = Vec::new();
        let decision = session.command(frame, NONE, now_ms, &policy, &mut out);
        (decision, answer(&out).unwrap_or_default())
    };
    assert!(matches!(ask(SUBSCRIBE, 0).0, Decision::Subscribe { .. }));
    for (frame, topic) in [
        (SUBSCRIBE, Some("prices.btc")),
        (r#"{"id":1,"type":"unsubscribe","topic":"prices.a"}"#, Some("prices.a")),
        (r#"{"id":1,"type":"replay","topic":"prices.a","fromSeq":1}"#, Some("prices.a")),
        (r#"{"id":1,"type":"setup"}"#, None),
        (r#"{"id":1,"type":"setup","token":"t"}"#, None),
    ] {
        let (decision, answer) = ask(frame, 0);
        assert_eq!(decision, Decision::Refused(ErrorCode::LimitExceeded), "{frame}");
        assert_eq!((answer["topic"].as_str(), &answer["retryable"]), (topic, &true.into()), "{frame}");
    }
    assert!(matches!(ask(SUBSCRIBE, 1000).0, Decision::Subscribe { .. }));
}

#[test]
fn a_topic_of_setup_or_the_url_is_refused_without_an_id() {
    let mut out = Vec::new();
    assert_eq!(
        known().subscribe("chat.x", None, NONE, 0, &policy(), &mut out),
        Decision::Refused(ErrorCode::AclDenied)
    );
    let answer = answer(&out).unwrap();
    assert_eq!((&answer["code"], &answer["topic"]), (&"ACL_DENIED".into(), &"chat.x".into()));
    assert!(answer.get("id").is_none());
}

#[test]
fn no_answer_is_large_however_large_the_frame() {
    let huge = "\\u0001".repeat(10_000);
    let most = "\\u0001".repeat(255);
    let id = "x".repeat(128);
    for frame in [
        format!(r#"{{"type":"subscribe","topic":"{huge}"}}"#),
        format!(r#"{{"type":"subscribe","topic":"{most}","id":"{id}"}}"#),
        format!(r#"{{"type":"publish","topic":"{huge}"}}"#),
        format!(r#"{{"type":"{huge}","topic":"{most}","id":"{id}"}}"#),
        format!(r#"{{"{huge}":1,}}"#),
    ] {
        let mut out = Vec::new();
        let decision = known().command(&frame, NONE, 0, &policy(), &mut out);
        assert!(matches!(decision, Decision::Refused(_)), "{decision:?}");
        assert!((1..4096).contains(&out.len()), "{}", out.len());
    }
    refused(
        &mut known(),
        &format!(r#"{{"id":1,"type":"subscribe","topic":"{huge}"}}"#),
        NONE,
        "TOPIC_INVALID",
        None,
    );
}

#[test]
fn repeated_abuse_ends_the_connection_and_patience_mends_it() {
    let mut session = known();
    for _ in 0..256 {
        assert_eq!(ask(&mut session, "nonsense", NONE, 0).0, Decision::Refused(ErrorCode::BadRequest));
    }
    let (decision, answer) = ask(&mut session, "nonsense", NONE, 0);
    assert!(matches!(decision, Decision::Close { code: CloseCode::TooFast, reason } if !reason.is_empty()));
    assert_eq!(answer, None);
    assert!(session.errored(0).is_some());
    assert!(session.errored(1000).is_none());
    let mut session = known();
    for tick in 0..2000 {
        assert_eq!(
            ask(&mut session, "nonsense", NONE, tick * 63).0,
            Decision::Refused(ErrorCode::BadRequest)
        );
    }
}

proptest! {
    #[test]
    fn every_frame_has_exactly_one_answer_or_decision(
        kind in prop::sample::select(vec!["setup", "subscribe", "unsubscribe", "publish", "ack", "replay", "resume", "ping", "x"]),
        topic in prop::sample::select(vec!["prices.a", "prices.*", "chat.x", "a..b", "$SYS"]),
        extra in prop::sample::select(vec!["", r#","last":1"#, r#","messageId":"m","payload":[]"#, r#","fromSeq":1"#, r#","token":"t""#, "}"]),
        known: bool,
        arbitrary in prop::option::of(".*"),
    ) {
        let frame = arbitrary.unwrap_or_else(|| format!(r#"{{"type":"{kind}","topic":"{topic}"{extra}}}"#));
        let mut session = Session::new(known.then(ann));
        let (decision, answer) = ask(&mut session, &frame, NONE, 0);
        let silent_ack = kind == "ack" && answer.is_none();
        prop_assert!(silent_ack || answer.is_some() == matches!(decision, Decision::Answered | Decision::Refused(_)), "{frame}: {decision:?} {answer:?}");
    }
}
