//! What Prometheus itself says to alerts and queries. `PROMTOOL` names the program.

use std::{env, fs, path::Path, process::Command};

use serde_json::json;
use tempfile::TempDir;

use super::{chart, dashboards, root};

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

#[test]
fn prometheus_reads_the_queries_of_the_dashboards() {
    let directory = TempDir::new().unwrap();
    for (name, dashboard) in dashboards::dashboards() {
        let queries = dashboards::queries(&name, &dashboard);
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
