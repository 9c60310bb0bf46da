//! What clients publish, on its way to the backbone: once per message, and answered once the backbone has confirmed.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    time::timeout,
};

use tracing::{Instrument as _, Span, debug_span, field::Empty};

use crate::{
    api::Topic,
    gateway::{
        backbone::{PublishError, PublishRequest, Published},
        shard::PublishAnswer,
    },
};

mod keys;
mod window;

pub use keys::Keys;
pub use window::{Begin, Key, MAX_ENTRIES, WINDOW, Window};

/// How long the backbone may take to confirm.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// Publishes that wait for the backbone at the same time, of all clients together.
const MAX_IN_FLIGHT: usize = 16_384;

/// How publishes ended, since the start; for metrics.
#[derive(Debug, Default)]
pub struct Counts {
    /// Accepted for the first time.
    pub ok: AtomicU64,
    /// Had been accepted before.
    pub duplicate: AtomicU64,
    /// Not confirmed: to be tried again.
    pub unavailable: AtomicU64,
    /// The backbone refused the message.
    pub refused: AtomicU64,
}

/// Publishes messages, each once. Cheap to clone; one per gateway, so that all clients share the window.
#[derive(Debug, Clone)]
pub struct Publisher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backbone: mpsc::Sender<PublishRequest>,
    keys: Keys,
    /// Held for moments only, never across an await.
    window: Mutex<Window<Waiter>>,
    in_flight: Arc<Semaphore>,
    counts: Counts,
    start: Instant,
}

/// The outcome of a message that somebody else is publishing, once there is one.
type Waiter = watch::Receiver<Option<PublishAnswer>>;

/// A message on its way. Whoever drops it without an outcome has failed.
#[derive(Debug)]
struct Flight {
    shared: Arc<Shared>,
    key: Key,
    outcome: watch::Sender<Option<PublishAnswer>>,
}

/// What a publish waits for.
#[derive(Debug)]
enum Wait {
    Nothing(PublishAnswer),
    Backbone(Flight, oneshot::Receiver<Result<Published, PublishError>>),
    Other(Waiter),
}

impl Publisher {
    /// A publisher on a backbone's queue ([`Handle::publishes`](crate::gateway::backbone::Handle)).
    pub fn new(backbone: mpsc::Sender<PublishRequest>) -> Self {
        Self(Arc::new(Shared {
            backbone,
            keys: Keys::default(),
            window: Mutex::new(Window::new(MAX_ENTRIES)),
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            counts: Counts::default(),
            start: Instant::now(),
        }))
    }

    /// How publishes ended so far.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Publishes a message, unless the same user has published one with this id on this topic within the last hour (or
    /// as long as the backbone remembers, where it does); answered within 5 s.
    ///
    /// The message is handed to the backbone before this returns, so that messages keep the order of the calls; what
    /// is returned waits for the outcome. The backbone may still get a message whose outcome is `Unavailable`, and
    /// gets it again when the client tries again: only a backbone that de-duplicates itself can tell then.
    pub fn publish(
        &self,
        user: &Arc<str>,
        topic: Topic,
        message_id: Arc<str>,
        body: Bytes,
    ) -> impl Future<Output = PublishAnswer> + Send + use<> {
        let span = debug_span!(
            "publish",
            otel.kind = "producer",
            messaging.system = "nats",
            messaging.destination.name = topic.as_str(),
            messaging.message.id = &*message_id,
            messaging.message.body.size = body.len(),
            result = Empty,
            otel.status_code = Empty,
        );
        let permit = self.0.in_flight.clone().try_acquire_owned().ok();
        let wait = match permit {
            Some(_) => self.hand_over(user, topic, message_id, body),
            None => Wait::Nothing(PublishAnswer::Unavailable(format!(
                "{MAX_IN_FLIGHT} messages wait for the backbone: publish it again later with the same messageId"
            ))),
        };
        outcome(self.0.clone(), wait, permit).instrument(span)
    }

    fn hand_over(&self, user: &str, topic: Topic, message_id: Arc<str>, body: Bytes) -> Wait {
        let unique_id = keys::unique_id(user, topic.as_str(), &message_id);
        let key = self.0.keys.key(user, topic.as_str(), &message_id);
        let (outcome, waiter) = watch::channel(None);
        match self.0.window(|window, now| window.begin(key, now, waiter)) {
            Begin::Duplicate(seq) => return Wait::Nothing(PublishAnswer::Duplicate(seq)),
            Begin::Pending(waiter) => return Wait::Other(waiter),
            Begin::Fresh => {}
        }
        let flight = Flight { shared: self.0.clone(), key, outcome };
        let (reply, confirmation) = oneshot::channel();
        match self.0.backbone.try_send(PublishRequest { topic, message_id, unique_id, body, reply }) {
            Ok(()) => Wait::Backbone(flight, confirmation),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Wait::Nothing(flight.end(Err(PublishError::Unavailable("it has too much to do".into()))))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                Wait::Nothing(flight.end(Err(PublishError::Unavailable("the gateway is stopping".into()))))
            }
        }
    }
}

/// Waits for the outcome, and counts it. The permit is held until then.
async fn outcome(shared: Arc<Shared>, wait: Wait, permit: Option<OwnedSemaphorePermit>) -> PublishAnswer {
    let answer = match wait {
        Wait::Nothing(answer) => answer,
        Wait::Backbone(flight, confirmation) => {
            flight.end(match timeout(CONFIRM_WITHIN, confirmation).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(PublishError::Unavailable("it gave no answer".into())),
                Err(_) => Err(PublishError::Unavailable("it took longer than 5 s".into())),
            })
        }
        // The other one ends within 5 s, or is dropped.
        Wait::Other(mut waiter) => {
            match waiter.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone()) {
                Some(PublishAnswer::Accepted(seq)) => PublishAnswer::Duplicate(seq),
                Some(failed) => failed,
                None => unavailable(&PublishError::Unavailable("the first attempt was given up".into())),
            }
        }
    };
    drop(permit);
    shared.counts.add(&answer);
    note(&answer);
    answer
}

/// What came of it, in the current span.
fn note(answer: &PublishAnswer) {
    let (result, failed) = match answer {
        PublishAnswer::Accepted(_) => ("ok", false),
        PublishAnswer::Duplicate(_) => ("duplicate", false),
        PublishAnswer::Unavailable(_) => ("unavailable", true),
        PublishAnswer::Limited(_) => ("refused", true),
    };
    let span = Span::current();
    span.record("result", result);
    if failed {
        span.record("otel.status_code", "ERROR");
    }
}

fn unavailable(error: &PublishError) -> PublishAnswer {
    PublishAnswer::Unavailable(error.to_string())
}

impl Flight {
    /// Settles the message for everybody that waits for it.
    fn end(self, result: Result<Published, PublishError>) -> PublishAnswer {
        let remembered = result.as_ref().is_ok_and(|published| published.remembered);
        let answer = match result {
            Ok(Published { seq, duplicate: false, .. }) => PublishAnswer::Accepted(seq),
            Ok(Published { seq, duplicate: true, .. }) => PublishAnswer::Duplicate(seq),
            Err(error @ PublishError::Unavailable(_)) => unavailable(&error),
            Err(PublishError::Refused(reason)) => PublishAnswer::Limited(reason),
        };
        match answer {
            PublishAnswer::Accepted(seq) | PublishAnswer::Duplicate(seq) if !remembered => {
                self.shared.window(|window, now| window.accepted(self.key, now, seq));
            }
            _ => self.shared.window(|window, _| window.forget(self.key)),
        }
        self.outcome.send_replace(Some(answer.clone()));
        answer
    }
}

impl Drop for Flight {
    /// Changes nothing after an outcome: then the message is accepted, or gone.
    fn drop(&mut self) {
        if self.outcome.borrow().is_none() {
            self.shared.window(|window, _| window.forget(self.key));
        }
    }
}

impl Shared {
    fn window<T>(&self, with: impl FnOnce(&mut Window<Waiter>, Duration) -> T) -> T {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: the window's time never goes back.
        with(&mut window, self.start.elapsed())
    }
}

impl Counts {
    fn add(&self, answer: &PublishAnswer) {
        let count = match answer {
            PublishAnswer::Accepted(_) => &self.ok,
            PublishAnswer::Duplicate(_) => &self.duplicate,
            PublishAnswer::Unavailable(_) => &self.unavailable,
            PublishAnswer::Limited(_) => &self.refused,
        };
        count.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
