//! Topics on NATS. Without a stream, what is published while the connection is down is lost, and said to be; with one
//! ([`jetstream`]), it is read from there.

mod barrier;
mod connection;
mod feeds;
mod jetstream;
mod keys;
mod options;
mod publish;
mod router;
#[cfg(test)]
pub(crate) mod simulated;
pub mod stream;
mod subscribe;
mod task;

#[cfg(test)]
mod tests;

use std::future::pending;

use async_nats::{Client, Event, ServerAddr, connection::State};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use self::keys::Keys;
use self::{router::Router, task::Task};
use super::{
    deliveries::Deliveries,
    exchange::{Post, Surroundings},
};
use crate::{
    api::{Filter, JetStream, NatsBackbone, SecretError, Secrets},
    gateway::certificate::CertificateError,
};

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
    /// A certificate that is of no use.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The TLS settings do not go together.
    #[error("TLS towards NATS cannot be set up: {0}")]
    Tls(String),
    /// The client library refuses to start.
    #[error("the NATS client does not start: {0}")]
    Client(String),
}

/// How to connect: also later, should the client itself end.
#[derive(Debug)]
struct Dial {
    spec: NatsBackbone,
    servers: Vec<ServerAddr>,
    keys: Keys,
    cancel: CancellationToken,
}

impl Dial {
    /// A client that begins to connect, and what it tells. With retries from the first connection on, only an unusable
    /// address fails, and those are parsed.
    async fn dial(&self) -> Result<(Client, mpsc::Receiver<Event>), BackboneError> {
        let (sender, events) = mpsc::channel(EVENTS);
        let options = options::options(&self.spec, &self.keys, sender, self.cancel.clone())?;
        let client = options.connect(self.servers.clone()).await;
        Ok((client.map_err(|error| BackboneError::Client(error.to_string()))?, events))
    }
}

/// A client that connects, or is connected, and does nothing else yet. Dropped, it stops connecting.
#[derive(Debug)]
pub(crate) struct Prepared {
    client: Client,
    events: mpsc::Receiver<Event>,
    dial: Dial,
    router: Router,
    pins: Vec<Filter>,
    stream: Option<JetStream>,
    /// The stream is to be made and kept as this says.
    managed: Option<NatsBackbone>,
    /// Why the last attempt to connect failed.
    trouble: String,
    /// Ends the client with whoever has this.
    end: DropGuard,
}

impl Prepared {
    /// Begins to connect. It is not an error if no server can be reached: it keeps trying.
    pub(super) async fn new(
        spec: &NatsBackbone,
        secrets: &Secrets,
        around: &Surroundings,
    ) -> Result<Self, BackboneError> {
        let servers = addresses(&spec.servers)?;
        let cancel = around.cancel.child_token();
        let keys = Keys::new(spec, secrets)?;
        let dial = Dial { spec: spec.clone(), servers, keys, cancel: cancel.clone() };
        let (client, events) = dial.dial().await?;
        let deliveries = Deliveries::new(around.inboxes.clone(), cancel.clone());
        let router = Router::new(spec, deliveries, around.counts.clone());
        let (pins, trouble, end) = (options::pins(spec), String::new(), cancel.drop_guard());
        let stream = spec.jet_stream.clone();
        let managed = stream.as_ref().is_some_and(|stream| stream.manage).then(|| spec.clone());
        Ok(Self { client, events, dial, router, pins, stream, managed, trouble, end })
    }

    /// What it proves itself with.
    pub(super) fn keys(&self) -> Keys {
        self.dial.keys.clone()
    }

    /// Why it is not connected yet.
    pub(super) fn trouble(&self) -> &str {
        &self.trouble
    }

    /// Waits until it is connected. May be dropped and called anew.
    pub(super) async fn connected(&mut self) {
        while self.client.connection_state() != State::Connected {
            match self.events.recv().await {
                Some(Event::ClientError(error)) => self.trouble = error.to_string(),
                Some(_) => {}
                // The client has ended and will never be connected.
                None => pending().await,
            }
        }
    }

    /// Starts the task of this backbone. Once its token is cancelled it confirms what is in flight, drains and ends,
    /// all within 5 seconds; so it does when another one takes its place.
    pub(super) fn run(self, post: Post, around: &Surroundings) {
        let Surroundings { tasks, runtime, .. } = around;
        let Self { client, events, dial, router, pins, stream, managed, end, .. } = self;
        let (clients, current) = watch::channel(client.clone());
        let cancel = dial.cancel.clone();
        if let Some(spec) = managed {
            let cancel = cancel.clone();
            let keep = async move { cancel.run_until_cancelled(stream::keep(&current, &spec)).await };
            tasks.spawn_on(keep, runtime);
        }
        let task = Task::new((client, events), (dial, clients), router, pins, stream.as_ref());
        let run = async move {
            task.run(post, cancel).await;
            drop(end);
        };
        tasks.spawn_on(run, runtime);
    }
}

/// Whether one could connect with these settings, without doing so.
pub(crate) fn examine(spec: &NatsBackbone, secrets: &Secrets) -> Result<(), BackboneError> {
    addresses(&spec.servers)?;
    Keys::new(spec, secrets)?.tls().map(drop)
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
