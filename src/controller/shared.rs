//! What every part of the running controller can reach.

use kube::Client;
use tokio::sync::Semaphore;

use super::{
    apis::Apis, build::Defaults, cache::Caches, health::Health, metrics::Metrics, schedule::Schedule,
    settings::Settings,
};

/// One per process, shared by watches and passes.
pub(crate) struct Shared {
    /// Access to the API server.
    pub(crate) client: Client,
    /// What the watches have seen.
    pub(crate) caches: Caches,
    /// What is due.
    pub(crate) schedule: Schedule,
    /// How the watches are.
    pub(crate) health: Health,
    /// Which optional APIs there are.
    pub(crate) apis: Apis,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// What the command line says.
    pub(crate) settings: Settings,
    /// What of it children are built from.
    pub(crate) defaults: Defaults,
    /// Looks at streams that may be under way at one time.
    pub(crate) stream_looks: Semaphore,
}

/// Connections to NATS at one time.
const STREAM_LOOKS: usize = 16;

impl Shared {
    /// Nothing seen yet.
    pub(crate) fn new(client: Client, metrics: Metrics, settings: Settings) -> Self {
        let defaults = Defaults {
            image: settings.image.clone(),
            pull_policy: settings.pull_policy,
            environment: settings.environment.clone(),
            runbook_url: settings.runbook_url.clone(),
            controller_namespace: settings.namespace.clone(),
        };
        Self {
            client,
            caches: Caches::default(),
            schedule: Schedule::default(),
            health: Health::default(),
            apis: Apis::default(),
            metrics,
            settings,
            defaults,
            stream_looks: Semaphore::new(STREAM_LOOKS),
        }
    }

    /// Every gateway is to be looked at.
    pub(crate) fn all_soon(&self) {
        let keys: Vec<_> = self.caches.lock().gateways.iter().map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.schedule.soon(key);
        }
    }

    /// The namespaces to watch; `None` is the whole cluster.
    pub(crate) fn scopes(&self) -> Vec<Option<String>> {
        let namespaces = &self.settings.namespaces;
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() }
    }
}
