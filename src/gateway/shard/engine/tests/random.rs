//! Random schedules: whatever happens, a client sees whole frames, in order, once, or is told what is missing.

use proptest::{prelude::*, test_runner::RngSeed};

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

/// `compressed`: half of the clients have agreed on permessage-deflate.
fn run(policy: &str, compressed: bool, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let compression = if compressed { r#","compression":{"minBytes":100}"# } else { "" };
    let mut bench = Bench::new(&format!(
        r#"{{"backbone":{{"memory":{{}}}},"limits":{{"windowBytes":1500,"subscribePerSecond":0}},
            "listeners":{{"port":8080{compression}}},"topics":[{{"pattern":">","slowConsumer":"{policy}"}}]}}"#
    ));
    let mut clients: Vec<_> = (0..4).map(|n| (bench.subscriber(&[TOPICS[n]]), Knows::default())).collect();
    for (client, _) in &clients[2..] {
        bench.engine.connections[client.slot].deflate = false;
    }
    // Half of them are behind TLS.
    for (client, _) in clients.iter().step_by(2) {
        client.wire.borrow_mut().holds = 97;
    }
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
    fn drop_oldest_keeps_order_and_tells(compressed: bool, steps in steps()) {
        run("DropOldest", compressed, steps)?;
    }

    #[test]
    fn conflate_keeps_order_and_tells(compressed: bool, steps in steps()) {
        run("Conflate", compressed, steps)?;
    }

    #[test]
    fn disconnect_keeps_order_until_the_close(compressed: bool, steps in steps()) {
        run("Disconnect", compressed, steps)?;
    }
}

/// What happens to one topic and the clients that read it from the past.
#[derive(Debug, Clone)]
enum Past {
    Message(usize),
    Room(usize, usize),
    From(usize, u64),
    Last(usize, u32),
    Leave(usize),
    Replay(usize, u64),
    Answer(usize),
    Turn(usize),
    Pass(u64),
    Forget(usize),
}

fn past() -> impl Strategy<Value = Vec<Past>> {
    let step = prop_oneof![
        8 => (1..300usize).prop_map(Past::Message),
        4 => (0..3usize, 0..900usize).prop_map(|(client, room)| Past::Room(client, room)),
        2 => (0..3usize, 0..60u64).prop_map(|(client, back)| Past::From(client, back)),
        1 => (0..3usize, 0..40u32).prop_map(|(client, count)| Past::Last(client, count)),
        1 => (0..3usize).prop_map(Past::Leave),
        1 => (0..3usize, 0..60u64).prop_map(|(client, back)| Past::Replay(client, back)),
        3 => (1..4usize).prop_map(Past::Answer),
        3 => (1..5usize).prop_map(Past::Turn),
        1 => (0..4_000u64).prop_map(Past::Pass),
        1 => (0..20usize).prop_map(Past::Forget),
    ];
    proptest::collection::vec(step, 1..200)
}

/// A reader that takes every number in turn, or is told that some are gone.
#[derive(Default)]
struct Reader {
    /// The last number it has of its subscription.
    last: Option<u64>,
    /// Messages belong to a replay until `replayed`.
    replaying: Option<u64>,
    lines: Vec<String>,
    /// Commands that are not answered yet.
    outstanding: usize,
}

impl Reader {
    fn reads(&mut self, client: &mut Client) -> Result<(), TestCaseError> {
        let lines = client.summary();
        let open = lines.iter().take_while(|line| !line.starts_with("close 4409"));
        open.map(String::as_str).try_for_each(|line| self.sees(line))
    }

    fn sees(&mut self, line: &str) -> Result<(), TestCaseError> {
        self.lines.push(line.into());
        let parts: Vec<_> = line.split(' ').collect();
        let number = |at: usize| parts.get(at).and_then(|part| part.parse::<u64>().ok());
        if ["subscribed", "unsubscribed", "replayed", "error"].contains(&parts[0]) {
            self.outstanding -= 1;
        }
        match parts[0] {
            "subscribed" => self.last = number(2),
            "unsubscribed" => self.last = None,
            "message" => {
                let seq = number(2).unwrap();
                // Numbers up to the last one are those of a replay: what is live waits for its end.
                if self.last.is_none_or(|last| seq <= last) {
                    prop_assert!(self.replaying.is_none_or(|last| seq == last + 1), "{:?}", self.lines);
                    self.replaying = Some(seq);
                } else {
                    let last = self.last.unwrap();
                    prop_assert!(seq == last + 1, "{last} and then {:?}", self.lines);
                    self.last = Some(seq);
                }
            }
            "gap" => {
                let (first, end) = (number(2).unwrap(), number(3).unwrap());
                prop_assert_eq!(parts[4], "expired");
                if self.last.is_some_and(|last| first == last + 1) {
                    self.last = Some(end);
                } else {
                    self.replaying = Some(end);
                }
            }
            "replayed" => self.replaying = None,
            // What was asked for before is still being read.
            "error" => prop_assert_eq!(parts[2], "LIMIT_EXCEEDED"),
            other => prop_assert!(other == "control" || other.is_empty(), "{line}"),
        }
        Ok(())
    }
}

/// Sends a command, if everything before is answered: so it is known what each message belongs to.
fn ask(bench: &mut Bench, (client, reader): &mut (Client, Reader), command: &str) {
    if reader.outstanding == 0 {
        reader.outstanding = 1;
        bench.send(client, command);
    }
}

fn run_past(steps: Vec<Past>) -> Result<(), TestCaseError> {
    // A window of a few messages: whoever reads history falls out of it all the time. Whoever reads what is live
    // never does, for a window has room for what comes in one turn.
    let mut bench = Bench::new(
        r#"{"backbone":{"memory":{}},"heartbeatSeconds":86400,
            "limits":{"windowBytes":1024,"subscribePerSecond":0},"topics":[]}"#,
    );
    (bench.recoverable, bench.hold_reads) = (true, true);
    let mut clients: Vec<_> = (0..3).map(|_| (bench.client(), Reader::default())).collect();
    clients[0].0.wire.borrow_mut().holds = 97;
    let mut head = 0;
    for step in steps {
        match step {
            Past::Message(size) => {
                bench.arrive("a", &[], &"x".repeat(size));
                head += 1;
            }
            Past::Room(client, room) => {
                clients[client].0.let_through(room);
                bench.engine.writable(clients[client].0.slot);
            }
            Past::From(client, back) => {
                let from = u64::saturating_sub(head, back);
                ask(
                    &mut bench,
                    &mut clients[client],
                    &format!(r#"{{"type":"subscribe","topic":"a","fromSeq":{from}}}"#),
                );
            }
            Past::Last(client, count) => {
                ask(
                    &mut bench,
                    &mut clients[client],
                    &format!(r#"{{"type":"subscribe","topic":"a","last":{count}}}"#),
                );
            }
            Past::Leave(client) => {
                clients[client].1.outstanding += 1;
                bench.send(&clients[client].0, r#"{"type":"unsubscribe","topic":"a"}"#);
            }
            Past::Replay(client, back) => {
                let from = u64::saturating_sub(head, back);
                ask(
                    &mut bench,
                    &mut clients[client],
                    &format!(r#"{{"type":"replay","topic":"a","fromSeq":{from}}}"#),
                );
            }
            Past::Answer(count) => assert!(bench.answer_reads(count) <= count),
            Past::Turn(writes) => {
                bench.engine.turn(writes);
            }
            Past::Pass(ms) => bench.pass(ms),
            Past::Forget(count) => {
                if let Some(tail) = bench.kept.get_mut("a") {
                    (0..count.min(tail.len() / 2)).for_each(|_| assert!(tail.forget_oldest() > 0));
                }
            }
        }
        for (client, reader) in &mut clients {
            reader.reads(client)?;
        }
    }
    bench.hold_reads = false;
    for (client, _) in &clients {
        client.let_through(usize::MAX / 2);
        bench.engine.writable(client.slot);
    }
    bench.settle();
    for (client, reader) in &mut clients {
        reader.reads(client)?;
    }
    for (client, reader) in &clients {
        let open = bench.engine.is_reading(client.slot);
        prop_assert!(!open || reader.outstanding == 0, "{:?}", reader.lines);
        prop_assert!(!open || reader.last.is_none_or(|last| last == head), "{head}: {:?}", reader.lines);
        bench.engine.ended(client.slot);
    }
    bench.settle();
    prop_assert_eq!(bench.engine.pool.bytes(), 0);
    prop_assert_eq!(bench.registry.totals(), (0, 0));
    Ok(())
}

proptest! {
    // The same schedules in every run: others are tried with PROPTEST_RNG_SEED.
    #![proptest_config(ProptestConfig { cases: 1_000, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn whoever_reads_the_past_has_every_number_in_turn_or_is_told(steps in past()) {
        run_past(steps)?;
    }
}
