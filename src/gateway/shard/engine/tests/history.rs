//! What was before comes first, then what is live, without hole or double.

use super::*;
use crate::gateway::history::{Epoch, HistoryError};

impl Bench {
    pub(super) fn recoverable() -> Self {
        Self { recoverable: true, ..Self::unhurried() }
    }

    /// With this window, and this policy for those who fall out of it.
    pub(super) fn narrow(policy: &str, window: usize) -> Self {
        let bench = Self::new(&format!(
            r#"{{"backbone":{{"memory":{{}}}},"heartbeatSeconds":86400,
                "limits":{{"windowBytes":{window},"subscribePerSecond":0}},
                "topics":[{{"pattern":">","slowConsumer":"{policy}"}}]}}"#
        ));
        Self { recoverable: true, ..bench }
    }

    pub(super) fn publish(&mut self, topic: &str, count: usize) {
        (0..count).for_each(|_| self.arrive(topic, &[], "x"));
    }
}

/// The numbers of the messages of a topic, as `first..=last` where they are without a hole.
fn runs(lines: &[String]) -> Vec<String> {
    let mut runs: Vec<String> = Vec::new();
    let mut open: Option<(String, u64, u64)> = None;
    let close = |open: &mut Option<(String, u64, u64)>, runs: &mut Vec<String>| {
        if let Some((topic, first, last)) = open.take() {
            runs.push(format!("{topic} {first}..={last}"));
        }
    };
    for line in lines {
        let parts: Vec<_> = line.split(' ').collect();
        let number = (parts[0] == "message").then(|| parts[2].parse().unwrap());
        match (&mut open, number) {
            (Some((topic, _, last)), Some(number)) if topic == parts[1] && number == *last + 1 => {
                *last = number;
            }
            (_, Some(number)) => {
                close(&mut open, &mut runs);
                open = Some((parts[1].into(), number, number));
            }
            (_, None) => {
                close(&mut open, &mut runs);
                runs.push(line.clone());
            }
        }
    }
    close(&mut open, &mut runs);
    runs
}

#[test]
fn history_comes_first_and_live_messages_wait_for_it() {
    let mut bench = Bench::recoverable();
    bench.publish("a", 5);
    bench.hold_reads = true;
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","fromSeq":3}"#);
    bench.settle();
    bench.publish("a", 2);
    bench.settle();
    assert_eq!(client.summary(), [""; 0], "the answer says what is recovered: it waits, too");
    bench.hold_reads = false;
    bench.settle();
    assert_eq!(runs(&client.summary()), ["subscribed a 2 true", "a 3..=7"]);
    bench.publish("a", 1);
    bench.settle();
    assert_eq!(runs(&client.summary()), ["a 8..=8"]);
    assert_eq!(bench.engine.pool.bytes(), 0, "nobody is behind any more");
}

#[test]
fn the_newest_messages_are_counted_from_the_end() {
    let mut bench = Bench::recoverable();
    bench.publish("a", 5);
    for (last, expected) in
        [(2, "subscribed a 3 true"), (9, "subscribed a 0 true"), (0, "subscribed a 5 true")]
    {
        let mut client = bench.client();
        bench.send(&client, &format!(r#"{{"type":"subscribe","topic":"a","last":{last}}}"#));
        bench.settle();
        assert_eq!(client.summary()[0], expected);
    }
}

#[test]
fn a_long_history_comes_in_pages_and_other_topics_meanwhile() {
    let mut bench = Bench::recoverable();
    (0..3_000).for_each(|_| bench.arrive("a", &[], &"x".repeat(400)));
    bench.hold_reads = true;
    let mut client = bench.subscriber(&["b"]);
    bench.send(&client, r#"{"type":"subscribe","topic":"a","fromSeq":1}"#);
    bench.settle();
    bench.answer_reads(1);
    bench.publish("b", 1);
    bench.settle();
    let first = runs(&client.summary());
    assert_eq!((first.len(), first.last().unwrap().as_str()), (3, "b 1..=1"), "{first:?}");
    bench.publish("a", 10);
    bench.hold_reads = false;
    bench.settle();
    assert!(runs(&client.summary()).last().unwrap().ends_with("..=3010"));
}

#[test]
fn a_slow_reader_of_history_is_served_as_far_as_it_reads() {
    let mut bench = Bench::recoverable();
    (0..2_000).for_each(|_| bench.arrive("a", &[], &"x".repeat(400)));
    let mut client = bench.client();
    client.let_through(1_000);
    bench.send(&client, r#"{"type":"subscribe","topic":"a","fromSeq":1}"#);
    bench.settle();
    bench.publish("a", 3);
    loop {
        client.let_through(7_777);
        bench.engine.writable(client.slot);
        bench.settle();
        if client.wire.borrow().room > 0 {
            break;
        }
    }
    assert_eq!(runs(&client.summary()), ["subscribed a 0 true", "a 1..=2003"]);
}

#[test]
fn what_does_not_fit_the_window_meanwhile_is_read_from_history_too() {
    for policy in ["Disconnect", "DropOldest", "Conflate"] {
        let mut bench = Bench::narrow(policy, 2_000);
        bench.publish("a", 5);
        bench.hold_reads = true;
        let mut client = bench.client();
        bench.send(&client, r#"{"type":"subscribe","topic":"a","fromSeq":1}"#);
        bench.settle();
        bench.publish("a", 500);
        bench.settle();
        bench.pass(1_000);
        bench.hold_reads = false;
        bench.settle();
        assert_eq!(runs(&client.summary()), ["subscribed a 0 true", "a 1..=505"], "{policy}");
    }
}

#[test]
fn what_is_not_kept_is_told_and_the_rest_comes() {
    let mut bench = Bench::recoverable();
    bench.publish("a", 9);
    let tail = bench.kept.get_mut("a").unwrap();
    (0..4).for_each(|_| assert!(tail.forget_oldest() > 0));
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","fromSeq":3}"#);
    bench.settle();
    assert_eq!(runs(&client.summary()), ["subscribed a 2 false", "gap a 3 4 expired", "a 5..=9"]);
}

#[test]
fn a_position_that_never_was_is_answered_with_the_real_one() {
    let mut bench = Bench::recoverable();
    bench.publish("a", 9);
    for from in [11, u64::MAX] {
        let mut client = bench.client();
        bench.send(&client, &format!(r#"{{"type":"subscribe","topic":"a","fromSeq":{from}}}"#));
        bench.settle();
        assert_eq!(client.summary(), ["subscribed a 9 false", "gap a expired"]);
    }
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","fromSeq":10}"#);
    bench.settle();
    assert_eq!(client.summary(), ["subscribed a 9 true"], "the next one is no hole");
}

#[test]
fn a_topic_without_history_says_so_and_is_not_subscribed_to() {
    let mut bench = Bench::unhurried();
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","last":1}"#);
    bench.settle();
    bench.publish("a", 1);
    bench.settle();
    assert_eq!(client.summary(), ["error a HISTORY_UNAVAILABLE"]);
    assert_eq!(bench.registry.totals(), (0, 0));
}

#[test]
fn a_read_that_fails_is_told_once_and_ends_the_subscription() {
    let mut bench = Bench::recoverable();
    bench.publish("a", 1);
    bench.hold_reads = true;
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","last":1}"#);
    bench.settle();
    let [Request::History { connection, ticket, .. }] = bench.requests()[..] else { panic!("one read") };
    let result = Err(HistoryError::Unavailable("away".into()));
    bench.engine.event(ShardEvent::History { connection, ticket, result });
    bench.publish("a", 1);
    bench.settle();
    assert_eq!(client.summary(), ["error a BACKBONE_UNAVAILABLE"]);
    assert_eq!(bench.registry.totals(), (0, 0));
}

#[test]
fn a_read_that_fails_in_the_middle_is_made_again_and_nothing_is_given_up() {
    let mut bench = Bench::recoverable();
    (0..3_000).for_each(|_| bench.arrive("a", &[], &"x".repeat(400)));
    bench.hold_reads = true;
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","fromSeq":1}"#);
    bench.settle();
    bench.answer_reads(1);
    bench.settle();
    let first = client.summary().len();
    for _ in 0..3 {
        let [Request::History { connection, ticket, .. }] = bench.requests()[..] else {
            panic!("one read, and no other before the next tick")
        };
        let result = Err(HistoryError::Unavailable("away".into()));
        bench.engine.event(ShardEvent::History { connection, ticket, result });
        bench.publish("a", 1);
        bench.settle();
        assert_eq!((client.summary(), bench.requests().len()), (vec![], 0));
        bench.pass(250);
    }
    bench.hold_reads = false;
    bench.settle();
    assert_eq!(runs(&client.summary()), [format!("a {first}..=3003")]);
}

#[test]
fn a_client_that_is_ahead_of_this_gateway_is_sent_only_what_it_has_not() {
    let mut bench = Bench::recoverable();
    bench.publish("a", 3);
    let mut other = bench.subscriber(&["a"]);
    let late: Vec<_> = (0..4).map(|_| bench.store("a", &[], "x")).collect();
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","fromSeq":6}"#);
    bench.settle();
    assert_eq!(client.summary(), ["subscribed a 5 true"]);
    for arrivals in late {
        bench.engine.event(ShardEvent::Deliver(arrivals));
        bench.settle();
    }
    bench.publish("a", 1);
    bench.settle();
    assert_eq!(runs(&client.summary()), ["a 6..=8"]);
    assert_eq!(runs(&other.summary()), ["a 4..=8"]);
    assert_eq!(bench.engine.pool.bytes(), 0, "nobody is behind");
}

#[test]
fn a_replay_of_a_subscribed_topic_ends_where_the_client_is_and_live_goes_on_behind_it() {
    let mut bench = Bench::recoverable();
    let mut client = bench.subscriber(&["a"]);
    bench.publish("a", 6);
    bench.settle();
    client.frames();
    bench.hold_reads = true;
    bench.send(&client, r#"{"type":"replay","topic":"a","fromSeq":2,"toSeq":99,"id":1}"#);
    bench.publish("a", 2);
    bench.settle();
    assert_eq!(client.summary(), [""; 0]);
    bench.hold_reads = false;
    bench.settle();
    assert_eq!(runs(&client.summary()), ["a 2..=6", "replayed a 2 6 true", "a 7..=8"]);
    bench.send(&client, r#"{"type":"replay","topic":"a","fromSeq":3,"toSeq":4}"#);
    bench.settle();
    assert_eq!(runs(&client.summary()), ["a 3..=4", "replayed a 3 4 true"]);
}

#[test]
fn a_replay_that_takes_longer_than_the_window_loses_nothing_live() {
    let mut bench = Bench::narrow("Disconnect", 2_000);
    let mut client = bench.subscriber(&["a"]);
    bench.publish("a", 6);
    bench.settle();
    client.frames();
    bench.hold_reads = true;
    bench.send(&client, r#"{"type":"replay","topic":"a","fromSeq":5}"#);
    bench.publish("a", 500);
    bench.pass(1_000);
    bench.hold_reads = false;
    bench.settle();
    assert_eq!(runs(&client.summary()), ["a 5..=6", "replayed a 5 6 true", "a 7..=506"]);
}

#[test]
fn a_replay_of_another_topic_is_sent_beside_what_is_live() {
    let mut bench = Bench::recoverable();
    bench.publish("a", 3);
    let mut client = bench.subscriber(&["b"]);
    bench.send(&client, r#"{"type":"replay","topic":"a","fromSeq":0}"#);
    bench.settle();
    assert_eq!(runs(&client.summary()), ["a 1..=3", "replayed a 0 3 true"]);
    assert_eq!(bench.registry.totals().1, 1, "it is no subscription");
    bench.send(&client, r#"{"type":"replay","topic":"a","fromSeq":9}"#);
    bench.settle();
    assert_eq!(client.summary(), ["replayed a 9 8 false"]);
    // What comes later may have a number up to there, too.
    bench.send(&client, r#"{"type":"replay","topic":"a","fromSeq":2,"toSeq":99}"#);
    bench.settle();
    assert_eq!(runs(&client.summary()), ["a 2..=3", "replayed a 2 3 true"]);
}

#[test]
fn one_topic_is_replayed_once_at_a_time() {
    let mut bench = Bench::recoverable();
    bench.publish("a", 3);
    bench.hold_reads = true;
    let mut client = bench.client();
    let replay = r#"{"type":"replay","topic":"a","fromSeq":1}"#;
    bench.send(&client, replay);
    bench.send(&client, replay);
    bench.settle();
    assert_eq!(client.summary(), ["error a LIMIT_EXCEEDED"]);
    bench.hold_reads = false;
    bench.settle();
    assert_eq!(runs(&client.summary()), ["a 1..=3", "replayed a 1 3 true"]);
}

#[test]
fn whoever_leaves_while_history_is_read_is_answered() {
    let mut bench = Bench::recoverable();
    bench.publish("a", 3);
    bench.hold_reads = true;
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","fromSeq":1}"#);
    bench.settle();
    bench.send(&client, r#"{"type":"unsubscribe","topic":"a"}"#);
    bench.hold_reads = false;
    bench.settle();
    bench.publish("a", 1);
    bench.settle();
    assert_eq!(client.summary(), ["subscribed a 3", "unsubscribed a"]);
    assert_eq!(bench.registry.totals(), (0, 0));
}

#[test]
fn numbers_that_begin_anew_are_told_by_another_subscribed() {
    let mut bench = Bench::recoverable();
    let mut client = bench.subscriber(&["a"]);
    bench.publish("a", 3);
    bench.settle();
    client.frames();
    let mut frame = Vec::new();
    event::gap(&mut frame, "a", None, None, crate::gateway::protocol::GapReason::Expired);
    let (key, topic, frame) = ("a".into(), "a".into(), frame.into());
    bench.engine.event(ShardEvent::Deliver(vec![Arrival {
        key,
        topic,
        frame,
        seq: Some(0),
        message: false,
        published: None,
    }]));
    bench.seqs.clear();
    bench.kept.clear();
    bench.publish("a", 2);
    bench.settle();
    assert_eq!(runs(&client.summary()), ["subscribed a 0 false", "gap a expired", "a 1..=2"]);
}

pub(super) fn resume(session: &str, positions: &str) -> String {
    format!(r#"{{"type":"resume","id":7,"sessionId":"{session}","lastSeqPerTopic":{{{positions}}}}}"#)
}

impl Bench {
    /// What `ready` calls the client's session.
    pub(super) fn session(&mut self, client: &mut Client) -> String {
        self.send(client, r#"{"type":"setup"}"#);
        self.settle();
        match &client.frames()[..] {
            [Seen::Json(ready)] => ready["sessionId"].as_str().unwrap().into(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_session_goes_on_with_what_was_missed() {
    let mut bench = Bench::recoverable();
    let mut before = bench.client();
    let session = bench.session(&mut before);
    bench.publish("a", 5);
    bench.publish("b", 2);
    bench.engine.ended(before.slot);
    let mut client = bench.client();
    bench.send(&client, &resume(&session, r#""a":3,"b":2,"c":0"#));
    bench.settle();
    let frames = client.frames();
    let Seen::Json(ready) = &frames[0] else { panic!("{frames:?}") };
    assert_eq!((&ready["resumed"], &ready["id"]), (&true.into(), &7.into()));
    assert_ne!(ready["sessionId"], "", "the new connection has a session of its own");
    client.read = 0;
    let mut lines = runs(&client.summary());
    lines.sort();
    assert_eq!(
        lines,
        ["a 4..=5", "ready", "subscribed a 3 true", "subscribed b 2 true", "subscribed c 0 true"]
    );
}

#[test]
fn behind_a_position_of_another_epoch_there_is_a_gap_and_then_everything_of_this_one() {
    let (old, new) = (Epoch::of_stream("S", "yesterday"), Epoch::of_stream("S", "today"));
    let mut bench = Bench::recoverable();
    bench.engine.event(ShardEvent::Epoch(Some(old)));
    let mut before = bench.client();
    let session = bench.session(&mut before);
    bench.engine.ended(before.slot);
    bench.engine.event(ShardEvent::Epoch(Some(new)));
    bench.publish("a", 5);
    bench.publish("b", 5);
    bench.publish("c", 2);
    let mut client = bench.client();
    bench.send(&client, &resume(&session, r#""a":3,"b":0,"c":2"#));
    bench.settle();
    let mut lines = runs(&client.summary());
    lines.sort();
    assert_eq!(
        lines,
        [
            "a 1..=5",
            "b 1..=5",
            "c 1..=2",
            "gap a expired",
            "gap b expired",
            "gap c expired",
            "ready",
            "subscribed a 0 false",
            "subscribed b 0 false",
            "subscribed c 0 false",
        ]
    );
}

#[test]
fn a_client_that_names_the_epoch_of_its_positions_is_believed() {
    let (old, new) = (Epoch::of_stream("S", "yesterday"), Epoch::of_stream("S", "today"));
    let mut bench = Bench::recoverable();
    bench.engine.event(ShardEvent::Epoch(Some(old)));
    let mut client = bench.client();
    let session = bench.session(&mut client);
    bench.engine.event(ShardEvent::Epoch(Some(new)));
    bench.publish("a", 5);
    for (topic, epoch, expected) in [
        ("a", new, &["subscribed a 3 true", "a 4..=5"][..]),
        ("a", old, &["subscribed a 0 false", "gap a expired", "a 1..=5"]),
    ] {
        bench.send(
            &client,
            &format!(r#"{{"type":"subscribe","topic":"{topic}","fromSeq":4,"epoch":"{epoch}"}}"#),
        );
        bench.settle();
        assert_eq!(runs(&client.summary()), expected);
        bench.send(&client, r#"{"type":"unsubscribe","topic":"a"}"#);
        bench.settle();
        client.frames();
    }
    let resume = resume(&session, r#""a":3"#).replacen('{', &format!(r#"{{"epoch":"{new}","#), 1);
    bench.send(&client, &resume);
    bench.settle();
    assert_eq!(runs(&client.summary()), ["ready", "subscribed a 3 true", "a 4..=5"]);
}

#[test]
fn a_foreign_session_is_refused_and_the_connection_goes_on() {
    let mut bench = Bench::recoverable();
    let mut stranger = bench.client();
    let session = bench.session(&mut stranger);
    let mut client = bench.client();
    for token in [session.as_str(), "", "nonsense"] {
        bench.send(&client, &resume(token, r#""a":0"#));
    }
    bench.send(&client, r#"{"type":"subscribe","topic":"a"}"#);
    bench.settle();
    let refused = "error SESSION_EXPIRED";
    assert_eq!(client.summary(), [refused, refused, refused, "subscribed a 0"]);
}

#[test]
fn topics_without_history_are_resumed_and_said_not_to_be_recovered() {
    let mut bench = Bench::unhurried();
    let mut client = bench.client();
    let session = bench.session(&mut client);
    bench.send(&client, &resume(&session, r#""a":3,"p.*":0"#));
    bench.settle();
    assert_eq!(
        client.summary(),
        ["ready", "subscribed a 0 false", "gap a expired", "subscribed p.* 0 false", "gap p.* expired"]
    );
}
