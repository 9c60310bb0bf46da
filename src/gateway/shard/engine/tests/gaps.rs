//! What the backbone tells of messages that are gone.

use super::*;

#[test]
fn whoever_subscribes_while_nobody_knows_the_position_waits_for_it() {
    let mut bench = Bench::recoverable();
    let _first = bench.subscriber(&["a"]);
    bench.publish("a", 2);
    bench.settle();
    let mut frame = Vec::new();
    event::gap(&mut frame, "a", None, None, crate::gateway::protocol::GapReason::Backbone);
    let (key, topic, frame) = ("a".into(), "a".into(), frame.into());
    let arrival = Arrival { key, topic, frame, seq: None, message: false, published: None };
    bench.engine.event(ShardEvent::Deliver(vec![arrival]));
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a"}"#);
    bench.settle();
    assert_eq!(client.summary(), [""; 0]);
    let filter = "a".parse().unwrap();
    bench.engine.event(ShardEvent::InForce { filter, ticket: 1, seq: 7, recoverable: true });
    bench.settle();
    assert_eq!(client.summary(), ["subscribed a 7"]);
}

#[test]
fn what_the_backbone_said_to_be_gone_is_told_though_the_window_has_no_room_for_it() {
    let mut bench = Bench::narrow("Disconnect", 300);
    bench.publish("a", 5);
    bench.hold_reads = true;
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","fromSeq":4}"#);
    bench.settle();
    // Numbers 6 to 9 are gone.
    let mut frame = Vec::new();
    event::gap(&mut frame, "a", Some(6), Some(9), crate::gateway::protocol::GapReason::Expired);
    let (key, topic, frame) = ("a".into(), "a".into(), frame.into());
    let arrival = Arrival { key, topic, frame, seq: Some(9), message: false, published: None };
    bench.engine.event(ShardEvent::Deliver(vec![arrival]));
    let tail = bench.kept.get_mut("a").unwrap();
    *tail = Tail::at(9);
    bench.seqs.insert("a".into(), 9);
    bench.publish("a", 20);
    bench.settle();
    bench.hold_reads = false;
    bench.settle();
    let lines = client.summary();
    let told = lines.iter().any(|line| line.starts_with("gap a") && line.ends_with("9 expired"));
    assert!(told && lines.last().unwrap().starts_with("message a 29"), "{lines:?}");
}
