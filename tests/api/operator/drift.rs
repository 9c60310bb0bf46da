//! What somebody else does to children.

use serde_json::{Value, json};

use super::{Controller, Namespace, gateway};

#[test]
fn what_is_changed_or_deleted_is_put_right_and_told() {
    let namespace = Namespace::new("drift");
    let controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({"replicas": 2})));
    namespace.wait("tgw/m", |it| it["status"]["replicas"] == 2);
    controller.wait_settled();

    let old = namespace.find("service/m").unwrap()["metadata"]["uid"].clone();
    namespace.kubectl(&["delete", "service/m"]);
    namespace.wait("service/m", |it| it["metadata"]["uid"] != old);
    namespace.wait_event("Corrected", &format!("Service {}/m was gone", namespace.0));

    let config = namespace.find("configmap/m-config").unwrap()["data"].clone();
    namespace.kubectl(&["patch", "configmap/m-config", "--patch", r#"{"data": {"config.json": "{}"}}"#]);
    namespace.wait("configmap/m-config", |it| it["data"] == config);
    namespace.wait_event("Corrected", &format!("ConfigMap {}/m-config had been changed", namespace.0));

    namespace.kubectl(&["scale", "deployment/m", "--replicas=7"]);
    namespace.wait("deployment/m", |it| it["spec"]["replicas"] == 2);

    namespace.kubectl(&["label", "serviceaccount/m", "app.kubernetes.io/component-"]);
    namespace
        .wait("serviceaccount/m", |it| it["metadata"]["labels"]["app.kubernetes.io/component"] == "gateway");
}

#[test]
fn what_others_add_stays() {
    let namespace = Namespace::new("added");
    let controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({})));
    namespace.wait("service/m", |_| true);
    controller.wait_settled();
    namespace.kubectl(&["annotate", "service/m", "example.com/note=kept"]);
    for addresses in [json!(["192.0.2.1"]), json!(["192.0.2.1", "192.0.2.2"])] {
        let patch = json!({"spec": {"externalIPs": addresses}}).to_string();
        namespace.kubectl(&["patch", "service/m", "--patch", &patch]);
    }
    controller.wait_settled();
    let service = namespace.find("service/m").unwrap();
    assert_eq!(service["metadata"]["annotations"]["example.com/note"], "kept");
    assert_eq!(service["spec"]["externalIPs"], json!(["192.0.2.1", "192.0.2.2"]));
    assert_eq!(namespace.events("Corrected"), Vec::<Value>::new(), "nothing of ours was changed");
}

#[test]
fn an_edited_port_of_the_service_is_put_right() {
    let namespace = Namespace::new("port");
    let controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({})));
    namespace.wait("service/m", |_| true);
    controller.wait_settled();
    let patch = json!([{"op": "replace", "path": "/spec/ports/0/port", "value": 9999}]).to_string();
    namespace.kubectl(&["patch", "service/m", "--type=json", "--patch", &patch]);
    namespace.wait("service/m", |it| {
        let ports = it["spec"]["ports"].as_array().unwrap();
        ports.len() == 1 && ports[0]["port"] == 8080
    });
    namespace.wait_event("Corrected", &format!("Service {}/m had been changed", namespace.0));
}

#[test]
fn an_edited_port_of_the_container_is_put_right() {
    let namespace = Namespace::new("container-port");
    let controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({})));
    let ports = |it: &Value| it["spec"]["template"]["spec"]["containers"][0]["ports"].clone();
    let before = ports(&namespace.wait("deployment/m", |_| true));
    controller.wait_settled();
    let field = "/spec/template/spec/containers/0/ports/0/containerPort";
    let patch = json!([{"op": "replace", "path": field, "value": 9999}]).to_string();
    namespace.kubectl(&["patch", "deployment/m", "--type=json", "--patch", &patch]);
    namespace.wait("deployment/m", |it| ports(it) == before);
    namespace.wait_event("Corrected", &format!("Deployment {}/m had been changed", namespace.0));
}

#[test]
fn the_network_of_the_host_is_taken_away_again() {
    let namespace = Namespace::new("host-network");
    let controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({})));
    namespace.wait("deployment/m", |_| true);
    controller.wait_settled();
    let patch = json!({"spec": {"template": {"spec": {"hostNetwork": true}}}}).to_string();
    namespace.kubectl(&["patch", "deployment/m", "--patch", &patch]);
    namespace.wait_event("Corrected", &format!("Deployment {}/m had been changed", namespace.0));
    let found = namespace.find("deployment/m").unwrap();
    let pod = &found["spec"]["template"]["spec"];
    assert_ne!(pod["hostNetwork"], json!(true));
    for port in pod["containers"][0]["ports"].as_array().unwrap() {
        assert_eq!(port["hostPort"], Value::Null, "{port}");
    }
}

#[test]
fn a_lost_owner_is_put_back_and_the_session_key_stays() {
    let namespace = Namespace::new("owner");
    let controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({})));
    let key = namespace.wait("secret/m-session-key", |_| true)["data"]["key"].clone();
    namespace.wait("deployment/m", |_| true);
    controller.wait_settled();
    for (kind, child) in
        [("Service", "m"), ("Secret", "m-session-key"), ("ConfigMap", "m-config"), ("Deployment", "m")]
    {
        let object = format!("{kind}/{child}");
        let patch = r#"{"metadata": {"ownerReferences": null}}"#;
        namespace.kubectl(&["patch", &object, "--type=merge", "--patch", patch]);
        namespace.wait(&object, |it| it["metadata"]["ownerReferences"][0]["name"] == "m");
        namespace.wait_event("Corrected", &format!("{kind} {}/{child} had been changed", namespace.0));
    }
    assert_eq!(namespace.find("secret/m-session-key").unwrap()["data"]["key"], key);
}

#[test]
fn a_child_that_a_finalizer_holds_is_told_and_made_anew_when_it_is_gone() {
    let namespace = Namespace::new("finalizer");
    let _controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({})));
    let old = namespace.wait("service/m", |_| true)["metadata"]["uid"].clone();
    let finalizers = |list: Value| {
        let patch = json!({"metadata": {"finalizers": list}}).to_string();
        namespace.kubectl(&["patch", "service/m", "--type=merge", "--patch", &patch]);
    };
    finalizers(json!(["example.com/held"]));
    namespace.kubectl(&["delete", "service/m", "--wait=false"]);
    let message = namespace.wait_condition("Ready", "False", "WaitingForDeletion");
    assert!(message.contains(&format!("Service {}/m is being deleted", namespace.0)), "{message}");
    assert!(message.contains("finalizer example.com/held"), "{message}");
    namespace.wait_condition("Reconciling", "True", "WaitingForDeletion");
    finalizers(Value::Null);
    namespace.wait("service/m", |it| it["metadata"]["uid"] != old);
    namespace.wait_condition("Ready", "False", "WaitingForReplicas");
}

#[test]
fn the_session_key_is_made_once_and_never_written_again() {
    let namespace = Namespace::new("session-key");
    let controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({})));
    let made = namespace.wait("secret/m-session-key", |_| true)["data"]["key"].clone();
    controller.wait_settled();
    let own = "b3VyIG93biBrZXkgb2YgMzIgcmFuZG9tIGJ5dGVzISE=";
    let patch = json!({"data": {"key": own}}).to_string();
    namespace.kubectl(&["patch", "secret/m-session-key", "--patch", &patch]);
    namespace.kubectl(&["scale", "tgw/m", "--replicas=2"]);
    namespace.wait("deployment/m", |it| it["spec"]["replicas"] == 2);
    controller.wait_settled();
    assert_eq!(namespace.find("secret/m-session-key").unwrap()["data"]["key"], own);
    assert_ne!(made, own);
}
