//! Deletes the children that are no longer wanted.

use kube::api::{DeleteParams, Preconditions};

use super::{
    apply::{self, Owner},
    kind::Kind,
    memory::Memory,
    observed::Problem,
    refusal::{Refusal, cause, refusal},
    shared::Shared,
};

/// Why a child could not be deleted for the time being.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {}", cause(source))]
pub(crate) struct Error {
    action: String,
    source: kube::Error,
}

/// Deletes what the gateway owns and no pass has applied since its spec changed. `wanted` tells which are to stay.
/// The result is what somebody has to be told.
pub(crate) async fn prune(
    shared: &Shared,
    owner: Owner<'_>,
    memory: &mut Memory,
    wanted: impl Fn(Kind, &str) -> bool,
) -> Result<Vec<Problem>, Error> {
    memory.applied.retain(|(kind, name), _| wanted(*kind, name));
    let children = shared.caches.lock().owned(owner.key, owner.uid);
    let mut problems = Vec::new();
    for (kind, name, meta) in
        children.into_iter().filter(|(kind, name, meta)| !meta.deleting && !wanted(*kind, name))
    {
        let action = format!("delete {} {}/{name}", apply::kind(kind), owner.key.namespace);
        // Never another object of the same name that came in the meantime.
        let preconditions = Preconditions { uid: Some(meta.uid), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        let deleted = apply::api(shared, kind, &owner.key.namespace).delete(&name, &params).await;
        match deleted.map_err(|error| refusal(&action, error)) {
            Ok(_) => {
                tracing::info!(gateway = %owner.key, child = %format!("{} {name}", apply::kind(kind)), "A child is no longer wanted.");
            }
            Err(Refusal::Gone) => {}
            Err(Refusal::Problem(problem)) => problems.push(problem),
            Err(Refusal::Passing(source)) => return Err(Error { action, source }),
        }
    }
    Ok(problems)
}
