//! De-duplication, pure: which messages have been accepted within the last hour. Time is passed in.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZero,
    time::Duration,
};

use crate::api::Seq;

/// How long a message is remembered after it was last seen.
pub const WINDOW: Duration = Duration::from_hours(1);
/// Messages remembered at most; beyond that the one seen longest ago is forgotten first. Some 130 MB when
/// full.
pub const MAX_ENTRIES: usize = 1_000_000;

/// Names a message: see [`Keys::key`](super::Keys::key).
pub type Key = [u8; 16];

/// Remembers messages. `W` is what somebody is given who publishes a message again while it is still pending.
///
/// Every call costs O(1), amortised.
#[derive(Debug)]
pub struct Window<W> {
    entries: HashMap<Key, Entry<W>>,
    /// Every entry by when it was last seen, oldest first, and records that a newer one has replaced. Those are
    /// dropped when they come to the front, or all at once when they outnumber the entries.
    order: VecDeque<(Key, Stamp)>,
    /// When any was seen last.
    last: Stamp,
    capacity: usize,
}

/// Nanoseconds from the caller's fixed point (for 584 years), never the same twice: it tells an entry's current record
/// from those it has replaced. Should two events have one time, the later one is taken to be a nanosecond later.
type Stamp = u64;

#[derive(Debug)]
struct Entry<W> {
    state: State<W>,
    seen: Stamp,
}

/// Sequences begin at 1, which saves a third of the memory.
#[derive(Debug)]
enum State<W> {
    Pending(W),
    Accepted(Option<NonZero<Seq>>),
}

/// What is known of a message that is to be published.
#[derive(Debug, PartialEq, Eq)]
pub enum Begin<W> {
    /// Nothing: publish it, then say [`Window::accepted`] or [`Window::forget`].
    Fresh,
    /// It is being published: its outcome is this one's too.
    Pending(W),
    /// It has been accepted, with this number where the backbone numbers.
    Duplicate(Option<Seq>),
}

impl<W: Clone> Window<W> {
    /// An empty window for at most `capacity` messages.
    pub fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), last: 0, capacity }
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
            Some(Entry { state: State::Accepted(seq), .. }) => Begin::Duplicate(seq.map(NonZero::get)),
        };
        self.renew(key, now);
        known
    }

    /// The backbone has the message: whoever publishes it within the window publishes a duplicate.
    pub fn accepted(&mut self, key: Key, now: Duration, seq: Option<Seq>) {
        self.forget_old(now);
        self.set(key, now, State::Accepted(seq.and_then(NonZero::new)));
    }

    /// The message did not get through, or the backbone remembers it: the next attempt is a fresh one. What has been
    /// accepted stays accepted.
    pub fn forget(&mut self, key: Key) {
        if matches!(self.entries.get(&key), Some(Entry { state: State::Pending(_), .. })) {
            self.entries.remove(&key);
        }
    }

    fn set(&mut self, key: Key, now: Duration, state: State<W>) {
        self.entries.insert(key, Entry { state, seen: 0 });
        self.renew(key, now);
        while self.entries.len() > self.capacity {
            self.forget_front();
        }
    }

    /// Puts the entry behind all others.
    fn renew(&mut self, key: Key, now: Duration) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        self.last = stamp(now).max(self.last + 1);
        entry.seen = self.last;
        self.order.push_back((key, self.last));
        if self.order.len() > 2 * self.entries.len() + 16 {
            let entries = &self.entries;
            self.order.retain(|(key, seen)| entries.get(key).is_some_and(|entry| entry.seen == *seen));
        }
    }

    fn forget_old(&mut self, now: Duration) {
        let ended = stamp(now.saturating_sub(WINDOW));
        while self.order.front().is_some_and(|(_, seen)| *seen <= ended) {
            self.forget_front();
        }
    }

    fn forget_front(&mut self) {
        let Some((key, seen)) = self.order.pop_front() else { return };
        if self.entries.get(&key).is_some_and(|entry| entry.seen == seen) {
            self.entries.remove(&key);
        }
    }
}

fn stamp(time: Duration) -> Stamp {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(name: u8) -> Key {
        [name; 16]
    }

    #[test]
    fn a_message_is_a_duplicate_once_accepted_and_not_before() {
        let mut window = Window::new(10);
        assert_eq!(window.begin(key(1), SECOND, "first"), Begin::Fresh);
        assert_eq!(window.begin(key(1), SECOND, "second"), Begin::Pending("first"));
        window.accepted(key(1), SECOND, Some(7));
        assert_eq!(window.begin(key(1), SECOND, "third"), Begin::Duplicate(Some(7)));
        assert_eq!(window.begin(key(2), SECOND, "other"), Begin::Fresh);
    }

    #[test]
    fn a_retry_after_a_failure_is_fresh() {
        let mut window = Window::new(10);
        window.begin(key(1), SECOND, ());
        window.forget(key(1));
        assert!(window.is_empty());
        assert_eq!(window.begin(key(1), SECOND, ()), Begin::Fresh);
    }

    #[test]
    fn what_has_been_accepted_cannot_fail_any_more() {
        let mut window = Window::new(10);
        window.accepted(key(1), SECOND, None);
        window.forget(key(1));
        assert_eq!(window.begin(key(1), SECOND, ()), Begin::Duplicate(None));
    }

    #[test]
    fn the_window_slides_with_every_hit() {
        let mut window = Window::new(10);
        window.accepted(key(1), Duration::ZERO, None);
        window.accepted(key(2), Duration::ZERO, None);
        assert_eq!(window.begin(key(1), Duration::from_secs(3599), ()), Begin::Duplicate(None));
        assert_eq!(window.begin(key(2), WINDOW + SECOND, ()), Begin::Fresh);
        assert_eq!(window.begin(key(1), Duration::from_secs(7198), ()), Begin::Duplicate(None));
        assert_eq!(window.begin(key(1), Duration::from_secs(10_798), ()), Begin::Fresh);
    }

    #[test]
    fn a_full_window_forgets_what_was_seen_longest_ago() {
        let mut window = Window::new(2);
        window.accepted(key(1), SECOND, None);
        window.accepted(key(2), SECOND, None);
        window.begin(key(1), SECOND, ());
        window.accepted(key(3), SECOND, None);
        assert_eq!(window.len(), 2);
        assert_eq!(window.begin(key(1), SECOND, ()), Begin::Duplicate(None));
        assert_eq!(window.begin(key(2), SECOND, ()), Begin::Fresh);
    }

    #[test]
    fn hits_do_not_make_the_window_grow() {
        let mut window = Window::new(10);
        window.accepted(key(1), SECOND, None);
        for _ in 0..10_000 {
            window.begin(key(1), SECOND, ());
        }
        assert!(window.order.len() <= 20, "{}", window.order.len());
    }

    /// The same by looking through everything: newest last, and when that was.
    #[derive(Default)]
    struct Naive(Vec<(Key, Duration, Naively)>, Duration);

    #[derive(Clone, Copy, PartialEq)]
    enum Naively {
        Pending,
        Accepted(Option<Seq>),
    }

    impl Naive {
        fn take(&mut self, key: Key, now: Duration) -> Option<Naively> {
            self.0.retain(|(_, seen, _)| now < *seen + WINDOW);
            let at = self.0.iter().position(|entry| entry.0 == key)?;
            Some(self.0.remove(at).2)
        }

        fn put(&mut self, key: Key, now: Duration, state: Naively, capacity: usize) {
            self.1 = now.max(self.1 + Duration::from_nanos(1));
            self.0.push((key, self.1, state));
            if self.0.len() > capacity {
                self.0.remove(0);
            }
        }
    }

    proptest! {
        #[test]
        fn the_window_does_what_a_naive_one_does(
            capacity in 1usize..6,
            steps in proptest::collection::vec((0u8..4, 0u8..8, 0u64..1500), 0..300),
        ) {
            let (mut window, mut naive, mut now) = (Window::new(capacity), Naive::default(), Duration::ZERO);
            for (what, name, pause) in steps {
                let key = key(name);
                now += Duration::from_secs(pause);
                match what {
                    0 | 1 => {
                        let (expected, state) = match naive.take(key, now) {
                            None => (Begin::Fresh, Naively::Pending),
                            Some(Naively::Pending) => (Begin::Pending(()), Naively::Pending),
                            Some(Naively::Accepted(seq)) => (Begin::Duplicate(seq), Naively::Accepted(seq)),
                        };
                        naive.put(key, now, state, capacity);
                        prop_assert_eq!(window.begin(key, now, ()), expected);
                    }
                    2 => {
                        naive.take(key, now);
                        naive.put(key, now, Naively::Accepted(Some(pause + 1)), capacity);
                        window.accepted(key, now, Some(pause + 1));
                    }
                    _ => {
                        naive.0.retain(|entry| entry.0 != key || entry.2 != Naively::Pending);
                        window.forget(key);
                    }
                }
                prop_assert!(window.len() <= capacity && window.order.len() <= 2 * capacity + 17);
            }
        }
    }
}
