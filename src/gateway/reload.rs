//! Takes a changed configuration over while the gateway runs. No connection of a client is closed for it.
//!
//! First everything new is made and checked, which has no effect; then it is put in place. If anything is wrong, what
//! was there before goes on, and that is told ([`Loaded::rejected`]) until a later configuration is taken over.
//!
//! | changed | from when on |
//! |---|---|
//! | limits, topic rules, heartbeat | at once, for open connections too |
//! | issuers, keys, rules, `anonymous` | at the next command of an open connection, for its subscriptions within a second; who would not be let in any more is closed |
//! | session keys | for every session that begins or is resumed from now on |
//! | `allowedOrigins` | for connections that begin from now on |
//! | metrics, drain | at the next scrape, at the drain |
//! | the certificate for clients | for connections that begin from now on |
//! | credentials and certificates towards NATS | at the next connection to NATS |
//! | anything else of the backbone | once the new one is connected: see [`super::backbone`] |
//! | port, whether clients speak TLS | never: pods have to be replaced |

use std::{
    future::pending,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    backbone::Change,
    config::{ConfigError, Configuration, Reader},
    parts::{Parts, Places, drain_window},
};
use crate::api::RejectedConfig;

/// Time between two looks at the files.
const PERIOD: Duration = Duration::from_secs(1);
/// A new backbone that takes longer to connect is told of.
const QUICK: Duration = Duration::from_secs(3);

/// What is known of the configuration in force.
#[derive(Debug)]
pub struct Loaded {
    generation: AtomicI64,
    drain_seconds: AtomicU64,
    rejected: Mutex<Option<RejectedConfig>>,
}

/// Watches the files. Run by one task.
#[derive(Debug)]
pub(super) struct Reload {
    /// Away for as long as it looks.
    reader: Option<Reader>,
    places: Places,
    in_force: Configuration,
    /// What is to be taken over as soon as its backbone is connected.
    waiting: Option<Waiting>,
}

/// A configuration of which everything is made.
#[derive(Debug)]
struct Waiting {
    configuration: Configuration,
    parts: Parts,
    change: Change,
    since: Instant,
}

impl Loaded {
    pub(super) fn new(configuration: &Configuration) -> Self {
        let loaded = Self {
            generation: AtomicI64::new(0),
            drain_seconds: AtomicU64::new(0),
            rejected: Mutex::default(),
        };
        loaded.accept(configuration);
        loaded
    }

    /// Its generation.
    pub fn generation(&self) -> i64 {
        self.generation.load(Relaxed)
    }

    /// Over how long connections are closed when the gateway goes away.
    pub fn drain_window(&self) -> Duration {
        Duration::from_secs(self.drain_seconds.load(Relaxed))
    }

    /// The newer configuration that could not be taken over, if there is one.
    pub fn rejected(&self) -> Option<RejectedConfig> {
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn accept(&self, configuration: &Configuration) {
        self.generation.store(configuration.generation, Relaxed);
        self.drain_seconds.store(drain_window(configuration).as_secs(), Relaxed);
        *self.rejected.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Told once, however often it is tried.
    fn reject(&self, generation: Option<i64>, message: String) {
        let new = Some(RejectedConfig { generation, message });
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        if *rejected != new {
            let message = new.as_ref().map_or("", |new| new.message.as_str());
            tracing::warn!(
                generation,
                reason = message,
                "A new configuration is not taken over; the one before goes on."
            );
            *rejected = new;
        }
    }
}

impl Reload {
    pub(super) fn new(reader: Reader, places: Places, in_force: Configuration) -> Self {
        Self { reader: Some(reader), places, in_force, waiting: None }
    }

    /// Runs until `cancel` fires.
    pub(super) async fn run(mut self, loaded: Arc<Loaded>, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = sleep(PERIOD) => if !self.look(&loaded).await { return },
                waiting = ready(&mut self.waiting) => self.take_over(waiting, &loaded).await,
            }
        }
    }

    /// `false` if nobody can look any more.
    async fn look(&mut self, loaded: &Loaded) -> bool {
        let Some(mut reader) = self.reader.take() else { return false };
        let look = tokio::task::spawn_blocking(move || {
            let read = reader.look();
            (reader, read)
        });
        let Ok((reader, read)) = look.await else { return false };
        self.reader = Some(reader);
        if let Some(read) = read {
            self.judge(read, loaded).await;
        }
        if let Some(Waiting { configuration, change: Change::Replace(next), since, .. }) = &self.waiting
            && since.elapsed() > QUICK
        {
            let trouble = next.trouble();
            let why = format!("the new backbone is not connected yet, the one before goes on: {trouble}");
            loaded.reject(Some(configuration.generation), why);
        }
        true
    }

    /// What is to be done about what was read.
    async fn judge(&mut self, read: Result<Configuration, ConfigError>, loaded: &Loaded) {
        let new = match read {
            Ok(configuration) => configuration,
            Err(error) => {
                self.waiting = None;
                return loaded.reject(error.generation(), error.to_string());
            }
        };
        if self.in_force.asks_for_the_same(&new) {
            self.waiting = None;
            if self.in_force.generation != new.generation || loaded.rejected().is_some() {
                tracing::info!(generation = new.generation, "The configuration in force is asked for.");
                loaded.accept(&new);
                self.in_force = new;
            }
        } else if let Some(waiting) =
            self.waiting.as_mut().filter(|w| w.configuration.asks_for_the_same(&new))
        {
            waiting.configuration = new;
        } else {
            match self.places.prepare(&new).await {
                Ok((parts, change)) => {
                    self.waiting = Some(Waiting { configuration: new, parts, change, since: Instant::now() });
                }
                Err(error) => {
                    self.waiting = None;
                    loaded.reject(Some(new.generation), error.to_string());
                }
            }
        }
    }

    async fn take_over(&mut self, waiting: Waiting, loaded: &Loaded) {
        let Waiting { configuration: new, parts, change, .. } = waiting;
        if let Err(error) = self.places.put(parts, change).await {
            return loaded.reject(Some(new.generation), error.to_string());
        }
        let generation = new.generation;
        tracing::info!(generation, "A new configuration is in force; no connection was closed for it.");
        if new.spec.listeners.port != self.in_force.spec.listeners.port {
            tracing::info!(
                port = new.spec.listeners.port,
                "Another port needs new pods: this one keeps its own."
            );
        }
        if new.spec.listeners.tls.is_some() != self.in_force.spec.listeners.tls.is_some() {
            tracing::info!("TLS is turned on or off by new pods: this one goes on as it began.");
        }
        loaded.accept(&new);
        self.in_force = new;
    }
}

/// Waits until there is something to take over, and takes it out. May be dropped and called anew.
async fn ready(waiting: &mut Option<Waiting>) -> Waiting {
    if let Some(Waiting { change: Change::Replace(next), .. }) = waiting {
        next.connected().await;
    }
    match waiting.take() {
        Some(waiting) => waiting,
        None => pending().await,
    }
}
