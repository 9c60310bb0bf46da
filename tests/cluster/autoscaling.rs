//! The autoscaler that `spec.autoscaling` makes, with `examples/autoscaling-hpa.yaml`. No adapter serves pods' metrics
//! here, so it only keeps within its bounds; but that it does by the scale of the `TopicGateway`, as it would by
//! connections. By connections in earnest: see `keda`.

use serde_json::json;

use crate::{
    cluster::{shared, wait_for},
    gateway::{Gateway, example, nats},
    namespace::Namespace,
};

#[test]
fn an_autoscaler_scales_the_gateway_within_its_bounds_and_goes_when_it_is_no_longer_wanted() {
    let _cluster = shared();
    let namespace = Namespace::new("autoscaling");
    namespace.apply(&nats());
    // It does not set replicas, so that they belong to the autoscaler.
    namespace.apply(&example("autoscaling-hpa.yaml"));
    let gateway = Gateway::new(&namespace, "scaled");
    gateway.wait_until_ready(2);
    assert_eq!(gateway.resource()["spec"]["replicas"], 2, "raised to the least by the autoscaler");
    let autoscaler = namespace.get("hpa/scaled");
    let target = json!({"apiVersion": "topicgateway.io/v1alpha1", "kind": "TopicGateway", "name": "scaled"});
    assert_eq!(autoscaler["spec"]["scaleTargetRef"], target);
    wait_for("the autoscaler can read and write the scale", || {
        let conditions = namespace.get("hpa/scaled")["status"]["conditions"].take();
        let able = json!({"type": "AbleToScale", "status": "True"});
        let found = conditions
            .as_array()
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == able["type"] && condition["status"] == able["status"]);
        if found { Ok(()) } else { Err(conditions.to_string()) }
    });

    gateway.edit(json!({"autoscaling": null}));
    wait_for("the autoscaler is gone", || match namespace.find("hpa/scaled") {
        None => Ok(()),
        Some(found) => Err(found["metadata"].to_string()),
    });
    assert_eq!(gateway.resource()["spec"]["replicas"], 2, "what it had set stays");
    namespace.kubectl(&["scale", "tgw/scaled", "--replicas=1"]);
    gateway.wait_until_ready(1);
    assert!(namespace.find("pdb/scaled").is_none(), "one pod must be allowed to move");
}
