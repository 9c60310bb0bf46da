//! The series of runs, and the errors that they must find.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use super::*;
use crate::gateway::{
    planted::{Flaw, plant},
    sessions::TOKEN_LENGTH,
};

/// Runs that are made every time.
const SEEDS: u64 = 10_000;
/// Others that went wrong once, the rarest faults that were ever found.
const ONCE_WRONG: [u64; 8] = [132_613, 325_802, 377_855, 394_766, 395_970, 619_963, 662_361, 790_597];

/// The first of these seeds whose run goes wrong, and how.
fn first_wrong(seeds: std::ops::Range<u64>, flaw: Option<Flaw>) -> Option<(u64, String)> {
    plant(flaw);
    let simulator = Simulator::new();
    let found = seeds.into_iter().find_map(|seed| Some((seed, simulator.run(seed).wrong?)));
    plant(None);
    found
}

#[test]
fn one_seed_is_one_schedule() {
    let text = |seed| {
        let mut text = Vec::new();
        Simulator::new().run(seed).history.write(&mut text).unwrap();
        // Session tokens are made at random, all of one length.
        let text = String::from_utf8(text).unwrap();
        text.split(r#"sessionId\":\""#)
            .map(|part| part[part.len().min(TOKEN_LENGTH)..].to_owned())
            .collect::<String>()
    };
    for seed in 0..20 {
        assert_eq!(text(seed), text(seed), "seed {seed}");
    }
}

/// The first of these seeds whose run goes wrong with this error, and not without it.
fn finds(flaw: Flaw, mut seeds: std::ops::Range<u64>) -> Option<u64> {
    seeds.find(|seed| {
        let only = *seed..*seed + 1;
        first_wrong(only.clone(), Some(flaw)).is_some() && first_wrong(only, None).is_none()
    })
}

#[test]
fn no_schedule_breaks_a_guarantee() {
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let found: Vec<_> = thread::scope(|scope| {
        let range = |n: u64| n * SEEDS / threads..(n + 1) * SEEDS / threads;
        let runs: Vec<_> = (0..threads).map(|n| scope.spawn(move || first_wrong(range(n), None))).collect();
        runs.into_iter().filter_map(|run| run.join().unwrap()).collect()
    });
    if let Some((seed, wrong)) = found.first() {
        panic!("seed {seed}: {wrong}");
    }
}

#[test]
fn no_schedule_goes_wrong_again() {
    for seed in ONCE_WRONG {
        assert_eq!(first_wrong(seed..seed + 1, None), None);
    }
}

#[test]
fn planted_errors_are_found() {
    for flaw in [
        Flaw::SpliceMisses,
        Flaw::SpliceDoubles,
        Flaw::JumpInsideFrame,
        Flaw::GapDropped,
        Flaw::WakeUpLost,
        Flaw::RedeliveryForgotten,
        Flaw::ResumeBeyondHead,
        Flaw::ResumeBeyondPurge,
        Flaw::AppendBeforeRepair,
        Flaw::LossDropped,
        Flaw::RightOutlived,
    ] {
        let seed = finds(flaw, 0..SEEDS).unwrap_or_else(|| panic!("{flaw:?} is not found"));
        println!("{flaw:?}: found by seed {seed}");
    }
}

/// `SIMULATE` runs from seed `FIRST_SEED` on: what `tests/run simulate` calls.
#[test]
#[ignore = "takes as long as it is told to: tests/run simulate"]
fn a_long_series() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let (count, first) = (number("SIMULATE").unwrap_or(1_000_000), number("FIRST_SEED").unwrap_or(0));
    let (next, wrong) = (AtomicU64::new(first), AtomicU64::new(u64::MAX));
    let threads = number("SIMULATE_THREADS")
        .unwrap_or_else(|| thread::available_parallelism().map_or(1, |threads| threads.get() as u64));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let simulator = Simulator::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || wrong.load(Ordering::Relaxed) < seed {
                        break;
                    }
                    if seed > first && (seed - first) % 10_000 == 0 {
                        eprintln!("{} of {count} runs", seed - first);
                    }
                    if let Some(what) = simulator.run(seed).wrong {
                        wrong.fetch_min(seed, Ordering::Relaxed);
                        eprintln!("seed {seed}: {what}");
                    }
                }
            });
        }
    });
    let seed = wrong.into_inner();
    if seed < u64::MAX {
        let path = env::temp_dir().join(format!("simulation-{seed}.jsonl"));
        Simulator::new().run(seed).history.write(std::fs::File::create(&path).unwrap()).unwrap();
        panic!("seed {seed} breaks a guarantee; its history is in {}", path.display());
    }
}
