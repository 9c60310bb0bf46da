//! How long to wait before what failed is tried again, by object.

use std::{collections::HashMap, hash::Hash, time::Duration};

/// Wait after the first failure, before jitter.
const FIRST: Duration = Duration::from_secs(1);
/// Longest wait, before jitter.
const LONGEST: Duration = Duration::from_mins(5);

/// The failures in a row of each object. Bounded by the objects there are: an entry goes with the first success, and
/// with its object.
#[derive(Debug)]
pub(crate) struct Backoff<K> {
    failures: HashMap<K, u32>,
}

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self { failures: HashMap::new() }
    }
}

impl<K: Eq + Hash> Backoff<K> {
    /// It failed once more: how long to wait. `random` is any number from 0 to 1; it spreads those that failed together
    /// over the second half of the wait.
    pub(crate) fn failed(&mut self, object: K, random: f64) -> Duration {
        let failures = self.failures.entry(object).or_default();
        let doubled = FIRST.saturating_mul(2_u32.saturating_pow(*failures)).min(LONGEST);
        *failures = failures.saturating_add(1);
        doubled.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// It succeeded, waits for a change, or is gone.
    pub(crate) fn forget(&mut self, object: &K) {
        self.failures.remove(object);
    }

    /// How many objects fail at present.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.failures.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(waits: &[Duration]) -> Vec<f64> {
        waits.iter().map(Duration::as_secs_f64).collect()
    }

    #[test]
    #[allow(clippy::float_cmp)] // halves and powers of two are exact
    fn waits_double_up_to_a_limit() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..11).map(|_| backoff.failed("a", 1.0)).collect();
        let expected = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0];
        assert_eq!(seconds(&waits), expected);
    }

    #[test]
    fn jitter_takes_up_to_half_away() {
        let wait = |random| Backoff::default().failed("a", random);
        assert_eq!(wait(0.0), FIRST / 2);
        assert_eq!(wait(0.5), FIRST * 3 / 4);
        assert_eq!((wait(-1.0), wait(9.0)), (FIRST / 2, FIRST));
    }

    #[test]
    fn a_success_begins_anew_and_leaves_nothing_behind() {
        let mut backoff = Backoff::default();
        backoff.failed("a", 1.0);
        backoff.failed("a", 1.0);
        backoff.failed("b", 1.0);
        backoff.forget(&"a");
        assert_eq!(backoff.len(), 1);
        assert_eq!(backoff.failed("a", 1.0), FIRST);
        assert_eq!(backoff.failed("b", 1.0), FIRST * 2);
    }

    #[test]
    fn it_never_overflows_however_often_it_fails() {
        let mut backoff = Backoff::default();
        for _ in 0..10_000 {
            assert!(backoff.failed("a", 1.0) <= LONGEST);
        }
    }
}
