//! What it costs that messages come from a stream, in order and without a hole, against the same from NATS alone.

use std::time::Duration;

use crate::{
    body::body,
    generator::{Bed, drive},
    measure::{Figure, median, settle},
    readers::{Look, Readers},
};

const TOPIC: &str = "bench.hot";
const BURST: u8 = 16;
/// Subscribers of the topic, and by how much more a delivery may cost: with few of them the feed weighs most.
const CASES: [(usize, f64); 2] = [(1_000, 1.05), (100, 1.10)];

/// CPU per delivery of the two feeds, A B A B.
pub(crate) fn run(rounds: usize, raw: &mut Vec<String>) -> Vec<Figure> {
    CASES.map(|(subscribers, bar)| compare(subscribers, bar, rounds, raw)).into()
}

fn compare(subscribers: usize, bar: f64, rounds: usize, raw: &mut Vec<String>) -> Figure {
    let (mut core, mut stream) = (Bed::start(), Bed::with_stream());
    // The first message of a topic has none before it, and so another length.
    stream.outside.publish(TOPIC, body(0, Duration::ZERO));
    stream.outside.flush();
    let mut core_readers = core.readers(&[TOPIC], subscribers, Look::Count);
    let mut stream_readers = stream.readers(&[TOPIC], subscribers, Look::Count);
    settle(&mut core_readers);
    settle(&mut stream_readers);
    let mut nanos = [Vec::new(), Vec::new()];
    let mut ratios = Vec::new();
    for round in 0..=rounds {
        let from_core = cost(&mut core, &mut core_readers, subscribers);
        let from_stream = cost(&mut stream, &mut stream_readers, subscribers);
        // The first one warms up.
        if round > 0 {
            ratios.push(from_stream / from_core);
            nanos[0].push(from_core);
            nanos[1].push(from_stream);
        }
    }
    raw.push(format!("{subscribers} subscribers, NATS alone, ns per delivery: {:.0?}", nanos[0]));
    raw.push(format!("{subscribers} subscribers, a stream, ns per delivery:   {:.0?}", nanos[1]));
    let ratio = median(&mut ratios);
    let (lowest, highest) = (ratios[0], ratios[ratios.len() - 1]);
    let text = format!(
        "CPU per delivery, 1 topic x {subscribers}, from a stream: {ratio:.3} x from NATS alone (bar {bar}; rounds \
         {lowest:.2} to {highest:.2})"
    );
    Figure { text, good: ratio <= bar }
}

/// Nanoseconds of the gateway's CPU time per delivery, over about a second.
fn cost(bed: &mut Bed, readers: &mut Readers, subscribers: usize) -> f64 {
    let (times, every) = (40, Duration::from_millis(25));
    let deliveries = u64::from(times) * u64::from(BURST) * subscribers as u64;
    let before = bed.cpu();
    drive(readers, times, every, deliveries, |at| {
        for _ in 0..BURST {
            bed.outside.publish(TOPIC, body(0, at));
        }
        bed.outside.send();
    });
    bed.cpu().saturating_sub(before).as_nanos() as f64 / deliveries as f64
}
