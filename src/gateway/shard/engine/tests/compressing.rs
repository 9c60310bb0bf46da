//! Clients that have agreed on permessage-deflate, beside others.

use super::*;

const COMPRESSED: &str = r#"{"backbone":{"memory":{}},"heartbeatSeconds":86400,
    "listeners":{"compression":{"minBytes":200}}}"#;

/// First byte of each frame since the last look, and what the client sees.
fn firsts(client: &mut Client) -> Vec<u8> {
    let start = client.read;
    client.frames();
    let wire = client.wire.borrow();
    let (mut at, mut firsts) = (start, Vec::new());
    while let Some((_, end)) = parse(&wire.received[at..]) {
        firsts.push(wire.received[at]);
        at += end;
    }
    firsts
}

#[test]
fn a_message_is_compressed_from_its_size_on_and_only_for_who_has_agreed() {
    let mut bench = Bench::new(COMPRESSED);
    let mut agreed = bench.subscriber(&["a"]);
    let mut other = bench.subscriber(&["a"]);
    bench.engine.connections[other.slot].deflate = false;
    bench.arrive("a", &[], &"d".repeat(300));
    bench.arrive("a", &[], "d");
    bench.settle();
    assert_eq!(firsts(&mut agreed), [0xc1, 0x81]);
    assert_eq!(firsts(&mut other), [0x81, 0x81]);
    assert_eq!(bench.engine.pool.bytes(), 0);
}

#[test]
fn a_message_is_compressed_once_however_many_read_it() {
    let mut bench = Bench::new(COMPRESSED);
    let clients: Vec<_> = (0..3).map(|_| bench.subscriber(&["a"])).collect();
    for client in &clients {
        client.let_through(0);
    }
    bench.arrive("a", &[], &"d".repeat(1000));
    bench.settle();
    let kept = bench.engine.pool.bytes();
    assert!((1000..1200).contains(&kept), "the plain frame and one compressed one: {kept}");
}

#[test]
fn a_slow_reader_gets_every_compressed_message_whole_and_in_order() {
    let mut bench = Bench::new(COMPRESSED);
    let mut slow = bench.subscriber(&["a", "b"]);
    slow.let_through(40);
    for n in 0..100 {
        bench.arrive("a", &[], &n.to_string().repeat(150));
        bench.arrive("b", &[], &n.to_string().repeat(n));
        bench.settle();
    }
    let mut lines = Vec::new();
    while bench.engine.connections[slow.slot].lag.is_some() {
        slow.let_through(33);
        bench.engine.writable(slow.slot);
        lines.append(&mut slow.summary());
    }
    for topic in ["a", "b"] {
        let of_topic: Vec<_> =
            lines.iter().filter(|line| line.starts_with(&format!("message {topic} "))).collect();
        assert_eq!(of_topic.len(), 100, "{topic}");
        for (n, line) in of_topic.iter().enumerate() {
            assert!(line.starts_with(&format!("message {topic} {} ", n + 1)), "{line}");
        }
    }
    assert_eq!(bench.engine.pool.bytes(), 0);
}

#[test]
fn what_a_client_compresses_is_read_and_what_nobody_agreed_on_ends_the_connection() {
    let mut bench = Bench::new(COMPRESSED);
    let mut agreed = bench.subscriber(&[]);
    let mut other = bench.subscriber(&[]);
    bench.engine.connections[other.slot].deflate = false;
    let mut frame = Vec::new();
    let text = format!(r#"{{"type":"ping","id":"1"{}}}"#, " ".repeat(100));
    Deflate::default().pack(&websocket::text_frame(&text), 1, &mut frame);
    // Masked with zeros.
    frame[1] |= 0x80;
    frame.splice(2..2, [0; 4]);
    for client in [&agreed, &other] {
        bench.engine.received(client.slot, &mut frame.clone());
    }
    bench.settle();
    assert_eq!(agreed.summary(), ["pong"]);
    assert_eq!(other.summary(), ["close 1002"]);
}

#[test]
fn without_the_setting_those_who_have_agreed_before_are_sent_plain_messages() {
    let mut bench = Bench::new(COMPRESSED);
    let mut client = bench.subscriber(&["a"]);
    let spec: TopicGatewaySpec = serde_json::from_str(r#"{"backbone":{"memory":{}}}"#).unwrap();
    bench.engine.event(ShardEvent::Settings(Arc::new(Settings::new(&spec, &SessionKeys::random()))));
    bench.arrive("a", &[], &"d".repeat(1000));
    bench.settle();
    assert_eq!(firsts(&mut client), [0x81]);
}
