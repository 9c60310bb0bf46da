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
    /// How messages come from the backbone.
    #[serde(default)]
    pub feed: Feed,
    /// What is wrong with the backbone's stream, and what to do. Absent where nothing is, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_trouble: Option<String>,
    /// Whether the gateway is going away.
    pub draining: bool,
    /// A newer configuration that could not be taken over; the one in force goes on. Absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<RejectedConfig>,
}

/// How messages come to a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
pub enum Feed {
    /// Without a stream: there is no history, and what is lost on the way is lost.
    #[default]
    Core,
    /// The stream publishes everything it stores again, with its number.
    RePublish,
    /// The stream does not: a message is noticed as it is published, and read from the stream.
    Notice,
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
            feed: Feed::RePublish,
            stream_trouble: None,
            draining: false,
            rejected: None,
        };
        let text = r#"{"generation":3,"connections":12,"subscriptions":34,"backboneConnected":true,"feed":"RePublish","draining":false"#;
        assert_eq!(serde_json::to_string(&report).unwrap(), format!("{text}}}"));
        report.rejected = Some(RejectedConfig { generation: Some(4), message: "no".into() });
        let text = format!(r#"{text},"rejected":{{"generation":4,"message":"no"}}}}"#);
        assert_eq!(serde_json::to_string(&report).unwrap(), text);
        assert_eq!(serde_json::from_str::<GatewayReport>(&text).unwrap(), report);
    }
}
