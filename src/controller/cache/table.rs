//! Objects by key, of which only newer versions are taken.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// Deletions that are remembered: as many as may happen while an answer is under way.
const REMEMBERED: usize = 256;

/// Values with the `resourceVersion` they are of. Watches and answers may come in any order: the newest stays.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    rows: HashMap<K, (u64, V)>,
    /// What was deleted lately, the newest last; at most [`REMEMBERED`].
    gone: VecDeque<(K, u64)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: HashMap::new(), gone: VecDeque::new() }
    }
}

impl<K: Eq + Hash + Clone, V: PartialEq> Table<K, V> {
    /// Takes a value in, unless what is here is as new; whether it differs from what was here.
    pub(crate) fn put(&mut self, key: K, version: u64, value: V) -> bool {
        match self.rows.get_mut(&key) {
            Some((known, _)) if *known >= version => false,
            Some(known) => {
                let changed = known.1 != value;
                *known = (version, value);
                changed
            }
            None if self.gone.iter().any(|(gone, at)| *gone == key && *at >= version) => false,
            None => {
                self.rows.insert(key, (version, value));
                true
            }
        }
    }

    /// Takes a value out, since it was deleted with this version; whether it was there. An answer that is older than
    /// the deletion and comes later does not bring it back.
    pub(crate) fn remove(&mut self, key: &K, version: u64) -> bool {
        if self.gone.len() == REMEMBERED {
            self.gone.pop_front();
        }
        self.gone.push_back((key.clone(), version));
        self.rows.remove(key).is_some()
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|(_, value)| value)
    }

    /// The version of a key; 0 while nothing has been heard of it since [`Table::doubt`].
    pub(crate) fn version(&self, key: &K) -> Option<u64> {
        self.rows.get(key).map(|(version, _)| *version)
    }

    /// Everything, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, (_, value))| (key, value))
    }

    /// A watch that covers these keys begins anew: whatever it tells is newer than what is here, even from an API server
    /// that was set back. Values stay until [`Table::doubtful`] tells that it has not spoken of them.
    pub(crate) fn doubt(&mut self, covers: impl Fn(&K) -> bool) {
        for (_, (version, _)) in self.rows.iter_mut().filter(|(key, _)| covers(key)) {
            *version = 0;
        }
        self.gone.retain(|(key, _)| !covers(key));
    }

    /// The keys of which nothing has been heard since [`Table::doubt`].
    pub(crate) fn doubtful(&self, covers: impl Fn(&K) -> bool) -> Vec<K> {
        let doubtful = self.rows.iter().filter(|(key, (version, _))| *version == 0 && covers(key));
        doubtful.map(|(key, _)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let mut table = Table::default();
        assert!(table.put("a", 5, "new"));
        assert!(!table.put("a", 4, "old") && !table.put("a", 5, "same version"));
        assert_eq!(table.get(&"a"), Some(&"new"));
        assert!(!table.put("a", 6, "new"), "only the version is another");
        assert!(table.put("a", 7, "newer"));
        assert!(table.remove(&"a", 9) && !table.remove(&"a", 9));
        assert!(!table.put("a", 8, "an answer from before the deletion") && table.get(&"a").is_none());
        assert!(table.put("a", 10, "made anew"));
    }
    #[test]
    fn what_a_watch_that_begins_anew_does_not_tell_of_is_doubtful() {
        let mut table = Table::default();
        for (key, version) in [("a", 50), ("b", 50), ("other", 50)] {
            table.put(key, version, "before");
        }
        table.remove(&"gone", 60);
        table.doubt(|key| key.len() < 5);
        assert!(table.put("a", 7, "of an API server that was set back"));
        assert!(table.put("gone", 8, "there again"));
        assert!(!table.put("other", 9, "not covered"));
        assert_eq!(table.doubtful(|_| true), ["b"]);
    }
}
