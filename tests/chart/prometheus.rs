//! What a real Prometheus makes of alerts and dashboards while a gateway works. Needs `nats-server`, `HELM`, and the
//! `prometheus` beside `PROMTOOL`.

use std::{fs, net::SocketAddr};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use regex::{Captures, Regex};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{helm, parse_all};
use crate::support::{
    Gateway, NatsClient, NatsServer, Prometheus, RawSocket, Resource, about_everything, command, dashboard,
    queries, wait_for, wait_until,
};

/// How much faster time goes than in the rules, so that nobody waits for hours: 5 minutes are 2 seconds. Queries and
/// thresholds stay those of the chart and of the controller.
const FASTER: u64 = 150;
/// Often enough for a rate over the shortest window, and time enough for a scrape.
const INTERVAL: &str = "500ms";

/// Rules with all their windows, and the times for which something must be so, shortened alike.
fn faster(spec: &Value) -> String {
    let time = Regex::new(r#"(\[|"for":")(\d+)([smhd])"#).unwrap();
    let shortened = |found: &Captures<'_>| {
        let unit = match &found[3] {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => 86_400_000,
        };
        format!("{}{}ms", &found[1], found[2].parse::<u64>().unwrap() * unit / FASTER)
    };
    time.replace_all(&spec.to_string(), shortened).into_owned()
}

/// The only `PrometheusRule` among these objects.
#[track_caller]
fn rules(objects: &[Value]) -> String {
    faster(&helm::the(objects, "PrometheusRule")["spec"])
}

/// The rules that the controller makes for a gateway.
#[track_caller]
fn rules_of_a_gateway(resource: &Resource) -> String {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.yaml");
    fs::write(&file, resource.yaml()).unwrap();
    let output = command(["check", "--output", "yaml", "-f"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    rules(&parse_all(&String::from_utf8(output.stdout).unwrap()))
}

/// A Prometheus with these rules that scrapes a gateway as the only pod of `default/test`.
#[track_caller]
fn watching(admin: SocketAddr, rules: &str) -> Prometheus {
    let labels = json!({"namespace": "default", "pod": "test-6c7d9f-x2x4z"});
    let config = json!({
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{
            "job_name": "default/test",
            "static_configs": [{"targets": [admin.to_string()], "labels": labels}],
        }],
    });
    Prometheus::start(&config, &[("rules.yaml", rules)])
}

/// The alert of this name, where it fires.
fn firing(prometheus: &Prometheus, name: &str) -> Option<Value> {
    prometheus.firing().into_iter().find(|alert| alert["labels"]["alertname"] == name)
}

#[test]
fn the_chart_tells_when_a_gateway_has_no_nats_and_when_it_has_it_again() {
    let mut nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    gateway.wait_for_metric("topicgateway_backbone_connected", &[], 1.0);
    let rendered = helm::render(&["metrics.prometheusRule.enabled=true"]);
    let prometheus = watching(gateway.admin, &rules(&rendered));
    // There is no controller, and that is told: rules are evaluated.
    wait_for("the first alert fires", || firing(&prometheus, "TopicGatewayControllerAbsent"));
    assert_eq!(prometheus.firing().len(), 1, "{:?}", prometheus.firing());

    nats.kill();
    let alert = wait_for("the alert fires", || firing(&prometheus, "TopicGatewayBackboneDown"));
    assert_eq!(alert["labels"]["severity"], "critical");
    assert_eq!(alert["annotations"]["summary"], "No gateway of default/test has its backbone.");

    nats.start_again();
    wait_until("the alert ends", || firing(&prometheus, "TopicGatewayBackboneDown").is_none());
}

#[test]
fn a_budget_of_late_deliveries_that_burns_is_told_until_deliveries_are_in_time_again() {
    const ALERT: &str = "TopicGatewayLatencyBudgetBurnsFast";
    let nats = NatsServer::start();
    // A busy machine delivers within this time, too.
    let slo = json!({"latencyMilliseconds": 10_000, "objective": "99.9"});
    let resource = Resource::open().on(&nats).set("slo", slo);
    let gateway = Gateway::start(&resource);
    gateway.wait_for_metric("topicgateway_backbone_connected", &[], 1.0);
    let mut subscriber = RawSocket::open(gateway.address);
    subscriber.text(r#"{"type":"subscribe","topic":"a"}"#);
    assert_eq!(subscriber.json()["type"], "subscribed");
    let prometheus = watching(gateway.admin, &rules_of_a_gateway(&resource));
    let mut outside = nats.client();
    let mut deliver = |seconds| deliver(&mut outside, &mut subscriber, SignedDuration::from_secs(seconds));

    let alert = wait_for("what was published half a minute ago makes it fire", || {
        deliver(30);
        firing(&prometheus, ALERT)
    });
    let summary = alert["annotations"]["summary"].as_str().unwrap();
    let promised = "of the deliveries of TopicGateway default/test took longer than 10000 ms";
    assert!(summary.contains(promised), "{summary}");

    wait_until("what is published now makes it end", || {
        deliver(0);
        firing(&prometheus, ALERT).is_none()
    });
}

/// A message that was published so long ago, on its way to the end.
#[track_caller]
fn deliver(outside: &mut NatsClient, subscriber: &mut RawSocket, ago: SignedDuration) {
    let published = (Timestamp::now() - ago).to_string();
    outside.publish_with_headers("a", &[("Nats-Time-Stamp", &published)], "1");
    outside.flush();
    assert_eq!(subscriber.json()["type"], "message");
}

#[test]
fn every_query_of_the_dashboards_over_gateways_finds_data_under_load() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    let prometheus = watching(gateway.admin, r#"{"groups": []}"#);
    let mut subscriber = RawSocket::open(gateway.address);
    subscriber.text(r#"{"type":"subscribe","topic":"a"}"#);
    assert_eq!(subscriber.json()["type"], "subscribed");
    let mut outside = nats.client();
    for name in ["fleet", "gateway"] {
        for (place, query) in queries(name, &dashboard(name)) {
            let query = about_everything(&query);
            wait_until(&format!("{place} finds data: {query}"), || {
                deliver(&mut outside, &mut subscriber, SignedDuration::ZERO);
                prometheus.query(&query).iter().any(|(_, value)| !value.is_nan())
            });
        }
    }
}
