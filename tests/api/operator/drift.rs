//! What somebody else does to children.

use serde_json::json;

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
    controller.wait_settled();
    let service = namespace.find("service/m").unwrap();
    assert_eq!(service["metadata"]["annotations"]["example.com/note"], "kept");
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
