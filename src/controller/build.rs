//! From a resource to the objects it wants: pure, and the same objects for the same inputs.
//!
//! An object holds what the controller owns and nothing else: no status, no default it does not care for, no null.

mod autoscaler;
mod config_map;
mod deployment;
mod disruption_budget;
mod ingress;
mod network_policy;
mod parent;
mod pod;
mod pod_monitor;
mod prometheus_rule;
mod route;
mod secrets;
mod service;
mod service_account;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use super::{kind::Kind, observed::Problem};
use crate::api::{ImagePullPolicy, Secrets, TopicGateway, TopicGatewaySpec};
pub(crate) use disruption_budget::minimum;
use parent::Parent;

/// What children are built from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// The resource, valid, as the API server gave it: with name, namespace, uid and generation.
    pub(crate) gateway: &'a TopicGateway,
    /// The values of every key the spec refers to; `None` where some are missing: there is no copy of them then.
    pub(crate) secrets: Option<&'a Secrets>,
    /// Settings of the controller.
    pub(crate) defaults: &'a Defaults,
    /// Optional kinds that this cluster has.
    pub(crate) optional: &'a BTreeSet<Kind>,
    /// Fresh random bytes. They matter only where there is no session key yet.
    pub(crate) session_key: &'a SessionKey,
}

/// Random bytes for a session key. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SessionKey(pub(crate) [u8; 32]);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

/// What the controller's own command line says about children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// Image of the pods, where the resource names none.
    pub(crate) image: String,
    /// Its pull policy.
    pub(crate) pull_policy: ImagePullPolicy,
    /// Environment of the pods; empty without traces.
    pub(crate) environment: BTreeMap<String, String>,
    /// The page that alerts link to, each to its heading there; empty: no links.
    pub(crate) runbook_url: String,
    /// The controller's namespace: a `NetworkPolicy` lets it ask the pods for their state.
    pub(crate) controller_namespace: String,
}

/// One wanted object.
#[derive(Clone, PartialEq)]
pub(crate) struct Child {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
    /// The whole intent, as it is applied: only what the controller owns, with labels and owner reference.
    pub(crate) object: Value,
    /// Whether it is made once and never written again (the session key).
    pub(crate) once: bool,
}

/// Without the object: it may hold secrets.
impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, once, .. } = self;
        f.debug_struct("Child")
            .field("kind", kind)
            .field("name", name)
            .field("once", once)
            .finish_non_exhaustive()
    }
}

/// Every child there can be.
struct Children {
    service_account: Child,
    session_key: Child,
    secrets: Option<Child>,
    config_map: Child,
    service: Child,
    headless: Child,
    deployment: Child,
    disruption_budget: Option<Child>,
    network_policy: Option<Child>,
    autoscaler: Option<Child>,
    ingress: Option<Child>,
    route: Option<Child>,
    pod_monitor: Option<Child>,
    prometheus_rule: Option<Child>,
}

/// The children a resource wants, in the order in which they are applied. Optional kinds that the cluster lacks are left
/// out: [`missing_apis`] names them.
///
/// # Errors
/// A resource that no API server gave (without name, namespace or uid), and a Secret that was not looked up.
pub(crate) fn children(inputs: &Inputs<'_>) -> Result<Vec<Child>, Problem> {
    let parent = Parent::new(inputs)?;
    let spec = parent.spec;
    let wanted = |kind, enabled| enabled && inputs.optional.contains(&kind);
    let children = Children {
        service_account: service_account::build(&parent)?,
        session_key: secrets::session_key(&parent)?,
        secrets: inputs.secrets.map(|secrets| secrets::copy(&parent, secrets)).transpose()?,
        config_map: config_map::build(&parent)?,
        service: service::build(&parent)?,
        headless: service::headless(&parent)?,
        deployment: deployment::build(&parent)?,
        disruption_budget: disruption_budget::build(&parent).transpose()?,
        network_policy: network_policy::build(&parent).transpose()?,
        autoscaler: autoscaler::build(&parent).transpose()?,
        ingress: ingress::build(&parent).transpose()?,
        route: spec
            .route
            .as_ref()
            .filter(|_| wanted(Kind::HttpRoute, true))
            .map(|route| route::build(&parent, route)),
        pod_monitor: wanted(Kind::PodMonitor, spec.monitoring.pod_monitor.enabled)
            .then(|| pod_monitor::build(&parent)),
        prometheus_rule: wanted(Kind::PrometheusRule, spec.monitoring.prometheus_rule.enabled)
            .then(|| prometheus_rule::build(&parent)),
    };
    Ok(children.in_order())
}

impl Children {
    /// What others need comes first. Taken apart without `..`, so that none can be forgotten.
    fn in_order(self) -> Vec<Child> {
        let Self {
            service_account,
            session_key,
            secrets,
            config_map,
            service,
            headless,
            deployment,
            disruption_budget,
            network_policy,
            autoscaler,
            ingress,
            route,
            pod_monitor,
            prometheus_rule,
        } = self;
        // Who may reach the pods is settled before there are any.
        let mut children = vec![service_account, session_key];
        children.extend(secrets);
        children.extend([config_map, service, headless]);
        children.extend(network_policy);
        children.push(deployment);
        children.extend(
            [disruption_budget, autoscaler, ingress, route, pod_monitor, prometheus_rule]
                .into_iter()
                .flatten(),
        );
        children
    }
}

/// Optional kinds that the spec asks for and the cluster lacks, as `monitoring.coreos.com/v1 PodMonitor`.
pub(crate) fn missing_apis(spec: &TopicGatewaySpec, optional: &BTreeSet<Kind>) -> Vec<Kind> {
    let asked = [
        (Kind::HttpRoute, spec.route.is_some()),
        (Kind::PodMonitor, spec.monitoring.pod_monitor.enabled),
        (Kind::PrometheusRule, spec.monitoring.prometheus_rule.enabled),
    ];
    let missing = asked.into_iter().filter(|(kind, asked)| *asked && !optional.contains(kind));
    missing.map(|(kind, _)| kind).collect()
}

/// Nothing instead of an empty map: what is empty is not owned.
fn given(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then(|| map.clone())
}

/// Nothing instead of an empty list.
fn given_list<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

#[cfg(test)]
mod tests;
