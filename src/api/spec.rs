//! The `TopicGateway` resource: the only language gateways are configured in.
//!
//! Every field has a description, and a default or a bound: `kubectl explain`, the API server and
//! `topic-gateway check` all read the schema that is derived from these types.

mod access;
mod backbone;
mod delivery;
mod rule;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(in crate::api) use rule::{SECRET_KEY, SECRET_NAME, pattern_hint};

pub use access::{Anonymous, Authentication, AuthorizationRule, JwtAlgorithm, JwtIssuer, Listeners};
pub use backbone::{
    Backbone, MemoryBackbone, NatsBackbone, NatsTls, SecretKeyRef, SecretRef, SubscriptionMode,
};
pub use delivery::{Drain, Limits, MetricsSpec, SlowConsumer, TopicLabel, TopicRule};

/// Declares gateways: which topics they take from where, and who may read and write them.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "topicgateway.io",
    version = "v1alpha1",
    kind = "TopicGateway",
    namespaced,
    derive = "PartialEq",
    shortname = "tgw",
    category = "topicgateway",
    doc = "Gateways that bring the topics of a backbone to WebSocket clients."
)]
#[serde(rename_all = "camelCase")]
pub struct TopicGatewaySpec {
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
    /// How connections are closed when the gateway goes away.
    #[serde(default)]
    pub drain: Drain,
    /// What is exported per topic.
    #[serde(default)]
    pub metrics: MetricsSpec,
}

fn default_heartbeat() -> i32 {
    25
}
