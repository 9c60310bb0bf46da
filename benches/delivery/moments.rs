//! Single moments: a message behind a broadcast of another topic, and the start of a gateway.

use std::time::{Duration, Instant};

use crate::{
    body::body,
    generator::{Bed, stamped},
    measure::{Figure, median, settle},
    placing::{SERVER_CORE, pinned},
    readers::{Look, Readers},
    support::{DEADLINE, Process, try_get},
};

const CROWD: usize = 10_000;
const BROADCAST: &str = "bench.broadcast";
const OTHER: &str = "bench.other";

/// How much later a topic's message comes when one to 10 000 subscribers of another topic is right before it.
pub(crate) fn fairness(rounds: usize, raw: &mut Vec<String>) -> Vec<Figure> {
    rlimit::increase_nofile_limit(u64::MAX).expect("a limit of open files");
    let mut bed = Bed::start();
    let mut crowd = bed.readers(&[BROADCAST], CROWD, Look::Count);
    let mut other = bed.readers(&[OTHER], 1, Look::Latency);
    settle(&mut crowd);
    settle(&mut other);
    let (mut alone, mut behind) = (Vec::new(), Vec::new());
    for _ in 0..rounds * 10 {
        alone.push(delay(&mut bed, &mut other, false));
        behind.push(delay(&mut bed, &mut other, true));
        settle(&mut crowd);
    }
    raw.push(format!("ms alone:  {alone:.2?}"));
    raw.push(format!("ms behind: {behind:.2?}"));
    let (alone, behind) = (median(&mut alone), median(&mut behind));
    let later = behind - alone;
    vec![Figure {
        text: format!("behind a broadcast to {CROWD}: {behind:.2} ms, alone {alone:.2} ms (bar 2 ms later)"),
        good: later <= 2.0,
    }]
}

/// Milliseconds that a message of the other topic takes. The crowd is read afterwards: the reader would be what delays.
fn delay(bed: &mut Bed, other: &mut Readers, behind: bool) -> f64 {
    if behind {
        stamped(&mut bed.outside, BROADCAST, &body(0, Duration::ZERO));
    }
    let (wanted, at) = (other.messages() + 1, other.now());
    stamped(&mut bed.outside, OTHER, &body(0, at));
    bed.outside.send();
    let end = Instant::now() + DEADLINE;
    while other.messages() < wanted {
        assert!(Instant::now() < end, "a message is missing");
        other.read(Duration::from_millis(100));
    }
    f64::from(*other.latencies.last().unwrap()) / 1_000.0
}

/// From the start of the process to the first answer that it is ready.
pub(crate) fn start(rounds: usize, raw: &mut Vec<String>) -> Vec<Figure> {
    let mut took: Vec<f64> = (0..rounds).map(|_| begin().as_secs_f64() * 1_000.0).collect();
    raw.push(format!("ms to ready: {took:.1?}"));
    let middle = median(&mut took);
    vec![Figure { text: format!("serving after {middle:.1} ms (bar 100)"), good: middle <= 100.0 }]
}

fn begin() -> Duration {
    let began = Instant::now();
    let mut command = pinned(SERVER_CORE, env!("CARGO_BIN_EXE_topic-gateway"));
    let mut process =
        Process::spawn(command.args(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]));
    let admin = process.find("the gateway prints its admin address", |text| {
        let (_, rest) = text.split_once("admin    http://")?;
        rest.split_once('\n')?.0.parse().ok()
    });
    while try_get(admin, "/readyz").is_none_or(|answer| answer.status != 200) {
        assert!(began.elapsed() < DEADLINE, "it is not ready");
    }
    began.elapsed()
}
