//! What Prometheus itself says to alerts and queries. `PROMTOOL` names the program.

use std::{env, fs, path::Path, process::Command};

use serde_json::json;
use tempfile::TempDir;

use super::{chart, dashboards, root, rules};
use crate::support::queries;

#[track_caller]
fn assert_passes(arguments: &[&str], file: &Path) {
    let promtool = env::var_os("PROMTOOL").expect("PROMTOOL is set: `tests/run` does");
    let output = Command::new(promtool).args(arguments).arg(file).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
}

#[test]
fn prometheus_reads_the_alerts() {
    assert_passes(&["check", "rules"], &chart().join("files/alerts/topic-gateway.yaml"));
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    assert_passes(&["test", "rules"], &root().join("tests/chart/alerts.yaml"));
}

/// The alerts that the controller makes for one gateway: in a folder of their own, called `rules.yaml`.
fn made_for_a_gateway() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("rules.yaml"), rules::made_for_a_gateway().to_string()).unwrap();
    directory
}

#[test]
fn prometheus_reads_the_alerts_of_a_gateway() {
    let directory = made_for_a_gateway();
    assert_passes(&["check", "rules"], &directory.path().join("rules.yaml"));
}

#[test]
fn alerts_on_latency_fire_when_the_budget_burns_and_only_then() {
    let directory = made_for_a_gateway();
    let tests = directory.path().join("latency.yaml");
    fs::copy(root().join("tests/chart/latency.yaml"), &tests).unwrap();
    assert_passes(&["test", "rules"], &tests);
}

#[test]
fn prometheus_reads_the_queries_of_the_dashboards() {
    let directory = TempDir::new().unwrap();
    for (name, dashboard) in dashboards::dashboards() {
        let queries = queries(&name, &dashboard);
        let rules: Vec<_> = queries
            .iter()
            .enumerate()
            .map(|(at, (_, query))| {
                let query = query.replace("$__rate_interval", "5m");
                json!({"record": format!("query:{at}"), "expr": query})
            })
            .collect();
        let file = directory.path().join(format!("{name}.yaml"));
        fs::write(&file, json!({"groups": [{"name": name, "rules": rules}]}).to_string()).unwrap();
        assert_passes(&["check", "rules"], &file);
    }
}
