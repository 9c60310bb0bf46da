//! Where messages come from and go to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    jet_stream::JetStream,
    rule::{NATS_SERVER, SECRET_KEY, SECRET_NAME, SUBJECT_PREFIX, rule},
};
use crate::api::topic::Pattern;

/// Exactly one of `memory` and `nats`.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule(
    "has(self.memory) != has(self.nats)",
    "needs exactly one of memory and nats; write `memory: {}` for a trial, or nats with its servers",
)]))]
pub struct Backbone {
    /// Topics live in the gateway's own memory: one replica, for trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryBackbone>,
    /// Topics are NATS subjects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsBackbone>,
}

/// The in-process backbone has no settings.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct MemoryBackbone {}

/// A NATS server or cluster. The gateway's user needs publish and subscribe on `_INBOX.>` besides its subjects:
/// what the server has taken in is confirmed that way.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "[has(self.credentialsSecretRef), has(self.nkeySecretRef), has(self.tokenSecretRef), \
         has(self.userPasswordSecretRef)].filter(given, given).size() <= 1",
        "takes one credential; keep one of credentialsSecretRef, nkeySecretRef, tokenSecretRef \
         and userPasswordSecretRef",
    ),
    rule(
        "!has(self.jetStream) || !self.jetStream.manage || \
         !self.subjects.exists(s, s.startsWith('>') || s.startsWith('*'))",
        "a stream of subjects that begin with a wildcard would take in what it sends on itself; begin each of \
         subjects with a name, as prices.>, or take jetStream.manage away",
    ),
]))]
pub struct NatsBackbone {
    /// Addresses: `nats://host:port` or `tls://host:port`, without user and password (those belong in a Secret).
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 255), regex(pattern = NATS_SERVER)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub servers: Vec<String>,
    /// How topics are subscribed to.
    #[serde(default)]
    pub subscription: SubscriptionMode,
    /// NATS subjects that clients may see at all; in `Wildcard` mode these are subscribed to.
    #[serde(default = "all_subjects")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub subjects: Vec<Pattern>,
    /// A topic is the NATS subject without this prefix (whole tokens; a dot at its end may be left out). It cannot be
    /// changed: every topic would get another name under its subscribers.
    #[serde(default)]
    #[schemars(length(max = 200), regex(pattern = SUBJECT_PREFIX), extend("x-kubernetes-validations" = [rule(
        "self == oldSelf",
        "cannot be changed, topics are named by it; declare another TopicGateway with the new prefix and move the clients",
    )]))]
    pub subject_prefix: String,
    /// The stream that keeps the topics' messages. Without one nothing is kept: what a client misses it is told of and
    /// cannot have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jet_stream: Option<JetStream>,
    /// A NATS credentials file (JWT and seed).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretKeyRef>,
    /// An nkey seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nkey_secret_ref: Option<SecretKeyRef>,
    /// A token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeyRef>,
    /// A Secret with the keys `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_password_secret_ref: Option<SecretRef>,
    /// TLS towards NATS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<NatsTls>,
}

/// How topics are subscribed to on NATS.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum SubscriptionMode {
    /// One NATS subscription per topic with subscribers, released with the last of them.
    #[default]
    PerTopic,
    /// One NATS subscription per entry of `subjects`, routed by subject.
    Wildcard,
}

/// TLS towards NATS.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NatsTls {
    /// CA certificates in PEM that the server's certificate is checked against, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
    /// A Secret of type `kubernetes.io/tls` (`tls.crt`, `tls.key`) the gateway shows to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_secret_ref: Option<SecretRef>,
}

/// One key of a Secret in the same namespace.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[schemars(extend("x-kubernetes-validations" = [rule(
    "self.name.size() + self.key.size() <= 252",
    "name and key have more than 252 characters together; shorten one of them",
)]))]
pub struct SecretKeyRef {
    /// Name of the Secret: lower-case letters, digits, `-` and `.`.
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_NAME))]
    pub name: String,
    /// Key within the Secret: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_KEY))]
    pub key: String,
}

impl SecretKeyRef {
    /// The file a pod finds the value in, below the folder of its Secrets. `_` cannot stand in the name of a Secret,
    /// so no two references share one; it has at most 253 characters, as a Secret's keys may.
    pub fn file_name(&self) -> String {
        format!("{}_{}", self.name, self.key)
    }
}

/// A Secret in the same namespace.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SecretRef {
    /// Name of the Secret: lower-case letters, digits, `-` and `.`.
    #[schemars(length(min = 1, max = 240), regex(pattern = SECRET_NAME))]
    pub name: String,
}

fn all_subjects() -> Vec<Pattern> {
    ">".parse().into_iter().collect()
}
