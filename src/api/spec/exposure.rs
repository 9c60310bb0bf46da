//! How clients reach the pods, and who may.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    rule::{DNS_LABEL, HOST, QUALIFIED_NAME, SECRET_NAME},
    workload::annotations,
};

/// The Service clients connect through.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// How it is exposed.
    #[serde(rename = "type")]
    pub kind: ServiceType,
    /// Annotations, as load balancers want them.
    #[schemars(schema_with = "annotations")]
    pub annotations: BTreeMap<String, String>,
    /// What the port says it speaks. Left out, it is Kubernetes' word: `kubernetes.io/ws`, or `kubernetes.io/wss` with
    /// `listeners.tls`; some meshes want `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = QUALIFIED_NAME))]
    pub app_protocol: Option<String>,
}

/// How a Service is exposed.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum ServiceType {
    /// Within the cluster.
    #[default]
    ClusterIP,
    /// On a port of every node.
    NodePort,
    /// By a load balancer of the cloud.
    LoadBalancer,
}

impl ServiceType {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// An `HTTPRoute` of the Gateway API.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Gateways (or their listeners) it is attached to.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub parent_refs: Vec<ParentRef>,
    /// Host names it answers for; all of the gateway's where there is none.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 253), regex(pattern = HOST)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub hostnames: Vec<String>,
}

/// What a route is attached to: a Gateway, unless `group` and `kind` say otherwise.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// API group of the parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_NAME))]
    pub group: Option<String>,
    /// Kind of the parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"))]
    pub kind: Option<String>,
    /// Its namespace; the one of the `TopicGateway` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = DNS_LABEL))]
    pub namespace: Option<String>,
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_NAME))]
    pub name: String,
    /// One listener of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_NAME))]
    pub section_name: Option<String>,
    /// Listeners on this port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<i32>,
}

/// An Ingress for one host.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// Name of the `IngressClass`; the cluster's default where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_NAME))]
    pub class_name: Option<String>,
    /// Host name.
    #[schemars(length(min = 1, max = 253), regex(pattern = HOST))]
    pub host: String,
    /// A Secret of type `kubernetes.io/tls` for the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_NAME))]
    pub tls_secret_name: Option<String>,
    /// Annotations, as the controller of the class wants them (mind its time-outs for idle connections).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotations")]
    pub annotations: BTreeMap<String, String>,
}

/// Who may talk to the pods, and to whom they may talk. Needs a network that enforces policies.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySpec {
    /// Whether there is one. It lets clients to the public port, Prometheus and the controller to the admin port,
    /// and the pods to the cluster's DNS and to NATS.
    pub enabled: bool,
    /// Who may scrape metrics; every pod of the cluster where there is none.
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub metrics_from: Vec<NetworkPolicyPeer>,
    /// Who may connect to the public port; everybody where there is none.
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub clients_from: Vec<NetworkPolicyPeer>,
}
