//! What becomes of the objects of each watch.

use std::sync::Arc;

use k8s_openapi::api::{apps::v1::Deployment, core::v1};
use kube::api::{DynamicObject, PartialObjectMeta};

use super::key_of;
use crate::{
    api::{TopicGateway, Unreadable},
    controller::{
        cache::{Cached, Gateway, Meta, Pod, Workload, version},
        kind::Kind,
        names,
        queue::Key,
    },
};

/// Takes the objects of one watch into the caches.
pub(super) trait Intake<K>: Send + Sync + 'static {
    /// What is watched, in words.
    fn name(&self) -> String;
    /// Takes an object in; the gateways it concerns, where it is something new.
    fn put(&self, cached: &mut Cached, object: K) -> Vec<Key>;
    /// Takes an object out that was deleted with this version; the gateways it concerned.
    fn remove(&self, cached: &mut Cached, key: &Key, version: u64) -> Vec<Key>;
    /// The watch begins anew, see [`Table::doubt`].
    ///
    /// [`Table::doubt`]: crate::controller::cache::Table::doubt
    fn doubt(&self, cached: &mut Cached, scope: Option<&str>);
    /// What it has not told of since.
    fn doubtful(&self, cached: &Cached, scope: Option<&str>) -> Vec<Key>;
}

fn within(key: &Key, scope: Option<&str>) -> bool {
    scope.is_none_or(|namespace| namespace == key.namespace)
}

/// `TopicGateway`s.
pub(super) struct Gateways;

impl Intake<DynamicObject> for Gateways {
    fn name(&self) -> String {
        "TopicGateways (topicgateway.io/v1alpha1)".into()
    }

    fn put(&self, cached: &mut Cached, object: DynamicObject) -> Vec<Key> {
        let (key, version) = (key_of(&object), version(&object.metadata));
        if cached.put_gateway(&key, version, Gateway::read(object)) { vec![key] } else { Vec::new() }
    }

    fn remove(&self, cached: &mut Cached, key: &Key, version: u64) -> Vec<Key> {
        if cached.remove_gateway(key, version) { vec![key.clone()] } else { Vec::new() }
    }

    fn doubt(&self, cached: &mut Cached, scope: Option<&str>) {
        cached.gateways.doubt(|key| within(key, scope));
    }

    fn doubtful(&self, cached: &Cached, scope: Option<&str>) -> Vec<Key> {
        cached.gateways.doubtful(|key| within(key, scope))
    }
}

impl Gateway {
    /// Reads a gateway, but for what changes at every write and is never looked at.
    pub(in crate::controller) fn read(object: DynamicObject) -> Self {
        let DynamicObject { mut metadata, mut data, .. } = object;
        metadata.managed_fields = None;
        metadata.resource_version = None;
        let (spec, status) = (data["spec"].take(), data["status"].take());
        match TopicGateway::read(metadata, &spec, status) {
            Ok(gateway) => Self::Readable(Arc::new(gateway)),
            Err(unreadable) => {
                let Unreadable { flaws, rest } = *unreadable;
                Self::Unreadable { flaws: flaws.join("; "), rest: Arc::new(rest) }
            }
        }
    }
}

/// Children of one kind, by their metadata.
pub(super) struct Children(pub(super) Kind);

impl Children {
    fn covers(&self, kind: Kind, key: &Key, scope: Option<&str>) -> bool {
        kind == self.0 && within(key, scope)
    }

    fn doubt(&self, cached: &mut Cached, scope: Option<&str>) {
        cached.children.doubt(|(kind, key)| self.covers(*kind, key, scope));
    }
}

impl Intake<PartialObjectMeta<DynamicObject>> for Children {
    fn name(&self) -> String {
        let resource = self.0.resource();
        format!("{} ({})", resource.plural, resource.api_version)
    }

    fn put(&self, cached: &mut Cached, object: PartialObjectMeta<DynamicObject>) -> Vec<Key> {
        let (key, meta) = (key_of(&object), Meta::new(&object.metadata));
        let concerned = meta.gateways(&key.namespace);
        if cached.put_child(self.0, &key, version(&object.metadata), meta) { concerned } else { Vec::new() }
    }

    fn remove(&self, cached: &mut Cached, key: &Key, version: u64) -> Vec<Key> {
        cached.remove_child(self.0, key, version)
    }

    fn doubt(&self, cached: &mut Cached, scope: Option<&str>) {
        Self::doubt(self, cached, scope);
    }

    fn doubtful(&self, cached: &Cached, scope: Option<&str>) -> Vec<Key> {
        let keys = cached.children.doubtful(|(kind, key)| self.covers(*kind, key, scope));
        keys.into_iter().map(|(_, key)| key).collect()
    }
}

/// Deployments: children whose status counts.
pub(super) struct Workloads;

impl Intake<Deployment> for Workloads {
    fn name(&self) -> String {
        "deployments (apps/v1)".into()
    }

    fn put(&self, cached: &mut Cached, object: Deployment) -> Vec<Key> {
        let (key, meta) = (key_of(&object), Meta::new(&object.metadata));
        let (concerned, version) = (meta.gateways(&key.namespace), version(&object.metadata));
        let changed = cached.put_child(Kind::Deployment, &key, version, meta);
        let moved = cached.workloads.put(key, version, Workload::new(&object));
        if changed || moved { concerned } else { Vec::new() }
    }

    fn remove(&self, cached: &mut Cached, key: &Key, version: u64) -> Vec<Key> {
        cached.workloads.remove(key, version);
        cached.remove_child(Kind::Deployment, key, version)
    }

    fn doubt(&self, cached: &mut Cached, scope: Option<&str>) {
        cached.workloads.doubt(|key| within(key, scope));
        Children(Kind::Deployment).doubt(cached, scope);
    }

    fn doubtful(&self, cached: &Cached, scope: Option<&str>) -> Vec<Key> {
        cached.workloads.doubtful(|key| within(key, scope))
    }
}

/// Pods.
pub(super) struct Pods;

impl Intake<v1::Pod> for Pods {
    fn name(&self) -> String {
        "pods (v1)".into()
    }

    fn put(&self, cached: &mut Cached, object: v1::Pod) -> Vec<Key> {
        let (key, version) = (key_of(&object), version(&object.metadata));
        let Some(pod) = Pod::new(&object) else { return self.remove(cached, &key, version) };
        let gateway = key.sibling(&pod.gateway);
        if cached.put_pod(&key, version, pod) { vec![gateway] } else { Vec::new() }
    }

    fn remove(&self, cached: &mut Cached, key: &Key, version: u64) -> Vec<Key> {
        cached.remove_pod(key, version).into_iter().collect()
    }

    fn doubt(&self, cached: &mut Cached, scope: Option<&str>) {
        cached.pods.doubt(|key| within(key, scope));
    }

    fn doubtful(&self, cached: &Cached, scope: Option<&str>) -> Vec<Key> {
        cached.pods.doubtful(|key| within(key, scope))
    }
}

/// All Secrets by their versions, those that are children among them.
pub(super) struct SecretVersions;

impl Intake<PartialObjectMeta<DynamicObject>> for SecretVersions {
    fn name(&self) -> String {
        "secrets (v1)".into()
    }

    fn put(&self, cached: &mut Cached, object: PartialObjectMeta<DynamicObject>) -> Vec<Key> {
        let (key, version) = (key_of(&object), version(&object.metadata));
        let known = cached.secrets.version(&key);
        cached.secrets.put(key.clone(), version, ());
        let mut concerned = Vec::new();
        if cached.secrets.version(&key) != known {
            concerned = cached.referring_to(&key);
        }
        if is_child(&object) {
            concerned.extend(Children(Kind::Secret).put(cached, object));
        } else if cached.child(Kind::Secret, &key.namespace, &key.name).is_some() {
            concerned.extend(cached.remove_child(Kind::Secret, &key, version));
        }
        concerned
    }

    fn remove(&self, cached: &mut Cached, key: &Key, version: u64) -> Vec<Key> {
        cached.secrets.remove(key, version);
        let mut concerned = cached.referring_to(key);
        concerned.extend(cached.remove_child(Kind::Secret, key, version));
        concerned
    }

    fn doubt(&self, cached: &mut Cached, scope: Option<&str>) {
        cached.secrets.doubt(|key| within(key, scope));
        Children(Kind::Secret).doubt(cached, scope);
    }

    fn doubtful(&self, cached: &Cached, scope: Option<&str>) -> Vec<Key> {
        cached.secrets.doubtful(|key| within(key, scope))
    }
}

/// What the label selector of the other watches asks for.
fn is_child(object: &PartialObjectMeta<DynamicObject>) -> bool {
    let has = |name: &str, value: &str| {
        object
            .metadata
            .labels
            .as_ref()
            .is_some_and(|labels| labels.get(name).is_some_and(|found| found == value))
    };
    has(names::NAME, names::PRODUCT) && has(names::COMPONENT, names::GATEWAY)
}
