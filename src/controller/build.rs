//! From a resource to the objects it wants: pure, and the same objects for the same inputs.

use std::collections::BTreeSet;

use serde_json::Value;

use super::kind::Kind;
use crate::api::{ImagePullPolicy, Secrets, TopicGateway};

/// What children are built from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// The resource, valid, as the API server gave it: with name, namespace, uid and generation.
    pub(crate) gateway: &'a TopicGateway,
    /// The values of every key the spec refers to.
    pub(crate) secrets: &'a Secrets,
    /// Settings of the controller.
    pub(crate) defaults: &'a Defaults,
    /// Optional kinds that this cluster has.
    pub(crate) optional: &'a BTreeSet<Kind>,
}

/// What the controller's own command line says about children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// Image of the pods, where the resource names none.
    pub(crate) image: String,
    /// Its pull policy.
    pub(crate) pull_policy: ImagePullPolicy,
    /// The controller's namespace: a NetworkPolicy lets it ask the pods for their state.
    pub(crate) controller_namespace: String,
}

/// One wanted object.
#[derive(Debug, Clone, PartialEq)]
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
