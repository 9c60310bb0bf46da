//! The `TopicGateway` resource.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::topic::{MAX_TOPIC_BYTES, Pattern};

/// Declares gateways: which topics they take from where, and who may read and write them.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "topicgateway.io",
    version = "v1alpha1",
    kind = "TopicGateway",
    namespaced,
    shortname = "tgw",
    category = "topicgateway"
)]
#[serde(rename_all = "camelCase")]
pub struct TopicGatewaySpec {
    /// Where messages come from and go to.
    pub backbone: Backbone,
    /// The public port and who may open connections from a browser.
    #[serde(default)]
    pub listeners: Listeners,
    /// How clients prove who they are.
    #[serde(default)]
    pub authentication: Authentication,
    /// Who may subscribe and publish where. Nothing is allowed without a rule; all matching rules add up.
    #[serde(default)]
    pub authorization: Vec<AuthorizationRule>,
    /// Behaviour per topic pattern; the first match wins.
    #[serde(default)]
    pub topics: Vec<TopicRule>,
    /// Bounds per gateway pod.
    #[serde(default)]
    pub limits: Limits,
    /// Seconds between two pings to a client.
    #[serde(default = "default_heartbeat")]
    pub heartbeat_seconds: i32,
    /// How connections are closed when the gateway goes away.
    #[serde(default)]
    pub drain: Drain,
    /// What is exported per topic.
    #[serde(default)]
    pub metrics: MetricsSpec,
}

/// Exactly one of `memory` and `nats`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backbone {
    /// Topics live in the gateway's own memory: one replica, for trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryBackbone>,
    /// Topics are NATS subjects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsBackbone>,
}

/// The in-process backbone has no settings.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct MemoryBackbone {}

/// A NATS server or cluster.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NatsBackbone {
    /// Addresses: `nats://host:port` or `tls://host:port`.
    pub servers: Vec<String>,
    /// How topics are subscribed to.
    #[serde(default)]
    pub subscription: SubscriptionMode,
    /// NATS subjects that clients may see at all; in `Wildcard` mode these are subscribed to.
    #[serde(default = "all_subjects")]
    pub subjects: Vec<Pattern>,
    /// A topic is the NATS subject without this prefix (whole tokens; a dot at its end may be left out).
    #[serde(default)]
    pub subject_prefix: String,
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
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
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
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    pub name: String,
    /// Key within the Secret.
    pub key: String,
}

/// A Secret in the same namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: String,
}

/// The public listener.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listeners {
    /// TCP port for clients.
    #[serde(default = "default_port")]
    pub port: i32,
    /// Origins a browser may come from. An entry is a whole origin (`https://app.example.com`),
    /// one with any subdomain (`https://*.example.com`), one with any port (`http://localhost:*`), or `*` for all.
    #[serde(default)]
    pub allowed_origins: Vec<String>,
}

/// How clients prove who they are.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Authentication {
    /// Whether clients without a token are admitted (as user `anonymous`).
    #[serde(default)]
    pub anonymous: Anonymous,
    /// Issuers whose tokens are accepted.
    #[serde(default)]
    pub jwt: Vec<JwtIssuer>,
}

/// Whether clients without a token are admitted.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Anonymous {
    /// A token is required.
    #[default]
    Deny,
    /// A client without a token is the user `anonymous`.
    Allow,
}

/// One issuer of tokens. Exactly one of `jwksSecretRef`, `publicKeySecretRef` and `secretRef`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtIssuer {
    /// The `iss` claim, exactly.
    pub issuer: String,
    /// Accepted `aud` claims; empty: the claim is not looked at.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Accepted signature algorithms.
    #[serde(default)]
    pub algorithms: Vec<JwtAlgorithm>,
    /// The claim that names the user.
    #[serde(default = "default_user_claim")]
    pub user_claim: String,
    /// A JWKS document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_secret_ref: Option<SecretKeyRef>,
    /// A public key in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_secret_ref: Option<SecretKeyRef>,
    /// A shared secret (HMAC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
}

/// Signature algorithms of RFC 7518 and RFC 8037 that a token may use. There is no `none`.
#[allow(missing_docs)]
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum JwtAlgorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Whom a rule is for (all three must hold) and what it grants.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct AuthorizationRule {
    /// User names; `*` is everybody.
    #[serde(default = "everybody")]
    pub users: Vec<String>,
    /// One of these must be in the token's `roles` claim; empty: any.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Each of these claims must have this value (or hold it, where the claim is a list).
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// Topics that may be subscribed to.
    #[serde(default)]
    pub subscribe: Vec<Pattern>,
    /// Topics that may be published to.
    #[serde(default)]
    pub publish: Vec<Pattern>,
}

/// Behaviour of the topics a pattern matches.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicRule {
    /// The topics.
    pub pattern: Pattern,
    /// What happens to a subscriber that falls out of the topic's window.
    #[serde(default)]
    pub slow_consumer: SlowConsumer,
}

/// What happens to a subscriber that falls out of the topic's window.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum SlowConsumer {
    /// It is closed with 4409.
    #[default]
    Disconnect,
    /// It goes on with the oldest message that is kept, told by `gap`.
    DropOldest,
    /// It goes on with the newest message, told by `gap`.
    Conflate,
}

/// Bounds per gateway pod; 0 = no limit where so stated.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Open connections; 0 = no limit.
    pub connections: i32,
    /// Open connections of one user; 0 = no limit.
    pub connections_per_user: i32,
    /// New connections per second; 0 = no limit.
    pub connections_per_second: i32,
    /// Subscriptions of one connection.
    pub topics_per_connection: i32,
    /// Bytes of one message from a client.
    pub message_bytes: i32,
    /// Bytes of one topic's log.
    pub window_bytes: i32,
    /// Seconds a message stays in the log for a subscriber that is behind.
    pub window_seconds: i32,
    /// Publishes of one connection per second; 0 = no limit.
    pub publish_per_second: i32,
    /// Subscribes and unsubscribes of one connection per second; 0 = no limit.
    pub subscribe_per_second: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            connections_per_user: 0,
            connections_per_second: 0,
            topics_per_connection: 128,
            message_bytes: 65_536,
            window_bytes: 1_048_576,
            window_seconds: 30,
            publish_per_second: 50,
            subscribe_per_second: 100,
        }
    }
}

/// How connections are closed when the gateway goes away.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Drain {
    /// Seconds over which the closes are spread.
    pub window_seconds: i32,
}

impl Default for Drain {
    fn default() -> Self {
        Self { window_seconds: 30 }
    }
}

/// What is exported per topic.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricsSpec {
    /// Most series of `topicgateway_topic_subscribers`; the rest is folded into `__other__`.
    pub max_topic_series: i32,
    /// Patterns whose topics share one label; the first match wins.
    pub topic_labels: Vec<TopicLabel>,
}

impl Default for MetricsSpec {
    fn default() -> Self {
        Self { max_topic_series: 500, topic_labels: Vec::new() }
    }
}

/// Topics that share one label.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TopicLabel {
    /// The topics.
    pub pattern: Pattern,
    /// The value of the `topic` label.
    pub label: String,
}

fn default_heartbeat() -> i32 {
    25
}

fn default_port() -> i32 {
    8080
}

fn default_user_claim() -> String {
    "sub".into()
}

fn everybody() -> Vec<String> {
    vec!["*".into()]
}

fn all_subjects() -> Vec<Pattern> {
    ">".parse().into_iter().collect()
}

impl Default for Listeners {
    fn default() -> Self {
        Self { port: default_port(), allowed_origins: Vec::new() }
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_TOPIC_BYTES,
            "pattern": r"^([A-Za-z0-9_:/@=~+%-]+|\*)(\.([A-Za-z0-9_:/@=~+%-]+|\*))*(\.>)?$|^>$",
        })
    }
}
