//! Objects of others in the way.

use serde_json::{Value, json};

use super::{Controller, Namespace, SLOW, gateway};

#[test]
fn an_object_of_somebody_else_is_left_alone_and_told_and_heals_when_it_goes() {
    let namespace = Namespace::new("conflict");
    let _controller = Controller::start(&namespace);
    namespace.kubectl(&["create", "service", "clusterip", "m", "--tcp=80"]);
    let before = namespace.find("service/m").unwrap();
    namespace.apply(&gateway(json!({})));
    let message = namespace.wait_condition("Stalled", "True", "Conflict");
    assert!(message.contains(&format!("Service {}/m is there already", namespace.0)), "{message}");
    assert!(message.contains("rename or delete it"), "{message}");
    let event = namespace.wait_event("Conflict", &message[..40]);
    assert_eq!((&event["type"], &event["regarding"]["name"]), (&json!("Warning"), &json!("m")));
    assert_eq!(namespace.find("tgw/m").unwrap()["status"]["address"], Value::Null, "it leads elsewhere");
    // Nobody waits for the Service.
    namespace.wait("deployment/m", |_| true);
    assert_eq!(namespace.find("service/m").unwrap(), before);

    namespace.kubectl(&["delete", "service/m"]);
    namespace.wait_long(SLOW, "service/m", |it| it["metadata"]["ownerReferences"][0]["name"] == "m");
    namespace.wait_condition("Stalled", "False", "WaitingForReplicas");
    namespace
        .wait("tgw/m", |it| it["status"]["address"].as_str().is_some_and(|it| it.starts_with("ws://m.")));
}

#[test]
fn pods_wait_for_what_they_cannot_start_without() {
    let namespace = Namespace::new("mounted");
    let controller = Controller::start(&namespace);
    namespace.kubectl(&["create", "configmap", "m-config", "--from-literal=a=b"]);
    namespace.apply(&gateway(json!({})));
    namespace.wait_condition("Stalled", "True", "Conflict");
    controller.wait_settled();
    assert!(namespace.find("deployment/m").is_none());
}
