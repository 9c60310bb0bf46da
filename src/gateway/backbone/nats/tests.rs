//! The backbone against the real nats-server.

mod faults;
mod jetstream;
mod replacing;
mod routing;
mod security;
mod server;

use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::server::Server;
use super::BackboneError;
use crate::{
    api::{Backbone, NatsBackbone, Pattern, Secrets, SubscriptionMode},
    gateway::backbone::{
        Counts, Exchange, Handle, Surroundings,
        shards::{PATIENCE, Shards},
    },
};

pub(super) fn spec(servers: &[String]) -> NatsBackbone {
    let mut spec: NatsBackbone = serde_json::from_str(r#"{"servers":[]}"#).unwrap();
    spec.servers = servers.to_vec();
    spec
}

fn wildcard(server: &Server, subjects: &[&str]) -> NatsBackbone {
    let subjects = subjects.iter().map(|subject| subject.parse::<Pattern>().unwrap()).collect();
    NatsBackbone { subscription: SubscriptionMode::Wildcard, subjects, ..spec(&[server.url()]) }
}

/// A running backbone with its shards.
struct Rig {
    shards: Shards,
    handle: Handle,
    exchange: Exchange,
    counts: Arc<Counts>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Rig {
    /// Started, whether or not it is connected.
    async fn start(spec: &NatsBackbone, secrets: &Secrets) -> Result<Self, BackboneError> {
        Self::on(&Backbone { nats: Some(spec.clone()), memory: None }, secrets).await
    }

    async fn on(spec: &Backbone, secrets: &Secrets) -> Result<Self, BackboneError> {
        let (shards, counts) = (Shards::new(2), Arc::new(Counts::default()));
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let around = Surroundings {
            inboxes: shards.inboxes.clone(),
            counts: counts.clone(),
            tasks: tasks.clone(),
            cancel: cancel.clone(),
            keeping: Arc::default(),
            runtime: tokio::runtime::Handle::current(),
        };
        let (handle, exchange) = Exchange::start(spec, secrets, around).await?;
        Ok(Self { shards, handle, exchange, counts, tasks, cancel })
    }

    /// Started and connected.
    async fn connected(spec: &NatsBackbone) -> Self {
        let mut rig = Self::start(spec, &Secrets::default()).await.unwrap();
        rig.wait(true).await;
        rig
    }

    async fn wait(&mut self, connected: bool) {
        let wait = self.handle.status.wait_for(|status| status.connected == connected);
        tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap();
    }

    async fn want(&mut self, key: &str, shard: usize) -> Result<u64, String> {
        self.shards.want(&self.handle, key, shard, 1).await
    }

    /// Ends the backbone and waits for it.
    async fn end(self) {
        self.cancel.cancel();
        self.tasks.close();
        tokio::time::timeout(PATIENCE, self.tasks.wait()).await.unwrap();
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
