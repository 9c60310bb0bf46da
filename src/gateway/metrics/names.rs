//! Every metric of the gateway: its name, type, labels and help. `docs/metrics.md` says what to do when one moves.

use prometheus::proto::MetricType;

/// A metric, as Prometheus knows it. Names and labels are an interface: dashboards and alerts are built on them.
#[derive(Debug)]
pub struct Definition {
    /// The name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: MetricType,
    /// Names of the labels, in the order in which their values are given.
    pub labels: &'static [&'static str],
    /// One sentence for the `# HELP` line.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Definition {
    Definition { name, kind: MetricType::COUNTER, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Definition {
    Definition { name, kind: MetricType::GAUGE, labels, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Definition {
    Definition { name, kind: MetricType::HISTOGRAM, labels: &[], help }
}

/// Value of the label `topic` under which topics without a series of their own are summed up.
pub const OTHER_TOPIC: &str = "__other__";

/// Subscribers per topic.
pub static TOPIC_SUBSCRIBERS: Definition = gauge(
    "topicgateway_topic_subscribers",
    &["topic"],
    "Subscribers of a topic or pattern; what is above the limit of series is summed up in __other__.",
);
/// Sub-sockets.
pub static TOPICS: Definition =
    gauge("topicgateway_topics", &[], "Topics and patterns with at least one subscriber.");
/// Subscriptions of all connections.
pub static SUBSCRIPTIONS: Definition =
    gauge("topicgateway_subscriptions", &[], "Subscriptions of all connections.");
/// How many topics have a series of their own.
pub static TOPIC_SERIES: Definition = gauge(
    "topicgateway_topic_series",
    &["state"],
    "Topics with a series of their own (exported) and without (folded into a label or __other__).",
);
/// Open connections.
pub static CONNECTIONS: Definition =
    gauge("topicgateway_connections", &["transport"], "Open connections of clients.");
/// Connections that did not come to be.
pub static ACCEPT_ERRORS: Definition =
    counter("topicgateway_accept_errors_total", &[], "Connections of clients that could not be accepted.");
/// Clients that TLS could not be spoken with.
pub static TLS_HANDSHAKE_FAILURES: Definition = counter(
    "topicgateway_tls_handshake_failures_total",
    &["reason"],
    "Connections of clients that ended within the TLS handshake, by reason.",
);
/// How long the certificate holds.
pub static TLS_CERTIFICATE_NOT_AFTER: Definition = gauge(
    "topicgateway_tls_certificate_not_after_timestamp_seconds",
    &[],
    "End of the validity of the certificate shown to clients, in seconds since 1970; 0 where it tells none.",
);
/// Messages from the backbone.
pub static MESSAGES_RECEIVED: Definition =
    counter("topicgateway_messages_received_total", &[], "Messages received from the backbone.");
/// Bytes from the backbone.
pub static MESSAGES_RECEIVED_BYTES: Definition = counter(
    "topicgateway_messages_received_bytes_total",
    &[],
    "Bytes of the bodies of messages received from the backbone.",
);
/// Messages in base64.
pub static MESSAGES_NOT_JSON: Definition = counter(
    "topicgateway_messages_not_json_total",
    &[],
    "Messages received whose body is not JSON and travels as base64.",
);
/// Messages that no topic can be made of.
pub static MESSAGES_IGNORED: Definition = counter(
    "topicgateway_messages_ignored_total",
    &[],
    "Messages received and not delivered, because their subject is not a valid topic.",
);
/// Messages to clients.
pub static MESSAGES_DELIVERED: Definition = counter(
    "topicgateway_messages_delivered_total",
    &[],
    "Messages written to sockets, once per subscriber.",
);
/// Bytes of messages to clients.
pub static MESSAGES_DELIVERED_BYTES: Definition =
    counter("topicgateway_messages_delivered_bytes_total", &[], "Bytes of the messages written to sockets.");
/// From publish to socket.
pub static DELIVERY_LATENCY: Definition = histogram(
    "topicgateway_delivery_latency_seconds",
    "Time from the publish of a live message until a subscriber's socket had taken it, once per subscriber.",
);
/// Publishes of clients.
pub static PUBLISH: Definition = counter(
    "topicgateway_publish_total",
    &["result"],
    "Messages published by clients, by what became of them.",
);
/// Memory of the topic logs.
pub static LOG_BYTES: Definition =
    gauge("topicgateway_log_bytes", &[], "Bytes held in the logs of all topics.");
/// Subscribers that are behind.
pub static LAGGING_SUBSCRIBERS: Definition = gauge(
    "topicgateway_lagging_subscribers",
    &[],
    "Subscribers whose socket does not take what is ready for them.",
);
/// Subscribers that fell out of a window.
pub static SLOW_CONSUMER: Definition = counter(
    "topicgateway_slow_consumer_total",
    &["policy"],
    "Subscribers that fell out of their topic's window, by the policy applied.",
);
/// Announced gaps.
pub static GAPS: Definition =
    counter("topicgateway_gaps_total", &["reason"], "Gaps in a topic announced to subscribers, by reason.");
/// Resumed topics.
pub static RESUMES: Definition = counter(
    "topicgateway_resumes_total",
    &["result"],
    "Topics resumed, by whether all that was missed was recovered, and sessions refused (`expired`).",
);
/// Messages that had to be fetched.
pub static REPAIRED: Definition = counter(
    "topicgateway_repaired_total",
    &[],
    "Messages that were lost on their way here and read from the stream.",
);
/// Reads of history.
pub static HISTORY_READS: Definition = counter(
    "topicgateway_history_reads_total",
    &[],
    "Reads of a topic's history from the stream; what gateways still have in memory needs none.",
);
/// Messages sent again.
pub static REDELIVERED: Definition = counter(
    "topicgateway_redelivered_total",
    &[],
    "Messages sent again because they were not acknowledged in time (topics that are delivered at least once).",
);
/// Ended connections.
pub static CLOSED: Definition =
    counter("topicgateway_closed_total", &["code"], "Connections ended, by WebSocket close code.");
/// Errors told to clients.
pub static ERRORS: Definition =
    counter("topicgateway_errors_total", &["code"], "Errors answered to clients, by error code.");
/// Connection to the backbone.
pub static BACKBONE_CONNECTED: Definition =
    gauge("topicgateway_backbone_connected", &[], "1 while the backbone is connected, else 0.");
/// Connections to the backbone that came back.
pub static BACKBONE_RECONNECTS: Definition = counter(
    "topicgateway_backbone_reconnects_total",
    &[],
    "How often a lost connection to the backbone came back.",
);
/// Messages the client of the backbone threw away.
pub static BACKBONE_DROPPED: Definition = counter(
    "topicgateway_backbone_dropped_total",
    &[],
    "Messages that arrived faster than the gateway took them, and were dropped before they were received.",
);
/// Errors from the backbone.
pub static BACKBONE_ERRORS: Definition = counter(
    "topicgateway_backbone_errors_total",
    &[],
    "Errors the backbone's server sent, violated permissions above all.",
);
/// Generation of the configuration.
pub static CONFIG_GENERATION: Definition = gauge(
    "topicgateway_config_generation",
    &[],
    "Generation of the resource whose configuration is in force.",
);
/// Whether there is a configuration that was not taken over.
pub static CONFIG_REJECTED: Definition = gauge(
    "topicgateway_config_rejected",
    &[],
    "1 while a newer configuration could not be taken over and the one before goes on, else 0.",
);
/// What runs.
pub static BUILD_INFO: Definition =
    gauge("topicgateway_build_info", &["version"], "Always 1; the labels say which build runs.");

/// All of them.
pub static ALL: &[&Definition] = &[
    &TOPIC_SUBSCRIBERS,
    &TOPICS,
    &SUBSCRIPTIONS,
    &TOPIC_SERIES,
    &CONNECTIONS,
    &ACCEPT_ERRORS,
    &TLS_HANDSHAKE_FAILURES,
    &TLS_CERTIFICATE_NOT_AFTER,
    &MESSAGES_RECEIVED,
    &MESSAGES_RECEIVED_BYTES,
    &MESSAGES_NOT_JSON,
    &MESSAGES_IGNORED,
    &MESSAGES_DELIVERED,
    &MESSAGES_DELIVERED_BYTES,
    &DELIVERY_LATENCY,
    &PUBLISH,
    &LOG_BYTES,
    &LAGGING_SUBSCRIBERS,
    &SLOW_CONSUMER,
    &GAPS,
    &RESUMES,
    &REDELIVERED,
    &REPAIRED,
    &HISTORY_READS,
    &CLOSED,
    &ERRORS,
    &BACKBONE_CONNECTED,
    &BACKBONE_RECONNECTS,
    &BACKBONE_DROPPED,
    &BACKBONE_ERRORS,
    &CONFIG_GENERATION,
    &CONFIG_REJECTED,
    &BUILD_INFO,
];
