//! Makes one child as it should be, or finds that it is.
//!
//! By server-side apply with force and one field manager: the whole intent each time, and only what is ours. An object
//! of the wanted name that somebody else owns is left alone.
//!
//! What others write beside our fields stays, in lists too: Kubernetes tells the entries of a list apart by a key, and
//! an entry with another key is somebody else's. So an added port of the Service, container (as injectors add them),
//! volume, variable or mount stays; lists without a key (rules of the `NetworkPolicy` and the Ingress, tolerations,
//! metrics of the autoscaler) are ours as a whole. Where the key itself was edited, as the number of a port, ours
//! comes back beside the edited one. If the API server cannot have both, since they have the same name, every list is
//! made ours as a whole.

use std::hash::{DefaultHasher, Hash, Hasher};

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};

use serde_json::{Value, json};

use super::{
    build::Child,
    cache::{Meta, Workload, version},
    kind::Kind,
    memory::{Applied, Memory},
    names,
    observed::Problem,
    queue::Key,
    reason::Reason,
    refusal::{Refusal, cause, refusal},
    shared::Shared,
};

/// What became of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was as it should be.
    Unchanged,
    /// It was made, or changed as the resource was.
    Done,
    /// It was put right after somebody else had changed or deleted it; says what had happened.
    Corrected(String),
    /// Its name is taken, or it was refused.
    Refused(Problem),
    /// It is going away, or its namespace is: the next event tells more. Says what it waits for.
    Pending(String),
}

/// Why a child could not be applied for the time being.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {}", cause(source))]
pub(crate) struct Error {
    action: String,
    source: kube::Error,
}

/// The gateway whose child it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// Its names.
    pub(crate) key: &'a Key,
    /// Its uid.
    pub(crate) uid: &'a str,
}

/// Applies a child, unless it is as it should be.
pub(crate) async fn apply(
    shared: &Shared,
    owner: Owner<'_>,
    child: &Child,
    memory: &mut Memory,
) -> Result<Outcome, Error> {
    let namespace = &owner.key.namespace;
    let api = api(shared, child.kind, namespace);
    let before = memory.applied.get(&(child.kind, child.name.clone())).copied();
    let intent = intent(child);
    let known = shared.caches.lock().child(child.kind, namespace, &child.name).cloned();
    let found = match known {
        Some(meta) => Some(meta),
        // Without our labels it is not in the caches.
        None => match api.get_metadata_opt(&child.name).await {
            Ok(found) => found.map(|found| Meta::new(&found.metadata)),
            Err(error) => return refused("read", owner, child, error),
        },
    };
    match &found {
        Some(meta) if meta.deleting => return Ok(Outcome::Pending(leaving(namespace, child, meta))),
        Some(meta) if !meta.is_owned_by(owner.uid) && !meta.is_left_behind(&owner.key.name) => {
            return Ok(Outcome::Refused(taken(owner, child)));
        }
        Some(meta) if child.once && meta.is_owned_by(owner.uid) => {
            remember(memory, child, intent, meta.fingerprint);
            return Ok(Outcome::Unchanged);
        }
        Some(meta) if before.is_some_and(|it| it.intent == intent && it.fingerprint == meta.fingerprint) => {
            return Ok(Outcome::Unchanged);
        }
        _ => {}
    }
    let was = shared.caches.lock().children.version(&(child.kind, owner.key.sibling(&child.name)));
    let answer = match write(&api, child, found.is_some()).await {
        Ok(answer) => answer,
        Err(error) => return refused(if found.is_some() { "apply" } else { "create" }, owner, child, error),
    };
    let (is, ours) = (version(&answer.metadata), found.as_ref().map(|meta| meta.ours));
    let meta = take_in(shared, child.kind, namespace, answer);
    remember(memory, child, intent, meta.fingerprint);
    let name = format!("{} {namespace}/{}", kind(child.kind), child.name);
    Ok(match before {
        Some(_) if found.is_none() => Outcome::Corrected(format!("{name} was gone and is there again")),
        Some(before) if (before.intent == intent || child.once) && ours != Some(meta.ours) => {
            Outcome::Corrected(format!("{name} had been changed and is as it should be again"))
        }
        _ if was == Some(is) => Outcome::Unchanged,
        _ => Outcome::Done,
    })
}

/// Whether a child that was applied before is as it was then.
pub(crate) fn is_undisturbed(shared: &Shared, owner: Owner<'_>, memory: &Memory) -> bool {
    let cached = shared.caches.lock();
    let all_there = memory.applied.iter().all(|((kind, name), applied)| {
        let child = cached.child(*kind, &owner.key.namespace, name);
        child.is_some_and(|meta| {
            meta.is_owned_by(owner.uid) && (applied.once || meta.fingerprint == applied.fingerprint)
        })
    });
    let children = cached.owned(owner.key, owner.uid).into_iter().filter(|(_, _, meta)| !meta.deleting);
    all_there && children.count() == memory.applied.len() + memory.held
}

/// How many children there are that no pass has applied.
pub(crate) fn unapplied(shared: &Shared, owner: Owner<'_>, memory: &Memory) -> usize {
    let children = shared.caches.lock().owned(owner.key, owner.uid).into_iter();
    let is_applied = |kind: Kind, name: String| memory.applied.contains_key(&(kind, name));
    children.filter(|(kind, name, meta)| !meta.deleting && !is_applied(*kind, name.clone())).count()
}

/// Access to the objects of a kind in a namespace.
pub(crate) fn api(shared: &Shared, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(shared.client.clone(), namespace, &kind.resource())
}

async fn write(api: &Api<DynamicObject>, child: &Child, exists: bool) -> kube::Result<DynamicObject> {
    if child.once && exists {
        // It lacks its owner and nothing else.
        let metadata = json!({ "metadata": child.object["metadata"] });
        return api.patch(&child.name, &update(), &Patch::Merge(&metadata)).await;
    }
    if child.once {
        let object = serde_json::from_value(child.object.clone()).map_err(kube::Error::SerdeError)?;
        let params = PostParams { field_manager: Some(names::FIELD_MANAGER.into()), ..PostParams::default() };
        return api.create(&params, &object).await;
    }
    let params = PatchParams::apply(names::FIELD_MANAGER).force();
    let patch = Patch::Apply(&child.object);
    match api.patch(&child.name, &params, &patch).await {
        Err(kube::Error::Api(status)) if exists && status.code == 422 => {
            // Ours beside what others made of it may be what is refused: every list has to be ours as a whole first.
            api.patch(&child.name, &update(), &Patch::Merge(&content(child))).await?;
            api.patch(&child.name, &params, &patch).await
        }
        answer => answer,
    }
}

/// Everything of it but its metadata.
fn content(child: &Child) -> Value {
    let mut content = child.object.clone();
    if let Some(fields) = content.as_object_mut() {
        fields.remove("metadata");
    }
    content
}

fn update() -> PatchParams {
    PatchParams { field_manager: Some(names::FIELD_MANAGER.into()), ..PatchParams::default() }
}

/// Puts what the API server answered in the caches.
fn take_in(shared: &Shared, kind: Kind, namespace: &str, answer: DynamicObject) -> Meta {
    let (meta, version) = (Meta::new(&answer.metadata), version(&answer.metadata));
    let key = Key::new(namespace, answer.metadata.name.as_deref().unwrap_or_default());
    let workload = (kind == Kind::Deployment).then(|| answer.try_parse().ok()).flatten();
    let mut cached = shared.caches.lock();
    cached.put_child(kind, &key, version, meta.clone());
    if let Some(deployment) = workload {
        cached.workloads.put(key, version, Workload::new(&deployment));
    }
    meta
}

fn remember(memory: &mut Memory, child: &Child, intent: u64, fingerprint: u64) {
    let applied = Applied { intent, fingerprint, once: child.once };
    memory.applied.insert((child.kind, child.name.clone()), applied);
}

fn refused(verb: &str, owner: Owner<'_>, child: &Child, error: kube::Error) -> Result<Outcome, Error> {
    let action = format!("{verb} {} {}/{}", kind(child.kind), owner.key.namespace, child.name);
    match refusal(&action, error) {
        Refusal::Problem(problem) => Ok(Outcome::Refused(problem)),
        Refusal::Gone => {
            let (kind, namespace) = (kind(child.kind), &owner.key.namespace);
            Ok(Outcome::Pending(format!(
                "{kind} {namespace}/{} cannot be made: its namespace or its API goes away",
                child.name
            )))
        }
        Refusal::Passing(source) => Err(Error { action, source }),
    }
}

fn leaving(namespace: &str, child: &Child, meta: &Meta) -> String {
    let what = format!("{} {namespace}/{} is being deleted", kind(child.kind), child.name);
    match meta.finalizers.as_slice() {
        [] => format!("{what} and is made anew when it is gone"),
        held => format!(
            "{what} and held by finalizer {}: it is made anew when it is gone; let whoever set the finalizer take it \
             away, or do so yourself",
            held.join(", ")
        ),
    }
}

fn taken(owner: Owner<'_>, child: &Child) -> Problem {
    let (kind, namespace, name) = (kind(child.kind), &owner.key.namespace, &child.name);
    let message = format!(
        "{kind} {namespace}/{name} is there already and does not belong to this TopicGateway: \
         rename or delete it, or give the TopicGateway another name"
    );
    Problem { reason: Reason::Conflict, message }
}

/// A kind, as users know it.
pub(crate) fn kind(kind: Kind) -> String {
    kind.resource().kind
}

/// A number that stands for all that is applied.
pub(crate) fn intent(child: &Child) -> u64 {
    let mut hasher = DefaultHasher::new();
    child.object.to_string().hash(&mut hasher);
    hasher.finish()
}
