use serde_json::json;

use super::*;
use crate::controller::observed::{DeploymentState, PodState};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pod(ready: bool, told: Option<(i64, u64, u64)>) -> PodState {
    let report = told.map(|(generation, connections, subscriptions)| GatewayReport {
        generation,
        connections,
        subscriptions,
        backbone_connected: true,
        ..GatewayReport::default()
    });
    PodState { name: "p".into(), ready, report, ..PodState::default() }
}

fn observed(pods: Vec<PodState>) -> Observed {
    let deployment = DeploymentState { replicas: 3, ready: 2, ..DeploymentState::default() };
    Observed {
        name: "market".into(),
        generation: 7,
        wanted: 3,
        deployment: Some(deployment),
        pods,
        address: Some("ws://market.prices.svc:8080/ws".into()),
        ..Observed::default()
    }
}

fn gateway(spec: &serde_json::Value) -> TopicGateway {
    let mut all = json!({"backbone": {"memory": {}}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "topicgateway.io/v1alpha1",
        "kind": "TopicGateway",
        "metadata": {"name": "market", "namespace": "prices"},
        "spec": all,
    }))
    .unwrap()
}

#[test]
fn it_says_what_was_seen() {
    let pods = vec![pod(true, Some((7, 1234, 20))), pod(true, Some((6, 1, 30))), pod(false, Some((2, 0, 0)))];
    let status = status(&observed(pods), None, at(1));
    assert_eq!(status.observed_generation, Some(7));
    assert_eq!(status.config_generation, Some(6));
    assert_eq!((status.replicas, status.ready_replicas), (3, 2));
    assert_eq!((status.connections, status.subscriptions), (Some(1200), Some(50)));
    assert_eq!(status.address.as_deref(), Some("ws://market.prices.svc:8080/ws"));
    assert_eq!(
        status.selector.as_deref(),
        Some(
            "app.kubernetes.io/component=gateway,app.kubernetes.io/instance=market,\
             app.kubernetes.io/name=topic-gateway"
        )
    );
    assert_eq!(status.conditions.len(), 6);
}

#[test]
fn what_no_pod_tells_is_absent() {
    let status = status(&observed(vec![pod(true, None)]), None, at(1));
    assert_eq!((status.connections, status.subscriptions, status.config_generation), (None, None, None));
}

#[test]
fn numbers_keep_two_digits() {
    let cases = [
        (0, 0),
        (7, 7),
        (99, 99),
        (100, 100),
        (104, 100),
        (105, 110),
        (994, 990),
        (995, 1000),
        (12_345, 12_000),
        (12_500, 13_000),
        (987_654, 990_000),
        (u64::MAX, i64::MAX),
    ];
    for (count, expected) in cases {
        assert_eq!(rounded(count), expected, "{count}");
    }
}

#[test]
fn the_same_at_another_time_is_the_same() {
    let seen = observed(vec![pod(true, Some((7, 5, 5)))]);
    let (first, later) = (status(&seen, None, at(1)), status(&seen, None, at(2)));
    assert_ne!(first, later);
    assert!(is_same(&first, &later));
    let other = status(&observed(vec![pod(true, Some((7, 6, 5)))]), Some(&first), at(2));
    assert!(!is_same(&first, &other));
}

#[test]
fn a_few_clients_among_many_are_not_worth_a_write() {
    let with = |connections| status(&observed(vec![pod(true, Some((7, connections, 9)))]), None, at(1));
    assert!(is_same(&with(20_010), &with(20_030)));
}

#[test]
fn the_address_is_where_clients_come_in() {
    let route = |hosts: &[&str], port: u16| json!({"route": {"parentRefs": [{"name": "g", "port": port}], "hostnames": hosts}});
    let cases = [
        (json!({}), "ws://market.prices.svc:8080/ws"),
        (json!({"listeners": {"port": 9000}}), "ws://market.prices.svc:9000/ws"),
        (json!({"listeners": {"tls": {"secretRef": {"name": "t"}}}}), "wss://market.prices.svc:8080/ws"),
        (json!({"ingress": {"host": "a.example.com"}}), "ws://a.example.com/ws"),
        (json!({"ingress": {"host": "a.example.com", "tlsSecretName": "t"}}), "wss://a.example.com/ws"),
        (json!({"ingress": {"host": "*.example.com"}}), "ws://market.prices.svc:8080/ws"),
        (route(&["*.example.com", "b.example.com"], 443), "wss://b.example.com/ws"),
        (route(&["b.example.com"], 80), "ws://b.example.com/ws"),
        (route(&[], 443), "ws://market.prices.svc:8080/ws"),
    ];
    for (spec, expected) in cases {
        assert_eq!(address(&gateway(&spec), |_| true).as_deref(), Some(expected), "{spec}");
    }
    let behind = gateway(&route(&["b.example.com"], 443));
    let service = |kind| kind == Kind::Service;
    assert_eq!(address(&behind, service).as_deref(), Some("ws://market.prices.svc:8080/ws"));
}

#[test]
fn a_service_of_somebody_else_is_no_address() {
    for spec in [json!({}), json!({"ingress": {"host": "a.example.com"}})] {
        assert_eq!(address(&gateway(&spec), |kind| kind != Kind::Service), None, "{spec}");
    }
}
