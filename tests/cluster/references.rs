//! What only the controller can see is told by a condition and an Event that name the object and the next action, and
//! heals when it is mended.

use serde_json::{Value, json};

use crate::{
    cluster::{shared, wait_for},
    crowd::Crowd,
    gateway::{Gateway, nats, open},
    namespace::Namespace,
};

/// Waits for an Event about a `TopicGateway`; gives what it says.
#[track_caller]
fn wait_for_event(namespace: &Namespace, gateway: &str, reason: &str) -> String {
    wait_for(&format!("an Event {reason}"), || {
        let text = namespace.kubectl(&["get", "events.v1.events.k8s.io", "--output=json"]);
        let events: Value = serde_json::from_str(&text).unwrap();
        let events = events["items"].as_array().unwrap();
        let about = |event: &&Value| event["regarding"]["name"] == gateway && event["reason"] == reason;
        let found = events.iter().find(about).map(|event| event["note"].as_str().unwrap().to_owned());
        found.ok_or_else(|| {
            let reasons: Vec<_> = events.iter().map(|event| event["reason"].to_string()).collect();
            reasons.join(" ")
        })
    })
}

#[test]
fn a_missing_secret_and_then_a_missing_key_are_named_until_they_are_there() {
    let _cluster = shared();
    let namespace = Namespace::new("references");
    namespace.apply(&nats());
    let nats = json!({"servers": ["nats://nats:4222"], "tokenSecretRef": {"name": "login", "key": "token"}});
    namespace.apply(&open("waiting", json!({"backbone": {"nats": nats}})));
    let gateway = Gateway::new(&namespace, "waiting");

    let message = gateway.wait_for_condition("ResolvedRefs", "False", "SecretNotFound");
    assert!(message.contains("references/login") && message.contains("create it"), "{message}");
    gateway.wait_for_condition("Ready", "False", "SecretNotFound");
    gateway.wait_for_condition("Stalled", "True", "SecretNotFound");
    let note = wait_for_event(&namespace, "waiting", "SecretNotFound");
    assert!(note.contains("references/login"), "{note}");

    namespace.kubectl(&["create", "secret", "generic", "login", "--from-literal=wrong=value"]);
    let message = gateway.wait_for_condition("ResolvedRefs", "False", "KeyMissing");
    assert!(message.contains("references/login") && message.contains("token"), "{message}");

    namespace.patch("secret/login", json!({"stringData": {"token": "value"}}));
    gateway.wait_for_condition("ResolvedRefs", "True", "ResolvedRefs");
    gateway.wait_until_ready(1);
    gateway.wait_for_condition("Stalled", "False", "Settled");

    // What serves goes on while a reference is broken again.
    let mut crowd = Crowd::new();
    crowd.join(5, &gateway.url(), &["prices.btc"], None);
    crowd.wait_until_attached();
    namespace.kubectl(&["delete", "secret", "login"]);
    gateway.wait_for_condition("ResolvedRefs", "False", "SecretNotFound");
    crowd.assert_nobody_was_closed();
    gateway.wait_for_condition("Available", "True", "MinimumReplicasAvailable");
}

#[test]
fn an_object_of_somebody_else_is_left_alone_and_named_until_it_is_gone() {
    let _cluster = shared();
    let namespace = Namespace::new("conflict");
    namespace.apply(&nats());
    let foreign = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "taken", "labels": {"owner": "somebody"}},
        "spec": {"selector": {"app": "other"}, "ports": [{"name": "http", "port": 80}]},
    });
    namespace.apply(&foreign.to_string());
    let before = namespace.get("service/taken");
    namespace.apply(&open("taken", json!({})));
    let gateway = Gateway::new(&namespace, "taken");

    let message = gateway.wait_for_condition("Ready", "False", "Conflict");
    assert!(message.contains("Service") && message.contains("taken"), "{message}");
    let note = wait_for_event(&namespace, "taken", "Conflict");
    assert!(note.contains("taken"), "{note}");
    assert_eq!(namespace.get("service/taken"), before, "left alone");

    namespace.kubectl(&["delete", "service", "taken"]);
    gateway.wait_until_ready(1);
    let owner = &namespace.get("service/taken")["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["name"]), (&json!("TopicGateway"), &json!("taken")));
}
