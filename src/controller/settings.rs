//! What the controller is started with.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

use futures_util::future::BoxFuture;

use crate::api::{ImagePullPolicy, NatsBackbone, Secrets, TopicGatewaySpec};

/// What `topic-gateway controller` is told on its command line.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Namespaces to look after, each at most once; none: the whole cluster.
    pub namespaces: Vec<String>,
    /// Address for metrics and health.
    pub admin: SocketAddr,
    /// Image of the pods, where the resource names none.
    pub image: String,
    /// Its pull policy.
    pub pull_policy: ImagePullPolicy,
    /// Environment of the pods: what the controller's own says to OpenTelemetry, so that both send their traces to the
    /// same collector. Changing it replaces pods.
    pub environment: BTreeMap<String, String>,
    /// The page that alerts link to, each to its heading there; empty: no links.
    pub runbook_url: String,
    /// The namespace the controller runs in.
    pub namespace: String,
    /// Who this process is among the controllers of a cluster: the name of its pod.
    pub identity: String,
    /// Which controller works, where there are several; without it this one always does.
    pub election: Option<Election>,
    /// Most passes at a time.
    pub concurrency: usize,
    /// Judges a resource and its Secrets as a gateway would.
    pub examine: Examine,
    /// Makes and keeps the stream of a resource that has it managed.
    pub keep_stream: KeepStream,
}

impl Settings {
    /// Name of the Lease; empty without an election.
    pub(crate) fn lease_name(&self) -> &str {
        self.election.as_ref().map_or("", |election| &election.name)
    }
}

/// The Lease that the leader holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Judges a resource with the values of every key it refers to, by the very code that gateways run. The controller
/// knows nothing of gateways: it is handed in. Does no I/O.
#[derive(Clone, Copy)]
pub struct Examine(pub fn(&TopicGatewaySpec, &Secrets) -> Result<(), Unfit>);

impl fmt::Debug for Examine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Examine")
    }
}

/// Connects to NATS, makes the stream of this backbone or changes it as described, and says what came of it. Handed in,
/// as [`Examine`] is. Takes at most about 15 s; can be called at any time, as what is as it should be is not touched.
#[derive(Clone, Copy)]
pub struct KeepStream(pub fn(NatsBackbone, Secrets) -> BoxFuture<'static, Result<KeptStream, String>>);

impl fmt::Debug for KeepStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeepStream")
    }
}

/// A stream that is looked after.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptStream {
    /// It was made just now.
    pub made: bool,
    /// Settings that were changed just now, by their NATS names.
    pub changed: Vec<String>,
    /// What is not as described and was left alone: a sentence each, with the next action.
    pub left: Vec<String>,
}

impl KeptStream {
    /// Whether anything was done to it.
    pub(crate) fn touched(&self) -> bool {
        self.made || !self.changed.is_empty()
    }
}

/// Why a gateway would refuse its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// What is at fault.
    pub fault: Fault,
    /// Names the object or field and what to do.
    pub message: String,
}

/// What a gateway finds fault with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The value of a key in a Secret.
    Key,
    /// A certificate in a Secret.
    Certificate,
    /// The spec.
    Spec,
}
