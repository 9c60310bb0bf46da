//! How clients reach the pods, and how each pod is found by itself.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{Child, given, parent::Parent};
use crate::controller::{kind::Kind, names, observed::Problem};

/// The Service clients connect through.
pub(super) fn build(parent: &Parent<'_>) -> Result<Child, Problem> {
    let wanted = &parent.spec.service;
    let mut metadata = parent.metadata(parent.name);
    metadata.annotations = given(&wanted.annotations);
    let service = Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(wanted.kind.as_str().into()),
            selector: Some(names::selector(parent.name)),
            ports: Some(vec![public(parent)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    };
    parent.child(Kind::Service, parent.name, &service)
}

/// The addresses of all pods, ready or not, for those who look at each.
pub(super) fn headless(parent: &Parent<'_>) -> Result<Child, Problem> {
    let name = names::headless(parent.name);
    let admin = port(names::ADMIN_PORT, names::ADMIN_PORT_NUMBER, "http");
    let service = Service {
        metadata: parent.metadata(&name),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".into()),
            publish_not_ready_addresses: Some(true),
            selector: Some(names::selector(parent.name)),
            ports: Some(vec![public(parent), admin]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    };
    parent.child(Kind::Service, &name, &service)
}

fn public(parent: &Parent<'_>) -> ServicePort {
    let listeners = &parent.spec.listeners;
    let usual = if listeners.tls.is_some() { "kubernetes.io/wss" } else { "kubernetes.io/ws" };
    port(names::PUBLIC_PORT, listeners.port, parent.spec.service.app_protocol.as_deref().unwrap_or(usual))
}

fn port(name: &str, number: i32, app_protocol: &str) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port: number,
        protocol: Some("TCP".into()),
        target_port: Some(IntOrString::String(name.into())),
        app_protocol: Some(app_protocol.into()),
        ..ServicePort::default()
    }
}
