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
