//! What is made for the Prometheus operator, where a cluster has it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rule::OBJECTIVE, workload::labels};

/// What is made for the Prometheus operator, where a cluster has it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Monitoring {
    /// The pods as scrape targets.
    pub pod_monitor: MonitoringObject,
    /// Alerts on the pods' metrics.
    pub prometheus_rule: MonitoringObject,
}

/// One object for the Prometheus operator.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitoringObject {
    /// Whether it is made, where its API exists.
    pub enabled: bool,
    /// More labels, by which a Prometheus selects it.
    #[schemars(schema_with = "labels")]
    pub labels: BTreeMap<String, String>,
}

impl Default for MonitoringObject {
    fn default() -> Self {
        Self { enabled: true, labels: BTreeMap::new() }
    }
}

/// What is promised of the time from publish to socket. Alerts are made from it.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Slo {
    /// Milliseconds within which a message is to be handed to a client's socket.
    #[schemars(range(min = 1, max = 60_000))]
    pub latency_milliseconds: i32,
    /// Share of the messages for which that is to hold, in percent, as a text.
    #[schemars(length(min = 2, max = 6), regex(pattern = OBJECTIVE))]
    pub objective: String,
}

impl Default for Slo {
    fn default() -> Self {
        Self { latency_milliseconds: 100, objective: "99.9".into() }
    }
}
