//! The alerts are about what exists, and say what to do.

use serde_json::Value;

use super::{metric_names, parse, read};

/// The rule file.
const FILE: &str = "files/alerts/topic-gateway.yaml";

fn alerts() -> Vec<Value> {
    let rules = parse(&read(FILE));
    let groups = rules["groups"].as_array().unwrap().iter();
    let alerts: Vec<_> = groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
    assert!(alerts.len() > 10, "no alerts were found: is the search still right?");
    alerts
}

#[test]
fn every_metric_of_an_alert_exists() {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let expressions: Vec<_> =
        alerts().iter().map(|rule| (text(&rule["alert"]), text(&rule["expr"]))).collect();
    metric_names::assert_exist(&expressions);
}

#[test]
fn every_alert_says_what_is_wrong_and_what_to_do() {
    for alert in alerts() {
        let name = &alert["alert"];
        assert!(["warning", "critical"].map(Value::from).contains(&alert["labels"]["severity"]), "{name}");
        for annotation in ["summary", "description", "runbook"] {
            let text = alert["annotations"][annotation].as_str().unwrap_or_default();
            assert!(text.ends_with('.') && !text.contains('\n'), "{name}: {annotation} is {text:?}");
        }
    }
}

#[test]
fn the_readme_lists_every_alert() {
    let readme = read("README.md");
    let lines: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `TopicGateway")).collect();
    let alerts = alerts();
    for (alert, line) in alerts.iter().zip(&lines) {
        let (name, severity) =
            (alert["alert"].as_str().unwrap(), alert["labels"]["severity"].as_str().unwrap());
        let start = format!("| `{name}` | {severity} | ");
        assert!(line.starts_with(&start), "{line:?} should begin with {start:?}");
    }
    assert_eq!(alerts.len(), lines.len());
}
