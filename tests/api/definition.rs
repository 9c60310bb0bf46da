//! The resource definition, as a real API server takes it.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::kubectl::{kubectl, try_kubectl};

/// Applies the definition and waits until the API server serves it with its descriptions, which come a moment later.
fn define() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    kubectl(&["apply", "--server-side", "-f", folder], "");
    kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", folder], "");
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = try_kubectl(&["get", "--raw", "/openapi/v3/apis/topicgateway.io/v1alpha1"], "") {
        assert!(Instant::now() < deadline, "{error}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_api_server_takes_the_definition_and_explains_it() {
    define();
    let text = kubectl(&["explain", "topicgateway.spec.backbone"], "");
    assert!(text.contains("GROUP:      topicgateway.io"), "{text}");
}

#[test]
fn the_api_server_refuses_a_resource_without_a_backbone() {
    define();
    let resource =
        "{apiVersion: topicgateway.io/v1alpha1, kind: TopicGateway, metadata: {name: bad}, spec: {}}";
    let error = try_kubectl(&["create", "--dry-run=server", "-f", "-"], resource).unwrap_err();
    assert!(error.contains("spec.backbone: Required value"), "{error}");
}
