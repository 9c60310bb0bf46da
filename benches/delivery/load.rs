//! Many messages to many subscribers over three topics: nothing missing, nothing twice, nothing out of order, and
//! nothing left behind.

use std::time::{Duration, Instant};

use crate::{
    body::body,
    generator::{Bed, stamped},
    readers::Look,
    support::DEADLINE,
};

const TOPICS: [&str; 3] = ["load.aa", "load.bb", "load.cc"];
const SUBSCRIBERS: usize = 1_000;
/// Messages a topic may be ahead of its readers: less than its window of 1 MiB holds.
const AHEAD: u64 = 1_000;

/// Runs it; a fault panics.
pub(crate) fn run(quick: bool) -> bool {
    let messages: u64 = if quick { 10_000 } else { 100_000 };
    let topics = TOPICS.len() as u64;
    let mut bed = Bed::start();
    let mut readers = bed.readers(&TOPICS, SUBSCRIBERS, Look::Order);
    bed.nats.wait_for_subscriptions(&TOPICS);
    println!("NATS has one subscription for each of {TOPICS:?} with {SUBSCRIBERS} subscribers");
    let (began, cpu) = (Instant::now(), bed.cpu());
    let mut sent = 0;
    let mut end = Instant::now() + DEADLINE;
    loop {
        let got: [u64; TOPICS.len()] = std::array::from_fn(|topic| readers.depth(topic));
        if got.iter().sum::<u64>() == messages {
            break;
        }
        if sent < messages && sent / topics < got.iter().min().unwrap() + AHEAD {
            for _ in 0..150.min(messages - sent) {
                let topic = TOPICS[(sent % topics) as usize];
                stamped(&mut bed.outside, topic, &body(sent / topics, readers.now()));
                sent += 1;
            }
            bed.outside.send();
            end = Instant::now() + DEADLINE;
        }
        readers.read(Duration::from_millis(if sent < messages { 1 } else { 100 }));
        assert_eq!(readers.ended, 0, "subscribers were closed");
        assert!(Instant::now() < end, "{} messages arrived: some are missing", readers.messages());
    }
    let (time, cpu) = (began.elapsed(), bed.cpu().saturating_sub(cpu));
    let deliveries = readers.messages();
    let each = cpu.as_nanos() as f64 / deliveries as f64;
    println!(
        "{messages} messages, {deliveries} deliveries, all in order, in {:.1} s; {each:.0} ns CPU each",
        time.as_secs_f64()
    );
    drop(readers);
    bed.nats.wait_for_subscriptions(&[]);
    for gauge in
        ["connections", "subscriptions", "topics", "topic_subscribers", "lagging_subscribers", "log_bytes"]
    {
        bed.gateway.wait_for_metric(&format!("topicgateway_{gauge}"), &[], 0.0);
    }
    println!("after all left: no subscription on NATS, every gauge at zero");
    true
}
