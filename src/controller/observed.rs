//! What a pass saw: the only input of conditions and status.

use super::{reason::Reason, streams::Outcome};
use crate::api::GatewayReport;

/// Something that keeps a resource from being as it should, in words for whoever mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Which sort.
    pub(crate) reason: Reason,
    /// Names the object and the next action.
    pub(crate) message: String,
}

/// What a pass saw of one `TopicGateway` and its children.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// `metadata.name`.
    pub(crate) name: String,
    /// `metadata.generation`.
    pub(crate) generation: i64,
    /// Pods wanted.
    pub(crate) wanted: i32,
    /// `spec.paused`.
    pub(crate) paused: bool,
    /// References that lead nowhere or to what cannot be used; empty: all are well. Where they could not be looked up
    /// (`Forbidden`, say), that is here too: it is not known then how they are.
    pub(crate) references: Vec<Problem>,
    /// What kept children from being applied; empty: all were.
    pub(crate) applying: Vec<Problem>,
    /// Children that have to be gone before they can be made anew.
    pub(crate) leaving: Vec<Leaving>,
    /// Optional APIs the spec asks for and the cluster lacks, as `monitoring.coreos.com/v1 PodMonitor`.
    pub(crate) missing_apis: Vec<String>,
    /// Optional APIs the spec asks for and the controller may not watch: which right is missing.
    pub(crate) forbidden_apis: Vec<String>,
    /// The Deployment, where there is one.
    pub(crate) deployment: Option<DeploymentState>,
    /// The pods that are not going away, in the order of their names.
    pub(crate) pods: Vec<PodState>,
    /// Pods that must serve for `Available`: what the disruption budget says, at least 1 (0 where none is wanted).
    pub(crate) minimum: i32,
    /// What came of looking after the stream, where that is to be done and was.
    pub(crate) stream: Option<Outcome>,
    /// Where clients connect to.
    pub(crate) address: Option<String>,
}

/// A child that is wanted and is being deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// Whether clients are not served without it.
    pub(crate) serves: bool,
    /// Names it and what holds it.
    pub(crate) message: String,
}

/// What the Deployment's status says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeploymentState {
    /// Whether the status is about the newest spec of the Deployment.
    pub(crate) up_to_date: bool,
    /// Pods there are.
    pub(crate) replicas: i32,
    /// Pods of the newest template.
    pub(crate) updated: i32,
    /// Pods that are ready.
    pub(crate) ready: i32,
    /// Pods that have been ready long enough.
    pub(crate) available: i32,
    /// Why it has given up waiting, where it has (`ProgressDeadlineExceeded`).
    pub(crate) stuck: Option<String>,
    /// Why it cannot have its pods, where the API server refuses them (`ReplicaFailure`): a quota, Pod Security.
    pub(crate) refused: Option<String>,
}

/// Why a pod does not run, as Kubernetes says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hindrance {
    /// As `ImagePullBackOff`.
    pub(crate) reason: String,
    /// In words; may be empty. Bounded where it is taken in.
    pub(crate) message: String,
}

/// One pod.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PodState {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is ready.
    pub(crate) ready: bool,
    /// Why it does not run, where there is more to it than that it takes time.
    pub(crate) hindrance: Option<Hindrance>,
    /// Whether it may yet take what it says it rejects: not all of it may have come to the pod.
    pub(crate) may_take: bool,
    /// What it told about itself, where it could be asked.
    pub(crate) report: Option<GatewayReport>,
}
