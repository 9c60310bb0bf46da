//! Which optional APIs the cluster has. They come and go while the controller runs, so that it looks again and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kube::Client;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{kind::Kind, refusal::cause, shared::Shared, watch};

/// In logs and at `/readyz`.
pub(crate) const NAME: &str = "optional APIs";
/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(30);
/// Until the next look after one that failed.
const RETRY: Duration = Duration::from_secs(5);

/// The optional kinds that are there.
#[derive(Debug, Default)]
pub(crate) struct Apis(Mutex<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    /// Those whose children are known.
    available: BTreeSet<Kind>,
    /// Those that the controller may not watch, with what to grant.
    forbidden: BTreeMap<Kind, String>,
}

impl Apis {
    /// Those whose children are known.
    pub(crate) fn available(&self) -> BTreeSet<Kind> {
        self.kinds().available.clone()
    }

    /// Those that are there and that the controller may not watch, with what to grant. It does without them.
    pub(crate) fn forbidden(&self) -> BTreeMap<Kind, String> {
        self.kinds().forbidden.clone()
    }

    /// A kind may not be watched; whether that is new. Where it could be before, its children stay known.
    pub(crate) fn forbid(&self, kind: Kind, why: &str) -> bool {
        let mut kinds = self.kinds();
        !kinds.available.contains(&kind) && kinds.forbidden.insert(kind, why.into()).is_none()
    }

    fn set(&self, kind: Kind, there: bool) {
        let mut kinds = self.kinds();
        kinds.forbidden.remove(&kind);
        if there {
            kinds.available.insert(kind)
        } else {
            kinds.available.remove(&kind)
        };
    }

    fn kinds(&self) -> MutexGuard<'_, Kinds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks for ever, and watches the children of the kinds that are there.
pub(crate) async fn follow(shared: Arc<Shared>, tasks: TaskTracker, stop: CancellationToken) {
    let mut watched: BTreeMap<Kind, CancellationToken> = BTreeMap::new();
    loop {
        let wait = match probe(&shared.client).await {
            Ok(there) => {
                let new: Vec<_> = there.iter().filter(|kind| !watched.contains_key(kind)).copied().collect();
                for kind in new {
                    tracing::info!(api = name(kind), "The cluster has an optional API.");
                    let own = stop.child_token();
                    watch::start_optional(&shared, &tasks, &own, kind, &on_synced(&shared, kind));
                    watched.insert(kind, own);
                }
                let lost: Vec<_> = watched.keys().filter(|kind| !there.contains(kind)).copied().collect();
                for kind in lost {
                    tracing::info!(api = name(kind), "The cluster no longer has an optional API.");
                    if let Some(own) = watched.remove(&kind) {
                        own.cancel();
                    }
                    forget(&shared, kind);
                }
                shared.health.synced(NAME);
                INTERVAL
            }
            Err(error) => {
                shared.health.failed(
                    NAME,
                    &format!("the API server does not answer: {}", cause(&error)),
                    false,
                );
                RETRY
            }
        };
        tokio::time::sleep(wait.mul_f64(0.9 + rand::random::<f64>() / 5.0)).await;
    }
}

/// An API counts as there once the watches of every namespace have told all there is of it.
fn on_synced(shared: &Arc<Shared>, kind: Kind) -> Arc<dyn Fn() + Send + Sync> {
    let (shared, missing) = (shared.clone(), AtomicUsize::new(shared.scopes().len()));
    Arc::new(move || {
        // A watch tells again whenever it begins anew.
        if missing.try_update(Ordering::Relaxed, Ordering::Relaxed, |missing| missing.checked_sub(1)) == Ok(1)
        {
            shared.apis.set(kind, true);
            shared.all_soon();
        }
    })
}

fn forget(shared: &Shared, kind: Kind) {
    shared.apis.set(kind, false);
    watch::forget_optional(shared, kind);
    let mut cached = shared.caches.lock();
    cached.children.doubt(|(known, _)| *known == kind);
    for (_, key) in cached.children.doubtful(|(known, _)| *known == kind) {
        cached.remove_child(kind, &key, 0);
    }
    drop(cached);
    shared.all_soon();
}

/// An optional API, as users know it.
pub(crate) fn name(kind: Kind) -> String {
    let resource = kind.resource();
    format!("{} {}", resource.api_version, resource.kind)
}

async fn probe(client: &Client) -> kube::Result<BTreeSet<Kind>> {
    let mut there = BTreeSet::new();
    let mut groups: BTreeMap<String, Vec<Kind>> = BTreeMap::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_optional()) {
        groups.entry(kind.resource().api_version).or_default().push(kind);
    }
    for (group, kinds) in groups {
        match client.list_api_group_resources(&group).await {
            Ok(found) => {
                let has =
                    |kind: &Kind| found.resources.iter().any(|found| found.name == kind.resource().plural);
                there.extend(kinds.into_iter().filter(has));
            }
            // Whole groups are unknown in words of their own, without a reason.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(there)
}
