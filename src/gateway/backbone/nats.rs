//! Topics on NATS, without a stream: what is published while the connection is down is lost, and said to be.

mod barrier;
mod connection;
mod feeds;
mod options;
mod publish;
mod router;
mod subscribe;
mod task;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_nats::ServerAddr;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::task::{Channels, Task};
use super::{Counts, Handle, Status, deliveries::Deliveries};
use crate::{
    api::{NatsBackbone, SecretError, Secrets},
    gateway::shard::Inbox,
};

/// Changes of interest and publishes that wait for the task, each.
const QUEUE: usize = 8_192;
/// Events of the NATS client that wait for the task; the client itself holds 128 more and drops what follows.
const EVENTS: usize = 128;

/// Why the settings do not describe a NATS server one could connect to.
#[derive(Debug, thiserror::Error)]
pub enum BackboneError {
    /// No address at all.
    #[error("backbone.nats.servers is empty: name at least one server as nats://host:port")]
    NoServers,
    /// An address nobody can connect to. Not shown whole: it may hold a password.
    #[error("backbone.nats.servers[{0}] is not an address: {1}; write nats://host:port or tls://host:port")]
    Address(usize, String),
    /// A reference that leads nowhere.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A value that is not what it should be.
    #[error("Secret {secret:?}, key {key:?}: {problem}")]
    Value {
        /// Name of the Secret.
        secret: String,
        /// Key within the Secret.
        key: String,
        /// What is wrong with the value, without showing it.
        problem: String,
    },
    /// The TLS settings do not go together.
    #[error("TLS towards NATS cannot be set up: {0}")]
    Tls(String),
}

/// Starts the task of a backbone on NATS. It is not an error if no server can be reached: it keeps trying.
///
/// Once `cancel` is cancelled it confirms what is in flight, drains and ends, all within 5 seconds.
pub fn spawn(
    spec: &NatsBackbone,
    secrets: &Secrets,
    inboxes: Arc<[Arc<Inbox>]>,
    counts: Arc<Counts>,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) -> Result<Handle, BackboneError> {
    let servers = addresses(&spec.servers)?;
    let (sender, events) = mpsc::channel(EVENTS);
    let options = options::options(spec, secrets, sender, cancel.clone())?;
    let (interests, changes) = mpsc::channel(QUEUE);
    let (publishes, requests) = mpsc::channel(QUEUE);
    let (status_sender, status) = watch::channel(Status::default());
    let router = router::Router::new(spec, Deliveries::new(inboxes, cancel.clone()), counts);
    let pins = options::pins(spec);
    tasks.spawn(async move {
        // With retries from the first connection on, only an unusable address fails, and those are parsed.
        match options.connect(servers).await {
            Ok(client) => {
                let channels = Channels { changes, requests, events };
                Task::new(client, router, pins, status_sender).run(channels, cancel).await;
            }
            Err(error) => tracing::error!(%error, "the NATS client does not start"),
        }
    });
    Ok(Handle { interests, publishes, status })
}

fn addresses(servers: &[String]) -> Result<Vec<ServerAddr>, BackboneError> {
    if servers.is_empty() {
        return Err(BackboneError::NoServers);
    }
    let parse = |(index, text): (usize, &String)| {
        let address: ServerAddr =
            text.parse().map_err(|error: std::io::Error| BackboneError::Address(index, error.to_string()))?;
        if matches!(address.scheme(), "nats" | "tls") && !address.host().is_empty() {
            Ok(address)
        } else {
            Err(BackboneError::Address(index, "there is no host, or the scheme is another".into()))
        }
    };
    servers.iter().enumerate().map(parse).collect()
}
