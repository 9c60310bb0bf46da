//! The work that every peer is given: for each kind of it in turns, A B A B.

use std::{fmt::Write as _, path::Path, time::Duration};

use crate::{
    bed::{Bed, Pace},
    peers::Kind,
    row::Row,
};

/// A topic's subscribers where nothing else is said.
const SUBSCRIBERS: usize = 1_000;
const BURST: usize = 16;
/// Subscribers of one topic, and topics of one subscriber each, in the large cases.
const MANY: usize = 10_000;
/// Connections that are opened before the ones whose cost is measured: the first ones pay for what all share.
const FIRST: usize = 1_000;
/// Messages on their way to each subscriber when a topic is hot.
const AHEAD: u64 = 256;
/// Files that are open at the same time in one process: all subscribers of a large case, and some more.
pub(crate) const FILES: u64 = MANY as u64 + 100;
const SLOW: usize = 10;
const HEALTHY: usize = 40;

/// How long everything takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Rounds of what takes about a second, and of what takes longer.
    pub(crate) rounds: u32,
    pub(crate) long_rounds: u32,
    pub(crate) flood: Duration,
    /// Milliseconds for which the many topics get messages.
    pub(crate) spread: u32,
    pub(crate) slow: Duration,
}

impl Size {
    pub(crate) fn of(quick: bool) -> Self {
        let seconds = Duration::from_secs;
        if quick {
            Self { rounds: 2, long_rounds: 1, flood: seconds(1), spread: 2_500, slow: seconds(2) }
        } else {
            Self { rounds: 7, long_rounds: 2, flood: seconds(3), spread: 7_500, slow: seconds(16) }
        }
    }
}

/// Names of the workloads, as rows have them.
pub(crate) const SINGLES: &str = "singles";
pub(crate) const BURSTS: &str = "bursts";
pub(crate) const HOT: &str = "hot";
pub(crate) const IDLE: &str = "idle";
pub(crate) const FAN: &str = "fan";
pub(crate) const SPREAD: &str = "spread";
pub(crate) const SLOW_READERS: &str = "slow";
pub(crate) const TLS: &str = "tls";
pub(crate) const TLS_BURSTS: &str = "tls-bursts";
pub(crate) const ALL: [&str; 9] = [SINGLES, BURSTS, HOT, IDLE, FAN, SPREAD, SLOW_READERS, TLS, TLS_BURSTS];

/// Does all that is in `wanted` (all, if it is empty) with these peers.
pub(crate) fn run(kinds: &[Kind], home: &Path, size: Size, wanted: &[&str]) -> Vec<Row> {
    let has = |names: &[&str]| wanted.is_empty() || names.iter().any(|name| wanted.contains(name));
    let mut rows = Rows(Vec::new());
    if has(&[SINGLES, BURSTS, HOT]) {
        thousand(kinds, home, size, &has, &mut rows);
    }
    if has(&[TLS, TLS_BURSTS]) {
        within_tls(kinds, home, size, &has, &mut rows);
    }
    for round in 1..=size.long_rounds {
        for kind in kinds {
            if has(&[IDLE, FAN]) {
                many_subscribers(*kind, home, round, &mut rows);
            }
            if has(&[SPREAD]) {
                many_topics(*kind, home, size.spread, round, &mut rows);
            }
        }
    }
    // The floor waits for everybody: it has no answer to those who do not read.
    for kind in kinds.iter().filter(|kind| **kind != Kind::Floor && has(&[SLOW_READERS])) {
        slow_readers(*kind, home, size.slow, &mut rows);
    }
    rows.0
}

/// The rows so far; each is told when it comes.
struct Rows(Vec<Row>);

impl Rows {
    fn add(&mut self, work: &str, kind: Kind, round: u32, row: Row) {
        let row = Row { work: work.into(), peer: kind.name().into(), round, ..row };
        println!("{}", line(&row));
        self.0.push(row);
    }
}

fn line(row: &Row) -> String {
    let figures = [
        (row.nanos_per_delivery, "ns per delivery"),
        (row.deliveries_per_second, "deliveries a second"),
        (row.p50_ms, "ms p50"),
        (row.p99_ms, "ms p99"),
        (row.bytes_per_connection, "bytes per connection"),
        (row.micros_per_connect, "us per connect"),
        (row.bytes, "bytes"),
        (row.bytes_more, "bytes more"),
    ];
    let mut line = format!("{:8} {:2} {:14}", row.work, row.round, row.peer);
    for (value, unit) in figures.iter().filter_map(|(value, unit)| Some(((*value)?, unit))) {
        let digits = if value < 100.0 { 2 } else { 0 };
        write!(line, " {value:8.digits$} {unit}").unwrap();
    }
    write!(line, "  cores {:.2} {:.2}", row.server_cores, row.generator_cores).unwrap();
    if row.invalid.is_empty() { line } else { format!("{line}  INVALID: {}", row.invalid.join("; ")) }
}

/// One topic, 1 000 subscribers: one message at a time, in bursts, and as many as it takes.
fn thousand(kinds: &[Kind], home: &Path, size: Size, has: &dyn Fn(&[&str]) -> bool, rows: &mut Rows) {
    let mut beds: Vec<Bed> = Vec::new();
    for kind in kinds {
        beds.push(Bed::with(*kind, home, vec!["bench.hot".into()], SUBSCRIBERS));
        beds.iter_mut().for_each(Bed::keep_alive);
    }
    paced(&mut beds, [SINGLES, BURSTS], size.rounds, has, rows);
    for round in 1..=if has(&[HOT]) { size.long_rounds } else { 0 } {
        each(&mut beds, |bed| {
            let row = bed.flood(size.flood, AHEAD, BURST);
            rows.add(HOT, bed.peer.kind, round, row);
        });
    }
}

/// The same within TLS, of those who speak it.
fn within_tls(kinds: &[Kind], home: &Path, size: Size, has: &dyn Fn(&[&str]) -> bool, rows: &mut Rows) {
    let mut beds: Vec<Bed> = Vec::new();
    for kind in kinds.iter().filter(|kind| kind.speaks_tls()) {
        beds.push(Bed::within_tls(*kind, home, "bench.hot", SUBSCRIBERS));
        beds.iter_mut().for_each(Bed::keep_alive);
    }
    paced(&mut beds, [TLS, TLS_BURSTS], size.rounds, has, rows);
}

/// Single messages and bursts, under these names.
fn paced(beds: &mut [Bed], names: [&str; 2], rounds: u32, has: &dyn Fn(&[&str]) -> bool, rows: &mut Rows) {
    let paces = [
        Pace { times: 50, every: Duration::from_millis(20), messages: 1 },
        Pace { times: 20, every: Duration::from_millis(50), messages: BURST },
    ];
    for (work, pace) in names.into_iter().zip(paces).filter(|(work, _)| has(&[work])) {
        // Round 0 warms up.
        for round in 0..=rounds {
            each(beds, |bed| {
                let row = bed.pace(pace);
                if round > 0 {
                    rows.add(work, bed.peer.kind, round, row);
                }
            });
        }
    }
}

/// One after the other; none forgets those who wait.
fn each(beds: &mut [Bed], mut measure: impl FnMut(&mut Bed)) {
    for at in 0..beds.len() {
        measure(&mut beds[at]);
        beds.iter_mut().for_each(Bed::keep_alive);
    }
}

/// What 10 000 connections to one topic cost, and what a message to all of them does.
fn many_subscribers(kind: Kind, home: &Path, round: u32, rows: &mut Rows) {
    let mut bed = Bed::new(kind, home, vec!["bench.hot".into()], MANY);
    bed.join(FIRST);
    bed.audience.settle();
    let (memory, cpu) = (bed.peer.memory(), bed.peer.cpu());
    bed.join(MANY - FIRST);
    let cpu = bed.peer.cpu().saturating_sub(cpu);
    bed.audience.settle();
    bed.peer.ready();
    let memory = bed.peer.memory().saturating_sub(memory);
    let pace = |times| Pace { times, every: Duration::from_millis(200), messages: 1 };
    // Shows whether everybody is subscribed: only then does the rest count.
    let Row { invalid, .. } = bed.pace(pace(3));
    if kind != Kind::Floor {
        let each = |value: f64| Some(value / (MANY - FIRST) as f64);
        let (bytes, micros) = (memory as f64, cpu.as_secs_f64() * 1e6);
        let row = Row {
            invalid,
            bytes_per_connection: each(bytes),
            micros_per_connect: each(micros),
            ..Row::default()
        };
        rows.add(IDLE, kind, round, row);
    }
    let row = bed.pace(pace(15));
    rows.add(FAN, kind, round, row);
}

/// 10 000 topics with one subscriber each.
fn many_topics(kind: Kind, home: &Path, times: u32, round: u32, rows: &mut Rows) {
    let topics = (0..MANY).map(|number| format!("bench.{number:05}")).collect();
    let mut bed = Bed::with(kind, home, topics, MANY);
    let pace = |times| Pace { times, every: Duration::from_millis(1), messages: 4 };
    // Every topic has had a message before.
    bed.pace(pace(2_500));
    let row = bed.pace(pace(times));
    rows.add(SPREAD, kind, round, row);
}

/// 10 of 50 subscribers never read, at 4 000 messages a second.
fn slow_readers(kind: Kind, home: &Path, time: Duration, rows: &mut Rows) {
    let mut bed = Bed::with(kind, home, vec!["bench.hot".into()], HEALTHY);
    let times = |time: Duration| u32::try_from(time.as_millis()).unwrap();
    let pace = |time| Pace { times: times(time), every: Duration::from_millis(1), messages: 4 };
    bed.pace(pace(Duration::from_secs(1)));
    let before = bed.peer.memory();
    let slow: Vec<_> = (0..SLOW).map(|user| bed.peer.subscribe("bench.hot", HEALTHY + user, true)).collect();
    let mut row = bed.pace(pace(time));
    let memory = bed.peer.memory();
    row.bytes = Some(memory as f64);
    row.bytes_more = Some(memory.saturating_sub(before) as f64);
    rows.add(SLOW_READERS, kind, 1, row);
    drop(slow);
}
