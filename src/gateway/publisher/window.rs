//! De-duplication, pure: which messages have been accepted within the last hour. Time is passed in.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::api::Seq;

/// How long a message is remembered after it was last seen.
pub const WINDOW: Duration = Duration::from_secs(3600);
/// Messages remembered at most; beyond that the one seen longest ago is forgotten first. Some 100 MB when full.
pub const MAX_ENTRIES: usize = 1_000_000;

/// Names a message: see [`Keys::key`](super::Keys::key).
pub type Key = u128;

/// Remembers messages. `W` is what somebody is given who publishes a message again while it is still pending.
///
/// Every call costs O(1), amortised.
#[derive(Debug)]
pub struct Window<W> {
    entries: HashMap<Key, Entry<W>>,
    /// Every entry once by its newest stamp, oldest first, and records that a newer one has replaced. Those are
    /// dropped when they come to the front, or all at once when they outnumber the entries.
    order: VecDeque<(Key, u64)>,
    stamp: u64,
    capacity: usize,
}

#[derive(Debug)]
struct Entry<W> {
    state: State<W>,
    seen: Duration,
    stamp: u64,
}

#[derive(Debug)]
enum State<W> {
    Pending(W),
    Accepted(Option<Seq>),
}

/// What is known of a message that is to be published.
#[derive(Debug, PartialEq, Eq)]
pub enum Begin<W> {
    /// Nothing: publish it, then say [`Window::accepted`] or [`Window::failed`].
    Fresh,
    /// It is being published: its outcome is this one's too.
    Pending(W),
    /// It has been accepted, with this number where the backbone numbers.
    Duplicate(Option<Seq>),
}

impl<W: Clone> Window<W> {
    /// An empty window for at most `capacity` messages.
    pub fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), stamp: 0, capacity }
    }

    /// Messages remembered now.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Somebody wants to publish. A message that is fresh is pending from now on, and `pending` is what others get.
    /// `now` is monotonic, from any fixed point.
    pub fn begin(&mut self, key: Key, now: Duration, pending: W) -> Begin<W> {
        self.forget_old(now);
        let known = match self.entries.get(&key) {
            None => {
                self.set(key, now, State::Pending(pending));
                return Begin::Fresh;
            }
            Some(Entry { state: State::Pending(waiter), .. }) => Begin::Pending(waiter.clone()),
            Some(Entry { state: State::Accepted(seq), .. }) => Begin::Duplicate(*seq),
        };
        self.renew(key, now);
        known
    }

    /// The backbone has the message: whoever publishes it within the window publishes a duplicate.
    pub fn accepted(&mut self, key: Key, now: Duration, seq: Option<Seq>) {
        self.forget_old(now);
        self.set(key, now, State::Accepted(seq));
    }

    /// The message did not get through: the next attempt is a fresh one. What has been accepted stays accepted.
    pub fn failed(&mut self, key: Key) {
        if matches!(self.entries.get(&key), Some(Entry { state: State::Pending(_), .. })) {
            self.entries.remove(&key);
        }
    }

    fn set(&mut self, key: Key, now: Duration, state: State<W>) {
        self.entries.insert(key, Entry { state, seen: now, stamp: 0 });
        self.renew(key, now);
        while self.entries.len() > self.capacity {
            self.forget_front();
        }
    }

    /// Puts the entry behind all others.
    fn renew(&mut self, key: Key, now: Duration) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        self.stamp += 1;
        (entry.seen, entry.stamp) = (now, self.stamp);
        self.order.push_back((key, self.stamp));
        if self.order.len() > 2 * self.entries.len() + 16 {
            let entries = &self.entries;
            self.order.retain(|(key, stamp)| entries.get(key).is_some_and(|entry| entry.stamp == *stamp));
        }
    }

    fn forget_old(&mut self, now: Duration) {
        while let Some((key, stamp)) = self.order.front() {
            let current = self.entries.get(key).filter(|entry| entry.stamp == *stamp);
            if current.is_some_and(|entry| now < entry.seen + WINDOW) {
                break;
            }
            self.forget_front();
        }
    }

    fn forget_front(&mut self) {
        let Some((key, stamp)) = self.order.pop_front() else { return };
        if self.entries.get(&key).is_some_and(|entry| entry.stamp == stamp) {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = WINDOW;
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_message_is_a_duplicate_once_accepted_and_not_before() {
        let mut window = Window::new(10);
        assert_eq!(window.begin(1, SECOND, "first"), Begin::Fresh);
        assert_eq!(window.begin(1, SECOND, "second"), Begin::Pending("first"));
        window.accepted(1, SECOND, Some(7));
        assert_eq!(window.begin(1, SECOND, "third"), Begin::Duplicate(Some(7)));
        assert_eq!(window.begin(2, SECOND, "other"), Begin::Fresh);
    }

    #[test]
    fn a_retry_after_a_failure_is_fresh() {
        let mut window = Window::new(10);
        window.begin(1, SECOND, ());
        window.failed(1);
        assert!(window.is_empty());
        assert_eq!(window.begin(1, SECOND, ()), Begin::Fresh);
    }

    #[test]
    fn what_has_been_accepted_cannot_fail_any_more() {
        let mut window = Window::new(10);
        window.accepted(1, SECOND, None);
        window.failed(1);
        assert_eq!(window.begin(1, SECOND, ()), Begin::Duplicate(None));
    }

    #[test]
    fn the_window_slides_with_every_hit() {
        let mut window = Window::new(10);
        window.accepted(1, Duration::ZERO, None);
        window.accepted(2, Duration::ZERO, None);
        assert_eq!(window.begin(1, HOUR - SECOND, ()), Begin::Duplicate(None));
        assert_eq!(window.begin(2, HOUR, ()), Begin::Fresh);
        assert_eq!(window.begin(1, HOUR * 2 - SECOND * 2, ()), Begin::Duplicate(None));
        assert_eq!(window.begin(1, HOUR * 3 - SECOND * 2, ()), Begin::Fresh);
    }

    #[test]
    fn a_full_window_forgets_what_was_seen_longest_ago() {
        let mut window = Window::new(2);
        window.accepted(1, SECOND, None);
        window.accepted(2, SECOND, None);
        window.begin(1, SECOND, ());
        window.accepted(3, SECOND, None);
        assert_eq!(window.len(), 2);
        assert_eq!(window.begin(1, SECOND, ()), Begin::Duplicate(None));
        assert_eq!(window.begin(2, SECOND, ()), Begin::Fresh);
    }

    #[test]
    fn hits_do_not_make_the_window_grow() {
        let mut window = Window::new(10);
        window.accepted(1, SECOND, None);
        for _ in 0..10_000 {
            window.begin(1, SECOND, ());
        }
        assert!(window.order.len() <= 20, "{}", window.order.len());
    }

    /// The same by looking through everything: newest last.
    #[derive(Default)]
    struct Naive(Vec<(Key, Duration, Option<Option<Seq>>)>);

    impl Naive {
        fn take(&mut self, key: Key, now: Duration) -> Option<Option<Option<Seq>>> {
            self.0.retain(|(_, seen, _)| now < *seen + HOUR);
            let at = self.0.iter().position(|entry| entry.0 == key)?;
            Some(self.0.remove(at).2)
        }

        fn put(&mut self, key: Key, now: Duration, state: Option<Option<Seq>>, capacity: usize) {
            self.0.push((key, now, state));
            if self.0.len() > capacity {
                self.0.remove(0);
            }
        }
    }

    proptest! {
        #[test]
        fn the_window_does_what_a_naive_one_does(
            capacity in 1usize..6,
            steps in proptest::collection::vec((0u8..4, 0u128..8, 0u64..1500), 0..300),
        ) {
            let (mut window, mut naive, mut now) = (Window::new(capacity), Naive::default(), Duration::ZERO);
            for (what, key, pause) in steps {
                now += Duration::from_secs(pause);
                match what {
                    0 | 1 => {
                        let (expected, state) = match naive.take(key, now) {
                            None => (Begin::Fresh, None),
                            Some(None) => (Begin::Pending(()), None),
                            Some(Some(seq)) => (Begin::Duplicate(seq), Some(seq)),
                        };
                        naive.put(key, now, state, capacity);
                        prop_assert_eq!(window.begin(key, now, ()), expected);
                    }
                    2 => {
                        naive.take(key, now);
                        naive.put(key, now, Some(Some(pause)), capacity);
                        window.accepted(key, now, Some(pause));
                    }
                    _ => {
                        naive.0.retain(|entry| entry.0 != key || entry.2.is_some());
                        window.failed(key);
                    }
                }
                prop_assert!(window.len() <= capacity && window.order.len() <= 2 * capacity + 17);
            }
        }
    }
}
