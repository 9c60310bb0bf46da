//! The Deployment: how many pods, and how they are replaced without taking any client's last pod away.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use super::{Child, given, parent::Parent, pod};
use crate::controller::{kind::Kind, names, observed::Problem};

/// A pod counts as available after this time: a crash right after the start does not let a rollout go on.
const MIN_READY_SECONDS: i32 = 1;
/// A rollout that makes no progress for this long is told of (`ProgressDeadlineExceeded`).
const PROGRESS_DEADLINE_SECONDS: i32 = 600;
/// Old `ReplicaSet`s that are kept, to look at.
const REVISIONS: i32 = 3;

pub(super) fn build(parent: &Parent<'_>) -> Result<Child, Problem> {
    let strategy = DeploymentStrategy {
        type_: Some("RollingUpdate".into()),
        rolling_update: Some(RollingUpdateDeployment {
            max_unavailable: Some(IntOrString::Int(0)),
            max_surge: Some(IntOrString::String("25%".into())),
        }),
    };
    let deployment = Deployment {
        metadata: parent.metadata(parent.name),
        spec: DeploymentSpec {
            replicas: Some(parent.spec.replicas),
            selector: parent.selector(),
            strategy: Some(strategy),
            min_ready_seconds: Some(MIN_READY_SECONDS),
            progress_deadline_seconds: Some(PROGRESS_DEADLINE_SECONDS),
            revision_history_limit: Some(REVISIONS),
            template: template(parent),
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    };
    parent.child(Kind::Deployment, parent.name, &deployment)
}

/// Nothing in it comes from what gateways load while they run, and the version of the controller is not in it: neither
/// replaces pods. What the drain needs does, for the kubelet reads it from the pod, and whether clients speak TLS, which
/// a pod decides once; the certificate itself does not.
fn template(parent: &Parent<'_>) -> PodTemplateSpec {
    let mut own = names::labels(parent.name);
    own.remove(names::VERSION);
    let mut labels = parent.spec.pod.labels.clone();
    labels.extend(own);
    let mut annotations = parent.spec.pod.annotations.clone();
    if parent.spec.listeners.tls.is_some() {
        annotations.insert(names::TLS.into(), "true".into());
    }
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: given(&annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(pod::spec(parent)),
    }
}
