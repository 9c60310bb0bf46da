//! From what was seen to the status of the resource: pure.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use super::{conditions::conditions, kind::Kind, names, observed::Observed};
use crate::api::{GatewayReport, TopicGateway, TopicGatewayStatus};

/// Path of the WebSocket endpoint.
const PATH: &str = "/ws";

/// The status to write. It differs from `previous` in more than times only if something has changed: see
/// [`is_same`].
pub(crate) fn status(
    observed: &Observed,
    previous: Option<&TopicGatewayStatus>,
    now: Timestamp,
) -> TopicGatewayStatus {
    let deployment = observed.deployment.clone().unwrap_or_default();
    let before = previous.map_or(&[][..], |previous| &previous.conditions);
    TopicGatewayStatus {
        observed_generation: Some(observed.generation),
        config_generation: config_generation(observed),
        replicas: deployment.replicas,
        ready_replicas: deployment.ready,
        selector: Some(selector(&observed.name)),
        address: observed.address.clone(),
        connections: total(observed, |report| report.connections),
        subscriptions: total(observed, |report| report.subscriptions),
        conditions: conditions(observed, before, now),
    }
}

/// Whether two say the same, whenever that came to be so. What is the same is not written again.
pub(crate) fn is_same(one: &TopicGatewayStatus, other: &TopicGatewayStatus) -> bool {
    timeless(one) == timeless(other)
}

fn timeless(status: &TopicGatewayStatus) -> TopicGatewayStatus {
    let untimed = |condition: &Condition| Condition {
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        ..condition.clone()
    };
    TopicGatewayStatus { conditions: status.conditions.iter().map(untimed).collect(), ..status.clone() }
}

/// Where clients connect to: the host of the Ingress or the first whole host name of the route, else the Service.
/// Behind a route TLS is taken for granted, unless all its parents are asked for on port 80. `ours` tells of which kinds
/// there is a child of the gateway's own name: what leads to somebody else's Service is no address.
pub(crate) fn address(gateway: &TopicGateway, ours: impl Fn(Kind) -> bool) -> Option<String> {
    let (metadata, spec) = (&gateway.metadata, &gateway.spec);
    if !ours(Kind::Service) {
        return None;
    }
    if let Some(ingress) = &spec.ingress
        && ours(Kind::Ingress)
        && is_whole(&ingress.host)
    {
        return Some(url(ingress.tls_secret_name.is_some(), &ingress.host));
    }
    if let Some(route) = &spec.route
        && ours(Kind::HttpRoute)
        && let Some(host) = route.hostnames.iter().find(|host| is_whole(host))
    {
        let plain = route.parent_refs.iter().all(|parent| parent.port == Some(80));
        return Some(url(!plain, host));
    }
    let (name, namespace) = (metadata.name.as_ref()?, metadata.namespace.as_ref()?);
    Some(url(spec.listeners.tls.is_some(), &format!("{name}.{namespace}.svc:{}", spec.listeners.port)))
}

fn url(tls: bool, host: &str) -> String {
    let scheme = if tls { "wss" } else { "ws" };
    format!("{scheme}://{host}{PATH}")
}

fn is_whole(host: &str) -> bool {
    !host.starts_with('*')
}

/// The pods' selector as autoscalers read it.
fn selector(name: &str) -> String {
    let pairs = names::selector(name).into_iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

/// The lowest of the ready pods that tell.
fn config_generation(observed: &Observed) -> Option<i64> {
    let ready = observed.pods.iter().filter(|pod| pod.ready);
    ready.filter_map(|pod| Some(pod.report.as_ref()?.generation)).min()
}

/// The rounded sum over the pods that tell; `None` where none does.
fn total(observed: &Observed, count: impl Fn(&GatewayReport) -> u64) -> Option<i64> {
    let told = observed.pods.iter().filter_map(|pod| pod.report.as_ref()).map(count);
    told.reduce(u64::saturating_add).map(rounded)
}

/// To two significant digits, so that it is not written with every client that comes or goes; exact below 100.
fn rounded(count: u64) -> i64 {
    let mut unit = 1;
    while count / unit >= 100 {
        unit *= 10;
    }
    let rounded = count.saturating_add(unit / 2) / unit * unit;
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
