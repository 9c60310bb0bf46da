//! How often each value came, in buckets that grow with the value: bounded in memory, and in error.

/// Values above are counted as this one: 18 minutes, where they are nanoseconds.
const HIGHEST: u64 = (1 << BITS) - 1;
const BITS: u32 = 40;

/// Up to `2^precision` each value has a bucket; from there on each doubling is divided into as many, so that a value is
/// known to one part in `2^precision`. (41 − `precision`) × `2^precision` counters of 8 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Histogram {
    precision: u32,
    counts: Vec<u64>,
    count: u64,
    highest: u64,
}

impl Histogram {
    /// Parts of 100 000 that are each asked for: the percentiles that are told.
    pub(super) const P50: u64 = 50_000;
    pub(super) const P90: u64 = 90_000;
    pub(super) const P99: u64 = 99_000;
    pub(super) const P999: u64 = 99_900;

    /// An empty one; `precision` is at most 16.
    pub(super) fn new(precision: u32) -> Self {
        let precision = precision.min(16);
        let buckets = ((BITS + 1 - precision) as usize) << precision;
        Self { precision, counts: vec![0; buckets], count: 0, highest: 0 }
    }

    /// Counts a value.
    pub(super) fn add(&mut self, value: u64) {
        let bucket = bucket(value, self.precision);
        self.counts[bucket] += 1;
        self.count += 1;
        self.highest = self.highest.max(value);
    }

    /// Counts all that another one of the same precision has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.precision, other.precision);
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.count += other.count;
        self.highest = self.highest.max(other.highest);
    }

    /// Values counted.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The highest of them, exactly.
    pub(super) fn max(&self) -> u64 {
        self.highest
    }

    /// The value that so many of 100 000 do not exceed: at most one part in `2^precision` too high. 0 without values.
    pub(super) fn percentile(&self, of_100_000: u64) -> u64 {
        let rank = (u128::from(self.count) * u128::from(of_100_000)).div_ceil(100_000).max(1);
        let mut seen = 0_u128;
        let bucket = self.counts.iter().position(|count| {
            seen += u128::from(*count);
            seen >= rank
        });
        bucket.map_or(0, |bucket| upper(bucket as u64, self.precision).min(self.highest))
    }
}

/// Below the number of buckets, so that it fits.
#[allow(clippy::cast_possible_truncation)]
fn bucket(value: u64, precision: u32) -> usize {
    let value = value.min(HIGHEST);
    let doublings = (u64::BITS - value.leading_zeros()).saturating_sub(precision + 1);
    ((u64::from(doublings) << precision) + (value >> doublings)) as usize
}

/// The highest value of a bucket.
fn upper(bucket: u64, precision: u32) -> u64 {
    let doublings = (bucket >> precision).saturating_sub(1);
    let within = bucket - (doublings << precision);
    ((within + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new(7);
        for value in values {
            histogram.add(*value);
        }
        histogram
    }

    #[test]
    fn percentiles_are_the_values_at_their_rank() {
        let hundred = of(&(1..=100).collect::<Vec<_>>());
        for (of_100_000, value) in
            [(Histogram::P50, 50), (Histogram::P90, 90), (Histogram::P99, 99), (100_000, 100), (0, 1)]
        {
            assert_eq!(hundred.percentile(of_100_000), value, "{of_100_000}");
        }
        assert_eq!(of(&[]).percentile(Histogram::P99), 0);
        assert_eq!(of(&[7]).percentile(Histogram::P999), 7);
        assert_eq!(of(&[1, 1, 1, 9]).percentile(75_000), 1);
    }

    #[test]
    fn the_highest_value_is_exact_and_no_percentile_is_above_it() {
        let histogram = of(&[1_000_001, 1_000_000]);
        assert_eq!((histogram.max(), histogram.percentile(100_000)), (1_000_001, 1_000_001));
    }

    #[test]
    fn values_beyond_the_last_bucket_are_counted_in_it() {
        let histogram = of(&[u64::MAX, 1 << 50]);
        assert_eq!((histogram.count(), histogram.max()), (2, u64::MAX));
        assert_eq!(histogram.percentile(Histogram::P50), HIGHEST);
    }

    #[test]
    fn two_together_are_as_one_that_counted_all() {
        let mut both = of(&[1, 500, 70_000]);
        both.merge(&of(&[2, 500, 9_000_000]));
        assert_eq!(both, of(&[1, 500, 70_000, 2, 500, 9_000_000]));
    }

    proptest! {
        #[test]
        fn a_value_is_in_a_bucket_that_ends_at_most_one_part_above_it(value in 0..=HIGHEST, precision in 2..=10_u32) {
            let bucket = bucket(value, precision);
            prop_assert!(bucket < Histogram::new(precision).counts.len());
            let upper = upper(bucket as u64, precision);
            prop_assert!(upper >= value, "{} ends at {}", value, upper);
            prop_assert!(upper - value <= value >> precision, "{} ends at {}", value, upper);
        }
    }
}
