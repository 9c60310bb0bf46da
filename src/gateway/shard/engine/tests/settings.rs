//! Other settings reach connections that are open.

use super::*;

impl Bench {
    fn change(&mut self, spec: &str) {
        let spec: TopicGatewaySpec = serde_json::from_str(spec).unwrap();
        self.engine.event(ShardEvent::Settings(Arc::new(Settings::new(&spec, &SessionKeys::random()))));
    }
}

#[test]
fn limits_of_topics_rates_and_sizes_hold_at_once() {
    let mut bench = Bench::unhurried();
    let mut client = bench.subscriber(&["a", "b"]);
    bench.change(
        r#"{"backbone":{"memory":{}},"heartbeatSeconds":86400,
            "limits":{"topicsPerConnection":1,"publishPerSecond":1,"messageBytes":1024}}"#,
    );
    let publish = r#"{"type":"publish","topic":"x","messageId":"m","payload":1}"#;
    for command in
        [r#"{"type":"subscribe","topic":"c"}"#, r#"{"type":"subscribe","topic":"a"}"#, publish, publish]
    {
        bench.send(&client, command);
    }
    bench.settle();
    assert_eq!(client.summary(), ["error c LIMIT_EXCEEDED", "subscribed a 0", "error x LIMIT_EXCEEDED"]);
    assert_eq!(bench.requests().len(), 1, "one publish in this second");
    bench.send(&client, &format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(1024)));
    bench.settle();
    assert_eq!(client.summary(), ["close 1009"]);
}

#[test]
fn a_topic_with_subscribers_gets_the_new_rule_for_slow_ones_and_the_new_window() {
    let rule = |policy: &str, window: u32| {
        format!(
            r#"{{"backbone":{{"memory":{{}}}},"heartbeatSeconds":86400,"limits":{{"windowBytes":{window}}},
                "topics":[{{"pattern":"a","slowConsumer":"{policy}"}}]}}"#
        )
    };
    let mut bench = Bench::new(&rule("Disconnect", 100_000));
    let mut slow = bench.subscriber(&["a"]);
    slow.let_through(0);
    for _ in 0..60 {
        bench.arrive("a", &[], &"d".repeat(40));
        bench.settle();
    }
    bench.change(&rule("Conflate", 2_000));
    bench.pass(250);
    slow.let_through(usize::MAX / 2);
    bench.engine.writable(slow.slot);
    let lines = slow.summary();
    assert!(lines.iter().any(|line| line.starts_with("gap a 1 59 dropped")), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("message a 60"), "{lines:?}");
}

#[test]
fn a_shorter_heartbeat_pings_those_who_are_connected() {
    let mut bench = Bench::unhurried();
    let mut client = bench.client();
    bench.pass(5_000);
    assert_eq!(client.summary(), [""; 0]);
    bench.change(r#"{"backbone":{"memory":{}},"heartbeatSeconds":2}"#);
    bench.pass(4_000);
    assert_eq!(client.summary(), ["control 9"]);
}

#[test]
fn the_position_of_a_topic_is_unknown_after_a_gap_of_the_backbone() {
    let mut bench = Bench::unhurried();
    let _first = bench.subscriber(&["a"]);
    bench.arrive("a", &[], "x");
    bench.settle();
    let ask = r#"{"type":"subscribe","topic":"a"}"#;
    let mut before = bench.client();
    bench.send(&before, ask);
    let mut frame = Vec::new();
    event::gap(&mut frame, "a", None, None, crate::gateway::protocol::GapReason::Backbone);
    let arrival = Arrival {
        key: "a".into(),
        topic: "a".into(),
        frame: frame.into(),
        seq: None,
        message: false,
        published: None,
    };
    bench.engine.event(ShardEvent::Deliver(vec![arrival]));
    let mut after = bench.client();
    bench.send(&after, ask);
    bench.settle();
    assert_eq!(before.summary()[0], "subscribed a 1");
    assert_eq!(after.summary()[0], "subscribed a 0");
}

const ONCE: &str = r#"{"backbone":{"memory":{}},"heartbeatSeconds":86400}"#;
const ACKNOWLEDGED: &str = r#"{"backbone":{"memory":{}},"heartbeatSeconds":86400,
    "topics":[{"pattern":"risk.>","delivery":"AtLeastOnce","ackTimeoutSeconds":5}]}"#;

/// `subscribed` and the numbers of messages since the last look.
fn told(client: &mut Client) -> Vec<String> {
    client
        .summary()
        .iter()
        .map(|line| line.replace("message risk.a ", ""))
        .map(|line| line.trim_end_matches(" 1").to_owned())
        .collect()
}

#[test]
fn a_topic_that_is_to_be_acknowledged_from_now_on_is_sent_again_to_those_who_have_it() {
    let mut bench = Bench { recoverable: true, ..Bench::new(ONCE) };
    let mut client = bench.subscriber(&["risk.a"]);
    let mut other = bench.subscriber(&["risk.a", "b"]);
    (1..=2).for_each(|n| bench.message("risk.a", &[], &n.to_string()));
    bench.change(ACKNOWLEDGED);
    bench.settle();
    for client in [&mut client, &mut other] {
        assert_eq!(told(client), ["1", "2", "subscribed risk.a 2 true"]);
    }
    bench.message("risk.a", &[], "3");
    bench.send(&other, r#"{"type":"ack","topic":"risk.a","seqNo":3}"#);
    bench.pass(6_000);
    assert_eq!(told(&mut client), ["3", "3"]);
    assert_eq!(told(&mut other), ["3"]);
}

#[test]
fn a_topic_that_is_not_acknowledged_any_more_goes_on_behind_what_was_sent() {
    let mut bench = Bench { recoverable: true, ..Bench::new(ACKNOWLEDGED) };
    let mut client = bench.subscriber(&["risk.a"]);
    (1..=300).for_each(|n| bench.message("risk.a", &[], &n.to_string()));
    assert_eq!(told(&mut client).last().unwrap(), "256", "no more without an acknowledgement");
    bench.change(ONCE);
    bench.settle();
    let lines = told(&mut client);
    assert_eq!(lines[0], "subscribed risk.a 256 true");
    assert_eq!(lines[1..], (257..=300).map(|n| n.to_string()).collect::<Vec<_>>());
    bench.pass(20_000);
    bench.message("risk.a", &[], "301");
    assert_eq!(told(&mut client), ["301"]);
}

#[test]
fn who_is_behind_when_delivery_changes_gets_everything_whole_and_once() {
    for (before, after) in [(ONCE, ACKNOWLEDGED), (ACKNOWLEDGED, ONCE)] {
        let mut bench = Bench { recoverable: true, ..Bench::new(before) };
        let mut slow = bench.subscriber(&["risk.a"]);
        slow.let_through(250);
        (1..=20).for_each(|n| bench.message("risk.a", &[], &n.to_string()));
        bench.change(after);
        bench.settle();
        let mut lines = Vec::new();
        for _ in 0..1000 {
            slow.let_through(33);
            bench.engine.writable(slow.slot);
            bench.settle();
            lines.append(&mut told(&mut slow));
        }
        lines.retain(|line| !line.starts_with("subscribed"));
        assert_eq!(lines, (1..=20).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn a_command_within_the_limits_is_answered_however_much_that_is_and_however_slowly_it_is_read() {
    let mut bench = Bench::new(
        r#"{"backbone":{"memory":{}},"heartbeatSeconds":86400,
            "limits":{"topicsPerConnection":1024,"messageBytes":1048576,"subscribePerSecond":0}}"#,
    );
    let mut client = bench.client();
    let topics: Vec<_> = (0..1024).map(|n| format!(r#""{}{n}""#, "t".repeat(240))).collect();
    client.let_through(0);
    bench.send(&client, &format!(r#"{{"type":"setup","topics":[{}]}}"#, topics.join(",")));
    bench.settle();
    client.let_through(usize::MAX / 2);
    bench.engine.writable(client.slot);
    let lines = client.summary();
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("subscribed")).count(),
        1024,
        "{:?}",
        lines.last()
    );
}
