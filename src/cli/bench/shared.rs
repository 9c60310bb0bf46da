//! What the threads of a run tell each other: numbers that grow, when it began, and that it is over.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::usage;

/// One for a run. Nothing here orders anything else: whoever needs results gets them when a thread ends.
#[derive(Debug, Default)]
pub(super) struct Shared {
    stopped: AtomicBool,
    live: AtomicU64,
    delivered: AtomicU64,
    sent: AtomicU64,
    begin: OnceLock<Instant>,
    threads: Mutex<Vec<Thread>>,
}

/// A thread that does work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thread {
    pub(super) name: String,
    /// Its number in the system.
    pub(super) id: u32,
}

impl Shared {
    /// Tells all threads to end.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// The run begins at this moment; only the first one counts.
    pub(super) fn begin(&self, at: Instant) {
        let _ = self.begin.set(at);
    }

    /// When the run began or will begin, once that is known.
    pub(super) fn began(&self) -> Option<Instant> {
        self.begin.get().copied()
    }

    /// Time since the run began; 0 before.
    pub(super) fn since_begin(&self, at: Instant) -> Duration {
        self.began().map_or(Duration::ZERO, |begin| at.saturating_duration_since(begin))
    }

    /// So many connections more are set up.
    pub(super) fn add_live(&self, more: u64) {
        self.live.fetch_add(more, Relaxed);
    }

    pub(super) fn live(&self) -> u64 {
        self.live.load(Relaxed)
    }

    /// So many messages more were delivered.
    pub(super) fn add_delivered(&self, more: u64) {
        self.delivered.fetch_add(more, Relaxed);
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    /// So many messages are sent by now.
    pub(super) fn set_sent(&self, sent: u64) {
        self.sent.store(sent, Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// The thread that calls does work under this name; its CPU time is looked at, where that can be seen.
    pub(super) fn enlist(&self, name: String) {
        if let Some(id) = usage::own_thread() {
            self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(Thread { name, id });
        }
    }

    /// Threads that work, by name.
    pub(super) fn threads(&self) -> Vec<Thread> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).clone();
        threads.sort_by(|a, b| a.name.cmp(&b.name));
        threads
    }
}
