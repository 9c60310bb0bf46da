//! What keeps pods from running is told where one looks first.

use serde_json::{Value, json};

use super::{Controller, Namespace, condition_of, gateway};
use crate::support::wait_for;

/// Waits until `Ready` says this; the whole message.
#[track_caller]
fn wait_message(namespace: &Namespace, text: &str) -> String {
    let message = |it: &Value| condition_of(it, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    message(&namespace.wait("tgw/m", |it| message(it).contains(text)))
}

/// The only pod, as `pod/NAME`.
fn pod(namespace: &Namespace) -> String {
    wait_for("a pod", || {
        let names = namespace.kubectl(&["get", "pods", "--output=name"]);
        names.lines().next().map(str::to_owned)
    })
}

fn set_status(namespace: &Namespace, object: &str, status: &Value) {
    let patch = json!({ "status": status }).to_string();
    namespace.kubectl(&["patch", object, "--subresource=status", "--type=merge", "--patch", &patch]);
}

#[test]
fn a_quota_that_refuses_pods_is_told() {
    let namespace = Namespace::new("quota");
    let _controller = Controller::start(&namespace);
    namespace.kubectl(&["create", "quota", "none", "--hard=pods=0"]);
    // As its own controller would say.
    set_status(&namespace, "quota/none", &json!({"hard": {"pods": "0"}, "used": {"pods": "0"}}));
    namespace.apply(&gateway(json!({})));
    let message = wait_message(&namespace, "exceeded quota");
    assert!(message.contains("its pods are refused") && message.contains("lift the quota"), "{message}");
    namespace.wait_condition("Ready", "False", "WaitingForReplicas");
}

#[test]
fn what_a_pod_waits_for_is_told_until_it_waits_no_more() {
    let namespace = Namespace::new("hindered");
    let _controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({})));
    let pod = pod(&namespace);
    let placed = json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient memory.",
    });
    set_status(&namespace, &pod, &json!({"phase": "Pending", "conditions": [placed]}));
    let message = wait_message(&namespace, "Insufficient memory");
    assert!(message.contains(pod.strip_prefix("pod/").unwrap()), "{message}");
    assert!(message.contains("make room on a node"), "{message}");

    let container = |state: Value| {
        let container = json!({
            "name": "gateway", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        });
        let placed = json!({"type": "PodScheduled", "status": "True"});
        json!({"phase": "Pending", "conditions": [placed], "containerStatuses": [container]})
    };
    let waiting =
        json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"i\""}});
    set_status(&namespace, &pod, &container(waiting));
    let message = wait_message(&namespace, "ImagePullBackOff");
    assert!(message.contains("look at spec.pod.image"), "{message}");

    set_status(
        &namespace,
        &pod,
        &container(json!({"waiting": null, "running": {"startedAt": "2020-01-01T00:00:00Z"}})),
    );
    namespace.wait("tgw/m", |it| condition_of(it, "Ready")["message"] == "0 pods of 1 ready");
}
