//! A controller that has nothing to do does nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Controller, Namespace, gateway};
use crate::support::wait_until;

fn versions(namespace: &Namespace) -> BTreeMap<String, String> {
    let kinds = "tgw,serviceaccount,secret,configmap,service,deployment,poddisruptionbudget";
    let selector = "--selector=app.kubernetes.io/name=topic-gateway";
    let all: Value =
        serde_json::from_str(&namespace.kubectl(&["get", kinds, selector, "--output=json"])).unwrap();
    let version = |object: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let metadata = &object["metadata"];
        (format!("{} {}", object["kind"], metadata["name"]), text(&metadata["resourceVersion"]))
    };
    all["items"].as_array().unwrap().iter().map(version).collect()
}

#[test]
fn a_pass_that_finds_everything_done_writes_nothing() {
    let namespace = Namespace::new("idle");
    let controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({"replicas": 2})));
    // The Deployment's controller has its say too.
    namespace.wait("tgw/m", |it| it["status"]["replicas"] == 2);
    controller.wait_settled();
    let (before, writes, passes) = (versions(&namespace), controller.writes(), controller.passes());
    assert!(before.len() >= 8, "{before:?}");
    namespace.kubectl(&["annotate", "tgw/m", "look=again"]);
    wait_until("there is another pass", || controller.passes() > passes);
    controller.wait_settled();
    assert_eq!(versions(&namespace), before);
    assert!((controller.writes() - writes).abs() < 0.5, "{} writes", controller.writes() - writes);
}

#[test]
fn a_controller_that_starts_anew_changes_nothing() {
    let namespace = Namespace::new("restart");
    let first = Controller::start(&namespace);
    namespace.apply(&gateway(json!({"replicas": 2})));
    namespace.wait("tgw/m", |it| it["status"]["replicas"] == 2);
    first.wait_settled();
    drop(first);
    let before = versions(&namespace);
    let second = Controller::start(&namespace);
    second.wait_settled();
    assert_eq!(versions(&namespace), before);
    assert_eq!(namespace.events("Corrected"), Vec::<Value>::new());
}
