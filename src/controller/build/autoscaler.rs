//! Scaling by connections.
//!
//! It acts on the `TopicGateway` itself: the controller copies `spec.replicas` to the Deployment and stays the only one
//! to write there.

use k8s_openapi::{
    api::autoscaling::v2::{
        CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
        HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec,
        MetricTarget, PodsMetricSource,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::Resource;

use super::{Child, parent::Parent};
use crate::{
    api::{Autoscaling, TopicGateway},
    controller::{kind::Kind, observed::Problem},
};

/// The pods' metric of their open connections.
const METRIC: &str = "topicgateway_connections";
/// Fewer pods are a wave of reconnects: only when they have been too many for this long.
const CALM_SECONDS: i32 = 300;
/// Time in which at most one pod is taken.
const STEP_SECONDS: i32 = 60;

pub(super) fn build(parent: &Parent<'_>) -> Option<Result<Child, Problem>> {
    let autoscaling = parent.spec.autoscaling.as_ref()?;
    let autoscaler = HorizontalPodAutoscaler {
        metadata: parent.metadata(parent.name),
        spec: HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some(TopicGateway::api_version(&()).into_owned()),
                kind: TopicGateway::kind(&()).into_owned(),
                name: parent.name.to_owned(),
            },
            min_replicas: Some(autoscaling.min_replicas),
            max_replicas: autoscaling.max_replicas,
            metrics: Some(vec![metric(autoscaling)]),
            behavior: Some(HorizontalPodAutoscalerBehavior { scale_down: Some(slowly()), scale_up: None }),
        },
        ..HorizontalPodAutoscaler::default()
    };
    Some(parent.child(Kind::HorizontalPodAutoscaler, parent.name, &autoscaler))
}

fn metric(autoscaling: &Autoscaling) -> MetricSpec {
    MetricSpec {
        type_: "Pods".into(),
        pods: Some(PodsMetricSource {
            metric: MetricIdentifier { name: METRIC.into(), selector: None },
            target: MetricTarget {
                type_: "AverageValue".into(),
                average_value: Some(canonical(autoscaling.connections_per_replica)),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}

/// As the API server writes it, or every look would find a difference: 20000 is `20k`.
fn canonical(count: i32) -> Quantity {
    let (mut number, mut unit) = (count, "");
    for larger in ["k", "M", "G"] {
        if number == 0 || number % 1000 != 0 {
            break;
        }
        (number, unit) = (number / 1000, larger);
    }
    Quantity(format!("{number}{unit}"))
}

fn slowly() -> HPAScalingRules {
    HPAScalingRules {
        stabilization_window_seconds: Some(CALM_SECONDS),
        policies: Some(vec![HPAScalingPolicy {
            type_: "Pods".into(),
            value: 1,
            period_seconds: STEP_SECONDS,
        }]),
        ..HPAScalingRules::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_the_api_server_does() {
        let cases = [(1, "1"), (1500, "1500"), (20_000, "20k"), (1_000_000, "1M"), (0, "0")];
        for (count, text) in cases {
            assert_eq!(canonical(count).0, text);
        }
    }
}
