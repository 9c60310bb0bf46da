//! What every child has from its parent: name, namespace, labels and owner.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Child, Inputs};
use crate::{
    api::TopicGatewaySpec,
    controller::{kind::Kind, names, observed::Problem, reason::Reason},
};

/// The resource children are built for.
#[derive(Debug)]
pub(super) struct Parent<'a> {
    /// All inputs.
    pub(super) inputs: &'a Inputs<'a>,
    /// Its spec.
    pub(super) spec: &'a TopicGatewaySpec,
    /// Its name.
    pub(super) name: &'a str,
    /// Its namespace.
    pub(super) namespace: &'a str,
    owner: OwnerReference,
}

impl<'a> Parent<'a> {
    /// # Errors
    /// The resource has no name, namespace or uid.
    pub(super) fn new(inputs: &'a Inputs<'a>) -> Result<Self, Problem> {
        let metadata = &inputs.gateway.metadata;
        let owner = inputs.gateway.controller_owner_ref(&());
        let (Some(name), Some(namespace), Some(owner)) =
            (metadata.name.as_deref(), metadata.namespace.as_deref(), owner)
        else {
            let message = "the TopicGateway has no name, namespace or uid: read it from an API server".into();
            return Err(Problem { reason: Reason::InvalidSpec, message });
        };
        // Its deletion in the foreground waits for the children.
        let owner = OwnerReference { block_owner_deletion: Some(true), ..owner };
        Ok(Self { inputs, spec: &inputs.gateway.spec, name, namespace, owner })
    }

    /// Metadata of a child of this name.
    pub(super) fn metadata(&self, name: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.to_owned()),
            labels: Some(names::labels(self.name)),
            owner_references: Some(vec![self.owner.clone()]),
            ..ObjectMeta::default()
        }
    }

    /// What selects the pods.
    pub(super) fn selector(&self) -> LabelSelector {
        LabelSelector { match_labels: Some(names::selector(self.name)), ..LabelSelector::default() }
    }

    /// A child of one of Kubernetes' own types.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub(super) fn child(&self, kind: Kind, name: &str, object: &impl Serialize) -> Result<Child, Problem> {
        let object = serde_json::to_value(object).map_err(|error| Problem {
            reason: Reason::ApplyFailed,
            message: format!("{} {}/{name} cannot be written: {error}", kind.resource().kind, self.namespace),
        })?;
        Ok(Child { kind, name: name.to_owned(), object, once: false })
    }

    /// A child of a type that Kubernetes does not have itself, called as its parent.
    pub(super) fn foreign(&self, kind: Kind, labels: &BTreeMap<String, String>, spec: Value) -> Child {
        let resource = kind.resource();
        let mut all = labels.clone();
        all.extend(names::labels(self.name));
        let metadata = json!({
            "name": self.name,
            "namespace": self.namespace,
            "labels": all,
            "ownerReferences": [self.owner],
        });
        let object = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": metadata,
            "spec": spec,
        });
        Child { kind, name: self.name.to_owned(), object, once: false }
    }
}
