//! What is made for the Prometheus operator, where a cluster has it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    rule::{OBJECTIVE, rule},
    workload::labels,
};

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
    /// Milliseconds within which a message is to be handed to a client's socket: one of the bounds of the histogram of
    /// latencies, which are 1, 2, 5, 10, 20, 25, 50, 75, 100, 150, 200, 250, 300, 500, 750, 1000, 2000, 5000, 10000,
    /// 30000 and 60000.
    #[schemars(range(min = 1, max = 60_000), extend("x-kubernetes-validations" = [is_a_bound()]))]
    pub latency_milliseconds: i32,
    /// Share of the deliveries for which that is to hold, in percent, as a text.
    #[schemars(length(min = 2, max = 6), regex(pattern = OBJECTIVE))]
    pub objective: String,
}

impl Slo {
    /// What `latencyMilliseconds` may be: the bounds of the histogram of latencies. They are the same for every gateway
    /// and never change while one runs: a bound that came later would have no past, and an alert that compares it over
    /// days with all deliveries would take those from before it for late ones.
    pub const THRESHOLDS: [i32; 21] = [
        1, 2, 5, 10, 20, 25, 50, 75, 100, 150, 200, 250, 300, 500, 750, 1000, 2000, 5000, 10_000, 30_000,
        60_000,
    ];
}

fn is_a_bound() -> serde_json::Value {
    let all = Slo::THRESHOLDS.map(|threshold| threshold.to_string()).join(", ");
    rule(&format!("self in [{all}]"), &format!("is no bound of the latency histogram; write one of {all}"))
}

impl Default for Slo {
    fn default() -> Self {
        Self { latency_milliseconds: 100, objective: "99.9".into() }
    }
}
