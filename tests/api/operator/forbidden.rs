//! Rights that the controller lacks.

use serde_json::{Value, json};

use super::{Controller, Namespace, SLOW, gateway};
use crate::kubectl::kubectl;

/// Grants the user `name` everything in the namespace but these verbs on these resources.
fn grant(namespace: &Namespace, name: &str, resources: &[&str], verbs: &[&str]) {
    let rights = |groups: Value, resources: Value, verbs: Value| json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
    let all = [
        "serviceaccounts",
        "secrets",
        "configmaps",
        "services",
        "pods",
        "deployments",
        "poddisruptionbudgets",
        "networkpolicies",
        "ingresses",
        "horizontalpodautoscalers",
        "topicgateways",
        "topicgateways/status",
        "topicgateways/finalizers",
        "events",
    ];
    let whole: Vec<_> = all.into_iter().filter(|name| !resources.contains(name)).collect();
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
        "rules": [rights(json!(["*"]), json!(whole), json!(["*"])), rights(json!(["*"]), json!(resources), json!(verbs))],
    });
    namespace.apply(&role);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
    });
    namespace.apply(&binding);
}

/// A controller that is this user.
fn controller(namespace: &Namespace, user: &str) -> (Controller, tempfile::TempDir) {
    let config = kubectl(&["config", "view", "--raw", "--output=json"], "");
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["users"][0]["user"]["as"] = json!(user);
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("kubeconfig");
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = Controller::command();
    command.env("KUBECONFIG", file).args(["--leader-elect", "false", "--namespace", &namespace.0]);
    (Controller::spawn(&mut command), directory)
}

#[test]
fn a_right_that_is_missing_is_told_and_heals_when_it_is_granted() {
    let namespace = Namespace::new("forbidden");
    grant(&namespace, "narrow", &["services"], &["get", "list", "watch"]);
    let (_controller, _directory) = controller(&namespace, "narrow");
    namespace.apply(&gateway(json!({})));
    let message = namespace.wait_condition("Stalled", "True", "Forbidden");
    assert!(message.contains(&format!("may not create Service {}/m", namespace.0)), "{message}");
    assert!(message.contains("grant it to its ServiceAccount"), "{message}");
    namespace.wait_event("Forbidden", "grant it");
    namespace.wait("deployment/m", |_| true);
    grant(&namespace, "narrow", &["services"], &["*"]);
    namespace.wait_long(SLOW, "service/m", |_| true);
    namespace.wait_condition("Stalled", "False", "WaitingForReplicas");
}

#[test]
fn a_controller_that_may_not_look_is_not_ready_and_says_what_it_lacks() {
    let namespace = Namespace::new("blind");
    grant(&namespace, "blind", &["pods"], &["patch"]);
    let (controller, _directory) = controller(&namespace, "blind");
    crate::support::wait_until("it says what it lacks", || {
        let answer = controller.ready();
        answer.status == 503
            && answer.body.contains("the controller may not list and watch pods (v1): grant it")
    });
    grant(&namespace, "blind", &["pods"], &["*"]);
    controller.wait_ready();
}
