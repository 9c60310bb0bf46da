//! How long clients take from the beginning of a connection until they have everything.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::work::Work;

/// Times of all clients, from the moment in which each began to connect.
#[derive(Debug)]
pub(crate) struct Laps {
    work: Arc<Work>,
    times: Mutex<Vec<Duration>>,
}

impl Laps {
    /// None yet; what there is to have is what this work has stored.
    pub(crate) fn new(work: Arc<Work>) -> Self {
        Self { work, times: Mutex::default() }
    }

    /// A client begins to connect: the time, and what there is by then.
    pub(crate) fn begin(&self) -> (Instant, BTreeMap<String, u64>) {
        (Instant::now(), self.work.heads())
    }

    /// It has that.
    pub(crate) fn note(&self, time: Duration) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).push(time);
    }

    /// How many have it.
    pub(crate) fn count(&self) -> u64 {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// The times up to now, the shortest first; counts anew from now on.
    pub(crate) fn take(&self) -> Vec<Duration> {
        let mut times = std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner));
        times.sort_unstable();
        times
    }
}
