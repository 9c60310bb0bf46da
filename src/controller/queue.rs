//! Which resources are due for a pass, and when: pure, time is passed in.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    time::Instant,
};

/// A `TopicGateway` (or any other namespaced object) by its names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

impl Key {
    /// A key of these names.
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Another name in the same namespace.
    pub(crate) fn sibling(&self, name: &str) -> Self {
        Self::new(&self.namespace, name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Keys with the time from which on each may be worked on. A key is worked on by one at a time; what comes in
/// meanwhile is kept for afterwards. Bounded by the number of resources.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    order: BTreeSet<(Instant, Key)>,
    times: HashMap<Key, Instant>,
    /// With when to come again, where something came in meanwhile.
    running: BTreeMap<Key, Option<Instant>>,
}

impl Queue {
    /// The key is due at `at`, or earlier where it was already.
    pub(crate) fn add(&mut self, key: Key, at: Instant) {
        if let Some(again) = self.running.get_mut(&key) {
            *again = Some(again.map_or(at, |earlier| earlier.min(at)));
            return;
        }
        match self.times.get(&key) {
            Some(earlier) if *earlier <= at => return,
            Some(later) => {
                self.order.remove(&(*later, key.clone()));
            }
            None => {}
        }
        self.times.insert(key.clone(), at);
        self.order.insert((at, key));
    }

    /// Takes a key that is due; it counts as being worked on until [`Queue::done`].
    pub(crate) fn take(&mut self, now: Instant) -> Option<Key> {
        let (at, _) = self.order.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.times.remove(&key);
        self.running.insert(key.clone(), None);
        Some(key)
    }

    /// The work on a key has ended.
    pub(crate) fn done(&mut self, key: &Key) {
        if let Some(Some(at)) = self.running.remove(key) {
            self.add(key.clone(), at);
        }
    }

    /// When the next key is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// How many keys are due and wait.
    pub(crate) fn depth(&self, now: Instant) -> usize {
        self.order.iter().take_while(|(at, _)| *at <= now).count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(name: &str) -> Key {
        Key::new("prices", name)
    }

    #[test]
    fn the_earliest_time_holds_and_a_key_is_taken_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut queue = Queue::default();
        for (name, seconds) in [("a", 5), ("a", 2), ("a", 9), ("b", 3)] {
            queue.add(key(name), at(seconds));
        }
        assert_eq!((queue.next(), queue.take(at(1))), (Some(at(2)), None));
        assert_eq!(queue.depth(at(3)), 2);
        assert_eq!(
            [queue.take(at(9)), queue.take(at(9)), queue.take(at(9))],
            [Some(key("a")), Some(key("b")), None]
        );
    }

    #[test]
    fn what_comes_in_during_the_work_is_done_after_it() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let mut queue = Queue::default();
        queue.add(key("a"), start);
        let taken = queue.take(start).unwrap();
        queue.add(key("a"), later);
        queue.add(key("a"), start);
        assert_eq!((queue.take(later), queue.depth(later)), (None, 0));
        queue.done(&taken);
        assert_eq!(queue.take(start), Some(key("a")));
        queue.done(&taken);
        assert_eq!(queue.next(), None);
    }
}
