//! How messages are kept and delivered, and what a gateway may hold while it does so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::rule;
use crate::api::topic::Pattern;

/// Behaviour of the topics a pattern matches.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicRule {
    /// The topics.
    pub pattern: Pattern,
    /// What happens to a subscriber that falls out of the topic's window.
    #[serde(default)]
    pub slow_consumer: SlowConsumer,
    /// Whether a message is sent again until the client has acknowledged it.
    #[serde(default)]
    pub delivery: Delivery,
    /// Seconds after which a message that is not acknowledged is sent again; with `AtLeastOnce`.
    #[serde(default = "default_ack_timeout")]
    #[schemars(range(min = 1, max = 3600))]
    pub ack_timeout_seconds: i32,
    /// Messages of each topic that a backbone in memory keeps, as far as 1 KiB for each (at least 1 MiB) and 64 MiB for
    /// all topics suffice. On NATS the stream has limits of its own.
    #[serde(default = "default_history")]
    #[schemars(range(min = 1, max = 100_000))]
    pub history_messages: i32,
}

/// Whether a message is sent again until the client has acknowledged it.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Delivery {
    /// It is sent once.
    #[default]
    AtMostOnce,
    /// It is sent again until it is acknowledged. Needs a history.
    AtLeastOnce,
}

fn default_ack_timeout() -> i32 {
    10
}

fn default_history() -> i32 {
    1000
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
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "self.windowBytes >= self.messageBytes",
        "a topic's window must hold the largest message; raise windowBytes or lower messageBytes",
    ),
    rule(
        "self.connections == 0 || self.connectionsPerUser <= self.connections",
        "connectionsPerUser is above connections and could never be reached; lower it, or write 0 for no limit",
    ),
]))]
pub struct Limits {
    /// Open connections; 0 = no limit.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub connections: i32,
    /// Open connections of one user; 0 = no limit.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub connections_per_user: i32,
    /// New connections per second; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub connections_per_second: i32,
    /// Subscriptions of one connection.
    #[schemars(range(min = 1, max = 65_536))]
    pub topics_per_connection: i32,
    /// Bytes of one message from a client.
    #[schemars(range(min = 1024, max = 67_108_864))]
    pub message_bytes: i32,
    /// Bytes of one topic's log.
    #[schemars(range(min = 1024, max = 1_073_741_824))]
    pub window_bytes: i32,
    /// Seconds a message stays in the log for a subscriber that is behind.
    #[schemars(range(min = 1, max = 86_400))]
    pub window_seconds: i32,
    /// Publishes of one connection per second, and over HTTP of one user; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub publish_per_second: i32,
    /// Subscribes and unsubscribes of one connection per second; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000))]
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
    #[schemars(range(min = 0, max = 3600))]
    pub window_seconds: i32,
    /// Seconds a pod that is to end goes on as before, until every proxy has heard that it takes no more connections.
    #[schemars(range(min = 0, max = 300))]
    pub pre_stop_seconds: i32,
}

impl Default for Drain {
    fn default() -> Self {
        Self { window_seconds: 30, pre_stop_seconds: 5 }
    }
}

/// What is exported per topic.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricsSpec {
    /// Most series of `topicgateway_topic_subscribers`; the rest is folded into `__other__`.
    #[schemars(range(min = 0, max = 10_000))]
    pub max_topic_series: i32,
    /// Patterns whose topics share one label; the first match wins.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub topic_labels: Vec<TopicLabel>,
}

impl Default for MetricsSpec {
    fn default() -> Self {
        Self { max_topic_series: 500, topic_labels: Vec::new() }
    }
}

/// Topics that share one label.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TopicLabel {
    /// The topics.
    pub pattern: Pattern,
    /// The value of the `topic` label.
    #[schemars(length(min = 1, max = 255), extend("x-kubernetes-validations" = [rule(
        "!self.startsWith('__')",
        "labels that begin with __ belong to the gateway itself; choose another",
    )]))]
    pub label: String,
}
