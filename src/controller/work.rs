//! Takes resources from the queue and runs passes over them: a bounded number at a time, one at a time for each
//! resource, each within a deadline.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::{Id, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, field::Empty};

use super::{
    backoff::Backoff,
    memory::Memory,
    metrics::Ended,
    queue::Key,
    reason::Reason,
    reconcile::{Error, Next, reconcile},
    shared::Shared,
};
use crate::runtime::telemetry;

/// Longest pass. A request that hangs does not hold a place for longer.
const DEADLINE: Duration = Duration::from_secs(30);
/// Time for passes under way after the end was asked for.
const FAREWELL: Duration = Duration::from_secs(10);
/// Every resource is looked at so often even if nothing is heard of it, more or less by a tenth.
const RESYNC: Duration = Duration::from_mins(10);

/// What one pass leaves behind.
struct Passed {
    memory: Memory,
    result: Result<Next, Error>,
    began: Instant,
}

/// Works until `stop` is cancelled, and then until the passes under way have ended, for 10 s at most.
pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut work = Work::new(shared);
    let stopped = stop.cancelled();
    tokio::pin!(stopped);
    loop {
        work.begin();
        tokio::select! {
            () = &mut stopped => break,
            Some(ended) = work.passes.join_next_with_id() => work.end(ended),
            () = work.shared.schedule.due(), if work.has_room() => {}
        }
    }
    let rest = async {
        while let Some(ended) = work.passes.join_next_with_id().await {
            work.end(ended);
        }
    };
    if timeout(FAREWELL, rest).await.is_err() {
        tracing::warn!("Passes had to be cut short; whoever leads next does them anew.");
    }
}

struct Work {
    shared: Arc<Shared>,
    passes: JoinSet<Passed>,
    /// The key of each task above.
    keys: HashMap<Id, Key>,
    /// Bounded by the number of resources.
    memories: HashMap<Key, Memory>,
    backoff: Backoff<Key>,
}

impl Work {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            passes: JoinSet::new(),
            keys: HashMap::new(),
            memories: HashMap::new(),
            backoff: Backoff::default(),
        }
    }

    fn has_room(&self) -> bool {
        self.passes.len() < self.shared.settings.concurrency
    }

    /// Begins what is due and has room.
    fn begin(&mut self) {
        while self.has_room()
            && let Some(key) = self.shared.schedule.take()
        {
            let mut memory = self.memories.remove(&key).unwrap_or_default();
            let (shared, own) = (self.shared.clone(), key.clone());
            let span = tracing::info_span!(
                "pass", otel.name = "reconcile", otel.status_code = Empty, gateway = %key, generation = Empty,
                trace_id = Empty,
            );
            if let Some(id) = telemetry::trace_id(&span) {
                span.record("trace_id", tracing::field::display(id));
            }
            let pass = async move {
                shared.metrics.pass_began();
                let began = Instant::now();
                let result = reconcile(&shared, &own, &mut memory).await;
                let seconds = began.elapsed().as_secs_f64();
                match &result {
                    Ok(next) => tracing::debug!(gateway = %own, ?next, seconds, "A pass has ended."),
                    Err(_) => {
                        Span::current().record("otel.status_code", "ERROR");
                    }
                }
                Passed { memory, result, began }
            };
            let bounded = async move { timeout(DEADLINE, pass).await.unwrap_or_else(|_| too_long()) };
            let task = self.passes.spawn(bounded.instrument(span));
            self.keys.insert(task.id(), key);
        }
    }

    /// Takes in how a pass ended, and says when the next is due.
    fn end(&mut self, ended: Result<(Id, Passed), tokio::task::JoinError>) {
        let (id, passed) = match ended {
            Ok((id, passed)) => (id, Some(passed)),
            Err(error) => (error.id(), None),
        };
        let Some(key) = self.keys.remove(&id) else { return };
        match passed {
            Some(Passed { memory, result: Ok(next), began }) => self.well(&key, memory, next, began),
            Some(Passed { memory, result: Err(error), began }) => {
                tracing::warn!(gateway = %key, %error, "A pass failed and is tried again.");
                self.failed(&key, error.reason(), began.elapsed());
                self.memories.insert(key.clone(), memory);
            }
            None => {
                tracing::error!(gateway = %key, "A pass panicked: this is a fault of the controller, please report it.");
                self.shared.metrics.pass_panicked();
                self.failed(&key, Reason::Panicked, Duration::ZERO);
            }
        }
        self.shared.schedule.done(&key);
    }

    fn well(&mut self, key: &Key, memory: Memory, next: Next, began: Instant) {
        let ended = if next == Next::Change { Ended::Success } else { Ended::RequeueAfter };
        let wait = match next {
            Next::Forget => {
                self.backoff.forget(key);
                self.shared.metrics.pass_ended(Ended::Success, began.elapsed());
                return;
            }
            Next::Again => self.backoff.failed(key.clone(), rand::random()),
            Next::After(wait) => {
                self.backoff.forget(key);
                wait
            }
            Next::Change => {
                self.backoff.forget(key);
                RESYNC.mul_f64(0.9 + rand::random::<f64>() / 5.0)
            }
        };
        self.shared.metrics.pass_ended(ended, began.elapsed());
        self.shared.schedule.after(key.clone(), wait);
        self.memories.insert(key.clone(), memory);
    }

    fn failed(&mut self, key: &Key, reason: Reason, after: Duration) {
        self.shared.metrics.problem(reason);
        self.shared.metrics.pass_ended(Ended::Error, after);
        let wait = self.backoff.failed(key.clone(), rand::random());
        self.shared.schedule.after(key.clone(), wait);
    }
}

/// What a pass leaves behind that ran into its deadline: nothing is remembered, so that the next looks at everything.
fn too_long() -> Passed {
    let began = Instant::now();
    Passed {
        memory: Memory::default(),
        result: Err(Error::Deadline(DEADLINE)),
        began: began.checked_sub(DEADLINE).unwrap_or(began),
    }
}

#[cfg(test)]
mod tests;
