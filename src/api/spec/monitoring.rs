//! What is made for the Prometheus operator, where a cluster has it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::workload::labels;

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
