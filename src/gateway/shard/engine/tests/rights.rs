//! Rules change under open connections, and tokens end.

use serde_json::{Value, json};

use super::*;
use crate::{
    api::{JwtAlgorithm, Secrets},
    gateway::access::{Access, sign},
};

const SECRET: &str = "a secret of 32 bytes for testing";

/// Who is let in by tokens that `secret` signs, with these rules.
fn access(anonymous: &str, secret: &str, rules: &Value) -> Access {
    let issuer = json!({"issuer": "home", "secretRef": {"name": "keys", "key": "key"}});
    let authentication = json!({"anonymous": anonymous, "jwt": [issuer]});
    let spec = json!({"backbone": {"memory": {}}, "authentication": authentication, "authorization": rules});
    let mut secrets = Secrets::default();
    secrets.insert("keys", "key", secret.into());
    Access::new(&serde_json::from_value(spec).unwrap(), &secrets).unwrap()
}

fn granting(topics: &[&str]) -> Access {
    access("Deny", SECRET, &json!([{"subscribe": topics, "publish": topics}]))
}

/// `ann`, let in with a token that ends after so many seconds.
fn ann(access: &Access, life: u64) -> Arc<Identity> {
    user(access, "ann", life)
}

fn user(access: &Access, name: &str, life: u64) -> Arc<Identity> {
    let Value::Object(claims) = json!({"iss": "home", "sub": name, "exp": 1_000_000 + life}) else {
        unreachable!()
    };
    let token = sign(JwtAlgorithm::HS256, SECRET.as_bytes(), &claims).unwrap();
    access.authenticate(&token, 1_000_000).unwrap()
}

impl Bench {
    fn rule(&mut self, access: Access, before: &Access) {
        self.engine.event(ShardEvent::Access(Arc::new(access.after(before))));
    }

    /// Subscribed to these topics.
    fn known(&mut self, identity: Arc<Identity>, topics: &[&str]) -> Client {
        let greeting = self.greeting(Some(identity));
        let mut client = self.connect_with(greeting);
        for topic in topics {
            self.send(&client, &format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#));
        }
        self.settle();
        client.frames();
        client
    }
}

#[test]
fn subscriptions_without_a_right_end_before_the_next_message_and_the_others_go_on() {
    let mut bench = Bench::unhurried();
    let first = granting(&["a", "b"]);
    let mut client = bench.known(ann(&first, 3600), &["a", "b"]);
    bench.rule(granting(&["b", "c"]), &first);
    bench.arrive("a", &[], "x");
    bench.arrive("b", &[], "y");
    bench.settle();
    assert_eq!(client.summary(), ["error a ACL_DENIED", "message b 1 y"]);
    bench.send(&client, r#"{"type":"subscribe","topic":"c"}"#);
    bench.pass(3_000);
    assert_eq!(client.summary(), ["subscribed c 0"], "what is granted now may be had");
}

#[test]
fn a_crowd_is_judged_in_turns_so_that_nobody_waits_for_all_of_it() {
    let mut bench = Bench::unhurried();
    let first = granting(&["a"]);
    let mut clients: Vec<_> =
        (0..600).map(|n| bench.known(user(&first, &format!("user-{n}"), 3600), &["a"])).collect();
    bench.rule(granting(&["b"]), &first);
    let mut told = Vec::new();
    let mut busy = true;
    while busy {
        busy = bench.engine.turn(1_000);
        told.push(clients.iter_mut().filter_map(|client| client.summary().pop()).count());
    }
    assert!(told.len() > 1 && told[0] < 600, "{told:?}");
    assert_eq!(told.iter().sum::<usize>(), 600, "{told:?}");
    assert_eq!(bench.registry.totals().1, 0);
}

#[test]
fn a_command_is_judged_by_the_new_rules_at_once() {
    let mut bench = Bench::unhurried();
    let first = granting(&["a"]);
    let mut client = bench.known(ann(&first, 3600), &[]);
    bench.rule(granting(&["b"]), &first);
    for topic in ["a", "b"] {
        let publish = json!({"type": "publish", "topic": topic, "messageId": "m", "payload": 1});
        bench.send(&client, &publish.to_string());
    }
    bench.settle();
    assert_eq!(client.summary(), ["error a ACL_DENIED"]);
    let asked = bench.requests();
    assert!(matches!(&asked[..], [Request::Publish { topic, .. }] if topic.as_str() == "b"), "{asked:?}");
}

#[test]
fn a_subscribe_that_waits_for_the_backbone_is_judged_when_it_comes_in_force() {
    let mut bench = Bench::unhurried();
    let first = granting(&["a"]);
    let mut client = bench.known(ann(&first, 3600), &[]);
    bench.send(&client, r#"{"type":"subscribe","topic":"a","id":1}"#);
    bench.rule(granting(&["b"]), &first);
    bench.settle();
    assert_eq!(client.summary(), ["error a ACL_DENIED"]);
    bench.arrive("a", &[], "x");
    bench.settle();
    assert_eq!(client.summary(), [""; 0]);
    assert_eq!(bench.registry.totals().1, 0);
}

/// A client whose right to `a` has ended while what it asks for is read from the history.
fn denied_while_reading(request: &str) -> (Bench, Client) {
    let mut bench = Bench::unhurried();
    bench.recoverable = true;
    bench.store("a", &[], "secret");
    let first = granting(&["a"]);
    let client = bench.known(ann(&first, 3600), &[]);
    bench.hold_reads = true;
    bench.send(&client, request);
    bench.settle();
    bench.rule(granting(&["b"]), &first);
    (bench, client)
}

#[test]
fn a_subscribe_that_waits_for_history_when_its_right_ends_is_answered_with_that_and_no_position() {
    let (mut bench, mut client) =
        denied_while_reading(r#"{"type":"subscribe","topic":"a","fromSeq":0,"id":1}"#);
    bench.pass(1_000);
    let [Seen::Json(answer)] = &client.frames()[..] else { panic!("one answer") };
    assert_eq!((&answer["id"], &answer["code"]), (&json!(1), &json!("ACL_DENIED")), "{answer}");
    bench.hold_reads = false;
    bench.settle();
    assert_eq!(client.summary(), [""; 0]);
}

#[test]
fn what_was_read_for_a_replay_is_not_sent_when_its_right_has_ended_meanwhile() {
    let (mut bench, mut client) = denied_while_reading(r#"{"type":"replay","topic":"a","fromSeq":0,"id":1}"#);
    // Before the turn in which everybody is judged.
    bench.answer_reads(1);
    bench.settle();
    assert_eq!(client.summary(), ["error a ACL_DENIED"]);
}

#[test]
fn a_replay_of_a_subscribed_topic_whose_right_ends_is_answered_with_that() {
    let mut bench = Bench::unhurried();
    bench.recoverable = true;
    bench.store("a", &[], "secret");
    let first = granting(&["a"]);
    let mut client = bench.known(ann(&first, 3600), &["a"]);
    bench.hold_reads = true;
    bench.send(&client, r#"{"type":"replay","topic":"a","fromSeq":0,"id":7}"#);
    bench.settle();
    bench.rule(granting(&["b"]), &first);
    bench.settle();
    let ended = client.frames().into_iter().map(|frame| match frame {
        Seen::Json(json) => (json["id"].as_u64(), json["code"].as_str().unwrap_or_default().to_owned()),
        Seen::Control(..) => panic!("JSON"),
    });
    let denied = "ACL_DENIED".to_owned();
    assert_eq!(ended.collect::<Vec<_>>(), [(Some(7), denied.clone()), (None, denied)]);
}

#[test]
fn a_client_that_lags_is_judged_before_it_is_sent_what_waits_for_it() {
    let mut bench = Bench::unhurried();
    let first = granting(&["a"]);
    let mut client = bench.known(ann(&first, 3600), &["a"]);
    client.let_through(0);
    bench.arrive("a", &[], "secret");
    bench.settle();
    bench.rule(granting(&["b"]), &first);
    client.let_through(1_000);
    bench.engine.writable(client.slot);
    bench.settle();
    assert_eq!(client.summary(), ["error a ACL_DENIED"]);
}

#[test]
fn whoever_is_still_to_be_judged_is_so_before_a_message_goes_out() {
    let mut bench = Bench::unhurried();
    let first = granting(&["a"]);
    let mut clients: Vec<_> =
        (0..600).map(|n| bench.known(user(&first, &format!("user-{n}"), 3600), &["a"])).collect();
    bench.rule(granting(&["b"]), &first);
    bench.arrive("a", &[], "secret");
    bench.settle();
    assert!(clients.iter_mut().all(|client| client.summary() == ["error a ACL_DENIED"]));
}

#[test]
fn a_key_that_is_replaced_ends_nobodys_subscriptions() {
    let mut bench = Bench::unhurried();
    let first = granting(&["a"]);
    let mut client = bench.known(ann(&first, 3600), &["a"]);
    let other = "another secret of 32 bytes, or so";
    bench.rule(access("Deny", other, &json!([{"subscribe": ["a"]}])), &first);
    bench.pass(1_000);
    bench.arrive("a", &[], "x");
    bench.settle();
    assert_eq!(client.summary(), ["message a 1 x"]);
}

#[test]
fn clients_without_a_token_are_closed_when_one_is_needed_and_stay_otherwise() {
    for (anonymous, expected) in
        [("Allow", vec!["error a ACL_DENIED"]), ("Deny", vec!["error AUTH_FAILED", "close 4401"])]
    {
        let mut bench = Bench::unhurried();
        let first = access("Allow", SECRET, &json!([{"subscribe": ["a"]}]));
        let mut client = bench.known(first.anonymous().unwrap(), &["a"]);
        bench.rule(access(anonymous, SECRET, &json!([{"subscribe": ["b"]}])), &first);
        bench.pass(1_000);
        assert_eq!(client.summary(), expected, "{anonymous}");
    }
}

#[test]
fn who_was_let_in_by_the_old_rules_on_the_way_here_is_judged_by_the_new_ones() {
    let mut bench = Bench::unhurried();
    let first = granting(&["a"]);
    bench.rule(granting(&["b"]), &first);
    let mut greeting = bench.greeting(Some(ann(&first, 3600)));
    greeting.topic = Some("a".into());
    let mut client = bench.connect_with(greeting);
    bench.send(&client, r#"{"type":"setup","token":"t","topics":["a","b"]}"#);
    let asked = bench.requests();
    let Request::Authenticate { connection, .. } = asked[0] else { panic!("{asked:?}") };
    bench.engine.event(ShardEvent::Authenticated { connection, result: Ok(ann(&first, 3600)) });
    bench.settle();
    // Once from the URL with the token it came with, once from the URL and once from the setup with the other.
    let denied = "error a ACL_DENIED";
    assert_eq!(client.summary(), [denied, "ready", denied, denied, "subscribed b 0"]);
}

#[test]
fn who_is_no_longer_let_in_on_the_way_here_is_refused_as_at_the_door() {
    let mut bench = Bench::unhurried();
    let first = access("Allow", SECRET, &json!([{"subscribe": ["a"]}]));
    bench.rule(granting(&["a"]), &first);
    let mut client = bench.connect_with(bench.greeting(first.anonymous()));
    bench.settle();
    assert_eq!(client.summary(), ["error AUTH_FAILED"]);
    bench.pass(11_000);
    assert_eq!(client.summary(), ["close 4401"], "not authenticated in time");
}

#[test]
fn a_token_that_is_about_to_end_is_told_of_once_whatever_else_changes() {
    let mut bench = Bench::unhurried();
    let first = granting(&["a"]);
    let mut long = bench.known(ann(&first, 400), &["a"]);
    let mut short = bench.known(ann(&first, 50), &[]);
    bench.pass(44_000);
    assert_eq!(short.summary(), [""; 0]);
    bench.pass(2_000);
    assert_eq!(short.summary(), ["error AUTH_REQUIRED"], "in the last tenth of its life");
    bench.pass(5_000);
    assert_eq!(short.summary(), ["close 4401"]);
    bench.pass(318_000);
    assert_eq!(long.summary(), [""; 0]);
    bench.pass(2_000);
    let [Seen::Json(notice)] = &long.frames()[..] else { panic!("one notice") };
    assert_eq!((&notice["code"], &notice["retryable"]), (&json!("AUTH_REQUIRED"), &json!(true)), "{notice}");
    assert!(notice["message"].as_str().unwrap().contains("send setup with a new one"), "{notice}");
    bench.rule(granting(&["a", "b"]), &first);
    bench.pass(20_000);
    assert_eq!(long.summary(), [""; 0], "told once");
    bench.pass(10_000);
    assert_eq!(long.summary(), ["close 4401"]);
}

#[test]
fn a_new_token_before_the_end_keeps_the_connection_and_is_told_of_in_its_turn() {
    let mut bench = Bench::unhurried();
    let first = granting(&["a"]);
    let mut client = bench.known(ann(&first, 50), &["a"]);
    bench.pass(46_000);
    assert_eq!(client.summary(), ["error AUTH_REQUIRED"]);
    bench.send(&client, r#"{"type":"setup","token":"t"}"#);
    let asked = bench.requests();
    let Request::Authenticate { connection, .. } = asked[0] else { panic!("{asked:?}") };
    bench.engine.event(ShardEvent::Authenticated { connection, result: Ok(ann(&first, 146)) });
    bench.pass(60_000);
    bench.arrive("a", &[], "x");
    bench.settle();
    assert_eq!(client.summary(), ["ready", "message a 1 x"]);
    bench.pass(32_000);
    assert_eq!(client.summary(), ["error AUTH_REQUIRED"]);
}
