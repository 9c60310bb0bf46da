//! One pass: makes the children of one gateway as its spec says, looks at what runs, and tells it in the status.
//!
//! Level-triggered: it looks at the whole every time and never at what has changed. A pass that finds everything as the
//! last one left it makes no request.

mod resolve;
mod settle;
mod status;

use std::{sync::Arc, time::Duration};

use tracing::{Instrument as _, Span, debug_span};

use super::{
    apply::{self, Owner},
    cache::Gateway,
    events::Note,
    memory::Memory,
    observed::{Leaving, Problem},
    pods, prune,
    queue::Key,
    reason::Reason,
    shared::Shared,
};
use crate::api::TopicGateway;

/// Between two looks at running pods: how many connections they have, whether the backbone is connected.
const LOOK: Duration = Duration::from_secs(30);
/// Until the next try where what is wrong is not watched: a foreign object in the way, a right that is missing.
const SLOW: Duration = Duration::from_secs(30);
/// Until the next look at an object that has to go before another of its name can come.
const PENDING: Duration = Duration::from_secs(5);

/// When a gateway is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is gone: nothing is remembered of it.
    Forget,
    /// When something changes.
    Change,
    /// After so long, or when something changes.
    After(Duration),
    /// Soon and then ever less often: it has failed in a way that may pass.
    Again,
}

/// Why a pass was given up; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A Secret could not be read.
    #[error(transparent)]
    Resolve(#[from] resolve::Error),
    /// A child could not be applied.
    #[error(transparent)]
    Apply(#[from] apply::Error),
    /// A child could not be deleted.
    #[error(transparent)]
    Prune(#[from] prune::Error),
    /// The status could not be written.
    #[error(transparent)]
    Status(#[from] status::Error),
    /// It took too long.
    #[error("the pass took longer than {0:?}: the API server is slow or does not answer")]
    Deadline(Duration),
}

impl Error {
    /// For metrics.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Status(status::Error::Refused(_)) => Reason::Forbidden,
            Self::Deadline(_) => Reason::DeadlineExceeded,
            // Whatever else somebody has to be told is in the status, and no error.
            _ => Reason::ApiUnavailable,
        }
    }
}

/// A pass over one gateway.
struct Pass<'a> {
    shared: &'a Arc<Shared>,
    key: &'a Key,
    gateway: &'a TopicGateway,
    uid: &'a str,
    generation: i64,
    memory: &'a mut Memory,
    /// What has to go before all is applied.
    leaving: Vec<Leaving>,
    /// It could not be read as a whole.
    flawed: bool,
}

/// Runs a pass.
pub(crate) async fn reconcile(shared: &Arc<Shared>, key: &Key, memory: &mut Memory) -> Result<Next, Error> {
    let found = shared.caches.lock().gateways.get(key).cloned();
    let (gateway, flaws) = match found {
        None => return Ok(Next::Forget),
        Some(Gateway::Readable(gateway)) => (gateway, None),
        Some(Gateway::Unreadable { flaws, rest }) => (rest, Some(flaws)),
    };
    // Its children go by themselves.
    if gateway.metadata.deletion_timestamp.is_some() {
        return Ok(Next::Change);
    }
    let uid = gateway.metadata.uid.clone().unwrap_or_default();
    let generation = gateway.metadata.generation.unwrap_or_default();
    Span::current().record("generation", generation);
    if memory.made_from.as_ref().is_some_and(|sources| sources.uid != uid) {
        *memory = Memory::default();
    }
    let flawed = flaws.is_some();
    let leaving = Vec::new();
    let pass = Pass { shared, key, gateway: &gateway, uid: &uid, generation, memory, leaving, flawed };
    match flaws {
        None => pass.run().await,
        Some(flaws) => pass.tell_flaws(&flaws).await,
    }
}

impl Pass<'_> {
    async fn run(mut self) -> Result<Next, Error> {
        let mut changed = None;
        if !self.gateway.spec.paused {
            changed = self.settle().instrument(debug_span!("apply")).await?;
        }
        let pods = self.shared.caches.lock().pods_of(self.key);
        let good_for = self.memory.pods.good_for(&pods, self.generation);
        pods::refresh(&mut self.memory.pods, &pods, good_for).instrument(debug_span!("ask pods")).await;
        let mut told = None;
        if changed.is_some() || self.is_applied() {
            let asked = &mut self.memory.pods;
            told = pods::tell(self.shared, self.key, asked, &pods, self.generation, changed).await;
        }
        self.report(&pods).instrument(debug_span!("status")).await?;
        self.tell_forbidden().await;
        let running = pods.values().any(|pod| pod.address.is_some() && !pod.leaving);
        let stale = self.memory.pods.stale_in(&pods);
        let pending = (!self.leaving.is_empty()).then_some(PENDING);
        let look = [running.then_some(LOOK), told, stale, pending, self.retry()].into_iter().flatten().min();
        if self.fails() {
            return Ok(Next::Again);
        }
        Ok(look.map_or(Next::Change, Next::After))
    }

    /// Tells what in the resource cannot be read. What runs goes on as it is.
    async fn tell_flaws(mut self, flaws: &str) -> Result<Next, Error> {
        let message = format!("{flaws}; until then what runs goes on as it is");
        let problem = Problem { reason: Reason::InvalidSpec, message };
        if self.memory.applying.first() != Some(&problem) {
            tracing::warn!(gateway = %self.key, reason = flaws, "A TopicGateway cannot be read.");
            self.shared.metrics.problem(problem.reason);
        }
        self.memory.made_from = None;
        (self.memory.references, self.memory.applying) = (Vec::new(), vec![problem]);
        let pods = self.shared.caches.lock().pods_of(self.key);
        pods::refresh(&mut self.memory.pods, &pods, LOOK).await;
        self.report(&pods).await?;
        Ok(if pods.is_empty() { Next::Change } else { Next::After(LOOK) })
    }

    /// Whether the children are as this generation says.
    fn is_applied(&self) -> bool {
        !self.gateway.spec.paused && self.memory.made_from.is_some() && self.problems().next().is_none()
    }

    /// Whether something is wrong that may pass by itself.
    fn fails(&self) -> bool {
        self.problems().any(|problem| !problem.waits_for_somebody())
    }

    /// Until the next try, where what is wrong is nothing that is watched.
    fn retry(&self) -> Option<Duration> {
        let unseen = self
            .problems()
            .any(|reason| matches!(reason, Reason::Conflict | Reason::Forbidden | Reason::Rejected));
        unseen.then_some(SLOW)
    }

    fn problems(&self) -> impl Iterator<Item = Reason> {
        self.memory.references.iter().chain(&self.memory.applying).map(|problem| problem.reason)
    }

    fn owner(&self) -> Owner<'_> {
        Owner { key: self.key, uid: self.uid }
    }

    async fn publish(&mut self, note: Note) {
        let (shared, object) = (self.shared, kube::Resource::object_ref(self.gateway, &()));
        self.memory.events.publish(&shared.client, &shared.settings.identity, &object, note).await;
    }
}
