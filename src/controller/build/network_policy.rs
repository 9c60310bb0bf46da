//! Who may talk to the pods, and to whom they may talk. The kubelet's probes come from the node and are not held up.

use std::collections::{BTreeMap, BTreeSet};

use http::Uri;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{Child, given_list, parent::Parent};
use crate::{
    api::TopicGatewaySpec,
    controller::{kind::Kind, names, observed::Problem},
    runtime::telemetry::ENDPOINTS,
};

/// Port of NATS, where an address names none.
const NATS_PORT: u16 = 4222;
/// Label every namespace carries its name in.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

pub(super) fn build(parent: &Parent<'_>) -> Option<Result<Child, Problem>> {
    let wanted = &parent.spec.network_policy;
    if !wanted.enabled {
        return None;
    }
    let mut admin = wanted.metrics_from.clone();
    if admin.is_empty() {
        admin.push(NetworkPolicyPeer {
            namespace_selector: Some(LabelSelector::default()),
            ..NetworkPolicyPeer::default()
        });
    }
    admin.push(controller(parent));
    let ingress = vec![
        NetworkPolicyIngressRule {
            from: given_list(&wanted.clients_from),
            ports: Some(vec![port("TCP", parent.spec.listeners.port)]),
        },
        NetworkPolicyIngressRule {
            from: Some(admin),
            ports: Some(vec![port("TCP", names::ADMIN_PORT_NUMBER)]),
        },
    ];
    let policy = NetworkPolicy {
        metadata: parent.metadata(parent.name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(parent.selector()),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: Some(ingress),
            egress: Some(egress(parent)),
        }),
    };
    Some(parent.child(Kind::NetworkPolicy, parent.name, &policy))
}

/// The controller asks each pod how it is.
fn controller(parent: &Parent<'_>) -> NetworkPolicyPeer {
    let select = |labels: &[(&str, &str)]| LabelSelector {
        match_labels: Some(labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()),
        ..LabelSelector::default()
    };
    let namespace = parent.inputs.defaults.controller_namespace.as_str();
    NetworkPolicyPeer {
        namespace_selector: Some(select(&[(NAMESPACE_NAME, namespace)])),
        pod_selector: Some(select(&[(names::NAME, names::PRODUCT), (names::COMPONENT, names::CONTROLLER)])),
        ..NetworkPolicyPeer::default()
    }
}

/// Names are looked up wherever the cluster's DNS is; NATS, and the collector of traces, may be anywhere, in the cluster or
/// not, on the ports given.
fn egress(parent: &Parent<'_>) -> Vec<NetworkPolicyEgressRule> {
    let dns = vec![port("UDP", 53), port("TCP", 53)];
    let nats: Vec<_> = nats_ports(parent.spec).into_iter().map(|number| port("TCP", number.into())).collect();
    let collector = collector_ports(&parent.inputs.defaults.environment);
    let collector: Vec<_> = collector.into_iter().map(|number| port("TCP", number.into())).collect();
    let to_anybody = |ports| NetworkPolicyEgressRule { ports: Some(ports), to: None };
    [dns, nats, collector].into_iter().filter(|ports| !ports.is_empty()).map(to_anybody).collect()
}

fn nats_ports(spec: &TopicGatewaySpec) -> BTreeSet<u16> {
    let servers = spec.backbone.nats.iter().flat_map(|nats| &nats.servers);
    servers.map(|server| port_of(server)).collect()
}

/// Where pods send their traces.
fn collector_ports(environment: &BTreeMap<String, String>) -> BTreeSet<u16> {
    let urls = ENDPOINTS.iter().filter_map(|variable| environment.get(*variable)?.parse::<Uri>().ok());
    let default = |url: &Uri| if url.scheme_str() == Some("https") { 443 } else { 80 };
    urls.map(|url| url.port_u16().unwrap_or_else(|| default(&url))).collect()
}

/// The port of `nats://host:port`, where an address in brackets may hold colons of its own.
fn port_of(server: &str) -> u16 {
    let host = server.split_once("://").map_or(server, |(_, host)| host);
    let behind = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
    behind.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(NATS_PORT)
}

fn port(protocol: &str, number: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.into()),
        port: Some(IntOrString::Int(number)),
        ..NetworkPolicyPort::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_a_server_is_read_from_its_address() {
        let cases = [
            ("nats://nats.messaging:4333", 4333),
            ("nats://nats.messaging", 4222),
            ("tls://[fd00::1]:4443", 4443),
            ("tls://[fd00::1]", 4222),
        ];
        for (server, port) in cases {
            assert_eq!(port_of(server), port, "{server}");
        }
    }
}
