//! The figures that the bars are set for.

use std::{fs, time::Duration};

use crate::{
    arrivals,
    body::body,
    cores, feeds,
    floor::Floor,
    generator::{Bed, drive, stamped},
    many, moments,
    placing::cpu,
    readers::{Look, Readers},
    sizing,
    support::{NatsClient, RawSocket},
};

const SUBSCRIBERS: usize = 1_000;
const BURST: u8 = 16;
const TOPIC: &str = "bench.hot";

/// One figure with its bar.
#[derive(serde::Serialize)]
pub(crate) struct Figure {
    pub(crate) text: String,
    pub(crate) good: bool,
}

/// Measures something; the raw values go to the list.
type Measure<'a> = &'a dyn Fn(&mut Vec<String>) -> Vec<Figure>;

/// Measures everything, or what has one of these words in its name, prints it, and writes the figures to the file;
/// `false` if a bar is missed.
pub(crate) fn run(quick: bool, names: &[&str], file: Option<&str>) -> bool {
    // Many short rounds: what else the machine does falls on few of them, and the median leaves those out.
    let (rounds, slow_rounds) = if quick { (3, 1) } else { (11, 5) };
    let idlers = if quick { 2_000 } else { 8_000 };
    let all: [(&str, Measure<'_>); 12] = [
        ("singles", &|raw| delivery(1, 1.10, rounds, raw)),
        ("bursts", &|raw| delivery(BURST, 1.15, rounds, raw)),
        ("idle", &|raw| idle(idlers, raw)),
        ("arrivals", &|raw| arrivals::run(rounds, raw)),
        ("slow", &|raw| slow(slow_rounds, raw)),
        ("feeds", &|raw| feeds::run(rounds, raw)),
        ("cores", &|raw| cores::run(rounds, raw)),
        ("topics", &|raw| many::run(rounds, raw)),
        ("receive", &|raw| many::receive(rounds, raw)),
        ("fairness", &|raw| moments::fairness(rounds, raw)),
        ("sizing", &|raw| sizing::run(raw)),
        ("start", &|raw| moments::start(rounds, raw)),
    ];
    let mut figures = Vec::new();
    for (name, measure) in all {
        if !names.is_empty() && !names.iter().any(|wanted| name.contains(wanted)) {
            continue;
        }
        let mut raw = Vec::new();
        for figure in measure(&mut raw) {
            println!("{} {name}: {}", if figure.good { "ok    " } else { "MISSED" }, figure.text);
            figures.push(figure);
        }
        for line in raw {
            println!("       {line}");
        }
    }
    if let Some(file) = file {
        let lines: Vec<_> = figures.iter().map(|figure| serde_json::to_string(figure).unwrap()).collect();
        fs::write(file, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
    figures.iter().all(|figure| figure.good)
}

/// CPU per delivery against the floor, A B A B.
fn delivery(burst: u8, bar: f64, rounds: usize, raw: &mut Vec<String>) -> Vec<Figure> {
    let mut bed = Bed::start();
    let mut readers = bed.readers(&[TOPIC], SUBSCRIBERS, Look::Count);
    let shape = bed.shape(TOPIC);
    // The subscriber that showed the shape is gone; what it made the others receive is read before the run.
    settle(&mut readers);
    let mut floor = Floor::start(&shape.sample, SUBSCRIBERS);
    let mut floor_readers = Readers::new(vec![shape], Look::Count);
    for _ in 0..SUBSCRIBERS {
        floor_readers.add(std::net::TcpStream::connect(floor.address).unwrap(), 0);
    }
    floor.ready();
    // For about a second.
    let (times, every) = if burst == 1 { (50, 20) } else { (20, 50) };
    let every = Duration::from_millis(every);
    let deliveries = u64::from(times) * u64::from(burst) * SUBSCRIBERS as u64;
    let (mut ratios, mut nanos) = (Vec::new(), [Vec::new(), Vec::new()]);
    // One round more, which warms up and does not count.
    for round in 0..=rounds {
        let before = bed.cpu();
        drive(&mut readers, times, every, deliveries, |at| publish(&mut bed.outside, burst, at));
        let ours = bed.cpu().saturating_sub(before);
        let before = cpu(floor.process.id());
        drive(&mut floor_readers, times, every, deliveries, |_| floor.send(burst));
        let least = cpu(floor.process.id()).saturating_sub(before);
        if round > 0 {
            ratios.push(ours.as_secs_f64() / least.as_secs_f64());
            for (nanos, time) in nanos.iter_mut().zip([ours, least]) {
                nanos.push(time.as_nanos() as f64 / deliveries as f64);
            }
        }
    }
    raw.push(format!("gateway, ns per delivery: {:.0?}", nanos[0]));
    raw.push(format!("floor, ns per delivery:   {:.0?}", nanos[1]));
    let ratio = median(&mut ratios);
    let (lowest, highest) = (ratios[0], ratios[rounds - 1]);
    let text = format!(
        "CPU per delivery, 1 topic x {SUBSCRIBERS}, bursts of {burst}: {ratio:.3} x floor (bar {bar:.2}; rounds \
         {lowest:.2} to {highest:.2})"
    );
    vec![Figure { text, good: ratio <= bar }]
}

fn publish(outside: &mut NatsClient, count: u8, at: Duration) {
    for _ in 0..count {
        stamped(outside, TOPIC, &body(0, at));
    }
    outside.send();
}

/// Memory of a connection that is subscribed and receives nothing.
fn idle(connections: usize, raw: &mut Vec<String>) -> Vec<Figure> {
    let bed = Bed::start();
    let warm: Vec<RawSocket> = (0..1_000).map(|_| bed.subscriber(TOPIC)).collect();
    let before = bed.memory();
    let more: Vec<RawSocket> = (0..connections).map(|_| bed.subscriber(TOPIC)).collect();
    let after = bed.memory();
    // Pings are not answered here: nobody may have been closed for that.
    bed.gateway.wait_for_metric("topicgateway_subscriptions", &[], (warm.len() + more.len()) as f64);
    raw.push(format!("{} connections: {before} bytes; {} more: {after} bytes", warm.len(), more.len()));
    let each = after.saturating_sub(before) / connections as u64;
    vec![Figure { text: format!("idle subscribed connection: {each} bytes (bar 400)"), good: each <= 400 }]
}

/// 10 of 50 readers stop: what the others notice, A B A B.
fn slow(rounds: usize, raw: &mut Vec<String>) -> Vec<Figure> {
    let (mut ratios, mut growth) = (Vec::new(), 0);
    let every = unhurried();
    raw.push(format!("4 messages every {every:.1?}"));
    for _ in 0..rounds {
        let (alone, _) = percentile_99(0, every);
        let (beside, more) = percentile_99(10, every);
        raw.push(format!(
            "p99 of 40 readers: {alone} us alone, {beside} us beside 10 that stopped (+{more} bytes)"
        ));
        ratios.push(f64::from(beside) / f64::from(alone));
        growth = growth.max(more);
    }
    let ratio = median(&mut ratios);
    vec![
        Figure {
            text: format!("10 of 50 readers stop: p99 of the others {ratio:.2} x (bar 1.2)"),
            good: ratio <= 1.2,
        },
        Figure {
            // One topic's window is 1 MiB, however many are slow.
            text: format!("10 of 50 readers stop: memory grows by {} KiB (bar 4096)", growth / 1024),
            good: growth <= 4 << 20,
        },
    ]
}

/// How often 4 messages can be sent to 40 readers without a queue of them: 4 000 a second, or as many as take a quarter of
/// this machine's core. What waits for a core that is full says nothing of slow readers.
fn unhurried() -> Duration {
    let mut bed = Bed::start();
    let mut readers = bed.readers(&[TOPIC], 40, Look::Count);
    settle(&mut readers);
    let nanos = bed.cost(&mut readers, TOPIC, 4, 40) * 40.0 * 4.0;
    Duration::from_millis(1).max(Duration::from_nanos(nanos as u64) * 4)
}

/// 99th percentile of 40 readers' latency in microseconds, and how memory grew since before anybody was slow.
fn percentile_99(stopped: usize, every: Duration) -> (u32, u64) {
    let mut bed = Bed::start();
    let mut readers = bed.readers(&[TOPIC], 40, Look::Latency);
    let idle: Vec<RawSocket> = (0..stopped).map(|_| bed.slow_subscriber(TOPIC)).collect();
    settle(&mut readers);
    let before = bed.memory();
    let run = |readers: &mut Readers, bed: &mut Bed| {
        let times = 2_000;
        let deliveries = u64::from(times) * 4 * 40;
        drive(readers, times, every, deliveries, |at| publish(&mut bed.outside, 4, at));
    };
    // Fills the window: what is measured is life with those who are behind for good.
    run(&mut readers, &mut bed);
    readers.latencies.clear();
    run(&mut readers, &mut bed);
    let more = bed.memory().saturating_sub(before);
    bed.gateway.wait_for_metric("topicgateway_lagging_subscribers", &[], stopped as f64);
    drop(idle);
    let latencies = &mut readers.latencies;
    latencies.sort_unstable();
    (latencies[latencies.len() * 99 / 100], more)
}

/// Reads what is still on its way.
pub(crate) fn settle(readers: &mut Readers) {
    let mut seen = u64::MAX;
    while seen != readers.messages() {
        seen = readers.messages();
        readers.read(Duration::from_millis(200));
    }
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
