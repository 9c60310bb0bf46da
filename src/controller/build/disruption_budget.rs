//! How many pods a voluntary disruption, as the drain of a node, may take.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{Child, parent::Parent};
use crate::{
    api::TopicGatewaySpec,
    controller::{kind::Kind, observed::Problem},
};

/// Only above one replica: the only pod could never be moved.
pub(super) fn build(parent: &Parent<'_>) -> Option<Result<Child, Problem>> {
    if !has_several(parent.spec) {
        return None;
    }
    let budget = PodDisruptionBudget {
        metadata: parent.metadata(parent.name),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(parent.spec.disruption.min_available.clone()),
            selector: Some(parent.selector()),
            // A pod that does not serve anyway must not hold up a drain.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    };
    Some(parent.child(Kind::PodDisruptionBudget, parent.name, &budget))
}

fn has_several(spec: &TopicGatewaySpec) -> bool {
    spec.replicas > 1 || spec.autoscaling.as_ref().is_some_and(|autoscaling| autoscaling.min_replicas > 1)
}

/// Pods that must serve for subscribers to be well off: what the budget says, rounded up as Kubernetes does, at least
/// one; none where none is wanted.
pub(crate) fn minimum(spec: &TopicGatewaySpec) -> i32 {
    let replicas = spec.replicas;
    if replicas <= 1 {
        return replicas.max(0);
    }
    let asked = match &spec.disruption.min_available {
        IntOrString::Int(count) => *count,
        IntOrString::String(share) => {
            let percent = share.trim_end_matches('%').parse().unwrap_or(0).clamp(0, 100);
            replicas.saturating_mul(percent).saturating_add(99) / 100
        }
    };
    asked.clamp(1, replicas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(replicas: i32, min_available: IntOrString) -> TopicGatewaySpec {
        let mut spec: TopicGatewaySpec = serde_json::from_value(json!({"backbone": {"memory": {}}})).unwrap();
        spec.replicas = replicas;
        spec.disruption.min_available = min_available;
        spec
    }

    #[test]
    fn a_share_is_rounded_up() {
        let half = |replicas| minimum(&spec(replicas, IntOrString::String("50%".into())));
        assert_eq!([0, 1, 2, 3, 4, 5].map(half), [0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn at_least_one_must_serve_and_never_more_than_there_are() {
        let of_three = |count| minimum(&spec(3, IntOrString::Int(count)));
        assert_eq!([0, 1, 2, 3, 9].map(of_three), [1, 1, 2, 3, 3]);
    }
}
