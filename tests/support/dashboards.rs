//! The chart's dashboards, and what they ask of Prometheus.

use std::{fs, path::Path};

use serde_json::Value;

/// A dashboard by the name of its file.
#[track_caller]
pub(crate) fn dashboard(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/topic-gateway/files/dashboards");
    let text = fs::read_to_string(folder.join(format!("{name}.json")));
    serde_json::from_str(&text.unwrap_or_else(|error| panic!("{name}: {error}"))).unwrap()
}

/// Every query of its panels, each with the place it stands at.
pub(crate) fn queries(name: &str, dashboard: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let place = format!("{name}: {}", panel["title"].as_str().unwrap());
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push((place.clone(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    assert!(!found.is_empty(), "{name} has no queries: is the search still right?");
    found
}

/// A query as Grafana sends it where everything is chosen, of a Prometheus that scrapes several times a second.
pub(crate) fn about_everything(query: &str) -> String {
    let mut query = query.replace("$__rate_interval", "5s").replace("$within", "0.1");
    for variable in ["$namespace", "$gateway", "$controller", "$instance"] {
        query = query.replace(variable, ".*");
    }
    assert!(!query.contains('$'), "a variable without a value: {query}");
    query
}
