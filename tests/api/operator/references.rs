//! Secrets that a resource refers to.

use serde_json::{Value, json};

use super::{Controller, Namespace, condition_of, gateway};
use crate::support::Authority;

/// A gateway whose tokens are checked with a shared secret.
fn with_secret() -> Value {
    let issuer = json!({"issuer": "i", "secretRef": {"name": "jwt", "key": "hmac"}});
    gateway(json!({"authentication": {"jwt": [issuer]}}))
}

#[test]
fn a_missing_secret_is_told_and_heals_when_it_comes() {
    let namespace = Namespace::new("secret");
    let _controller = Controller::start(&namespace);
    namespace.apply(&with_secret());
    let message = namespace.wait_condition("ResolvedRefs", "False", "SecretNotFound");
    assert!(
        message.contains(&format!("Secret {}/jwt", namespace.0)) && message.contains("create it"),
        "{message}"
    );
    namespace.wait_condition("Stalled", "True", "SecretNotFound");
    namespace.wait_event("SecretNotFound", "create it");
    assert!(namespace.find("deployment/m").is_none(), "nothing could run");

    namespace.kubectl(&["create", "secret", "generic", "jwt", "--from-literal=other=x"]);
    let message = namespace.wait_condition("ResolvedRefs", "False", "KeyMissing");
    assert!(message.contains("has no key hmac, it has other"), "{message}");

    namespace.kubectl(&["patch", "secret/jwt", "--patch", r#"{"stringData": {"hmac": ""}}"#]);
    let message = namespace.wait_condition("ResolvedRefs", "False", "InvalidKey");
    assert!(message.contains("\"jwt\"") && message.contains("is empty"), "{message}");

    namespace.kubectl(&["patch", "secret/jwt", "--patch", r#"{"stringData": {"hmac": "0123456789"}}"#]);
    namespace.wait("tgw/m", |it| {
        let message = condition_of(it, "ResolvedRefs")["message"].as_str().unwrap().to_owned();
        message.contains("\"jwt\" is a shared secret of 10 bytes, HS256 needs 32 or more")
    });

    let secret = r#"{"stringData": {"hmac": "0123456789abcdef0123456789abcdef"}}"#;
    namespace.kubectl(&["patch", "secret/jwt", "--patch", secret]);
    namespace.wait_condition("ResolvedRefs", "True", "ResolvedRefs");
    namespace.wait("deployment/m", |_| true);
    let copy = namespace.find("secret/m-secrets").unwrap();
    assert_eq!(copy["data"]["jwt_hmac"], "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    assert!(copy["data"]["jwt_other"].is_null(), "only what is referred to");
}

#[test]
fn a_rotated_secret_is_copied_without_touching_the_pods_template() {
    let namespace = Namespace::new("rotation");
    let controller = Controller::start(&namespace);
    namespace.kubectl(&[
        "create",
        "secret",
        "generic",
        "jwt",
        "--from-literal=hmac=0123456789abcdef0123456789abcdef",
    ]);
    namespace.apply(&with_secret());
    namespace.wait("tgw/m", |it| it["status"]["replicas"] == 1);
    controller.wait_settled();
    let before = namespace.find("deployment/m").unwrap()["metadata"]["generation"].clone();
    namespace.kubectl(&[
        "patch",
        "secret/jwt",
        "--patch",
        r#"{"stringData": {"hmac": "fedcba9876543210fedcba9876543210"}}"#,
    ]);
    namespace.wait("secret/m-secrets", |it| {
        it["data"]["jwt_hmac"] == "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
    });
    controller.wait_settled();
    assert_eq!(namespace.find("deployment/m").unwrap()["metadata"]["generation"], before);
}

#[test]
fn what_runs_stays_as_it_is_while_a_secret_is_missing() {
    let namespace = Namespace::new("lost-secret");
    let controller = Controller::start(&namespace);
    namespace.kubectl(&[
        "create",
        "secret",
        "generic",
        "jwt",
        "--from-literal=hmac=0123456789abcdef0123456789abcdef",
    ]);
    namespace.apply(&with_secret());
    namespace.wait("tgw/m", |it| it["status"]["replicas"] == 1);
    controller.wait_settled();
    let before = namespace.find("secret/m-secrets").unwrap();
    namespace.kubectl(&["delete", "secret/jwt"]);
    namespace.wait_condition("ResolvedRefs", "False", "SecretNotFound");
    controller.wait_settled();
    assert_eq!(namespace.find("secret/m-secrets").unwrap(), before);
    assert!(namespace.find("deployment/m").is_some());
    // What is there is enough to go on.
    for object in ["deployment/m", "service/m"] {
        let old = namespace.find(object).unwrap()["metadata"]["uid"].clone();
        namespace.kubectl(&["delete", object]);
        namespace.wait(object, |it| it["metadata"]["uid"] != old);
    }
    namespace.kubectl(&["scale", "deployment/m", "--replicas=7"]);
    namespace.wait("deployment/m", |it| it["spec"]["replicas"] == 1);
    namespace.wait_condition("Stalled", "True", "SecretNotFound");
    assert_eq!(namespace.find("secret/m-secrets").unwrap(), before);
    namespace.kubectl(&[
        "create",
        "secret",
        "generic",
        "jwt",
        "--from-literal=hmac=0123456789abcdef0123456789abcdef",
    ]);
    namespace.wait_condition("ResolvedRefs", "True", "ResolvedRefs");
}

#[test]
fn a_certificate_that_does_not_parse_is_told() {
    let namespace = Namespace::new("certificate");
    let _controller = Controller::start(&namespace);
    namespace.kubectl(&["create", "secret", "generic", "ca", "--from-literal=ca.crt=nonsense"]);
    let nats = json!({"servers": ["tls://n:4222"], "tls": {"caSecretRef": {"name": "ca", "key": "ca.crt"}}});
    namespace.apply(&gateway(json!({"backbone": {"nats": nats}})));
    let message = namespace.wait_condition("ResolvedRefs", "False", "InvalidCertificate");
    assert!(message.contains("\"ca\"") && message.contains("certificates in PEM"), "{message}");
}

#[test]
fn the_certificate_for_clients_is_awaited_judged_and_renewed_without_new_pods() {
    let namespace = Namespace::new("listener-certificate");
    let controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({"listeners": {"tls": {"secretRef": {"name": "m-tls"}}}})));
    let message = namespace.wait_condition("ResolvedRefs", "False", "SecretNotFound");
    assert!(message.contains("m-tls") && message.contains("spec.listeners.tls.secretRef"), "{message}");
    namespace.kubectl(&["create", "secret", "generic", "m-tls", "--from-literal=tls.crt=nonsense"]);
    let message = namespace.wait_condition("ResolvedRefs", "False", "KeyMissing");
    assert!(message.contains("has no key tls.key"), "{message}");

    let (one, other) = (Authority::new().pair(30), Authority::new().pair(60));
    let put = |pair: &Value| {
        namespace.kubectl(&["patch", "secret/m-tls", "--patch", &json!({"stringData": pair}).to_string()]);
    };
    put(&json!({"tls.crt": one["tls.crt"], "tls.key": other["tls.key"]}));
    let message = namespace.wait_condition("ResolvedRefs", "False", "InvalidCertificate");
    assert!(message.contains("spec.listeners.tls") && message.contains("do not go together"), "{message}");
    assert!(namespace.find("deployment/m").is_none(), "nothing could run");

    put(&one);
    namespace.wait_condition("ResolvedRefs", "True", "ResolvedRefs");
    namespace.wait("tgw/m", |it| {
        it["status"]["address"].as_str().is_some_and(|address| address.starts_with("wss://m."))
    });
    controller.wait_settled();
    let template = || namespace.find("deployment/m").unwrap()["spec"]["template"].clone();
    let copy = || namespace.find("secret/m-secrets").unwrap()["data"].clone();
    let (pods, before) = (template(), copy());
    put(&other);
    namespace.wait("secret/m-secrets", |it| it["data"]["m-tls_tls.crt"] != before["m-tls_tls.crt"]);
    let renewed = copy();
    // One that cannot be used reaches no pod, and neither takes the one before away.
    put(&json!({"tls.key": one["tls.key"]}));
    namespace.wait_condition("ResolvedRefs", "False", "InvalidCertificate");
    controller.wait_settled();
    assert_eq!((template(), copy()), (pods, renewed));
}

#[test]
fn a_controller_that_starts_while_a_secret_is_missing_restores_what_is_gone_and_changes_nothing_else() {
    let namespace = Namespace::new("lost-both");
    let first = Controller::start(&namespace);
    namespace.kubectl(&[
        "create",
        "secret",
        "generic",
        "jwt",
        "--from-literal=hmac=0123456789abcdef0123456789abcdef",
    ]);
    namespace.apply(&with_secret());
    namespace.wait("tgw/m", |it| it["status"]["replicas"] == 1);
    first.wait_settled();
    drop(first);
    namespace.kubectl(&["delete", "secret/jwt", "service/m"]);
    // What has changed meanwhile waits for the Secret.
    namespace.kubectl(&["scale", "tgw/m", "--replicas=3"]);
    let controller = Controller::start(&namespace);
    namespace.wait("service/m", |_| true);
    namespace.wait_condition("Stalled", "True", "SecretNotFound");
    controller.wait_settled();
    assert_eq!(namespace.find("deployment/m").unwrap()["spec"]["replicas"], 1);
    assert!(namespace.find("pdb/m").is_none());
}
