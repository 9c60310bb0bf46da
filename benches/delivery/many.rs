//! Very many topics: what a delivery costs beside them, what it takes to look at them all, and what it takes to receive
//! messages that nobody wants.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    body::body,
    generator::{Bed, stamped},
    measure::{Figure, median, settle},
    readers::Look,
    support::{DEADLINE, RawSocket, frame},
};

const TOPIC: &str = "bench.hot";
const SUBSCRIBERS: usize = 1_000;
const TOPICS: usize = 100_000;
/// Topics of one connection.
const EACH: usize = 10_000;
/// Subscribes on their way at the same time.
const AHEAD: usize = 1_000;

/// CPU per delivery of a gateway with one topic and of one with 100 000 more, A B A B; then what a look at them takes.
pub(crate) fn run(rounds: usize, raw: &mut Vec<String>) -> Vec<Figure> {
    let (mut few, mut many) = (Bed::for_many_topics(), Bed::for_many_topics());
    let holders = hold_topics(&many);
    let mut few_readers = few.readers(&[TOPIC], SUBSCRIBERS, Look::Count);
    let mut many_readers = many.readers(&[TOPIC], SUBSCRIBERS, Look::Count);
    settle(&mut few_readers);
    settle(&mut many_readers);
    let mut ratios = Vec::new();
    for round in 0..=rounds {
        let alone = few.cost(&mut few_readers, TOPIC, 1, SUBSCRIBERS);
        let beside = many.cost(&mut many_readers, TOPIC, 1, SUBSCRIBERS);
        if round > 0 {
            raw.push(format!("ns per delivery: {alone:.0} alone, {beside:.0} beside {TOPICS} topics"));
            ratios.push(beside / alone);
        }
    }
    let ratio = median(&mut ratios);
    let growth = Figure {
        text: format!("CPU per delivery beside {TOPICS} topics: {ratio:.3} x alone (bar 1.15)"),
        good: ratio <= 1.15,
    };
    let scrape = scrape(&many, rounds, raw);
    drop(holders);
    vec![growth, scrape]
}

/// Connections that hold 100 000 topics.
fn hold_topics(bed: &Bed) -> Vec<RawSocket> {
    let hold = |holder: usize| {
        let mut socket = RawSocket::open(bed.gateway.address);
        for first in (0..EACH).step_by(AHEAD) {
            let subscribe = |topic: usize| json!({"type": "subscribe", "topic": format!("bench.{topic:06}")});
            let topics = holder * EACH + first..holder * EACH + first + AHEAD;
            let commands: Vec<u8> =
                topics.flat_map(|topic| frame(0x81, subscribe(topic).to_string().as_bytes())).collect();
            socket.write(&commands);
            (0..AHEAD).for_each(|_| assert_eq!(socket.json()["type"], "subscribed"));
        }
        socket
    };
    let holders = (0..TOPICS / EACH).map(hold).collect();
    bed.gateway.wait_for_metric("topicgateway_topics", &[], TOPICS as f64);
    holders
}

/// CPU time of a scrape: what it takes by the clock depends on who else is served.
fn scrape(bed: &Bed, rounds: usize, raw: &mut Vec<String>) -> Figure {
    let mut took: Vec<f64> = (0..=rounds)
        .map(|_| {
            let before = bed.cpu();
            assert_eq!(bed.gateway.admin("/metrics").status, 200);
            bed.cpu().saturating_sub(before).as_secs_f64() * 1_000.0
        })
        .collect();
    raw.push(format!("scrapes with {TOPICS} topics, ms of CPU: {took:.1?}"));
    let middle = median(&mut took);
    Figure { text: format!("a scrape with {TOPICS} topics: {middle:.1} ms (bar 10)"), good: middle <= 10.0 }
}

/// Messages a second that a core takes from NATS when nobody wants them.
pub(crate) fn receive(rounds: usize, raw: &mut Vec<String>) -> Vec<Figure> {
    let mut bed = Bed::for_many_topics();
    let messages = 200_000;
    let mut rates: Vec<f64> = (0..=rounds).map(|round| rate(&mut bed, messages, round)).collect();
    raw.push(format!("messages a second of CPU time: {rates:.0?}"));
    let middle = median(&mut rates);
    vec![Figure {
        text: format!(
            "received from NATS with nobody subscribed: {middle:.0} messages a second of CPU time (bar 500000)"
        ),
        good: middle >= 500_000.0,
    }]
}

fn rate(bed: &mut Bed, messages: usize, round: usize) -> f64 {
    let before = bed.cpu();
    let body = body(0, Duration::ZERO);
    for first in (0..messages).step_by(AHEAD) {
        for number in first..first + AHEAD {
            stamped(&mut bed.outside, &format!("bench.{:06}", number % TOPICS), &body);
        }
        // The server has taken them: it is not faster than the gateway for long.
        bed.outside.flush();
    }
    let received = (messages * (round + 1)) as f64;
    let end = Instant::now() + DEADLINE;
    while bed.gateway.metrics().sum("topicgateway_messages_received_total", &[]) < received {
        assert!(Instant::now() < end, "messages are missing");
        std::thread::sleep(Duration::from_millis(50));
    }
    messages as f64 / bed.cpu().saturating_sub(before).as_secs_f64()
}
