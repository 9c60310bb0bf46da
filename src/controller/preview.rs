//! What the controller would make of a resource that no cluster has seen yet.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::{
    build::{Defaults, Inputs, SessionKey, children},
    kind::Kind,
};
use crate::api::{ImagePullPolicy, Secrets, TopicGateway};

/// An object that the controller would apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Its kind, as `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// All that the controller would own of it, without what only a cluster knows (the owner's `uid`) and without the
    /// values of Secrets.
    pub object: Value,
}

/// What stands for a value of a Secret, in base64 as any value is.
const NOT_SHOWN: &str = "(not shown)";

/// What a controller is started with, as far as children show it.
#[derive(Debug, Clone)]
pub struct Assumed {
    /// Image of gateway pods, where the resource names none.
    pub image: String,
    /// When it is pulled.
    pub pull_policy: ImagePullPolicy,
    /// Environment of gateway pods.
    pub environment: BTreeMap<String, String>,
    /// The page that alerts link to, each to its heading there; empty: no links.
    pub runbook_url: String,
    /// Where the controller is.
    pub namespace: String,
}

/// The children of this resource, in the order in which they are applied, in a cluster that has every optional kind.
/// Without a namespace it is taken to be in `default`.
///
/// # Errors
/// A Secret that the resource refers to is not among these, or it has no name.
pub fn preview(gateway: &TopicGateway, secrets: &Secrets, assumed: Assumed) -> Result<Vec<Planned>, String> {
    let mut gateway = gateway.clone();
    gateway.metadata.namespace.get_or_insert_with(|| "default".into());
    gateway.metadata.uid = Some(String::new());
    gateway.metadata.generation = Some(1);
    let Assumed { image, pull_policy, environment, runbook_url, namespace } = assumed;
    let defaults = Defaults { image, pull_policy, runbook_url, environment, controller_namespace: namespace };
    let optional = BTreeSet::from(Kind::ALL);
    let inputs = Inputs {
        gateway: &gateway,
        secrets: Some(secrets),
        defaults: &defaults,
        optional: &optional,
        session_key: &SessionKey([0; 32]),
    };
    let children = children(&inputs).map_err(|problem| problem.message)?;
    Ok(children
        .into_iter()
        .map(|child| Planned {
            kind: child.kind.resource().kind,
            name: child.name,
            object: shown(child.object),
        })
        .collect())
}

fn shown(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("ownerReferences");
    }
    if object["kind"] == "Secret"
        && let Some(data) = object.get_mut("data").and_then(Value::as_object_mut)
    {
        data.values_mut().for_each(|value| *value = BASE64_STANDARD.encode(NOT_SHOWN).into());
    }
    object
}
