//! The `TopicGateway` resource: the only language gateways are configured in.
//!
//! Every field has a description, and a default or a bound: `kubectl explain`, the API server and
//! `topic-gateway check` all read the schema that is derived from these types.

mod access;
mod backbone;
mod delivery;
mod exposure;
mod jet_stream;
mod monitoring;
mod rule;
mod workload;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::TopicGatewayStatus;
use rule::rule;

pub(in crate::api) use rule::{GATEWAY_NAME, SECRET_KEY, SECRET_NAME, pattern_hint, pattern_rules};

pub use access::{Anonymous, Authentication, AuthorizationRule, JwtAlgorithm, JwtIssuer, Listeners};
pub use backbone::{
    Backbone, MemoryBackbone, NatsBackbone, NatsTls, SecretKeyRef, SecretRef, SubscriptionMode,
};
pub use delivery::{Delivery, Drain, Limits, MetricsSpec, SlowConsumer, TopicLabel, TopicRule};
pub use exposure::{Ingress, NetworkPolicySpec, ParentRef, Route, ServiceSpec, ServiceType};
pub use jet_stream::{ByteSize, JetStream};
pub use monitoring::{Monitoring, MonitoringObject, Slo};
pub use workload::{Autoscaling, Disruption, ImagePullPolicy, PodSpec, Resources};

/// Declares gateways: which topics they take from where, and who may read and write them.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "topicgateway.io",
    version = "v1alpha1",
    kind = "TopicGateway",
    namespaced,
    status = "TopicGatewayStatus",
    derive = "PartialEq",
    shortname = "tgw",
    category = "topicgateway",
    doc = "Gateways that bring the topics of a backbone to WebSocket clients.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Connections", type_ = "integer", json_path = ".status.connections"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Subscriptions", type_ = "integer", priority = 1, json_path = ".status.subscriptions"),
    printcolumn(name = "Address", type_ = "string", priority = 1, json_path = ".status.address"),
    printcolumn(
        name = "Backbone", type_ = "string", priority = 1,
        json_path = ".status.conditions[?(@.type==\"BackboneConnected\")].status"
    ),
    validation = Rule::new(NAME_RULE).message(NAME_MESSAGE),
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "!has(self.backbone.memory) || self.replicas <= 1 && !has(self.autoscaling)",
        "topics in memory are not shared between pods; set replicas to 1 and take autoscaling away, or use nats",
    ),
    rule(
        "!self.topics.exists(t, t.delivery == 'AtLeastOnce') || has(self.backbone.memory) || \
         has(self.backbone.nats) && has(self.backbone.nats.jetStream)",
        "topics with delivery AtLeastOnce need what was published to be kept; add backbone.nats.jetStream, or take \
         AtMostOnce",
    ),
    rule(
        "!(has(self.route) && has(self.ingress))",
        "takes one way in; keep route or ingress",
    ),
]))]
pub struct TopicGatewaySpec {
    /// How many pods. `kubectl scale`, autoscalers and KEDA act on it by way of the scale subresource.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 500))]
    pub replicas: i32,
    /// Stop reconciling: what runs goes on as it is.
    #[serde(default)]
    pub paused: bool,
    /// Where messages come from and go to. Exactly one of `memory` and `nats`.
    pub backbone: Backbone,
    /// The public port and who may open connections from a browser.
    #[serde(default)]
    pub listeners: Listeners,
    /// How clients prove who they are.
    #[serde(default)]
    pub authentication: Authentication,
    /// Who may subscribe and publish where. Nothing is allowed without a rule; all matching rules add up.
    #[serde(default)]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "atomic"))]
    pub authorization: Vec<AuthorizationRule>,
    /// Behaviour per topic pattern; the first match wins.
    #[serde(default)]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "atomic"))]
    pub topics: Vec<TopicRule>,
    /// Bounds per gateway pod; 0 = no limit where so stated.
    #[serde(default)]
    pub limits: Limits,
    /// Seconds between two pings to a client.
    #[serde(default = "default_heartbeat")]
    #[schemars(range(min = 1, max = 3600))]
    pub heartbeat_seconds: i32,
    /// Seconds after which a session can no longer be resumed; counted from its `ready`.
    #[serde(default = "default_session")]
    #[schemars(range(min = 60, max = 2_592_000))]
    pub session_seconds: i32,
    /// How connections are closed when the gateway goes away.
    #[serde(default)]
    pub drain: Drain,
    /// What is exported per topic.
    #[serde(default)]
    pub metrics: MetricsSpec,
    /// What is promised of the time from publish to socket. Alerts are made from it; without it there are none on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Slo>,
    /// Scaling by connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// The Service clients connect through.
    #[serde(default)]
    pub service: ServiceSpec,
    /// An `HTTPRoute` of the Gateway API, for clients outside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// An Ingress, for clients outside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// What is made for the Prometheus operator, where a cluster has it.
    #[serde(default)]
    pub monitoring: Monitoring,
    /// What voluntary disruptions, as the drain of a node, may take.
    #[serde(default)]
    pub disruption: Disruption,
    /// Who may talk to the pods, and to whom they may talk.
    #[serde(default)]
    pub network_policy: NetworkPolicySpec,
    /// What goes into the pods.
    #[serde(default)]
    pub pod: PodSpec,
}

/// Longest name: those of the children and of the pods are made from it and must stay within 63 characters.
pub(in crate::api) const MAX_NAME: usize = 45;
const NAME_RULE: &str =
    "self.metadata.name.size() <= 45 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')";
const NAME_MESSAGE: &str = "metadata.name must begin with a letter, hold only lower-case letters, digits and '-', \
    and have at most 45 characters; choose another";

impl TopicGatewaySpec {
    /// The spec with only what a gateway reads; what is meant for the cluster alone has its default.
    #[must_use]
    pub fn for_gateway(&self) -> Self {
        let mut backbone = self.backbone.clone();
        if let Some(jet) = backbone.nats.as_mut().and_then(|nats| nats.jet_stream.as_mut()) {
            // The controller does that.
            jet.manage = false;
        }
        Self {
            backbone,
            replicas: default_replicas(),
            paused: false,
            slo: None,
            autoscaling: None,
            service: ServiceSpec::default(),
            route: None,
            ingress: None,
            monitoring: Monitoring::default(),
            disruption: Disruption::default(),
            network_policy: NetworkPolicySpec::default(),
            pod: PodSpec::default(),
            ..self.clone()
        }
    }
}

fn default_replicas() -> i32 {
    1
}

fn default_heartbeat() -> i32 {
    25
}

fn default_session() -> i32 {
    86_400
}
