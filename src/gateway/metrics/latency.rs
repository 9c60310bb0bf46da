//! The histogram of the time from publish to socket, as one shard keeps it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{exposition::Exposition, names};
use crate::api::Slo;

/// Bounds of the buckets in microseconds: half a millisecond, and every threshold that an SLO may have.
const BOUNDS: [u64; Slo::THRESHOLDS.len() + 1] = bounds();

#[allow(clippy::cast_sign_loss)] // no threshold is negative
const fn bounds() -> [u64; Slo::THRESHOLDS.len() + 1] {
    let mut bounds = [500; Slo::THRESHOLDS.len() + 1];
    let mut at = 0;
    while at < Slo::THRESHOLDS.len() {
        bounds[at + 1] = Slo::THRESHOLDS[at] as u64 * 1000;
        at += 1;
    }
    bounds
}

/// A delivery that seems to have taken longer is counted with this: a clock is wrong, and one must not outweigh all others
/// in the sum.
const LONGEST: u64 = 3_600_000_000;

/// How many deliveries took how long. Only one shard adds to it; a scrape that reads meanwhile may see the deliveries of
/// one message counted and their time not yet.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    /// By the bucket they fall into, the last one without a bound.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// Microseconds of all together: enough for a million deliveries a second that take a second each, for 200 days.
    sum: AtomicU64,
}

impl Latencies {
    /// So many deliveries took so long.
    pub(super) fn add(&self, micros: u64, times: u64) {
        let micros = micros.min(LONGEST);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(times, Relaxed);
        self.sum.fetch_add(micros * times, Relaxed);
    }

    pub(super) fn show(&self, page: &mut Exposition) {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        page.add_times(&names::DELIVERY_LATENCY, &BOUNDS, &counts, self.sum.load(Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(latencies: &[&Latencies]) -> String {
        let mut page = Exposition::default();
        for one in latencies {
            one.show(&mut page);
        }
        page.text(Vec::new()).unwrap()
    }

    #[track_caller]
    fn assert_shows(text: &str, lines: &[&str]) {
        for line in lines {
            let line = format!("topicgateway_delivery_latency_seconds{line}");
            assert!(text.lines().any(|own| own == line), "no line {line} in\n{text}");
        }
    }

    #[test]
    fn a_bound_belongs_to_what_is_below_it() {
        let latencies = Latencies::default();
        latencies.add(0, 1);
        latencies.add(500, 1);
        latencies.add(501, 2);
        latencies.add(50_000, 3);
        latencies.add(50_001, 4);
        latencies.add(60_000_001, 5);
        assert_shows(
            &shown(&[&latencies]),
            &[
                "_bucket{le=\"0.0005\"} 2",
                "_bucket{le=\"0.001\"} 4",
                "_bucket{le=\"0.025\"} 4",
                "_bucket{le=\"0.05\"} 7",
                "_bucket{le=\"0.075\"} 11",
                "_bucket{le=\"1\"} 11",
                "_bucket{le=\"60\"} 11",
                "_bucket{le=\"+Inf\"} 16",
                "_count 16",
                "_sum 300.351511",
            ],
        );
    }

    #[test]
    fn a_message_of_last_century_counts_as_an_hour() {
        let latencies = Latencies::default();
        latencies.add(u64::MAX, 2);
        assert_shows(&shown(&[&latencies]), &["_bucket{le=\"60\"} 0", "_count 2", "_sum 7200"]);
    }

    #[test]
    fn shards_are_summed() {
        let [one, other] = [Latencies::default(), Latencies::default()];
        one.add(2_000, 3);
        other.add(1_000_000, 1);
        let text = shown(&[&one, &other]);
        assert_shows(&text, &["_bucket{le=\"0.002\"} 3", "_bucket{le=\"1\"} 4", "_count 4", "_sum 1.006"]);
        assert_eq!(text.matches("# TYPE").count(), 1);
    }

    #[test]
    fn every_threshold_is_a_bound_and_they_ascend() {
        assert!(BOUNDS.is_sorted_by(|a, b| a < b));
        let thresholds = Slo::THRESHOLDS.map(|threshold| u64::try_from(threshold).unwrap() * 1000);
        assert_eq!(BOUNDS[1..], thresholds);
    }
}
