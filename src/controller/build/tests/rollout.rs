//! What replaces pods and what does not.

use proptest::{prelude::*, sample::subsequence};

use super::*;

/// Changes that gateways load while they run.
fn reloadable() -> Vec<(&'static str, Value)> {
    vec![
        ("/backbone/nats/servers", json!(["nats://elsewhere"])),
        ("/backbone/nats/subscription", json!("Wildcard")),
        ("/backbone/nats/subjects", json!(["acme.b.>"])),
        ("/backbone/nats/credentialsSecretRef", json!({"name": "nats-ca", "key": "ca.crt"})),
        ("/backbone/nats/tls", json!({})),
        ("/listeners/allowedOrigins", json!([])),
        ("/listeners/tls", json!({"secretRef": {"name": "nats-client"}})),
        ("/authentication", json!({"anonymous": "Allow"})),
        ("/authorization", json!([])),
        ("/topics", json!([])),
        ("/limits/connections", json!(5)),
        ("/heartbeatSeconds", json!(5)),
        ("/metrics/maxTopicSeries", json!(5)),
    ]
}

/// Changes that are for the cluster alone.
fn around() -> Vec<(&'static str, Value)> {
    vec![
        ("/autoscaling", json!({"maxReplicas": 3})),
        ("/service", json!({"type": "NodePort"})),
        ("/route/hostnames", json!([])),
        ("/monitoring/podMonitor/enabled", json!(false)),
        ("/disruption", json!({"minAvailable": 1})),
        ("/networkPolicy/enabled", json!(false)),
    ]
}

/// Changes that need new pods.
fn pods() -> Vec<(&'static str, Value)> {
    vec![
        ("/listeners/port", json!(9000)),
        ("/listeners/tls", Value::Null),
        ("/drain/windowSeconds", json!(5)),
        ("/drain/preStopSeconds", json!(0)),
        ("/pod/image", json!("another:1")),
        ("/pod/imagePullPolicy", json!("Never")),
        ("/pod/imagePullSecrets", json!(["another"])),
        ("/pod/resources", json!({"requests": {"cpu": "1m"}})),
        ("/pod/nodeSelector", json!({"a": "b"})),
        ("/pod/tolerations", json!([])),
        ("/pod/affinity", json!({})),
        ("/pod/topologySpreadConstraints", json!([])),
        ("/pod/priorityClassName", json!("another")),
        ("/pod/labels", json!({"a": "b"})),
        ("/pod/annotations", json!({"a": "b"})),
    ]
}

fn changed(changes: &[(&'static str, Value)]) -> Given {
    let mut given = EVERYTHING.clone();
    let mut spec = serde_json::to_value(&given.gateway.spec).unwrap();
    for (path, value) in changes {
        let (parent, field) = path.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[field] = value.clone();
    }
    given.gateway.spec = serde_json::from_value(spec).unwrap();
    given.gateway.metadata.generation = Some(4);
    given
}

fn deployment(given: &Given) -> Value {
    given.only(Kind::Deployment).unwrap()
}

fn template(given: &Given) -> Value {
    deployment(given)["spec"]["template"].clone()
}

/// The configuration without the generation.
fn config(given: &Given) -> Value {
    let map = given.child(Kind::ConfigMap, "market-config").unwrap();
    let mut config: Value = serde_json::from_str(map["data"]["config.json"].as_str().unwrap()).unwrap();
    config["generation"].take();
    config
}

#[test]
fn each_change_that_is_loaded_reaches_the_configuration() {
    for change in reloadable() {
        assert_ne!(config(&changed(std::slice::from_ref(&change))), config(&EVERYTHING), "{}", change.0);
    }
}

#[test]
fn what_is_for_the_cluster_alone_does_not_reach_it() {
    for change in around() {
        assert_eq!(config(&changed(std::slice::from_ref(&change))), config(&EVERYTHING), "{}", change.0);
    }
}

#[test]
fn each_change_of_a_pod_reaches_the_template() {
    for change in pods() {
        assert_ne!(template(&changed(std::slice::from_ref(&change))), template(&EVERYTHING), "{}", change.0);
    }
}

#[test]
fn the_number_of_pods_is_no_reason_to_replace_them() {
    let scaled = changed(&[("/replicas", json!(5))]);
    assert_eq!(deployment(&scaled)["spec"]["replicas"], 5);
    assert_eq!(template(&scaled), template(&EVERYTHING));
}

#[test]
fn a_rotated_secret_changes_its_copy_and_nothing_else() {
    for (name, key) in [("nats-user", "user.creds"), ("market-tls", "tls.crt")] {
        let mut rotated = EVERYTHING.clone();
        rotated.secrets.insert(name, key, b"rotated".to_vec());
        for (before, after) in EVERYTHING.children().into_iter().zip(rotated.children()) {
            assert_eq!(before == after, before.name != "market-secrets", "{name}: {}", before.name);
        }
    }
}

#[test]
fn the_configuration_is_what_a_gateway_reads() {
    for given in [&MEMORY, &EVERYTHING] {
        let name = names::config_map(given.gateway.metadata.name.as_deref().unwrap());
        let map = given.child(Kind::ConfigMap, &name).unwrap();
        let read =
            crate::api::GatewayConfig::parse("c", map["data"]["config.json"].as_str().unwrap()).unwrap();
        assert_eq!((read.generation, &read.spec), (3, &given.gateway.spec.for_gateway()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_same_inputs_give_the_same_objects(changes in subsequence(all(), 0..8)) {
        prop_assert_eq!(changed(&changes).children(), changed(&changes).children());
    }

    #[test]
    fn no_mix_of_what_gateways_load_replaces_a_pod(
        loaded in subsequence(reloadable(), 0..=reloadable().len()),
        beside in subsequence(around(), 0..=around().len()),
    ) {
        let given = changed(&[loaded, beside].concat());
        prop_assert_eq!(deployment(&given), deployment(&EVERYTHING));
    }

    #[test]
    fn every_mix_with_a_change_of_pods_replaces_them(
        loaded in subsequence(reloadable(), 0..=reloadable().len()),
        of_pods in subsequence(pods(), 1..=pods().len()),
    ) {
        prop_assert_ne!(template(&changed(&[loaded, of_pods].concat())), template(&EVERYTHING));
    }
}

fn all() -> Vec<(&'static str, Value)> {
    [reloadable(), around(), pods()].concat()
}
