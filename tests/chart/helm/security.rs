//! Pods pass the restricted profile, and the network lets through what is needed.

use serde_json::{Value, json};

use super::{matrix, render, the};

/// Volumes that the restricted profile admits.
const VOLUMES: [&str; 7] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"];

/// Fails unless the restricted profile admits the pod, and its root file system cannot be written to.
#[track_caller]
fn assert_restricted(place: &str, pod: &Value) {
    let own = &pod["securityContext"];
    assert_eq!(own["runAsNonRoot"], true, "{place}");
    assert!(own["runAsUser"].as_u64().is_some_and(|user| user > 0), "{place}");
    assert_eq!(own["seccompProfile"]["type"], "RuntimeDefault", "{place}");
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        assert_eq!(pod[field], Value::Null, "{place}");
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let kinds: Vec<_> = volume.as_object().unwrap().keys().filter(|key| *key != "name").collect();
        assert!(kinds.iter().all(|kind| VOLUMES.contains(&kind.as_str())), "{place}: {kinds:?}");
    }
    let containers = pod["containers"].as_array().unwrap();
    assert!(!containers.is_empty(), "{place}");
    for container in containers {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false, "{place}");
        assert_eq!(security["readOnlyRootFilesystem"], true, "{place}");
        assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{place}");
        assert_eq!(security["privileged"], Value::Null, "{place}");
        for port in container["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["hostPort"], Value::Null, "{place}");
        }
    }
}

#[test]
fn the_restricted_profile_admits_every_pod() {
    for (values, objects) in matrix() {
        assert_restricted(values, &the(objects, "Deployment")["spec"]["template"]["spec"]);
        assert_restricted(&format!("{values}: test"), &the(objects, "Pod")["spec"]);
    }
}

#[test]
fn only_the_controller_is_given_a_token() {
    let objects = render(&[]);
    assert_eq!(the(&objects, "ServiceAccount")["automountServiceAccountToken"], false);
    assert_eq!(the(&objects, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"], true);
    assert_eq!(the(&objects, "Pod")["spec"]["automountServiceAccountToken"], false);
    let foreign = &matrix()["foreign-account"];
    let pod = &the(foreign, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "made-elsewhere");
    assert_eq!(pod["automountServiceAccountToken"], false);
}

#[test]
fn the_network_policy_lets_metrics_in_and_the_api_server_nats_and_gateways_out() {
    let policy = the(&render(&["networkPolicy.enabled=true"]), "NetworkPolicy")["spec"].clone();
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["ingress"], json!([{"ports": [{"port": "admin", "protocol": "TCP"}]}]));
    let egress = policy["egress"].as_array().unwrap();
    assert_eq!(egress.len(), 3);
    let ports: Vec<_> = egress[0]["ports"].as_array().unwrap().iter().map(|port| &port["port"]).collect();
    assert_eq!(ports, [&json!(443), &json!(6443)]);
    assert_eq!(egress[1], json!({"ports": [{"port": 4222, "protocol": "TCP"}]}));
    let gateways = &egress[2]["to"][0]["podSelector"]["matchLabels"];
    assert_eq!(gateways["app.kubernetes.io/component"], "gateway");
    assert_eq!(egress[2]["ports"][0]["port"], 9090);
}

#[test]
fn a_closed_network_policy_still_lets_the_test_in() {
    let objects = &matrix()["everything"];
    let policy = &the(objects, "NetworkPolicy")["spec"];
    let from = policy["ingress"][0]["from"].as_array().unwrap();
    assert_eq!(from.len(), 2, "{from:?}");
    let admitted = from[1]["podSelector"]["matchLabels"].as_object().unwrap();
    let labels = &the(objects, "Pod")["metadata"]["labels"];
    assert!(admitted.iter().all(|(key, value)| &labels[key] == value), "{admitted:?}");
    assert_eq!(policy["egress"][0]["to"][1]["ipBlock"]["cidr"], "192.0.2.0/24");
    // Where traces go.
    assert_eq!(policy["egress"][2], json!({"ports": [{"port": 4318, "protocol": "TCP"}]}));
}
