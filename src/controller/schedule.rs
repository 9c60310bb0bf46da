//! The queue, shared by watches that fill it and the workers that empty it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::queue::{Key, Queue};

/// A change waits so long for others: a rollout or an apply of many files is one pass, not fifty.
const DEBOUNCE: Duration = Duration::from_millis(150);

/// Queue with a bell. Locked for moments, never across a wait.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    queue: Mutex<Queue>,
    bell: Notify,
}

impl Schedule {
    /// Something about this resource has changed.
    pub(crate) fn soon(&self, key: Key) {
        self.after(key, DEBOUNCE);
    }

    /// The resource is to be looked at after `wait`, unless it is sooner.
    pub(crate) fn after(&self, key: Key, wait: Duration) {
        self.queue().add(key, Instant::now() + wait);
        self.bell.notify_one();
    }

    /// Takes a key that is due, see [`Queue::take`].
    pub(crate) fn take(&self) -> Option<Key> {
        self.queue().take(Instant::now())
    }

    /// The work on a key has ended.
    pub(crate) fn done(&self, key: &Key) {
        self.queue().done(key);
        self.bell.notify_one();
    }

    /// Keys that are due and wait.
    pub(crate) fn depth(&self) -> usize {
        self.queue().depth(Instant::now())
    }

    /// Returns when a key is due, or when what is due may have changed.
    pub(crate) async fn due(&self) {
        let next = self.queue().next();
        match next {
            None => self.bell.notified().await,
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = self.bell.notified() => {}
            },
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
