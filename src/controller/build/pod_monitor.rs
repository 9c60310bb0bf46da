//! The pods as scrape targets of the Prometheus operator.

use serde_json::json;

use super::{Child, parent::Parent};
use crate::controller::{kind::Kind, names};

pub(super) fn build(parent: &Parent<'_>) -> Child {
    let spec = json!({
        "selector": parent.selector(),
        "podMetricsEndpoints": [{"port": names::ADMIN_PORT}],
    });
    parent.foreign(Kind::PodMonitor, &parent.spec.monitoring.pod_monitor.labels, spec)
}
