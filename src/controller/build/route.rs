//! A route of the Gateway API, in front of the Service.
//!
//! No time-outs are set: a route without them leaves open connections open, and some gateways refuse the field.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Child, parent::Parent};
use crate::{api::Route, controller::kind::Kind};

pub(super) fn build(parent: &Parent<'_>, route: &Route) -> Child {
    let backend = json!({"name": parent.name, "port": parent.spec.listeners.port});
    let mut spec = json!({"parentRefs": route.parent_refs, "rules": [{"backendRefs": [backend]}]});
    if !route.hostnames.is_empty() {
        spec["hostnames"] = json!(route.hostnames);
    }
    parent.foreign(Kind::HttpRoute, &BTreeMap::new(), spec)
}
