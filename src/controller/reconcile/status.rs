//! Tells in the status what a pass saw, and in Events what is new in it.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::{Map, Value, json};

use super::Pass;
use crate::{
    api::{TopicGateway, TopicGatewayStatus},
    controller::{
        apis, build,
        cache::{Gateway, Pod, version},
        events::{Note, transitions},
        kind::Kind,
        names,
        observed::{DeploymentState, Observed, PodState},
        reason::Reason,
        refusal::{Refusal, cause, refusal},
        status,
        streams::Stream,
    },
};

/// Why the status could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// For the time being.
    #[error("cannot write the status of TopicGateway {gateway}: {}", cause(source))]
    Passing {
        /// Whose.
        gateway: String,
        /// Why.
        source: kube::Error,
    },
    /// Until somebody mends it.
    #[error("{0}")]
    Refused(String),
}

impl Pass<'_> {
    /// Writes the status, where it says something new.
    pub(super) async fn report(&mut self, pods: &BTreeMap<String, Pod>) -> Result<(), Error> {
        let observed = self.observed(pods);
        let before = self.gateway.status.as_ref();
        let after = status::status(&observed, before, Timestamp::now());
        if before.is_some_and(|before| status::is_same(before, &after)) {
            return Ok(());
        }
        let notes = transitions(before.map_or(&[], |before| &before.conditions), &after.conditions);
        // With the uid, so that another resource of the same name is not taken for this one.
        let patch = json!({
            "apiVersion": <TopicGateway as kube::Resource>::api_version(&()),
            "kind": <TopicGateway as kube::Resource>::kind(&()),
            "metadata": { "name": self.key.name, "uid": self.uid },
            "status": after,
        });
        // What cannot be read as a whole comes back as it is.
        let resource = ApiResource::erase::<TopicGateway>(&());
        let client = self.shared.client.clone();
        let api: Api<DynamicObject> = Api::namespaced_with(client, &self.key.namespace, &resource);
        let applied = PatchParams::apply(names::STATUS_MANAGER);
        let written = if self.flawed {
            // An API server applies nothing to what contradicts its definition.
            let patch = without_rest(patch, before);
            api.patch_status(&self.key.name, &applied, &Patch::Merge(&patch)).await
        } else {
            api.patch_status(&self.key.name, &applied.force(), &Patch::Apply(&patch)).await
        };
        match written {
            Ok(gateway) => {
                let version = version(&gateway.metadata);
                self.shared.caches.lock().put_gateway(self.key, version, Gateway::read(gateway));
            }
            Err(error) => match refusal(&format!("write the status of TopicGateway {}", self.key), error) {
                Refusal::Gone => return Ok(()),
                Refusal::Passing(source) => {
                    return Err(Error::Passing { gateway: self.key.to_string(), source });
                }
                Refusal::Problem(problem) => return Err(Error::Refused(problem.message)),
            },
        }
        for note in notes {
            self.publish(note).await;
        }
        Ok(())
    }

    /// Tells once what is not made because the controller may not watch it.
    pub(super) async fn tell_forbidden(&mut self) {
        let wanted = build::missing_apis(&self.gateway.spec, &self.shared.apis.available());
        let mut forbidden = self.shared.apis.forbidden();
        forbidden.retain(|kind, _| wanted.contains(kind));
        let known = std::mem::replace(&mut self.memory.forbidden, forbidden.keys().copied().collect());
        for (kind, why) in forbidden.into_iter().filter(|(kind, _)| !known.contains(kind)) {
            self.publish(Note::forbidden(&apis::name(kind), &why)).await;
        }
    }

    fn observed(&self, pods: &BTreeMap<String, Pod>) -> Observed {
        let (spec, optional) = (&self.gateway.spec, self.shared.apis.available());
        let forbidden = self.shared.apis.forbidden();
        let (refused, missing): (Vec<Kind>, Vec<Kind>) =
            build::missing_apis(spec, &optional).into_iter().partition(|kind| forbidden.contains_key(kind));
        Observed {
            name: self.key.name.clone(),
            generation: self.generation,
            wanted: spec.replicas,
            paused: spec.paused,
            references: self.memory.references.clone(),
            applying: self.memory.applying.clone(),
            leaving: self.leaving.clone(),
            missing_apis: missing.into_iter().map(apis::name).collect(),
            forbidden_apis: refused.iter().filter_map(|kind| forbidden.get(kind).cloned()).collect(),
            deployment: self.deployment(),
            pods: self.pods(pods),
            minimum: build::minimum(spec),
            stream: self.memory.stream.as_ref().and_then(Stream::outcome),
            address: status::address(self.gateway, |kind| self.has(kind)),
        }
    }

    /// The pods. What was told to be rejected is not taken for on its way again, as after a start of the controller.
    fn pods(&self, pods: &BTreeMap<String, Pod>) -> Vec<PodState> {
        let mut states = self.memory.pods.states(pods);
        let mut before = self.gateway.status.iter().flat_map(|status| &status.conditions);
        let rejected = before.any(|it| {
            it.type_ == "Ready"
                && it.reason == Reason::ConfigRejected.as_str()
                && it.observed_generation == Some(self.generation)
        });
        if rejected {
            for state in &mut states {
                state.may_take = false;
            }
        }
        states
    }

    /// The Deployment, where it is this gateway's own.
    fn deployment(&self) -> Option<DeploymentState> {
        if !self.has(Kind::Deployment) {
            return None;
        }
        self.shared.caches.lock().workloads.get(self.key).map(|workload| workload.state.clone())
    }

    /// Whether there is a child of this kind and of the gateway's name that is its own.
    fn has(&self, kind: Kind) -> bool {
        let cached = self.shared.caches.lock();
        let child = cached.child(kind, &self.key.namespace, &self.key.name);
        child.is_some_and(|meta| meta.is_owned_by(self.uid))
    }
}

/// A patch to merge that takes away what the status had and has no more.
fn without_rest(mut patch: Value, before: Option<&TopicGatewayStatus>) -> Value {
    // A type of texts, numbers, lists and maps with text keys: nothing of it can fail to be JSON.
    let before = serde_json::to_value(before).unwrap_or_default();
    if let Some(status) = patch["status"].as_object_mut() {
        for name in before.as_object().into_iter().flat_map(Map::keys) {
            status.entry(name.clone()).or_insert(Value::Null);
        }
    }
    patch
}
