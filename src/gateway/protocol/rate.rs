//! How often something may happen.

/// A token bucket, kept as the time at which it would be full again (the generic cell rate algorithm of ATM):
/// 16 bytes and no timer.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Nanoseconds one take costs; 0 = unlimited.
    cost: u32,
    burst: u32,
    /// Nanoseconds on the caller's clock.
    full_at: u64,
}

const NANOS_PER_SECOND: u32 = 1_000_000_000;
const NANOS_PER_MILLI: u64 = 1_000_000;

impl Bucket {
    /// A full bucket of `burst` (at least 1) that gains `per_second`; 0 per second = unlimited.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { cost: NANOS_PER_SECOND.checked_div(per_second).unwrap_or(0), burst: burst.max(1), full_at: 0 }
    }

    /// Changes both; what was taken lately counts.
    pub fn set(&mut self, per_second: u32, burst: u32) {
        let full_at = if per_second == 0 { 0 } else { self.full_at };
        *self = Self { full_at, ..Self::new(per_second, burst) };
    }

    /// Whether nothing was taken of late: then a new bucket would be the same.
    pub fn is_full(&self, now_ms: u64) -> bool {
        self.full_at <= now_ms.saturating_mul(NANOS_PER_MILLI)
    }

    /// Takes one, if there is one. `now_ms` is any monotonic count of milliseconds.
    pub fn take(&mut self, now_ms: u64) -> bool {
        let now = now_ms.saturating_mul(NANOS_PER_MILLI);
        let full_at = self.full_at.max(now).saturating_add(self.cost.into());
        let allowed = full_at - now <= u64::from(self.cost) * u64::from(self.burst);
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bucket_is_small() {
        assert!(size_of::<Bucket>() <= 16);
    }

    #[test]
    fn zero_per_second_is_unlimited() {
        let mut bucket = Bucket::new(0, 0);
        assert!((0..100_000).all(|_| bucket.take(0)));
    }

    #[test]
    fn the_burst_is_there_at_once_and_comes_back_at_the_rate() {
        let mut bucket = Bucket::new(10, 3);
        let taken: Vec<bool> =
            [0, 0, 0, 0, 99, 100, 100, 200, 1000, 1000, 1000, 1000].map(|ms| bucket.take(ms)).into();
        assert_eq!(taken, [true, true, true, false, false, true, false, true, true, true, true, false]);
        assert!(!bucket.is_full(1299) && bucket.is_full(1300));
    }

    #[test]
    fn a_clock_that_stands_still_or_is_at_its_end_does_no_harm() {
        let mut bucket = Bucket::new(1, 1);
        assert!(bucket.take(5));
        assert!(!bucket.take(5));
        assert!(!bucket.take(4));
        assert!(bucket.take(u64::MAX));
    }

    #[test]
    fn a_bucket_that_is_changed_keeps_what_was_taken_and_goes_on_at_the_new_rate() {
        let mut bucket = Bucket::new(1, 1);
        assert!(bucket.take(0));
        bucket.set(10, 10);
        assert!(!bucket.take(99), "the second that was taken is still owed");
        assert!(bucket.take(100));
        bucket.set(0, 0);
        assert!((0..1000).all(|_| bucket.take(100)));
        bucket.set(1, 1);
        assert!(bucket.take(100) && !bucket.take(1099) && bucket.take(1100));
    }

    proptest! {
        #[test]
        fn no_span_of_time_gives_more_than_burst_and_rate(
            rate in 1_u32..2000, burst in 1_u32..50, steps in prop::collection::vec(0_u64..40, 1..300)
        ) {
            let mut bucket = Bucket::new(rate, burst);
            let (mut now, mut taken) = (7, 0_u64);
            for step in steps {
                now += step;
                taken += u64::from(bucket.take(now));
                // One more than exact: the cost is rounded down to whole nanoseconds.
                prop_assert!(taken <= u64::from(burst) + (now - 7) * u64::from(rate) / 1000 + 1);
            }
        }
    }
}
