//! The plan by which a gateway that goes away closes its connections: evenly, so that its peers are not overrun.
//!
//! The window is cut into as many slots as there are connections; each closes at a random moment of its own slot.
//! Any tenth of the window holds at most one close more than its share at either end, which is within 1.5 times
//! the average from 34 connections on. Several shards that each follow a plan of their own add up to the same.

use std::time::Duration;

/// When each of `connections` closes, counted from the beginning of the drain, in ascending order.
///
/// The same seed gives the same plan. A client is told its moment as `draining.reconnectAfterMs`.
///
/// ```
/// use std::time::Duration;
/// let plan: Vec<_> = topic_gateway::gateway::drain::plan(3, Duration::from_secs(30), 7).collect();
/// assert!(plan[0] < Duration::from_secs(10) && plan[2] >= Duration::from_secs(20));
/// ```
pub fn plan(connections: usize, window: Duration, seed: u64) -> impl Iterator<Item = Duration> {
    (0..connections).map(move |index| slot(index, connections, window, seed))
}

/// When the connection `index` of `connections` closes; always within the window.
pub fn slot(index: usize, connections: usize, window: Duration, seed: u64) -> Duration {
    let (count, index) = (connections.max(1) as u128, index.min(connections.saturating_sub(1)));
    let jitter = scramble(seed ^ scramble(index as u64));
    // The moment is (index + jitter) / count of the window: a fraction in 64 bits, so that integers suffice.
    let fraction = (((index as u128) << 64) + u128::from(jitter)) / count;
    let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(((u128::from(window) * fraction) >> 64) as u64)
}

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014): spreads neighbouring numbers over all of `u64`.
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The most closes within any tenth of the window.
    fn peak(plan: &[Duration], window: Duration) -> usize {
        let tenth = window / 10;
        (0..plan.len())
            .map(|first| plan[first..].iter().take_while(|at| **at < plan[first] + tenth).count())
            .max()
            .unwrap_or(0)
    }

    proptest! {
        #[test]
        fn everybody_closes_once_in_order_and_within_the_window(
            connections in 0_usize..400, millis in 1_u64..3_600_000, seed: u64,
        ) {
            let window = Duration::from_millis(millis);
            let plan: Vec<_> = plan(connections, window, seed).collect();
            prop_assert_eq!(plan.len(), connections);
            prop_assert!(plan.is_sorted());
            prop_assert!(plan.iter().all(|at| *at < window));
        }

        #[test]
        fn each_closes_within_its_own_slot(connections in 1_usize..400, millis in 1_u64..3_600_000, seed: u64) {
            let window = Duration::from_millis(millis);
            for (index, at) in plan(connections, window, seed).enumerate() {
                let (place, width) = (at.as_nanos() * connections as u128, window.as_nanos());
                // Rounding down to nanoseconds may begin a slot early, by less than one each in two steps.
                prop_assert!(place + 2 * connections as u128 >= index as u128 * width, "{} at {:?}", index, at);
                prop_assert!(place <= (index as u128 + 1) * width, "{} at {:?}", index, at);
            }
        }

        #[test]
        fn no_tenth_of_the_window_has_more_than_one_and_a_half_times_its_share(
            connections in 34_usize..3_000, seed: u64,
        ) {
            let window = Duration::from_secs(30);
            let plan: Vec<_> = plan(connections, window, seed).collect();
            prop_assert!(peak(&plan, window) * 20 <= connections * 3);
        }
    }

    #[test]
    fn the_moments_are_not_a_regular_grid() {
        let plan: Vec<_> = plan(100, Duration::from_secs(100), 1).collect();
        let late = plan.iter().filter(|at| at.subsec_millis() >= 500).count();
        assert!((30..=70).contains(&late), "{late} of 100 close in the later half of their slot");
    }

    #[test]
    fn another_seed_gives_another_plan_and_the_same_seed_the_same() {
        let window = Duration::from_secs(30);
        assert_eq!(slot(3, 10, window, 1), slot(3, 10, window, 1));
        assert_ne!(slot(3, 10, window, 1), slot(3, 10, window, 2));
    }

    #[test]
    fn a_window_of_nothing_closes_all_at_once() {
        assert!(plan(5, Duration::ZERO, 9).all(|at| at == Duration::ZERO));
    }
}
