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
        self.change(name, |_| {});
    }

    /// The watch has told all there is.
    pub(crate) fn synced(&self, name: &str) {
        self.change(name, |state| {
            if state.failure.take().is_some() {
                tracing::info!(watch = name, "The watch works again.");
            }
            state.synced = true;
        });
    }

    /// The watch fails, and tries again by itself. `unsynced`: what it has told before no longer counts.
    pub(crate) fn failed(&self, name: &str, failure: &str, unsynced: bool) {
        self.change(name, |state| {
            state.synced &= !unsynced;
            let news =
                state.failure.as_ref().is_none_or(|(known, at)| known != failure || at.elapsed() > REMINDER);
            if news {
                tracing::warn!(watch = name, reason = failure, "Waiting for the API server.");
                state.failure = Some((failure.into(), Instant::now()));
            }
        });
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
        change(watches.entry(name.into()).or_default());
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
        health.synced("pods");
        health.failed("pods", "connection refused", false);
        assert_eq!(health.check(), Ok(()));
        health.failed("pods", "no such kind", true);
        assert_eq!(health.check(), Err("pods: no such kind".into()));
    }
}
