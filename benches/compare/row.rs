//! What one measurement of one peer gave.

use serde::{Deserialize, Serialize};

/// A row of the raw file. What a workload does not measure is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Row {
    /// Name of the workload.
    pub(crate) work: String,
    /// Name of the peer.
    pub(crate) peer: String,
    /// Rounds count from 1.
    pub(crate) round: u32,
    /// Why it does not count; empty if it does.
    pub(crate) invalid: Vec<String>,
    /// Messages that subscribers have read, of so many that they should have.
    pub(crate) delivered: u64,
    pub(crate) expected: u64,
    /// Shares of a core that the server and the generator (with the NATS server that feeds the peer) have used.
    pub(crate) server_cores: f64,
    pub(crate) generator_cores: f64,
    /// CPU time of the server for each delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nanos_per_delivery: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deliveries_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    /// Memory of the server's own for each connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_per_connection: Option<f64>,
    /// CPU time of the server for each connection that was opened and subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) micros_per_connect: Option<f64>,
    /// Memory of the server's own at the end, and by how much it grew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_more: Option<f64>,
}
