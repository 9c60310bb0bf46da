//! Which sub-sockets (topics and patterns) have how many subscribers, over all shards.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// Entries that are copied out under one hold of the lock.
const CHUNK: usize = 4096;

/// Every sub-socket with its number of subscribers, in the order of their texts.
///
/// A shard takes the lock only with its first and its last subscriber of a sub-socket; between them it counts on
/// the shared counter. Bounded by the subscriptions, and so by connections × `limits.topicsPerConnection`.
#[derive(Debug, Default)]
pub struct Registry {
    held: Mutex<BTreeMap<Arc<str>, Held>>,
}

/// A sub-socket that at least one shard holds.
#[derive(Debug)]
struct Held {
    /// Subscribers on all shards; each shard adds and takes its own.
    subscribers: Arc<AtomicU32>,
    /// Shards that have entered and not left.
    shards: u32,
}

impl Registry {
    /// A registry without sub-sockets.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A shard has its first subscriber of `key` (a topic's or a pattern's text) and counts it and its others on the
    /// counter given back, which it shares with the other shards that hold the key.
    pub fn enter(&self, key: &Arc<str>) -> Arc<AtomicU32> {
        let mut held = self.lock();
        let entry =
            held.entry(key.clone()).or_insert_with(|| Held { subscribers: Arc::default(), shards: 0 });
        entry.shards += 1;
        entry.subscribers.clone()
    }

    /// A shard has lost its last subscriber of `key`; once for every [`Registry::enter`], after the counter was
    /// given back what was added to it.
    pub fn leave(&self, key: &Arc<str>) {
        let mut held = self.lock();
        if let Entry::Occupied(mut entry) = held.entry(key.clone()) {
            entry.get_mut().shards -= 1;
            if entry.get().shards == 0 {
                entry.remove();
            }
        }
    }

    /// At most `limit` sub-sockets whose text begins with `prefix` and comes after `after`, in order.
    pub fn page(&self, prefix: &str, after: &str, limit: usize) -> Vec<(Arc<str>, u32)> {
        let start = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        self.lock()
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, held)| (key.clone(), held.count()))
            .collect()
    }

    /// Sub-sockets and subscriptions. Walks over all of them: not for every request of a public client.
    pub fn totals(&self) -> (u64, u64) {
        let (mut topics, mut subscriptions) = (0, 0);
        self.walk(|_, subscribers| {
            topics += 1;
            subscriptions += u64::from(subscribers);
        });
        (topics, subscriptions)
    }

    /// Visits every sub-socket in order. `visit` runs outside the lock, which is held for 4096 entries at a time,
    /// so that a shard that waits for it gets its turn. What changes meanwhile is seen or not, never twice.
    pub fn walk(&self, mut visit: impl FnMut(&Arc<str>, u32)) {
        let mut chunk: Vec<(Arc<str>, u32)> = Vec::new();
        let mut start = Bound::Unbounded;
        loop {
            chunk.clear();
            chunk.extend(
                self.lock()
                    .range((start, Bound::Unbounded))
                    .take(CHUNK)
                    .map(|(key, held)| (key.clone(), held.count())),
            );
            for (key, subscribers) in &chunk {
                visit(key, *subscribers);
            }
            match chunk.last() {
                Some((last, _)) if chunk.len() == CHUNK => start = Bound::Excluded(last.clone()),
                _ => return,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn count(&self) -> u32 {
        self.subscribers.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(keys: impl IntoIterator<Item = String>) -> Arc<Registry> {
        let registry = Registry::new();
        for (n, key) in keys.into_iter().enumerate() {
            registry.enter(&key.into()).store(u32::try_from(n).unwrap() + 1, Ordering::Relaxed);
        }
        registry
    }

    fn texts(page: &[(Arc<str>, u32)]) -> Vec<&str> {
        page.iter().map(|(key, _)| &**key).collect()
    }

    #[test]
    fn shards_share_one_counter_and_the_entry_goes_with_the_last_of_them() {
        let registry = Registry::new();
        let key: Arc<str> = "a".into();
        let (one, two) = (registry.enter(&key), registry.enter(&key));
        one.fetch_add(1, Ordering::Relaxed);
        two.fetch_add(2, Ordering::Relaxed);
        assert_eq!(registry.page("", "", 9), [(key.clone(), 3)]);
        one.fetch_sub(1, Ordering::Relaxed);
        registry.leave(&key);
        assert_eq!(registry.totals(), (1, 2));
        two.fetch_sub(2, Ordering::Relaxed);
        registry.leave(&key);
        assert_eq!(registry.totals(), (0, 0));
    }

    #[test]
    fn a_key_that_comes_back_starts_at_nothing() {
        let registry = Registry::new();
        let key: Arc<str> = "a".into();
        let old = registry.enter(&key);
        old.store(7, Ordering::Relaxed);
        registry.leave(&key);
        registry.enter(&key);
        assert_eq!(registry.totals(), (1, 0));
    }

    #[test]
    fn pages_are_ordered_and_begin_behind_the_last_one() {
        let registry = filled(["b.2", "a", "b.1", "b", "c"].map(String::from));
        for (prefix, after, limit, expected) in [
            ("", "", 9, &["a", "b", "b.1", "b.2", "c"][..]),
            ("", "", 2, &["a", "b"]),
            ("", "b", 2, &["b.1", "b.2"]),
            ("b.", "", 9, &["b.1", "b.2"]),
            ("b.", "b.1", 9, &["b.2"]),
            ("b.", "a", 9, &["b.1", "b.2"]),
            ("b.", "c", 9, &[]),
            ("x", "", 9, &[]),
        ] {
            assert_eq!(texts(&registry.page(prefix, after, limit)), expected, "{prefix:?} {after:?} {limit}");
        }
    }

    #[test]
    fn a_walk_over_several_chunks_meets_every_entry_once() {
        let expected: Vec<String> = (0..2 * CHUNK).map(|n| format!("t.{n:06}")).collect();
        let registry = filled(expected.clone());
        let mut seen = Vec::new();
        registry.walk(|key, _| seen.push(key.to_string()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_lock_is_free_while_an_entry_is_visited() {
        let registry = filled(["a".to_owned()]);
        registry.walk(|key, _| registry.leave(key));
        assert_eq!(registry.totals(), (0, 0));
    }
}
