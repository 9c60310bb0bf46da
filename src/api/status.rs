//! What the controller tells about a `TopicGateway`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What runs, as the controller saw it last.
///
/// Nothing here changes by the second: numbers that do are metrics of the pods.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicGatewayStatus {
    /// The generation of the spec that the rest of the status is about; -1 before the controller came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// The lowest generation that a ready pod has as its configuration; absent while no pod tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub config_generation: Option<i64>,
    /// Pods there are.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// Pods that take connections.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub ready_replicas: i32,
    /// The pods' label selector as text, for autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// Where clients connect to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub address: Option<String>,
    /// Open connections of all pods, rounded to two digits; absent while no pod tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub connections: Option<i64>,
    /// Subscriptions of all pods, rounded to two digits; absent while no pod tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub subscriptions: Option<i64>,
    /// How it is, by type: `Ready`, `Available`, `ResolvedRefs`, `BackboneConnected`, `Reconciling`, `Stalled`.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}
