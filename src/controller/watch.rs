//! Keeps the caches in step with the API server, and says which gateways a change concerns.
//!
//! | what | of which only | concerns |
//! |---|---|---|
//! | `TopicGateway`s | those that can be read; the others are told of and stop nobody | itself |
//! | children | metadata, with our labels | the owner, and whom the labels name |
//! | Deployments | whole, with our labels | the same |
//! | pods | whole, with our labels | the gateway |
//! | Secrets | metadata, all | those that refer to it; the owner where it is a child |
//!
//! One watch for each namespace, or one for the cluster. All of them run in every controller, so that whoever becomes
//! the leader knows everything already.

mod intake;

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _, pin_mut};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, PartialObjectMeta},
    core::{DynamicResourceScope, NamespaceResourceScope},
    runtime::watcher::{self, Config, Event, watcher},
};
use serde::de::DeserializeOwned;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::intake::{Children, Gateways, Intake, Pods, SecretVersions, Workloads};
use super::{cache, kind::Kind, names, queue::Key, reason::Reason, refusal::cause, shared::Shared};
use crate::api::TopicGateway;

/// Waits after a failure: doubling from the first to the longest, half of it left to chance.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Starts every watch that passes depend on.
pub(crate) fn start(shared: &Arc<Shared>, tasks: &TaskTracker, stop: &CancellationToken) {
    for scope in shared.scopes() {
        let scope = scope.as_deref();
        let start = Start { shared, tasks, stop, scope, optional: None };
        let ours = || Config::default().labels(&names::children_selector());
        let gateways = dynamic::<DynamicObject>(shared, scope, &ApiResource::erase::<TopicGateway>(&()));
        start.watch(watcher(gateways, Config::default()), Gateways, nothing);
        start.watch(watcher(typed::<Deployment>(shared, scope), ours()), Workloads, nothing);
        start.watch(watcher(typed::<Pod>(shared, scope), ours()), Pods, nothing);
        let secrets = metadata(shared, scope, &Kind::Secret.resource());
        start.watch(watcher(secrets, Config::default()), SecretVersions, nothing);
        let others = Kind::ALL.into_iter().filter(|kind| !kind.is_optional());
        for kind in others.filter(|kind| !matches!(kind, Kind::Deployment | Kind::Secret)) {
            start.watch(watcher(metadata(shared, scope, &kind.resource()), ours()), Children(kind), nothing);
        }
    }
}

fn nothing() {}

/// Starts the watches of an optional kind. Each of them calls `synced` when it has told all there is.
pub(crate) fn start_optional(
    shared: &Arc<Shared>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
    kind: Kind,
    synced: &Arc<dyn Fn() + Send + Sync>,
) {
    for scope in shared.scopes() {
        let scope = scope.as_deref();
        let config = Config::default().labels(&names::children_selector());
        let (events, synced) = (watcher(metadata(shared, scope, &kind.resource()), config), synced.clone());
        let start = Start { shared, tasks, stop, scope, optional: Some(kind) };
        start.watch(events, Children(kind), move || synced());
    }
}

/// An optional kind is there no more: nobody waits for its watches.
pub(crate) fn forget_optional(shared: &Shared, kind: Kind) {
    for scope in shared.scopes() {
        shared.health.forget(&name_of(&Children(kind).name(), scope.as_deref()));
    }
}

struct Start<'a> {
    shared: &'a Arc<Shared>,
    tasks: &'a TaskTracker,
    stop: &'a CancellationToken,
    scope: Option<&'a str>,
    /// A kind that the controller can do without.
    optional: Option<Kind>,
}

impl Start<'_> {
    /// Starts a watch that must have told all there is before the controller is ready, unless the controller can do
    /// without the kind and may not watch it.
    fn watch<K, I>(
        &self,
        events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
        intake: I,
        synced: impl Fn() + Send + Sync + 'static,
    ) where
        K: Resource + Send + Sync + 'static,
        I: Intake<K>,
    {
        let name = name_of(&intake.name(), self.scope);
        self.shared.health.expect(&name);
        let (shared, stop, scope) = (self.shared.clone(), self.stop.clone(), self.scope.map(str::to_owned));
        let optional = self.optional;
        self.tasks.spawn(async move {
            let what = intake.name();
            let told = |state: Told| match state {
                Told::Synced => {
                    shared.health.synced(&name);
                    synced();
                }
                Told::Works => shared.health.works(&name),
                Told::Failed(error) => match (optional, status_code(&error)) {
                    (Some(kind), Some(403)) => forgo(&shared, kind, &name, &explain(&what, &error)),
                    (_, code) => shared.health.failed(&name, &explain(&what, &error), code == Some(404)),
                },
            };
            stop.run_until_cancelled(follow(&shared, events, intake, scope, told)).await;
        });
    }
}

/// Goes on without a kind that may not be watched, until it may be: the watch tries again by itself.
fn forgo(shared: &Shared, kind: Kind, watch: &str, why: &str) {
    shared.health.forget(watch);
    if shared.apis.forbid(kind, why) {
        tracing::warn!(watch, reason = why, "The controller does without an optional API.");
        shared.metrics.problem(Reason::Forbidden);
        shared.all_soon();
    }
}

fn name_of(what: &str, scope: Option<&str>) -> String {
    scope.map_or_else(|| what.to_owned(), |namespace| format!("{what} in {namespace}"))
}

/// How a watch is.
enum Told {
    /// It has told all there is.
    Synced,
    /// It tells something, after it had failed.
    Works,
    /// It fails and tries again.
    Failed(watcher::Error),
}

/// Follows a watch for ever. A watch that begins anew tells all there is; what it no longer has is taken out.
async fn follow<K: Resource>(
    shared: &Shared,
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    intake: impl Intake<K>,
    scope: Option<String>,
    told: impl Fn(Told),
) {
    pin_mut!(events);
    let (mut wait, mut failing) = (FIRST_WAIT, false);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => {
                intake.doubt(&mut shared.caches.lock(), scope.as_deref());
                // Nothing has been asked of the API server yet.
                continue;
            }
            Ok(Event::InitApply(object) | Event::Apply(object)) => put(shared, &intake, object),
            Ok(Event::Delete(object)) => {
                remove(shared, &intake, &key_of(&object), cache::version(object.meta()));
            }
            Ok(Event::InitDone) => {
                let gone = intake.doubtful(&shared.caches.lock(), scope.as_deref());
                for key in gone {
                    remove(shared, &intake, &key, 0);
                }
                told(Told::Synced);
            }
            Err(error) => {
                failing = true;
                told(Told::Failed(error));
                tokio::time::sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                continue;
            }
        }
        wait = FIRST_WAIT;
        if std::mem::take(&mut failing) {
            told(Told::Works);
        }
    }
}

fn put<K>(shared: &Shared, intake: &impl Intake<K>, object: K) {
    let concerned = intake.put(&mut shared.caches.lock(), object);
    for key in concerned {
        shared.schedule.soon(key);
    }
}

fn remove<K>(shared: &Shared, intake: &impl Intake<K>, key: &Key, version: u64) {
    let concerned = intake.remove(&mut shared.caches.lock(), key, version);
    for key in concerned {
        shared.schedule.soon(key);
    }
}

fn key_of(object: &impl Resource) -> Key {
    let metadata = object.meta();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    Key { namespace: text(&metadata.namespace), name: text(&metadata.name) }
}

fn typed<K>(shared: &Shared, scope: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
{
    match scope {
        None => Api::all(shared.client.clone()),
        Some(namespace) => Api::namespaced(shared.client.clone(), namespace),
    }
}

fn metadata(
    shared: &Shared,
    scope: Option<&str>,
    resource: &ApiResource,
) -> Api<PartialObjectMeta<DynamicObject>> {
    dynamic(shared, scope, resource)
}

fn dynamic<K>(shared: &Shared, scope: Option<&str>, resource: &ApiResource) -> Api<K>
where
    K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
{
    match scope {
        None => Api::all_with(shared.client.clone(), resource),
        Some(namespace) => Api::namespaced_with(shared.client.clone(), namespace, resource),
    }
}

fn status_code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

/// What fails and what to do.
fn explain(what: &str, error: &watcher::Error) -> String {
    match status_code(error) {
        Some(404) => format!(
            "the cluster does not know {what}: apply the definition, as `topic-gateway crd | kubectl apply --server-side -f -`"
        ),
        Some(403) => {
            format!("the controller may not list and watch {what}: grant it to its ServiceAccount ({error})")
        }
        Some(_) => format!("the API server does not answer: {error}"),
        None => format!("the API server does not answer: {}", cause(error)),
    }
}
