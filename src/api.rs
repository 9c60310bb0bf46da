//! The resource, the gateway's configuration and the names everything shares. Knows nobody else in the crate.

mod config;
mod crd;
mod envelope;
mod manifests;
mod report;
mod secrets;
mod spec;
mod stamp;
mod status;
mod stored;
mod topic;
mod validate;

pub use config::GatewayConfig;
pub use crd::{crd, crd_yaml};
pub use manifests::{Manifests, builtin};
pub use report::{Feed, GatewayReport, RejectedConfig};
pub use secrets::{SESSION_KEYS, SecretError, Secrets, session_key_secret};
pub use spec::{
    Anonymous, Authentication, AuthorizationRule, Autoscaling, Backbone, ByteSize, Delivery, Disruption,
    Drain, ImagePullPolicy, Ingress, JetStream, JwtAlgorithm, JwtIssuer, Limits, Listeners, MemoryBackbone,
    MetricsSpec, Monitoring, MonitoringObject, NatsBackbone, NatsTls, NetworkPolicySpec, ParentRef, PodSpec,
    Resources, Route, SecretKeyRef, SecretRef, ServiceSpec, ServiceType, Slo, SlowConsumer, SubscriptionMode,
    TopicGateway, TopicGatewaySpec, TopicLabel, TopicRule,
};
pub use stamp::Stamp;
pub use status::TopicGatewayStatus;
pub use stored::Unreadable;
pub use topic::{Filter, MAX_TOPIC_BYTES, MAX_TOPIC_TOKENS, Pattern, Seq, Topic, TopicError};
pub use validate::{Finding, Findings, SecretReference};
