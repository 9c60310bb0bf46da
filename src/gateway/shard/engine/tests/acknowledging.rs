//! At least once: what is not acknowledged comes again, what is does not.

use super::*;

const SPEC: &str = r#"{"backbone":{"memory":{}},"heartbeatSeconds":86400,
    "limits":{"publishPerSecond":0,"subscribePerSecond":0},
    "topics":[{"pattern":"risk.>","delivery":"AtLeastOnce","ackTimeoutSeconds":5}]}"#;

impl Bench {
    pub(super) fn at_least_once() -> Self {
        Self { recoverable: true, ..Self::new(SPEC) }
    }

    pub(super) fn message(&mut self, topic: &str, patterns: &[&str], id: &str) {
        let seq = self.seqs.entry(topic.into()).or_default();
        *seq += 1;
        let scan = body::scan(b"1");
        let frame = event::message(topic, Some(*seq), Some(*seq - 1), Some(id), b"1", &scan);
        let published = self.published;
        let kept = Kept { seq: *seq, prev: *seq - 1, frame: frame.clone(), published };
        self.kept.entry(topic.into()).or_default().push(kept, KEPT);
        let keys = std::iter::once(&topic).chain(patterns);
        let arrival = |key: &&str| Arrival {
            key: (*key).into(),
            topic: topic.into(),
            frame: frame.clone(),
            seq: Some(*seq),
            message: true,
            published,
        };
        self.engine.event(ShardEvent::Deliver(keys.map(arrival).collect()));
        self.settle();
    }

    /// The stream was made anew: the topic has nothing, and its numbers begin again.
    fn begin_anew(&mut self, topic: &str) {
        let mut frame = Vec::new();
        event::gap(&mut frame, topic, None, None, crate::gateway::protocol::GapReason::Expired);
        let (key, topic, frame) = (topic.into(), topic.into(), frame.into());
        let (seq, message, published) = (Some(0), false, None);
        self.engine.event(ShardEvent::Deliver(vec![Arrival { key, topic, frame, seq, message, published }]));
        self.seqs.clear();
        self.kept.clear();
    }
}

/// The numbers of the messages that have come since the last look.
fn numbers(client: &mut Client) -> Vec<u64> {
    let frames = client.frames().into_iter();
    frames
        .filter_map(|frame| if let Seen::Json(json) = frame { json["seqNo"].as_u64() } else { None })
        .collect()
}

fn up_to(seq: u64) -> String {
    format!(r#"{{"type":"ack","topic":"risk.a","seqNo":{seq}}}"#)
}

#[test]
fn what_is_not_acknowledged_in_time_comes_again_until_it_is() {
    let mut bench = Bench::at_least_once();
    let mut client = bench.subscriber(&["risk.a"]);
    (1..=3).for_each(|n| bench.message("risk.a", &[], &n.to_string()));
    assert_eq!(numbers(&mut client), [1, 2, 3]);
    bench.send(&client, &up_to(1));
    bench.pass(4_000);
    assert_eq!(numbers(&mut client), [0; 0], "there is time");
    bench.pass(2_000);
    assert_eq!(numbers(&mut client), [2, 3]);
    bench.send(&client, r#"{"type":"ack","messageId":"3"}"#);
    bench.pass(7_000);
    assert_eq!(numbers(&mut client), [2]);
    bench.send(&client, r#"{"type":"ack","messageId":"2"}"#);
    bench.pass(20_000);
    assert_eq!(numbers(&mut client), [0; 0]);
    bench.message("risk.a", &[], "4");
    assert_eq!(numbers(&mut client), [4]);
}

#[test]
fn whoever_acknowledges_nothing_is_sent_a_bounded_number() {
    let mut bench = Bench::at_least_once();
    let mut client = bench.subscriber(&["risk.a"]);
    (1..=400).for_each(|n| bench.message("risk.a", &[], &n.to_string()));
    assert_eq!(numbers(&mut client), (1..=256).collect::<Vec<_>>());
    bench.send(&client, &up_to(200));
    bench.settle();
    assert_eq!(numbers(&mut client), (257..=400).collect::<Vec<_>>());
    bench.send(&client, &up_to(400));
    bench.pass(20_000);
    assert_eq!(numbers(&mut client), [0; 0]);
}

#[test]
fn a_subscription_from_the_past_is_accounted_for_too() {
    let mut bench = Bench::at_least_once();
    (1..=5).for_each(|n| bench.message("risk.a", &[], &n.to_string()));
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"risk.a","fromSeq":4}"#);
    bench.settle();
    assert_eq!(client.summary()[0], "subscribed risk.a 3 true");
    client.read = 0;
    assert_eq!(numbers(&mut client), [3, 4, 5], "of subscribed, and two messages");
    bench.pass(6_000);
    assert_eq!(numbers(&mut client), [4, 5]);
    assert_eq!(bench.engine.pool.bytes(), 0, "the log keeps nothing for it");
}

#[test]
fn numbers_that_begin_anew_are_accounted_for_anew() {
    let mut bench = Bench::at_least_once();
    let mut client = bench.subscriber(&["risk.a"]);
    (1..=3).for_each(|n| bench.message("risk.a", &[], &n.to_string()));
    bench.send(&client, &up_to(3));
    client.frames();
    bench.begin_anew("risk.a");
    bench.settle();
    bench.message("risk.a", &[], "new");
    assert_eq!(client.summary(), ["subscribed risk.a 0 false", "gap risk.a expired", "message risk.a 1 1"]);
    bench.pass(6_000);
    assert_eq!(numbers(&mut client), [1]);
}

#[test]
fn a_subscription_does_not_begin_with_what_was_read_before_numbers_began_anew() {
    let mut bench = Bench::at_least_once();
    (1..=3).for_each(|n| bench.message("risk.a", &[], &n.to_string()));
    let mut client = bench.client();
    bench.hold_reads = true;
    bench.send(&client, r#"{"type":"subscribe","topic":"risk.a","last":1}"#);
    bench.settle();
    let Some(Request::History { connection, ticket, topic, start, until, .. }) = bench.requests().pop()
    else {
        panic!("nothing is read")
    };
    let page = bench.kept[topic.as_str()].page(start, until);
    bench.begin_anew("risk.a");
    bench.engine.event(ShardEvent::History { connection, ticket, result: Ok(Arc::new(page)) });
    bench.hold_reads = false;
    bench.settle();
    bench.message("risk.a", &[], "new");
    assert_eq!(client.summary(), ["subscribed risk.a 0 false", "gap risk.a expired", "message risk.a 1 1"]);
}

#[test]
fn an_id_that_is_there_on_two_topics_is_acknowledged_on_the_one_that_is_named() {
    let mut bench = Bench::at_least_once();
    let mut client = bench.subscriber(&["risk.a", "risk.b"]);
    for topic in ["risk.a", "risk.b"] {
        bench.message(topic, &[], "order-17");
    }
    client.frames();
    bench.send(&client, r#"{"type":"ack","messageId":"order-17","topic":"risk.a"}"#);
    bench.pass(6_000);
    assert_eq!(client.summary().last().unwrap(), "message risk.b 1 1");
    bench.send(&client, r#"{"type":"ack","messageId":"order-17"}"#);
    bench.pass(6_000);
    assert_eq!(numbers(&mut client), [0; 0]);
}

#[test]
fn other_topics_and_other_clients_are_as_before() {
    let mut bench = Bench::at_least_once();
    let mut client = bench.subscriber(&["risk.a", "b"]);
    let mut other = bench.subscriber(&["risk.a"]);
    bench.message("risk.a", &[], "1");
    bench.message("b", &[], "1");
    bench.send(&other, &up_to(1));
    bench.pass(6_000);
    assert_eq!(numbers(&mut client), [1, 1, 1]);
    assert_eq!(numbers(&mut other), [1]);
}

#[test]
fn a_pattern_beside_it_does_not_bring_it_twice() {
    for order in [["risk.a", "risk.*"], ["risk.*", "risk.a"]] {
        let mut bench = Bench::at_least_once();
        let mut client = bench.subscriber(&order);
        bench.message("risk.a", &["risk.*"], "1");
        bench.message("risk.b", &["risk.*"], "2");
        let mut lines = client.summary();
        lines.sort();
        assert_eq!(lines, ["message risk.a 1 1", "message risk.b 1 1"], "{order:?}");
    }
}

#[test]
fn whoever_leaves_leaves_nothing() {
    let mut bench = Bench::at_least_once();
    let client = bench.subscriber(&["risk.a"]);
    bench.message("risk.a", &[], "1");
    bench.send(&client, r#"{"type":"unsubscribe","topic":"risk.a"}"#);
    bench.pass(20_000);
    bench.engine.ended(client.slot);
    bench.settle();
    assert_eq!(bench.registry.totals(), (0, 0));
}

#[test]
fn a_replay_is_answered_though_what_is_not_acknowledged_is_sent_again_meanwhile() {
    let mut bench = Bench::at_least_once();
    let mut client = bench.subscriber(&["risk.a"]);
    (1..=3).for_each(|n| bench.message("risk.a", &[], &n.to_string()));
    bench.settle();
    client.frames();
    bench.hold_reads = true;
    bench.send(&client, r#"{"type":"replay","topic":"risk.a","fromSeq":2}"#);
    bench.pass(11_000);
    bench.hold_reads = false;
    bench.settle();
    let lines = client.summary();
    assert!(lines.iter().any(|line| line.starts_with("replayed risk.a 2 3")), "{lines:?}");
}

#[test]
fn a_gap_is_not_told_ahead_of_what_is_still_to_be_read_before_it() {
    let mut bench = Bench::at_least_once();
    let mut client = bench.subscriber(&["risk.a"]);
    bench.hold_reads = true;
    bench.message("risk.a", &[], "1");
    bench.message("risk.a", &[], "2");
    let mut frame = Vec::new();
    event::gap(&mut frame, "risk.a", Some(3), Some(5), crate::gateway::protocol::GapReason::Expired);
    let (key, topic, frame) = ("risk.a".into(), "risk.a".into(), frame.into());
    let arrival = Arrival { key, topic, frame, seq: Some(5), message: false, published: None };
    bench.engine.event(ShardEvent::Deliver(vec![arrival]));
    bench.settle();
    assert_eq!(client.summary(), [""; 0]);
    *bench.kept.get_mut("risk.a").unwrap() = Tail::at(5);
    bench.hold_reads = false;
    bench.settle();
    assert_eq!(client.summary(), ["gap risk.a 1 1 expired", "gap risk.a 2 5 expired"]);
}
