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
            // Without a number nothing can be said of the order.
            Some((known, _)) if version != 0 && *known >= version => false,
            Some(known) => {
                let changed = known.1 != value;
                *known = (version, value);
                changed
            }
            None if version != 0 && self.gone.iter().any(|(gone, at)| *gone == key && *at >= version) => {
                false
            }
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

    /// The version of a key.
    pub(crate) fn version(&self, key: &K) -> Option<u64> {
        self.rows.get(key).map(|(version, _)| *version)
    }

    /// Everything, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, (_, value))| (key, value))
    }

    /// The keys for which `wanted` holds, with their versions: what a watch that begins anew compares with.
    pub(crate) fn versions(&self, wanted: impl Fn(&K) -> bool) -> Vec<(K, u64)> {
        let wanted = self.rows.iter().filter(|(key, _)| wanted(key));
        wanted.map(|(key, (version, _))| (key.clone(), *version)).collect()
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
        assert!(table.put("a", 0, "without a number"));
        assert!(table.remove(&"a", 9) && !table.remove(&"a", 9));
        assert!(!table.put("a", 8, "an answer from before the deletion") && table.get(&"a").is_none());
        assert!(table.put("a", 10, "made anew"));
    }
}
