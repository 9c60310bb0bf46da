use std::collections::BTreeMap;

use prometheus::proto::MetricType;
use regex::Regex;
use serde_json::json;

use super::*;
use crate::{
    api::TopicGateway,
    controller::build::{Defaults, Inputs, SessionKey},
    gateway::metrics::names::ALL,
};

/// The rules of a gateway with this spec beside its backbone.
fn rules(spec: &Value) -> Vec<Value> {
    let mut all = json!({"backbone": {"memory": {}}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let gateway: TopicGateway = serde_json::from_value(json!({
        "apiVersion": "topicgateway.io/v1alpha1",
        "kind": "TopicGateway",
        "metadata": {"name": "market", "namespace": "prices", "uid": "u"},
        "spec": all,
    }))
    .unwrap();
    let defaults = Defaults {
        image: "i".into(),
        pull_policy: crate::api::ImagePullPolicy::Always,
        environment: BTreeMap::new(),
        runbook_url: "docs/alerts.md".into(),
        controller_namespace: "c".into(),
    };
    let inputs = Inputs {
        gateway: &gateway,
        secrets: None,
        defaults: &defaults,
        optional: &Kind::ALL.into(),
        session_key: &SessionKey([0; 32]),
    };
    let rule = build(&Parent::new(&inputs).unwrap());
    rule.object["spec"]["groups"][0]["rules"].as_array().unwrap().clone()
}

fn names_of(rules: &[Value]) -> Vec<&str> {
    rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect()
}

#[test]
fn only_metrics_and_labels_that_exist_are_asked_for() {
    let series = Regex::new(r"(topicgateway_\w+)(?:\{([^}]*)\})?").unwrap();
    let label = Regex::new(r"(\w+)=~?").unwrap();
    let mut found = 0;
    for rule in rules(&json!({"slo": {}, "listeners": {"tls": {"secretRef": {"name": "t"}}}})) {
        for [_, name, labels] in all_captures(&series, &rule.to_string().replace("\\\"", "'")) {
            let metric = ALL.iter().find(|metric| {
                name.strip_prefix(metric.name).is_some_and(|suffix| {
                    let histogram =
                        metric.kind == MetricType::HISTOGRAM && ["_bucket", "_count"].contains(&suffix);
                    suffix.is_empty() || histogram
                })
            });
            let metric = metric.unwrap_or_else(|| panic!("there is no metric {name}"));
            for [_, key] in all_captures(&label, &labels) {
                let attached =
                    ["namespace", "pod"].contains(&key.as_str()) || key == "le" && name.ends_with("_bucket");
                assert!(attached || metric.labels.contains(&key.as_str()), "{name} has no label {key}");
            }
            found += 1;
        }
    }
    assert!(found > 6, "{found}");
}

fn all_captures<const N: usize>(pattern: &Regex, text: &str) -> Vec<[String; N]> {
    let groups = |at| {
        move |found: &regex::Captures<'_>| found.get(at).map_or_else(String::new, |it| it.as_str().into())
    };
    pattern.captures_iter(text).map(|found| std::array::from_fn(|at| groups(at)(&found))).collect()
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let rules = rules(&json!({"slo": {}}));
    for rule in &rules {
        for field in [
            "/for",
            "/labels/severity",
            "/annotations/summary",
            "/annotations/description",
            "/annotations/runbook",
        ] {
            assert!(
                rule.pointer(field).and_then(Value::as_str).is_some_and(|text| !text.is_empty()),
                "{rule}: {field}"
            );
        }
        assert_eq!(
            (&rule["labels"]["namespace"], &rule["labels"]["topicgateway"]),
            (&json!("prices"), &json!("market"))
        );
    }
    let mut names = names_of(&rules);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rules.len());
}

#[test]
fn pods_of_another_gateway_whose_name_begins_alike_are_not_meant() {
    let rules = rules(&json!({}));
    let pods = rules[0]["expr"].as_str().unwrap().split("pod=~\"").nth(1).unwrap().split('"').next().unwrap();
    // As Prometheus does: the whole value must match.
    let pattern = Regex::new(&format!("^(?:{pods})$")).unwrap();
    assert!(pattern.is_match("market-6c7d9f-x2x4z"));
    assert!(!pattern.is_match("market-eu-6c7d9f-x2x4z"));
    assert!(!pattern.is_match("supermarket-6c7d9f-x2x4z"));
}

#[test]
fn pods_are_missed_only_where_some_are_wanted() {
    let missing = |spec| {
        let rules = rules(&spec);
        let rule = rules.iter().find(|rule| rule["alert"] == "TopicGatewayPodsMissing")?;
        Some(rule["expr"].as_str().unwrap().rsplit_once(' ').unwrap().1.to_owned())
    };
    assert_eq!(missing(json!({"replicas": 0})), None);
    assert_eq!(missing(json!({"replicas": 4})).as_deref(), Some("4"));
    let scaled = json!({"replicas": 4, "autoscaling": {"minReplicas": 2, "maxReplicas": 9}});
    assert_eq!(missing(scaled).as_deref(), Some("2"));
}

#[test]
fn the_end_of_a_certificate_is_watched_where_there_is_one() {
    let watched = |spec| names_of(&rules(&spec)).contains(&"TopicGatewayCertificateExpires");
    assert!(!watched(json!({})));
    assert!(watched(json!({"listeners": {"tls": {"secretRef": {"name": "t"}}}})));
}

#[test]
fn the_latency_is_watched_where_there_is_an_slo() {
    let watched = |spec| names_of(&rules(&spec)).iter().filter(|name| name.contains("Latency")).count();
    assert_eq!(watched(json!({})), 0);
    assert_eq!(watched(json!({"slo": {"latencyMilliseconds": 20, "objective": "99.5"}})), 3);
}
