//! Traces of passes, and what gateways are told about traces.

use serde_json::{Value, json};

use super::{Controller, Namespace, gateway};
use crate::support::Collector;

#[test]
fn a_pass_is_a_trace_with_its_steps_and_pods_send_theirs_to_the_same_collector() {
    let (namespace, collector) = (Namespace::new("traces"), Collector::start());
    let mut command = Controller::command();
    command
        .args(["--namespace", &namespace.0, "--leader-elect", "false"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let controller = Controller::spawn(&mut command);
    namespace.apply(&gateway(json!({})));

    let of_it = format!("{}/m", namespace.0);
    let apply = collector.wait_for_span("apply", |span| span.name == "apply");
    let pass = collector.wait_for_span("the pass", |span| span.id == apply.parent);
    assert_eq!((&*pass.name, &*pass.parent, &pass.trace), ("reconcile", "", &apply.trace));
    assert_eq!((&*pass.attributes["gateway"], &*pass.attributes["generation"]), (&*of_it, "1"));
    assert_eq!(pass.resource["service.name"], "topic-gateway-controller");
    let log = controller.process.stderr();
    assert!(log.contains(&format!("\"trace_id\":\"{}\"", pass.trace)), "{log}");

    let deployment = namespace.wait("deployment/m", |_| true);
    let given = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let value = |name: &str| {
        let mut all = given.as_array().unwrap().iter();
        all.find(|variable| variable["name"] == name).map(|found| found["value"].clone())
    };
    assert_eq!(value("OTEL_EXPORTER_OTLP_ENDPOINT"), Some(json!(collector.url())));
    assert_eq!(value("OTEL_EXPORTER_OTLP_HEADERS"), None::<Value>, "it may be secret");
    let who = format!("k8s.namespace.name={},k8s.deployment.name=m,k8s.pod.name=$(POD_NAME)", namespace.0);
    assert_eq!(value("OTEL_RESOURCE_ATTRIBUTES"), Some(json!(who)));
}
