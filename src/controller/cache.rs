//! What the watches have seen, cut down to what passes look at.
//!
//! What the controller writes is put in here as the API server answered it, before the watch tells. So a pass never
//! takes its own work of a moment ago for undone, and what the watch then brings is nothing new.

mod child;
mod hindrance;
mod table;
mod workload;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{kind::Kind, queue::Key};
use crate::api::TopicGateway;

pub(crate) use child::{Meta, version};
pub(crate) use table::Table;
pub(crate) use workload::{Pod, Workload};

/// A `TopicGateway` as it could be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Gateway {
    /// As it should be.
    Readable(Arc<TopicGateway>),
    /// Something in it is not of the form that this version of the controller knows.
    Unreadable {
        /// What, with the fields.
        flaws: String,
        /// What of it could be read, for its status and Events: nothing is made of it.
        rest: Arc<TopicGateway>,
    },
}

/// Everything that is watched. Bounded by what the cluster holds of it.
#[derive(Debug, Default)]
pub(crate) struct Cached {
    /// By name.
    pub(crate) gateways: Table<Key, Gateway>,
    /// Children by kind and name, the Deployment among them.
    pub(crate) children: Table<(Kind, Key), Meta>,
    /// Deployments by name.
    pub(crate) workloads: Table<Key, Workload>,
    /// Pods by name.
    pub(crate) pods: Table<Key, Pod>,
    /// Versions of all Secrets by name.
    pub(crate) secrets: Table<Key, ()>,
    /// Who refers to a Secret: names of gateways by Secret.
    references: HashMap<Key, BTreeSet<String>>,
    /// What each gateway refers to, to find its entries above again.
    referring: HashMap<Key, BTreeSet<String>>,
    /// Names of pods by gateway.
    pods_of: HashMap<Key, BTreeSet<String>>,
    /// Children by gateway and uid of its owner.
    children_of: HashMap<Key, BTreeSet<(Kind, String)>>,
}

/// The caches, shared by watches and passes. Locked for moments, never across a wait.
#[derive(Debug, Default)]
pub(crate) struct Caches(Mutex<Cached>);

impl Caches {
    /// The caches for a look or a change.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Cached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cached {
    /// Takes a gateway in; whether it is something new.
    pub(crate) fn put_gateway(&mut self, key: &Key, version: u64, gateway: Gateway) -> bool {
        let names = match &gateway {
            Gateway::Readable(gateway) => {
                gateway.spec.secret_references().into_iter().map(|reference| reference.key.name).collect()
            }
            Gateway::Unreadable { .. } => BTreeSet::new(),
        };
        let changed = self.gateways.put(key.clone(), version, gateway);
        if changed {
            self.refer(key, names);
        }
        changed
    }

    /// Takes a gateway out; whether it was there.
    pub(crate) fn remove_gateway(&mut self, key: &Key, version: u64) -> bool {
        self.refer(key, BTreeSet::new());
        self.gateways.remove(key, version)
    }

    fn refer(&mut self, gateway: &Key, names: BTreeSet<String>) {
        for name in self.referring.remove(gateway).unwrap_or_default() {
            unlink(&mut self.references, &Key::new(&gateway.namespace, &name), &gateway.name);
        }
        for name in &names {
            link(&mut self.references, Key::new(&gateway.namespace, name), gateway.name.clone());
        }
        if !names.is_empty() {
            self.referring.insert(gateway.clone(), names);
        }
    }

    /// The gateways that refer to a Secret.
    pub(crate) fn referring_to(&self, secret: &Key) -> Vec<Key> {
        let names = self.references.get(secret).into_iter().flatten();
        names.map(|name| Key::new(&secret.namespace, name)).collect()
    }

    /// Takes a child in; whether it is something new.
    pub(crate) fn put_child(&mut self, kind: Kind, key: &Key, version: u64, meta: Meta) -> bool {
        let (id, gateways) = ((kind, key.clone()), meta.gateways(&key.namespace));
        let before = self.children.get(&id).map(|meta| meta.gateways(&key.namespace)).unwrap_or_default();
        let changed = self.children.put(id, version, meta);
        if changed {
            for gateway in before {
                unlink(&mut self.children_of, &gateway, &(kind, key.name.clone()));
            }
            for gateway in gateways {
                link(&mut self.children_of, gateway, (kind, key.name.clone()));
            }
        }
        changed
    }

    /// Takes a child out and tells whose it was.
    pub(crate) fn remove_child(&mut self, kind: Kind, key: &Key, version: u64) -> Vec<Key> {
        let id = (kind, key.clone());
        let gateways = self.children.get(&id).map(|meta| meta.gateways(&key.namespace)).unwrap_or_default();
        self.children.remove(&id, version);
        for gateway in &gateways {
            unlink(&mut self.children_of, gateway, &(kind, key.name.clone()));
        }
        gateways
    }

    /// A child, where there is one of that name with our labels.
    pub(crate) fn child(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Meta> {
        self.children.get(&(kind, Key::new(namespace, name)))
    }

    /// The children that the `TopicGateway` with this uid owns.
    pub(crate) fn owned(&self, gateway: &Key, uid: &str) -> Vec<(Kind, String, Meta)> {
        let names = self.children_of.get(gateway).into_iter().flatten();
        let found = names.filter_map(|(kind, name)| {
            let meta = self.child(*kind, &gateway.namespace, name)?;
            meta.is_owned_by(uid).then(|| (*kind, name.clone(), meta.clone()))
        });
        found.collect()
    }

    /// Takes a pod in; whether it is something new.
    pub(crate) fn put_pod(&mut self, key: &Key, version: u64, pod: Pod) -> bool {
        let gateway = key.sibling(&pod.gateway);
        let before = self.pods.get(key).map(|pod| key.sibling(&pod.gateway));
        let changed = self.pods.put(key.clone(), version, pod);
        if changed {
            if let Some(before) = before {
                unlink(&mut self.pods_of, &before, &key.name);
            }
            link(&mut self.pods_of, gateway, key.name.clone());
        }
        changed
    }

    /// Takes a pod out and tells whose it was.
    pub(crate) fn remove_pod(&mut self, key: &Key, version: u64) -> Option<Key> {
        let gateway = Key::new(&key.namespace, &self.pods.get(key)?.gateway);
        self.pods.remove(key, version);
        unlink(&mut self.pods_of, &gateway, &key.name);
        Some(gateway)
    }

    /// The pods of a gateway, by name.
    pub(crate) fn pods_of(&self, gateway: &Key) -> BTreeMap<String, Pod> {
        let names = self.pods_of.get(gateway).into_iter().flatten();
        let found = names.filter_map(|name| {
            let pod = self.pods.get(&Key::new(&gateway.namespace, name))?;
            Some((name.clone(), pod.clone()))
        });
        found.collect()
    }
}

fn link<T: Ord>(index: &mut HashMap<Key, BTreeSet<T>>, key: Key, value: T) {
    index.entry(key).or_default().insert(value);
}

fn unlink<T: Ord>(index: &mut HashMap<Key, BTreeSet<T>>, key: &Key, value: &T) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
