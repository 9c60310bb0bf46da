//! What a running gateway says of itself to the controller.

use serde::{Deserialize, Serialize};

/// The answer to `GET /status` on a gateway's admin port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayReport {
    /// `metadata.generation` of the configuration that is in force.
    pub generation: i64,
    /// Open connections of clients.
    pub connections: u64,
    /// Subscriptions of all connections.
    pub subscriptions: u64,
    /// Whether the backbone is connected now.
    pub backbone_connected: bool,
    /// Whether the gateway is going away.
    pub draining: bool,
    /// A newer configuration that could not be taken over; the one in force goes on. Absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<RejectedConfig>,
}

/// A configuration that was not taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedConfig {
    /// Its generation; absent where the file does not even tell that. That of the configuration in force where a
    /// Secret has changed for the worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// What is wrong and what to do. Names Secrets and keys, never shows a value.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_documented_and_is_read_back() {
        let mut report = GatewayReport {
            generation: 3,
            connections: 12,
            subscriptions: 34,
            backbone_connected: true,
            draining: false,
            rejected: None,
        };
        let text = r#"{"generation":3,"connections":12,"subscriptions":34,"backboneConnected":true,"draining":false"#;
        assert_eq!(serde_json::to_string(&report).unwrap(), format!("{text}}}"));
        report.rejected = Some(RejectedConfig { generation: Some(4), message: "no".into() });
        let text = format!(r#"{text},"rejected":{{"generation":4,"message":"no"}}}}"#);
        assert_eq!(serde_json::to_string(&report).unwrap(), text);
        assert_eq!(serde_json::from_str::<GatewayReport>(&text).unwrap(), report);
    }
}
