//! How many pods there are, where they run and what they may use.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Affinity, Toleration, TopologySpreadConstraint},
    apimachinery::pkg::util::intstr::IntOrString,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::rule::{IMAGE, LABEL_VALUE, QUALIFIED_NAME, QUANTITY, SECRET_NAME, SHARE, number_or, rule};

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
    #[schemars(schema_with = "tolerations")]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and neighbours the pods want.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "!has(self.nodeAffinity) || !has(self.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution) || \
         self.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.size() > 0",
        "nodeAffinity has no nodeSelectorTerms and would fit no node; add one, or take \
         requiredDuringSchedulingIgnoredDuringExecution away",
    )]))]
    pub affinity: Option<Affinity>,
    /// How the pods are spread; evenly over hosts and zones, as far as that can be had, where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "spread_constraints")]
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

/// Kubernetes' own type, with what it asks of one: it would be told only after the resource was taken.
fn tolerations(generator: &mut SchemaGenerator) -> Schema {
    let rules = [
        rule(
            "!has(self.operator) || self.operator in ['', 'Exists', 'Equal', 'Lt', 'Gt']",
            "the operator is none that there is; write Exists or Equal (or Lt, Gt for numbers)",
        ),
        rule(
            "!has(self.effect) || self.effect in ['', 'NoSchedule', 'PreferNoSchedule', 'NoExecute']",
            "the effect is none that there is; write NoSchedule, PreferNoSchedule or NoExecute",
        ),
        rule(
            "has(self.key) && self.key != '' || has(self.operator) && self.operator == 'Exists'",
            "names no key; name one, or write operator: Exists to tolerate every taint",
        ),
        rule(
            "!(has(self.operator) && self.operator == 'Exists' && has(self.value) && self.value != '')",
            "Exists looks at no value; take value away, or write operator: Equal",
        ),
    ];
    ruled::<Toleration>(generator, 64, &rules)
}

/// The same.
fn spread_constraints(generator: &mut SchemaGenerator) -> Schema {
    let rules = [
        rule("self.maxSkew >= 1", "maxSkew is below 1; raise it, 1 spreads as evenly as can be"),
        rule(
            "self.topologyKey != ''",
            "topologyKey is empty; name a label of nodes, as kubernetes.io/hostname",
        ),
        rule(
            "self.whenUnsatisfiable in ['DoNotSchedule', 'ScheduleAnyway']",
            "whenUnsatisfiable is none that there is; write DoNotSchedule or ScheduleAnyway",
        ),
    ];
    ruled::<TopologySpreadConstraint>(generator, 16, &rules)
}

/// At most so many of a foreign type, each of which keeps these rules.
fn ruled<T: JsonSchema>(generator: &mut SchemaGenerator, most: u32, rules: &[serde_json::Value]) -> Schema {
    let mut item = generator.subschema_for::<T>();
    item.insert("x-kubernetes-validations".into(), rules.into());
    json_schema!({
        "type": "array",
        "items": item,
        "maxItems": most,
        "x-kubernetes-list-type": "atomic",
    })
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
        "x-kubernetes-validations": [number_or(SHARE)],
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
