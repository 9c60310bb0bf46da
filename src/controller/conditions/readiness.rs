//! Whether all is as it should be: the first thing that is not decides.

use super::{Verdict, names, pods, told, verdict};
use crate::controller::{
    observed::{DeploymentState, Observed, PodState},
    reason::Reason,
};

/// The verdict of the condition `Ready`.
pub(super) fn ready(observed: &Observed) -> Verdict {
    if observed.paused {
        return paused(observed);
    }
    let hindered = refused(observed).or_else(|| rejected(observed)).or_else(|| running(observed));
    hindered.or_else(|| reloading(observed)).unwrap_or_else(|| well(observed))
}

/// Whether what runs serves. Nothing is done about it.
fn paused(observed: &Observed) -> Verdict {
    let found = rejected(observed).or_else(|| running(observed)).unwrap_or_else(|| well(observed));
    let message = format!("Paused, take spec.paused away to go on; meanwhile: {}", found.message);
    verdict(found.status, Reason::Paused, message)
}

/// What does not lead anywhere or was not taken, that which waits for somebody first.
fn refused(observed: &Observed) -> Option<Verdict> {
    let problems: Vec<_> = observed.references.iter().chain(&observed.applying).cloned().collect();
    let first = problems.iter().find(|problem| problem.reason.waits_for_somebody()).or(problems.first())?;
    Some(verdict(false, first.reason, told(&problems)))
}

/// A pod that goes on with an older configuration, because it cannot take this one. What it says of one that is older
/// than this generation is out of date.
fn rejected(observed: &Observed) -> Option<Verdict> {
    let (pod, rejected) = observed.pods.iter().find_map(|pod| {
        let rejected = pod.report.as_ref()?.rejected.as_ref()?;
        let current = rejected.generation.is_none_or(|generation| generation >= observed.generation);
        current.then_some((pod, rejected))
    })?;
    let message = format!("Pod {} goes on with the configuration it has: {}", pod.name, rejected.message);
    Some(verdict(false, Reason::ConfigRejected, message))
}

/// What the Deployment lacks.
fn running(observed: &Observed) -> Option<Verdict> {
    let (name, wanted) = (&observed.name, observed.wanted);
    let waiting = |message| Some(verdict(false, Reason::WaitingForReplicas, message));
    let Some(deployment) = &observed.deployment else {
        return waiting(format!("There is no Deployment {name} yet"));
    };
    let DeploymentState { up_to_date, replicas, updated, ready, available, stuck } = deployment;
    if let (true, Some(stuck)) = (up_to_date, stuck) {
        let message = format!(
            "Deployment {name} has given up waiting, {} of {wanted} ready: {stuck}; look at the pods with kubectl \
             describe and kubectl logs",
            pods(*ready)
        );
        return Some(verdict(false, Reason::ProgressDeadlineExceeded, message));
    }
    if !up_to_date {
        return Some(verdict(
            false,
            Reason::RollingOut,
            format!("Deployment {name} has a new spec to follow"),
        ));
    }
    if replicas > updated {
        let message =
            format!("{} of {wanted} replaced, {} of the old left", pods(*updated), replicas - updated);
        return Some(verdict(false, Reason::RollingOut, message));
    }
    if *replicas != wanted && *replicas > 0 {
        return Some(verdict(false, Reason::Scaling, format!("{} there, {wanted} wanted", pods(*replicas))));
    }
    if *available < wanted {
        return waiting(format!("{} of {wanted} ready", pods(*available)));
    }
    None
}

/// Ready pods that have yet to load this generation. One that does not tell holds nothing up.
fn reloading(observed: &Observed) -> Option<Verdict> {
    let behind = |pod: &&PodState| {
        pod.ready && pod.report.as_ref().is_some_and(|report| report.generation < observed.generation)
    };
    let behind: Vec<_> = observed.pods.iter().filter(behind).collect();
    if behind.is_empty() {
        return None;
    }
    let message = format!("Generation {} is yet to be loaded by {}", observed.generation, names(&behind));
    Some(verdict(false, Reason::Reloading, message))
}

fn well(observed: &Observed) -> Verdict {
    let (reason, message) = if observed.wanted == 0 {
        (Reason::ScaledToZero, "No pod is wanted, and there is none".into())
    } else {
        (Reason::AllReplicasReady, format!("{} wanted and ready", pods(observed.wanted)))
    };
    let (mut message, missing): (String, _) = (message, observed.missing_apis.join(", "));
    if !missing.is_empty() {
        message = format!("{message}; not made, for the cluster lacks the API: {missing}");
    }
    for why in &observed.forbidden_apis {
        message = format!("{message}; not made: {why}");
    }
    verdict(true, reason, message)
}
