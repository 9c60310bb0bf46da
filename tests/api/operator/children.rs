//! What a resource becomes.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{Controller, Namespace, SLOW, gateway};
use crate::{
    kubectl::try_kubectl,
    support::{command, wait_until},
};

/// What the gateway `m` has with two replicas, whatever else it asks for; as `kubectl` names them.
pub(super) const CHILDREN: [&str; 8] = [
    "serviceaccount/m",
    "secret/m-session-key",
    "secret/m-secrets",
    "configmap/m-config",
    "service/m",
    "service/m-headless",
    "deployment.apps/m",
    "poddisruptionbudget.policy/m",
];

#[test]
fn a_resource_gets_its_children_with_owner_labels_and_one_field_manager() {
    let namespace = Namespace::new("children");
    let _controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({"replicas": 2})));
    let uid =
        namespace.wait("tgw/m", |it| it["status"]["observedGeneration"] == 1)["metadata"]["uid"].clone();
    for child in CHILDREN {
        let child = namespace.wait(child, |_| true);
        let metadata = &child["metadata"];
        let owner = &metadata["ownerReferences"][0];
        assert_eq!((&owner["uid"], &owner["controller"]), (&uid, &json!(true)), "{child}");
        assert_eq!(metadata["labels"]["app.kubernetes.io/instance"], "m", "{child}");
        assert_eq!(metadata["labels"]["app.kubernetes.io/managed-by"], "topic-gateway-controller", "{child}");
    }
    let managed = namespace.kubectl(&["get", "service/m", "--show-managed-fields", "--output=json"]);
    let managed: Value = serde_json::from_str(&managed).unwrap();
    let managers: Vec<_> = managed["metadata"]["managedFields"].as_array().unwrap().iter().collect();
    assert_eq!((managers.len(), &managers[0]["manager"]), (1, &json!("topic-gateway-controller")));
    assert_eq!(managers[0]["operation"], "Apply");
    namespace.wait_event("WaitingForReplicas", "ready");
}

#[test]
fn check_prints_what_the_controller_makes() {
    let namespace = Namespace::new("preview");
    let _controller = Controller::start(&namespace);
    let mut resource = gateway(json!({
        "replicas": 2, "networkPolicy": {"enabled": true}, "ingress": {"host": "m.example.com"},
    }));
    resource["metadata"]["namespace"] = json!(namespace.0);
    namespace.apply(&resource);
    let checked = command(["check", "--output", "yaml", "--controller-namespace", "default"])
        .args(["-f", &written(&namespace, &resource)])
        .output()
        .unwrap();
    let printed = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let mut planned: Vec<Value> =
        printed.split("---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect();
    // This API server does not have what belongs to the Prometheus operator.
    planned.retain(|object| !object["apiVersion"].as_str().unwrap().starts_with("monitoring.coreos.com"));
    assert_eq!(planned.len(), CHILDREN.len() + 2, "{printed}");
    for object in planned {
        let name =
            format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        let made = namespace.wait(&name, |_| true);
        assert_holds(&made, &object, &name);
    }
}

fn not_shown() -> String {
    BASE64_STANDARD.encode("(not shown)")
}

/// Whether all of this stands there, but for the values of Secrets.
fn assert_holds(made: &Value, planned: &Value, place: &str) {
    if made.is_null() {
        // The API server leaves out what says no more than its absence.
        let says_nothing = [json!(false), json!(""), json!([]), json!({})].contains(planned);
        assert!(says_nothing, "{place} is not there: {planned}");
        return;
    }
    match planned {
        Value::Object(fields) => {
            for (field, value) in fields {
                assert_holds(&made[field], value, &format!("{place}.{field}"));
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                assert_holds(&made[at], item, &format!("{place}[{at}]"));
            }
        }
        Value::String(text) if *text == not_shown() => assert!(made.is_string(), "{place}: {made}"),
        value => assert_eq!(made, value, "{place}"),
    }
}

#[test]
fn what_is_no_longer_wanted_is_deleted() {
    let namespace = Namespace::new("prune");
    let _controller = Controller::start(&namespace);
    let more = json!({
        "autoscaling": {"minReplicas": 2, "maxReplicas": 4, "connectionsPerReplica": 100},
        "networkPolicy": {"enabled": true},
        "ingress": {"host": "m.example.com"},
    });
    namespace.apply(&gateway(more));
    let optional = ["hpa/m", "networkpolicy/m", "ingress/m", "pdb/m"];
    for child in optional {
        namespace.wait(child, |_| true);
    }
    let less = written(&namespace, &gateway(json!({})));
    // The controller may write the status in the same moment.
    wait_until("the resource is replaced", || {
        try_kubectl(&["--namespace", &namespace.0, "replace", "-f", &less], "").is_ok()
    });
    for child in optional {
        namespace.wait_gone(child);
    }
    namespace.wait("deployment/m", |it| it["metadata"]["deletionTimestamp"].is_null());
}

/// A file with an object, since `apply` would keep the fields that are left out.
fn written(namespace: &Namespace, object: &Value) -> String {
    let file = std::env::temp_dir().join(format!("topic-gateway-{}.json", namespace.0));
    std::fs::write(&file, object.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn everything_goes_with_the_resource() {
    let namespace = Namespace::new("gone");
    let controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({"replicas": 2})));
    for child in CHILDREN {
        namespace.wait(child, |_| true);
    }
    namespace.kubectl(&["delete", "tgw/m"]);
    for child in CHILDREN {
        namespace.wait_gone(child);
    }
    controller.wait_settled();
    assert!(namespace.find("deployment/m").is_none(), "it was made anew");
}

#[test]
fn the_scale_of_the_resource_is_that_of_the_deployment() {
    let namespace = Namespace::new("scale");
    let _controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({})));
    namespace.wait("deployment/m", |it| it["spec"]["replicas"] == 1);
    namespace.kubectl(&["scale", "tgw/m", "--replicas=3"]);
    namespace.wait("deployment/m", |it| it["spec"]["replicas"] == 3);
    namespace.wait("tgw/m", |it| it["status"]["replicas"] == 3);
    let scale = namespace.kubectl(&["get", "tgw/m", "--subresource=scale", "--output=json"]);
    let scale: Value = serde_json::from_str(&scale).unwrap();
    assert_eq!(scale["status"]["replicas"], 3);
    assert!(
        scale["status"]["selector"].as_str().unwrap().contains("app.kubernetes.io/instance=m"),
        "{scale}"
    );
}

#[test]
fn two_resources_with_the_same_name_in_two_namespaces_are_two() {
    let namespaces = [Namespace::new("first"), Namespace::new("second")];
    let more = ["--leader-elect", "false", "--namespace", &namespaces[1].0];
    let _controller = Controller::start_with(&namespaces[0], &more);
    for namespace in &namespaces {
        namespace.apply(&gateway(json!({})));
    }
    for namespace in &namespaces {
        namespace.wait("deployment/m", |_| true);
    }
    namespaces[0].kubectl(&["delete", "tgw/m"]);
    namespaces[0].wait_gone("deployment/m");
    assert!(namespaces[1].find("deployment/m").is_some());
}

#[test]
fn a_name_that_is_used_again_gets_new_children() {
    let namespace = Namespace::new("again");
    let _controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({})));
    let before = namespace.wait("service/m", |_| true)["metadata"]["uid"].clone();
    namespace.kubectl(&["delete", "tgw/m"]);
    namespace.apply(&gateway(json!({})));
    namespace.wait_long(SLOW, "service/m", |it| it["metadata"]["uid"] != before);
    namespace.wait_long(SLOW, "deployment/m", |it| it["metadata"]["deletionTimestamp"].is_null());
}
