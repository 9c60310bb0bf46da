//! The way in by the Gateway API, with `examples/gateway-api-route.yaml`. No implementation of it runs here, so that
//! nothing is sent along the route: what the API server takes is looked at.

use serde_json::json;

use crate::{
    cluster::{shared, wait_for},
    gateway::{Gateway, example},
    namespace::Namespace,
};

#[test]
fn a_route_leads_from_the_named_gateway_to_the_port_of_the_service() {
    let _cluster = shared();
    let namespace = Namespace::new("route");
    namespace.apply(&example("gateway-api-route.yaml"));
    Gateway::new(&namespace, "edge").wait_until_ready(1);
    let route = wait_for("the route is there", || {
        namespace.find("httproute/edge").ok_or_else(|| "there is none".to_owned())
    });
    let spec = &route["spec"];
    assert_eq!(spec["hostnames"], json!(["topics.example.com"]));
    let parent = &spec["parentRefs"][0];
    for (field, expected) in [("namespace", "infra"), ("name", "public"), ("sectionName", "https")] {
        assert_eq!(parent[field], expected, "{parent}");
    }
    let backend = &spec["rules"][0]["backendRefs"][0];
    assert_eq!(backend["name"], "edge", "{backend}");
    let service = namespace.get("service/edge");
    let port = &service["spec"]["ports"][0];
    assert_eq!(port["port"], backend["port"], "{port}");
    assert_eq!(port["appProtocol"], "http", "{port}");
}
