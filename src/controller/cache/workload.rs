//! What is kept of Deployments and pods.

use std::net::IpAddr;

use k8s_openapi::api::{apps::v1::Deployment, core::v1};

use super::hindrance::{self, hindrance};
use crate::controller::{
    names,
    observed::{DeploymentState, Hindrance},
};

/// What is kept of a Deployment besides its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workload {
    /// Pods it is told to have.
    pub(crate) replicas: i32,
    /// What its status says.
    pub(crate) state: DeploymentState,
}

impl Workload {
    /// Keeps what passes look at.
    pub(crate) fn new(deployment: &Deployment) -> Self {
        let status = deployment.status.clone().unwrap_or_default();
        let find = |name: &str, holds: &str| {
            let mut conditions = status.conditions.iter().flatten();
            conditions.find(|it| it.type_.as_deref() == Some(name) && it.status.as_deref() == Some(holds))
        };
        let stuck = find("Progressing", "False")
            .filter(|condition| condition.reason.as_deref() == Some("ProgressDeadlineExceeded"));
        Self {
            replicas: deployment.spec.replicas.unwrap_or(1),
            state: DeploymentState {
                up_to_date: status.observed_generation >= deployment.metadata.generation,
                replicas: status.replicas.unwrap_or(0),
                updated: status.updated_replicas.unwrap_or(0),
                ready: status.ready_replicas.unwrap_or(0),
                available: status.available_replicas.unwrap_or(0),
                stuck: stuck.map(|condition| condition.message.clone().unwrap_or_default()),
                refused: find("ReplicaFailure", "True")
                    .map(|condition| hindrance::shortened(condition.message.as_deref().unwrap_or_default())),
            },
        }
    }
}

/// What is kept of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    /// Name of its `TopicGateway`.
    pub(crate) gateway: String,
    /// Its address, once it has one and as long as it runs.
    pub(crate) address: Option<IpAddr>,
    /// Whether it is ready.
    pub(crate) ready: bool,
    /// Why it does not run.
    pub(crate) hindrance: Option<Hindrance>,
    /// Whether it is going away or has ended.
    pub(crate) leaving: bool,
    /// The configuration it was last told of.
    pub(crate) told: Option<String>,
    /// What its deletion costs.
    pub(crate) cost: Option<String>,
}

impl Pod {
    /// Keeps what passes look at; `None` for a pod whose labels name no gateway.
    pub(crate) fn new(pod: &v1::Pod) -> Option<Self> {
        let gateway = pod.metadata.labels.as_ref()?.get(names::INSTANCE)?.clone();
        let status = pod.status.clone().unwrap_or_default();
        let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let ready = status.conditions.iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True");
        let annotation = |name: &str| pod.metadata.annotations.as_ref()?.get(name).cloned();
        let running = status.phase.as_deref() == Some("Running");
        let hindrance = if ready { None } else { hindrance(&status) };
        Some(Self {
            gateway,
            hindrance,
            address: status.pod_ip.and_then(|address| address.parse().ok()).filter(|_| running),
            ready,
            leaving: ended || pod.metadata.deletion_timestamp.is_some(),
            told: annotation(names::CONFIG_GENERATION),
            cost: annotation(names::DELETION_COST),
        })
    }
}
