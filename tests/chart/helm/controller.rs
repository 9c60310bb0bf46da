//! The controller's Deployment and what belongs to it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{matrix, of_kind, render, the};
use crate::support::command;

fn container(objects: &[Value]) -> &Value {
    &the(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
}

/// The flags of the controller with their values, those that come more than once joined with commas.
fn flags(objects: &[Value]) -> BTreeMap<String, String> {
    let arguments = container(objects)["args"].as_array().unwrap();
    assert_eq!(arguments[0], "controller");
    let mut flags: BTreeMap<String, String> = BTreeMap::new();
    for argument in &arguments[1..] {
        let (name, value) = argument.as_str().unwrap().split_once('=').unwrap();
        let all = flags.entry(name.to_owned()).or_default();
        *all = if all.is_empty() { value.to_owned() } else { format!("{all},{value}") };
    }
    flags
}

#[test]
fn every_argument_is_one_the_program_has() {
    let help = |name: &str| String::from_utf8(command([name, "--help"]).output().unwrap().stdout).unwrap();
    let known = help("controller");
    for values in [vec![], vec!["leaderElection.enabled=false"], vec!["watchNamespaces={prices,risk}"]] {
        for flag in flags(&render(&values)).keys() {
            assert!(known.contains(flag.as_str()), "there is no {flag} in:\n{known}");
        }
    }
    let objects = render(&[]);
    let probe = &the(&objects, "Pod")["spec"]["containers"][0]["args"];
    assert!(!help(probe[0].as_str().unwrap()).is_empty(), "there is no command {probe}");
}

#[test]
fn values_become_arguments() {
    let version = env!("CARGO_PKG_VERSION");
    let flags_of = |values: &[&str]| flags(&render(values));
    let default = flags_of(&[]);
    assert_eq!(default["--image"], format!("topic-gateway:{version}"));
    assert_eq!(default["--image-pull-policy"], "IfNotPresent");
    assert_eq!(default["--leader-elect"], "true");
    assert_eq!(default["--lease-name"], "trial-topic-gateway-controller");
    assert_eq!(default["--admin"], "0.0.0.0:9090");
    assert_eq!(default.get("--namespace"), None);
    let other = flags_of(&["leaderElection.enabled=false", "watchNamespaces={prices,risk}", "concurrency=3"]);
    assert_eq!(other["--leader-elect"], "false");
    assert_eq!(other.get("--lease-name"), None);
    assert_eq!(other["--namespace"], "prices,risk");
    assert_eq!(other["--concurrency"], "3");
}

#[test]
fn images_are_put_together_from_their_parts() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let version = env!("CARGO_PKG_VERSION");
    let (own, of_gateways) = (format!("image.digest={digest}"), format!("gatewayImage.digest={digest}"));
    let table = [
        (vec![], format!("topic-gateway:{version}"), format!("topic-gateway:{version}")),
        (
            vec!["image.registry=r.example.com:5000", "image.tag=a"],
            "r.example.com:5000/topic-gateway:a".into(),
            "r.example.com:5000/topic-gateway:a".into(),
        ),
        (
            vec![own.as_str()],
            format!("topic-gateway:{version}@{digest}"),
            format!("topic-gateway:{version}@{digest}"),
        ),
        (
            vec![own.as_str(), "gatewayImage.tag=b"],
            format!("topic-gateway:{version}@{digest}"),
            "topic-gateway:b".into(),
        ),
        (
            vec!["image.registry=r.example.com", "gatewayImage.repository=g"],
            format!("r.example.com/topic-gateway:{version}"),
            format!("r.example.com/g:{version}"),
        ),
        (
            vec![of_gateways.as_str()],
            format!("topic-gateway:{version}"),
            format!("topic-gateway:{version}@{digest}"),
        ),
    ];
    for (values, controller, gateways) in table {
        let objects = render(&values);
        assert_eq!(container(&objects)["image"], controller, "{values:?}");
        assert_eq!(flags(&objects)["--image"], gateways, "{values:?}");
        assert_eq!(the(&objects, "Pod")["spec"]["containers"][0]["image"], controller, "{values:?}");
    }
    let policies = flags(&render(&["image.pullPolicy=Always", "gatewayImage.pullPolicy=Never"]));
    assert_eq!(policies["--image-pull-policy"], "Never");
}

#[test]
fn two_controllers_never_overlap_without_leader_election() {
    let strategy = |values: &[&str]| the(&render(values), "Deployment")["spec"]["strategy"].clone();
    let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    assert_eq!(strategy(&[]), rolling);
    assert_eq!(strategy(&["leaderElection.enabled=false"]), json!({"type": "Recreate"}));
}

#[test]
fn the_controller_is_probed_and_has_requests_and_limits() {
    for (values, objects) in matrix() {
        let container = container(objects);
        for (probe, path) in
            [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
        {
            let expected = json!({"path": path, "port": "admin"});
            assert_eq!(container[probe]["httpGet"], expected, "{values}: {probe}");
        }
        assert_eq!(container["ports"], json!([{"name": "admin", "containerPort": 9090}]), "{values}");
        assert!(container["resources"]["requests"]["memory"].is_string(), "{values}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{values}");
        assert!(the(objects, "Deployment")["spec"]["revisionHistoryLimit"].is_number(), "{values}");
    }
}

#[test]
fn the_pod_knows_its_name_and_what_to_log() {
    let objects = render(&["logLevel=debug"]);
    let environment = container(&objects)["env"].as_array().unwrap();
    let of = |name: &str| environment.iter().find(|variable| variable["name"] == name).unwrap();
    assert_eq!(of("POD_NAME")["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name");
    assert_eq!(of("POD_NAMESPACE")["valueFrom"]["fieldRef"]["fieldPath"], "metadata.namespace");
    assert_eq!(of("RUST_LOG")["value"], "debug");
}

#[test]
fn what_places_the_pod_reaches_it() {
    let objects = &matrix()["everything"];
    let pod = &the(objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["nodeSelector"]["pool"], "system");
    assert_eq!(pod["tolerations"][0]["key"], "system");
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
    assert_eq!(pod["topologySpreadConstraints"][0]["maxSkew"], 1);
    assert!(pod["affinity"]["podAntiAffinity"].is_object());
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "registry"}]));
    assert_eq!(pod["volumes"][0]["name"], "more");
    assert_eq!(container(objects)["volumeMounts"][0]["mountPath"], "/more");
    let annotations = &the(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["example.com/owner"], "messaging");
}

#[test]
fn a_disruption_budget_has_the_one_field_that_is_given() {
    let spec = |values: &[&str]| the(&render(values), "PodDisruptionBudget")["spec"].clone();
    let (enabled, two) = ("podDisruptionBudget.enabled=true", "replicaCount=2");
    let default = spec(&[enabled, two]);
    assert_eq!((&default["maxUnavailable"], &default["minAvailable"]), (&json!(1), &Value::Null));
    assert_eq!(default["unhealthyPodEvictionPolicy"], "AlwaysAllow");
    let least = spec(&[enabled, two, "podDisruptionBudget.minAvailable=0"]);
    assert_eq!((&least["maxUnavailable"], &least["minAvailable"]), (&Value::Null, &json!(0)));
    assert!(of_kind(&render(&[two]), "PodDisruptionBudget").is_empty());
}

#[test]
fn the_service_and_the_probe_of_the_test_lead_to_the_controller() {
    let objects = render(&[]);
    let service = the(&objects, "Service");
    let name = service["metadata"]["name"].as_str().unwrap();
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "admin");
    let arguments = &the(&objects, "Pod")["spec"]["containers"][0]["args"];
    assert_eq!(arguments, &json!(["probe", format!("http://{name}:9090/readyz")]));
}

#[test]
fn the_lease_goes_with_the_release_whose_rights_end_before_its_controller() {
    for values in [&[][..], &["leaderElection.leaseName=leader"]] {
        let objects = render(values);
        let lease = the(&objects, "Lease")["metadata"]["name"].as_str().unwrap().to_owned();
        let arguments =
            the(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
        assert!(arguments.contains(&format!("--lease-name={lease}\"")), "{arguments}");
        assert!(the(&objects, "Lease")["spec"].is_null(), "who holds it is not for the chart to say");
    }
    for values in [&["leaderElection.enabled=false"][..], &["rbac.create=false"]] {
        assert!(of_kind(&render(values), "Lease").is_empty(), "{values:?}");
    }
}
