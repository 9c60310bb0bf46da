//! Whether the watches have told all there is: the readiness of the controller.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// A failure that lasts is logged again after so long.
const REMINDER: Duration = Duration::from_mins(1);

/// The state of every watch that passes depend on. Bounded by kinds × namespaces.
#[derive(Debug)]
pub(crate) struct Health {
    watches: Mutex<BTreeMap<String, State>>,
    synced: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    synced: bool,
    failure: Option<(String, Instant)>,
}

impl Default for Health {
    fn default() -> Self {
        Self { watches: Mutex::default(), synced: watch::Sender::new(false) }
    }
}

impl Health {
    /// A watch that is awaited from now on.
    pub(crate) fn expect(&self, name: &str) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.entry(name.into()).or_default();
        self.synced.send_replace(false);
    }

    /// Nobody waits for the watch any more.
    pub(crate) fn forget(&self, name: &str) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.remove(name);
        self.synced.send_replace(watches.values().all(|state| state.synced));
    }

    /// The watch has told all there is.
    pub(crate) fn synced(&self, name: &str) {
        self.change(name, |state| state.synced = true);
        self.works(name);
    }

    /// The watch tells something, after it had failed.
    pub(crate) fn works(&self, name: &str) {
        let mut failed = false;
        self.change(name, |state| failed = state.failure.take().is_some());
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if failed && watches.values().all(|state| state.failure.is_none()) {
            tracing::info!("Every watch works again.");
        }
    }

    /// The watch fails, and tries again by itself. `unsynced`: what it has told before no longer counts. What several
    /// watches fail for is logged once.
    pub(crate) fn failed(&self, name: &str, failure: &str, unsynced: bool) {
        let logged = self.logged(failure).filter(|at| at.elapsed() < REMINDER);
        self.change(name, |state| {
            state.synced &= !unsynced;
            if logged.is_none() {
                tracing::warn!(watch = name, reason = failure, "Waiting for the API server.");
            }
            state.failure = Some((failure.into(), logged.unwrap_or_else(Instant::now)));
        });
    }

    /// When it was last logged that a watch fails for this.
    fn logged(&self, failure: &str) -> Option<Instant> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let same = watches.values().flat_map(|state| &state.failure).filter(|(known, _)| known == failure);
        same.map(|(_, at)| *at).max()
    }

    /// Whether every watch has told all there is; if not, a line for each that has not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = watches.iter().filter(|(_, state)| !state.synced).map(|(name, state)| {
            let reason = state.failure.as_ref().map_or("not listed yet", |(failure, _)| failure);
            format!("{name}: {reason}")
        });
        let lines: Vec<String> = waiting.collect();
        if lines.is_empty() { Ok(()) } else { Err(lines.join("\n")) }
    }

    /// Returns once every watch has told all there is.
    pub(crate) async fn until_synced(&self) {
        // The sender lives as long as `self`.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut State)) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is no longer awaited may say a last word.
        let Some(state) = watches.get_mut(name) else { return };
        change(state);
        let all = watches.values().all(|state| state.synced);
        self.synced.send_replace(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_every_watch_is_synced_and_says_what_is_not() {
        let health = Health::default();
        health.expect("pods");
        health.expect("secrets");
        health.synced("pods");
        assert_eq!(health.check(), Err("secrets: not listed yet".into()));
        health.failed("secrets", "forbidden", false);
        assert_eq!(health.check(), Err("secrets: forbidden".into()));
        health.synced("secrets");
        assert_eq!(health.check(), Ok(()));
    }

    #[test]
    fn a_failure_later_only_counts_where_nothing_is_left_to_watch() {
        let health = Health::default();
        health.expect("pods");
        health.synced("pods");
        health.failed("pods", "connection refused", false);
        assert_eq!(health.check(), Ok(()));
        health.failed("pods", "no such kind", true);
        assert_eq!(health.check(), Err("pods: no such kind".into()));
        health.forget("pods");
        health.failed("pods", "no such kind", true);
        assert_eq!(health.check(), Ok(()));
    }
}
