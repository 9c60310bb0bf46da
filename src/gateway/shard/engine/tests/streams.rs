//! Streams of events: connections that say at their beginning all they want, and nothing afterwards.

use super::*;
use crate::gateway::protocol::session::{Beginning, Reached};

impl Bench {
    fn stream(&mut self, user: Option<&str>, topics: &[(&str, Option<u64>)]) -> Client {
        let epoch = self.engine.epoch;
        let reached = |seq: &Option<u64>| seq.map(|seq| Reached { seq, epoch });
        let topics = topics.iter().map(|(topic, seq)| (topic.parse().unwrap(), reached(seq))).collect();
        let greeting = Greeting {
            transport: Transport::Sse,
            beginning: Some(Beginning::Stream { topics }),
            ..self.greeting(user.map(|user| identity(user, &["open.>", "risk.>"])))
        };
        let client = self.connect_with(greeting);
        self.settle();
        client
    }
}

#[test]
fn a_stream_is_ready_and_subscribed_without_a_command_and_costs_no_rate() {
    let mut bench = Bench::new(
        r#"{"backbone":{"memory":{}},"limits":{"subscribePerSecond":1},"heartbeatSeconds":86400}"#,
    );
    let mut client = bench.stream(Some("ann"), &[("open.a", None), ("shut.b", None), ("open.*", None)]);
    let [ready, denied, first, second] = &client.summary()[..] else { panic!("four answers") };
    assert_eq!(ready, "ready");
    assert!(denied.starts_with("error shut.b ACL_DENIED"), "{denied}");
    assert_eq!((&**first, &**second), ("subscribed open.a 0", "subscribed open.* 0"));
    bench.arrive("open.a", &["open.*"], "x");
    bench.settle();
    assert_eq!(client.summary(), ["message open.a 1 x"]);
}

#[test]
fn a_stream_goes_on_after_the_positions_it_names() {
    let mut bench = Bench { recoverable: true, ..Bench::unhurried() };
    let _keeps = bench.subscriber(&["open.a", "open.b"]);
    for n in 1..=3 {
        bench.arrive("open.a", &[], &format!("a{n}"));
        bench.arrive("open.b", &[], &format!("b{n}"));
    }
    bench.settle();
    let mut client = bench.stream(Some("ann"), &[("open.a", Some(1)), ("open.b", None), ("open.c", Some(0))]);
    let mut told = client.summary();
    told.sort();
    let expected = [
        "message open.a 2 a2",
        "message open.a 3 a3",
        "ready",
        "subscribed open.a 1 true",
        "subscribed open.b 3",
        "subscribed open.c 0 true",
    ];
    assert_eq!(told, expected);
}

#[test]
fn positions_where_there_is_no_history_are_told_to_have_a_gap() {
    let mut bench = Bench::unhurried();
    let mut client = bench.stream(Some("ann"), &[("open.a", Some(7)), ("open.*", Some(0))]);
    let told = client.summary();
    let expected = [
        "subscribed open.a 0 false",
        "gap open.a expired",
        "subscribed open.* 0 false",
        "gap open.* expired",
    ];
    assert_eq!(told[1..], expected);
}

#[test]
fn what_is_delivered_at_least_once_comes_once_to_who_cannot_acknowledge() {
    let spec = r#"{"backbone":{"memory":{}},"heartbeatSeconds":86400,
        "topics":[{"pattern":"risk.>","delivery":"AtLeastOnce","ackTimeoutSeconds":1}]}"#;
    let mut bench = Bench { recoverable: true, ..Bench::new(spec) };
    let mut live = bench.stream(Some("ann"), &[("risk.a", None)]);
    bench.arrive("risk.a", &[], "x");
    bench.settle();
    let mut back = bench.stream(Some("bob"), &[("risk.a", Some(0))]);
    bench.pass(5_000);
    bench.settle();
    assert_eq!(live.summary()[1..], ["subscribed risk.a 0", "message risk.a 1 x"]);
    assert_eq!(back.summary()[1..], ["subscribed risk.a 0 true", "message risk.a 1 x"]);
}

#[test]
fn a_stream_of_nobody_is_closed_at_once() {
    let mut bench = Bench::unhurried();
    let mut client = bench.stream(None, &[("open.a", None)]);
    assert_eq!(client.summary(), ["close 4401"]);
}

#[test]
fn the_end_of_a_stream_by_its_client_is_no_broken_connection() {
    let mut bench = Bench::unhurried();
    let stream = bench.stream(Some("ann"), &[("open.a", None)]);
    let socket = bench.client();
    assert_eq!(bench.engine.counts.connections(), 2);
    bench.engine.ended(stream.slot);
    bench.engine.ended(socket.slot);
    assert_eq!(bench.engine.counts.connections(), 0);
    assert_eq!([1005, 1006].map(|code| bench.engine.counts.closes(code)), [1, 1]);
}
