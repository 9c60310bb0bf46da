//! `spec.paused`.

use serde_json::json;

use super::{Controller, Namespace, gateway};

#[test]
fn while_it_is_paused_only_the_status_is_written() {
    let namespace = Namespace::new("paused");
    let controller = Controller::start(&namespace);
    namespace.apply(&gateway(json!({"replicas": 2})));
    namespace.wait("tgw/m", |it| it["status"]["replicas"] == 2);
    namespace.apply(&gateway(json!({"replicas": 3, "paused": true})));
    namespace.wait("tgw/m", |it| it["status"]["observedGeneration"] == 2);
    namespace.kubectl(&["delete", "service/m"]);
    controller.wait_settled();
    assert_eq!(namespace.find("deployment/m").unwrap()["spec"]["replicas"], 2);
    assert!(namespace.find("service/m").is_none(), "a paused gateway was put right");

    namespace.apply(&gateway(json!({"replicas": 3})));
    namespace.wait("deployment/m", |it| it["spec"]["replicas"] == 3);
    namespace.wait("service/m", |_| true);
}
