//! The alerts are about what exists, and say what to do.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{metric_names, parse, parse_all, read, root};
use crate::support::command;

/// The rule file.
const FILE: &str = "files/alerts/topic-gateway.yaml";

/// The rules that the controller makes for one gateway with everything, as its own test holds them in a file.
pub(super) fn made_for_a_gateway() -> Value {
    let golden = root().join("src/controller/build/tests/golden/everything.yaml");
    let objects = parse_all(&fs::read_to_string(golden).unwrap());
    objects.into_iter().find(|object| object["kind"] == "PrometheusRule").unwrap()["spec"].take()
}

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

/// The page that alerts lead to.
const PAGE: &str = "docs/alerts.md";

#[test]
fn every_alert_leads_to_its_heading_and_every_heading_is_that_of_an_alert() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let headings: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_lowercase).collect();
    let of_a_gateway = made_for_a_gateway();
    let of_a_gateway = of_a_gateway["groups"][0]["rules"].as_array().unwrap();
    let mut linked = BTreeSet::new();
    for (alert, start) in alerts()
        .iter()
        .map(|alert| (alert, PAGE))
        .chain(of_a_gateway.iter().map(|alert| (alert, "https://runbooks.example.com/alerts")))
    {
        let (url, name) = (&alert["annotations"]["runbook_url"], alert["alert"].as_str().unwrap());
        let heading = url.as_str().and_then(|url| url.strip_prefix(start)?.strip_prefix('#'));
        assert_eq!(heading, Some(name.to_lowercase().as_str()), "{name}: {url}");
        linked.extend(heading.map(str::to_owned));
    }
    assert_eq!(linked, headings);
}

#[test]
fn chart_and_controller_lead_to_the_page_of_alerts_unless_told_otherwise() {
    assert_eq!(parse(&read("values.yaml"))["metrics"]["prometheusRule"]["runbookUrl"], PAGE);
    let help = command(["controller", "--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains(&format!("[default: {PAGE}]")));
}
