//! How often something may happen.

/// So many at once, and so many per second from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds one take costs; 0 = unlimited.
    cost: u32,
    burst: u32,
}

/// A token bucket, kept as the time at which it would be full again (the generic cell rate algorithm of ATM): 8 bytes
/// and no timer. The rate is told with each take, and may be another each time: what was taken before counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    /// Nanoseconds on the caller's clock.
    full_at: u64,
}

const NANOS_PER_SECOND: u32 = 1_000_000_000;
const NANOS_PER_MILLI: u64 = 1_000_000;

impl Rate {
    /// `burst` (at least 1) at once, `per_second` from then on; 0 per second = unlimited.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        let cost = match NANOS_PER_SECOND.checked_div(per_second) {
            Some(cost) => cost,
            None => 0,
        };
        Self { cost, burst: if burst == 0 { 1 } else { burst } }
    }

    /// As many at once as in a second; 0 = unlimited.
    pub const fn per_second(count: u32) -> Self {
        Self::new(count, count)
    }
}

impl Bucket {
    /// Whether nothing was taken of late: then a new bucket would be the same.
    pub fn is_full(&self, now_ms: u64) -> bool {
        self.full_at <= now_ms.saturating_mul(NANOS_PER_MILLI)
    }

    /// Takes one, if there is one. `now_ms` is any monotonic count of milliseconds.
    pub fn take(&mut self, rate: Rate, now_ms: u64) -> bool {
        if rate.cost == 0 {
            self.full_at = 0;
            return true;
        }
        let now = now_ms.saturating_mul(NANOS_PER_MILLI);
        let full_at = self.full_at.max(now).saturating_add(rate.cost.into());
        let allowed = full_at - now <= u64::from(rate.cost) * u64::from(rate.burst);
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
    fn zero_per_second_is_unlimited() {
        let mut bucket = Bucket::default();
        assert!((0..100_000).all(|_| bucket.take(Rate::per_second(0), 0)));
    }

    #[test]
    fn the_burst_is_there_at_once_and_comes_back_at_the_rate() {
        let mut bucket = Bucket::default();
        let taken: Vec<bool> = [0, 0, 0, 0, 99, 100, 100, 200, 1000, 1000, 1000, 1000]
            .map(|ms| bucket.take(Rate::new(10, 3), ms))
            .into();
        assert_eq!(taken, [true, true, true, false, false, true, false, true, true, true, true, false]);
        assert!(!bucket.is_full(1299) && bucket.is_full(1300));
    }

    #[test]
    fn a_clock_that_stands_still_or_is_at_its_end_does_no_harm() {
        let (mut bucket, rate) = (Bucket::default(), Rate::per_second(1));
        assert!(bucket.take(rate, 5));
        assert!(!bucket.take(rate, 5));
        assert!(!bucket.take(rate, 4));
        assert!(bucket.take(rate, u64::MAX));
    }

    #[test]
    fn at_another_rate_what_was_taken_counts() {
        let (mut bucket, one, ten) = (Bucket::default(), Rate::per_second(1), Rate::per_second(10));
        assert!(bucket.take(one, 0));
        assert!(!bucket.take(ten, 99), "the second that was taken is still owed");
        assert!(bucket.take(ten, 100));
        assert!((0..1000).all(|_| bucket.take(Rate::per_second(0), 100)));
        assert!(bucket.take(one, 100) && !bucket.take(one, 1099) && bucket.take(one, 1100));
    }

    proptest! {
        #[test]
        fn no_span_of_time_gives_more_than_burst_and_rate(
            rate in 1_u32..2000, burst in 1_u32..50, steps in prop::collection::vec(0_u64..40, 1..300)
        ) {
            let mut bucket = Bucket::default();
            let (mut now, mut taken) = (7, 0_u64);
            for step in steps {
                now += step;
                taken += u64::from(bucket.take(Rate::new(rate, burst), now));
                // One more than exact: the cost is rounded down to whole nanoseconds.
                prop_assert!(taken <= u64::from(burst) + (now - 7) * u64::from(rate) / 1000 + 1);
            }
        }
    }
}
