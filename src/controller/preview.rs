//! What the controller would make of a resource that no cluster has seen yet.

use std::collections::BTreeSet;

use serde_json::{Value, json};

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

/// The children of this resource, in the order in which they are applied, in a cluster that has every optional kind.
/// Without a namespace it is taken to be in `default`.
///
/// # Errors
/// A Secret that the resource refers to is not among these, or it has no name.
pub fn preview(gateway: &TopicGateway, secrets: &Secrets, image: &str) -> Result<Vec<Planned>, String> {
    let mut gateway = gateway.clone();
    gateway.metadata.namespace.get_or_insert_with(|| "default".into());
    gateway.metadata.uid = Some(String::new());
    gateway.metadata.generation = Some(1);
    let defaults = Defaults {
        image: image.into(),
        pull_policy: ImagePullPolicy::IfNotPresent,
        controller_namespace: "topic-gateway".into(),
    };
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
        && let Some(data) = object["data"].as_object_mut()
    {
        data.values_mut().for_each(|value| *value = json!("(not shown)"));
    }
    object
}
