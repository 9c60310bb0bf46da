//! What clients and publishers met, counted for the figures of a run.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts by name. Cheap to clone; every clone counts in the same place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<BTreeMap<String, u64>>>);

impl Tally {
    /// Counts one of these.
    pub(crate) fn count(&self, name: impl Into<String>) {
        self.add(name, 1);
    }

    /// Counts so many of these.
    pub(crate) fn add(&self, name: impl Into<String>, more: u64) {
        *self.lock().entry(name.into()).or_default() += more;
    }

    /// How many there were.
    pub(crate) fn of(&self, name: &str) -> u64 {
        self.lock().get(name).copied().unwrap_or(0)
    }

    /// Those whose name begins like this.
    pub(crate) fn beginning(&self, prefix: &str) -> Vec<(String, u64)> {
        let counts = self.lock();
        let of_them = counts.iter().filter(|(name, _)| name.starts_with(prefix));
        of_them.map(|(name, count)| (name.clone(), *count)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.lock();
        let parts: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        f.write_str(&parts.join(", "))
    }
}
