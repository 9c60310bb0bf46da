//! A topic beside a pattern that brings it, too: everything comes once and in order.

use super::*;
use crate::gateway::history::HistoryError;

const BOTH: [&str; 2] = ["p.a", "p.*"];

/// The numbers that have come of `p.a` since the last look: before it was said to be subscribed to, the position that
/// was told then, and those behind that.
fn numbers(client: &mut Client) -> (Vec<u64>, Option<u64>, Vec<u64>) {
    let (mut before, mut position, mut behind) = (Vec::new(), None, Vec::new());
    for frame in client.frames() {
        let Seen::Json(json) = frame else { continue };
        let seq = json["seqNo"].as_u64().filter(|_| json["topic"] == "p.a");
        match json["type"].as_str() {
            Some("message") if position.is_none() => before.extend(seq),
            Some("message") => behind.extend(seq),
            Some("subscribed") => position = seq,
            _ => {}
        }
    }
    (before, position, behind)
}

#[test]
fn from_a_position_on_everything_comes_in_order_whatever_a_pattern_has_brought_before() {
    for last in [3, 5, 6] {
        let mut bench = Bench::recoverable();
        let _other = bench.subscriber(&["p.a"]);
        (0..5).for_each(|_| bench.arrive(BOTH[0], &BOTH[1..], "x"));
        bench.settle();
        let mut client = bench.subscriber(&["p.*"]);
        bench.hold_reads = true;
        // Not handed out yet.
        bench.arrive(BOTH[0], &BOTH[1..], "x");
        bench.send(&client, &format!(r#"{{"type":"subscribe","topic":"p.a","fromSeq":{}}}"#, last + 1));
        bench.arrive(BOTH[0], &BOTH[1..], "x");
        bench.settle();
        bench.hold_reads = false;
        bench.settle();
        bench.arrive(BOTH[0], &BOTH[1..], "x");
        bench.settle();
        let by_pattern = if last == 6 { vec![] } else { vec![6, 7] };
        let expected = (by_pattern, Some(last), (last + 1..=8).collect());
        assert_eq!(numbers(&mut client), expected, "from {last}");
        assert_eq!(bench.engine.pool.bytes(), 0);
    }
}

#[test]
fn a_topic_whose_history_cannot_be_read_still_comes_by_the_pattern() {
    let mut bench = Bench::recoverable();
    let _other = bench.subscriber(&["p.a"]);
    bench.arrive(BOTH[0], &BOTH[1..], "x");
    let mut client = bench.subscriber(&["p.*"]);
    bench.hold_reads = true;
    bench.send(&client, r#"{"type":"subscribe","topic":"p.a","fromSeq":1}"#);
    bench.arrive(BOTH[0], &BOTH[1..], "x");
    let unread = bench.requests().into_iter().find_map(|request| match request {
        Request::History { connection, ticket, .. } => Some((connection, ticket)),
        _ => None,
    });
    let (connection, ticket) = unread.unwrap();
    let result = Err(HistoryError::Unavailable("no".into()));
    bench.engine.event(ShardEvent::History { connection, ticket, result });
    bench.arrive(BOTH[0], &BOTH[1..], "x");
    bench.settle();
    assert_eq!(numbers(&mut client), (vec![2, 3], None, vec![]));
}

#[test]
fn a_subscription_begins_behind_what_a_pattern_has_sent() {
    for bench in [Bench::recoverable as fn() -> Bench, Bench::at_least_once] {
        let mut bench = bench();
        let (topic, pattern) = ("risk.a", "risk.*");
        let _other = bench.subscriber(&[topic]);
        let mut client = bench.subscriber(&[pattern]);
        bench.arrive(topic, &[pattern], "x");
        bench.settle();
        client.frames();
        (0..2).for_each(|_| bench.arrive(topic, &[pattern], "x"));
        bench.send(&client, r#"{"type":"subscribe","topic":"risk.a"}"#);
        bench.settle();
        bench.arrive(topic, &[pattern], "x");
        bench.settle();
        let told = ["subscribed risk.a 1", "message risk.a 2 x", "message risk.a 3 x", "message risk.a 4 x"];
        assert_eq!(client.summary(), told);
    }
}

#[test]
fn what_a_topic_had_not_sent_yet_when_it_was_given_up_to_a_pattern_is_told() {
    let mut bench = Bench::recoverable();
    let mut client = bench.subscriber(&BOTH);
    bench.arrive(BOTH[0], &BOTH[1..], "x");
    bench.settle();
    client.frames();
    // What is live waits for the replay, and the pattern leaves it to the topic.
    bench.hold_reads = true;
    bench.send(&client, r#"{"type":"replay","topic":"p.a","fromSeq":1}"#);
    (0..2).for_each(|_| bench.arrive(BOTH[0], &BOTH[1..], "x"));
    bench.settle();
    bench.send(&client, r#"{"type":"unsubscribe","topic":"p.a"}"#);
    bench.arrive(BOTH[0], &BOTH[1..], "x");
    bench.settle();
    let told = ["replayed p.a 1 0 false", "unsubscribed p.a", "gap p.a 2 3 dropped", "message p.a 4 x"];
    assert_eq!(client.summary(), told);
}
