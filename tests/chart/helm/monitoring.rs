//! Objects for Prometheus and Grafana.

use std::fs;

use serde_json::{Value, json};

use super::{matrix, of_kind, render, the};
use crate::chart::{files, parse, read};

#[test]
fn one_monitor_scrapes_the_admin_port() {
    let by_service = &matrix()["single"];
    let monitor = the(by_service, "ServiceMonitor");
    assert_eq!(monitor["spec"]["endpoints"], json!([{"port": "admin", "path": "/metrics"}]));
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(the(by_service, "Service")["spec"]["ports"][0]["name"], "admin");
    let by_pod = &matrix()["everything"];
    let endpoint = json!([{"port": "admin", "path": "/metrics", "interval": "30s"}]);
    assert_eq!(the(by_pod, "PodMonitor")["spec"]["podMetricsEndpoints"], endpoint);
}

#[test]
fn the_alerts_are_those_of_the_file() {
    let objects = render(&["metrics.prometheusRule.enabled=true"]);
    let stored = parse(&read("files/alerts/topic-gateway.yaml"));
    assert_eq!(the(&objects, "PrometheusRule")["spec"], stored);
}

#[test]
fn alerts_get_labels_and_links_and_may_be_left_out() {
    let objects = &matrix()["everything"];
    let groups = the(objects, "PrometheusRule")["spec"]["groups"].as_array().unwrap();
    assert!(groups.iter().all(|group| group["interval"] == "1m"));
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    for rule in &rules {
        let name = rule["alert"].as_str().unwrap();
        assert_ne!(name, "TopicGatewayOpenFiles");
        assert_eq!(rule["labels"]["team"], "messaging", "{name}");
        assert!(rule["labels"]["severity"].is_string(), "{name}");
        let link = format!("https://runbooks.example.com/topic-gateway#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], link);
    }
    let stored = read("files/alerts/topic-gateway.yaml").matches("- alert: ").count();
    assert_eq!(rules.len(), stored - 1);
    let without = render(&["metrics.prometheusRule.enabled=true", "metrics.prometheusRule.runbookUrl="]);
    assert!(!the(&without, "PrometheusRule").to_string().contains("runbook_url"));
}

#[test]
fn a_group_whose_alerts_are_all_left_out_is_left_out() {
    let stored = parse(&read("files/alerts/topic-gateway.yaml"));
    let names: Vec<_> = stored["groups"][0]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["alert"].as_str().unwrap())
        .collect();
    let disabled = format!("metrics.prometheusRule.disabled={{{}}}", names.join(","));
    let objects = render(&["metrics.prometheusRule.enabled=true", &disabled]);
    assert_eq!(the(&objects, "PrometheusRule")["spec"]["groups"].as_array().unwrap().len(), 1);
}

#[test]
fn each_dashboard_is_a_config_map_for_the_sidecar() {
    let objects = render(&["metrics.dashboards.enabled=true"]);
    let maps = of_kind(&objects, "ConfigMap");
    let files = files("files/dashboards", "json");
    assert_eq!(maps.len(), files.len());
    for (map, file) in maps.iter().zip(&files) {
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        let key = format!("topic-gateway-{}", file.file_name().unwrap().to_str().unwrap());
        let stored: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let rendered: Value = serde_json::from_str(map["data"][&key].as_str().unwrap()).unwrap();
        assert_eq!(rendered, stored);
    }
    let elsewhere = &matrix()["everything"];
    let maps = of_kind(elsewhere, "ConfigMap");
    assert_eq!(maps.iter().filter(|map| map["metadata"]["namespace"] == "monitoring").count(), files.len());
}
