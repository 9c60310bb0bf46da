//! What the API server refuses to make of a spec.

use std::{thread, time::Duration};

use serde_json::json;

use super::{Controller, Namespace, gateway};

#[test]
fn a_spec_that_is_refused_for_a_child_is_told_and_waits_and_heals_when_it_is_mended() {
    let namespace = Namespace::new("refused");
    let controller = Controller::start(&namespace);
    let asking = |cpu: &str| {
        let resources = json!({"requests": {"cpu": cpu}, "limits": {"cpu": "1"}});
        gateway(json!({"pod": {"resources": resources}}))
    };
    namespace.apply(&asking("2"));
    let message = namespace.wait_condition("Stalled", "True", "Rejected");
    let refused = format!("refuses to create Deployment {}/m", namespace.0);
    assert!(message.contains(&refused) && message.contains("mend the field of the spec"), "{message}");
    namespace.wait_condition("Ready", "False", "Rejected");
    assert_eq!(namespace.wait_event("Rejected", &refused)["type"], "Warning");
    controller.wait_settled();
    let writes = controller.writes();
    // Many times as long as the first wait after what may pass by itself.
    thread::sleep(Duration::from_secs(5));
    assert!((controller.writes() - writes).abs() < 0.5, "it is tried again and again");

    namespace.apply(&asking("500m"));
    namespace.wait("deployment/m", |_| true);
    namespace.wait_condition("Stalled", "False", "WaitingForReplicas");

    // The same with a Deployment that is there: it goes on as it is.
    namespace.apply(&asking("3"));
    namespace.wait_condition("Stalled", "True", "Rejected");
    let found = namespace.find("deployment/m").unwrap();
    let resources = &found["spec"]["template"]["spec"]["containers"][0]["resources"];
    assert_eq!(resources["requests"]["cpu"], "500m");
}
