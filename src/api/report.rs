//! What a gateway pod tells the controller about itself.

use serde::{Deserialize, Serialize};

/// The answer of a pod's admin port to `GET /status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayReport {
    /// Generation of the configuration that is in force.
    pub generation: i64,
    /// Open connections.
    pub connections: u64,
    /// Subscriptions of all connections.
    pub subscriptions: u64,
    /// Whether the backbone is connected.
    pub backbone_connected: bool,
    /// Whether the pod is going away.
    pub draining: bool,
    /// A newer configuration that could not be taken over; the one before goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<RejectedConfig>,
}

/// A configuration that could not be taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedConfig {
    /// Its generation; 0 where it could not be read.
    pub generation: i64,
    /// What is wrong with it and what to do.
    pub message: String,
}
