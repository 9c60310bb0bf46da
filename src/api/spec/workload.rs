//! How many pods there are, where they run and what they may use.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Affinity, Toleration, TopologySpreadConstraint},
    apimachinery::pkg::util::intstr::IntOrString,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::rule::{IMAGE, LABEL_VALUE, QUALIFIED_NAME, QUANTITY, SECRET_NAME, SHARE, rule};

/// Scaling by connections. The `HorizontalPodAutoscaler` made from it acts on the `TopicGateway` itself, so leave
/// `replicas` out of what you apply: it belongs to the autoscaler then.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule(
    "self.minReplicas <= self.maxReplicas",
    "minReplicas is above maxReplicas; lower it, or raise maxReplicas",
)]))]
pub struct Autoscaling {
    /// Fewest pods.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 500))]
    pub min_replicas: i32,
    /// Most pods.
    #[schemars(range(min = 1, max = 500))]
    pub max_replicas: i32,
    /// Open connections per pod that are aimed at. Needs an adapter that serves the pods' metric
    /// `topicgateway_connections`; without one the autoscaler only keeps within its bounds.
    #[serde(default = "connections_per_replica")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub connections_per_replica: i32,
}

/// What voluntary disruptions, as the drain of a node, may take.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Disruption {
    /// Pods that must stay, as a number or a share (`50%`). Not used with one replica: that pod could never be moved.
    #[schemars(schema_with = "share")]
    pub min_available: IntOrString,
}

impl Default for Disruption {
    fn default() -> Self {
        Self { min_available: IntOrString::String("50%".into()) }
    }
}

/// What goes into the pods. A change of any of it replaces them, one after the other.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// Image of the gateway; the controller's own where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = IMAGE))]
    pub image: Option<String>,
    /// When the image is pulled; the controller's setting where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets with which the image is pulled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 253), regex(pattern = SECRET_NAME)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub image_pull_secrets: Vec<String>,
    /// What the container asks for and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Labels a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and neighbours the pods want.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How the pods are spread; evenly over hosts and zones, as far as that can be had, where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Name of a `PriorityClass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_NAME))]
    pub priority_class_name: Option<String>,
    /// More labels of the pods; those of the controller win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub labels: BTreeMap<String, String>,
    /// More annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotations")]
    pub annotations: BTreeMap<String, String>,
}

/// When an image is pulled.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum ImagePullPolicy {
    /// At every start.
    Always,
    /// Where the node does not have it.
    IfNotPresent,
    /// Never: the node has it.
    Never,
}

impl ImagePullPolicy {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// What a container asks for and may use, by resource.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Resources {
    /// What is set aside, as `cpu: 500m`, `memory: 256Mi`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    pub requests: BTreeMap<String, IntOrString>,
    /// What may be used at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    pub limits: BTreeMap<String, IntOrString>,
}

fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {
            "x-kubernetes-int-or-string": true,
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "minimum": 0,
            "pattern": QUANTITY,
        },
        "maxProperties": 16,
    })
}

fn share(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{ "type": "integer" }, { "type": "string" }],
        "minimum": 0,
        "maximum": 500,
        "pattern": SHARE,
    })
}

pub(super) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "maxLength": 63, "pattern": LABEL_VALUE },
        "maxProperties": 32,
        "x-kubernetes-validations": [names_are_qualified()],
    })
}

pub(super) fn annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "maxLength": 4096 },
        "maxProperties": 32,
        "x-kubernetes-validations": [names_are_qualified()],
    })
}

fn names_are_qualified() -> serde_json::Value {
    rule(
        &format!("self.all(name, name.size() <= 317 && name.matches('{QUALIFIED_NAME}'))"),
        "has a name that is no label or annotation key; write name or example.com/name",
    )
}

fn one() -> i32 {
    1
}

fn connections_per_replica() -> i32 {
    20_000
}
