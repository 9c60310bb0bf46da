//! Random schedules: whatever happens, a client sees whole frames, in order, once, or is told what is missing.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Message(usize, usize),
    Room(usize, usize),
    Subscribe(usize, usize),
    Unsubscribe(usize, usize),
    Turn(usize),
    Pass(u64),
}

const TOPICS: [&str; 4] = ["p.a", "p.b", "p.*", "q"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3usize, 1..400usize).prop_map(|(topic, size)| Step::Message(topic, size)),
        4 => (0..4usize, 0..700usize).prop_map(|(client, room)| Step::Room(client, room)),
        2 => (0..4usize, 0..4usize).prop_map(|(client, topic)| Step::Subscribe(client, topic)),
        1 => (0..4usize, 0..4usize).prop_map(|(client, topic)| Step::Unsubscribe(client, topic)),
        3 => (1..5usize).prop_map(Step::Turn),
        1 => (0..9_000u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..200)
}

/// What a client knows: the last number of each topic it has seen or been told to miss.
#[derive(Default)]
struct Knows {
    last: std::collections::HashMap<String, u64>,
    told: bool,
}

impl Knows {
    fn sees(&mut self, frame: &Seen) -> Result<(), TestCaseError> {
        let Seen::Json(json) = frame else { return Ok(()) };
        let topic = json["topic"].as_str().unwrap_or_default().to_owned();
        match json["type"].as_str() {
            Some("message") => {
                let (seq, prev) = (json["seqNo"].as_u64().unwrap(), json["prevSeqNo"].as_u64().unwrap());
                if let Some(last) = self.last.get(&topic) {
                    prop_assert!(seq > *last, "{topic} {seq} after {last}: twice or out of order");
                    prop_assert!(prev == *last || self.told, "{topic}: {last} to {seq} without a gap");
                }
                self.last.insert(topic, seq);
            }
            Some("gap") => self.told = true,
            Some("subscribed" | "unsubscribed") => {
                self.last.clear();
                self.told = false;
            }
            _ => {}
        }
        Ok(())
    }
}

fn run(policy: &str, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut bench = Bench::new(&format!(
        r#"{{"backbone":{{"memory":{{}}}},"limits":{{"windowBytes":1500,"subscribePerSecond":0}},
            "topics":[{{"pattern":">","slowConsumer":"{policy}"}}]}}"#
    ));
    let mut clients: Vec<_> = (0..4).map(|n| (bench.subscriber(&[TOPICS[n]]), Knows::default())).collect();
    for step in steps {
        match step {
            Step::Message(topic, size) => {
                let topic = ["p.a", "p.b", "q"][topic];
                let patterns: &[&str] = if topic == "q" { &[] } else { &["p.*"] };
                bench.arrive(topic, patterns, &"x".repeat(size));
            }
            Step::Room(client, room) => {
                clients[client].0.let_through(room);
                bench.engine.writable(clients[client].0.slot);
            }
            Step::Subscribe(client, topic) => {
                let text = format!(r#"{{"type":"subscribe","topic":"{}"}}"#, TOPICS[topic]);
                bench.send(&clients[client].0, &text);
            }
            Step::Unsubscribe(client, topic) => {
                let text = format!(r#"{{"type":"unsubscribe","topic":"{}"}}"#, TOPICS[topic]);
                bench.send(&clients[client].0, &text);
            }
            Step::Turn(writes) => {
                bench.engine.turn(writes);
            }
            Step::Pass(ms) => bench.pass(ms),
        }
    }
    bench.settle();
    for (client, _) in &clients {
        client.let_through(usize::MAX / 2);
        bench.engine.writable(client.slot);
    }
    bench.settle();
    for (client, knows) in &mut clients {
        for frame in client.frames() {
            knows.sees(&frame)?;
        }
        let rest = client.wire.borrow().received.len() - client.read;
        prop_assert_eq!(rest, 0, "no frame is left half sent");
    }
    prop_assert_eq!(bench.engine.pool.bytes(), 0, "everybody has caught up");
    for (client, _) in &clients {
        bench.engine.ended(client.slot);
    }
    bench.settle();
    prop_assert_eq!(bench.registry.totals(), (0, 0));
    prop_assert_eq!(bench.engine.connections(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn drop_oldest_keeps_order_and_tells(steps in steps()) {
        run("DropOldest", steps)?;
    }

    #[test]
    fn conflate_keeps_order_and_tells(steps in steps()) {
        run("Conflate", steps)?;
    }

    #[test]
    fn disconnect_keeps_order_until_the_close(steps in steps()) {
        run("Disconnect", steps)?;
    }
}
