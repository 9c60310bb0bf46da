//! Whether all is as it should be: the first thing that is not decides.

use super::{Verdict, names, pods, told, verdict};
use crate::api::RejectedConfig;
use crate::controller::{
    observed::{DeploymentState, Hindrance, Observed, PodState},
    reason::Reason,
};

/// The verdict of the condition `Ready`.
pub(super) fn ready(observed: &Observed) -> Verdict {
    if observed.paused {
        return paused(observed);
    }
    let hindered = refused(observed).or_else(|| leaving(observed)).or_else(|| rejected(observed));
    hindered.or_else(|| running(observed)).or_else(|| reloading(observed)).unwrap_or_else(|| well(observed))
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

/// A child that clients need and that has to be gone before it can be made anew.
fn leaving(observed: &Observed) -> Option<Verdict> {
    let needed: Vec<_> = observed.leaving.iter().filter(|leaving| leaving.serves).collect();
    let messages: Vec<_> = needed.iter().map(|leaving| leaving.message.as_str()).collect();
    (!needed.is_empty()).then(|| verdict(false, Reason::WaitingForDeletion, messages.join("; ")))
}

/// Why a pod goes on with an older configuration, because it cannot take this one. What it says of one that is older
/// than this generation is out of date.
fn rejects<'a>(pod: &'a PodState, observed: &Observed) -> Option<&'a RejectedConfig> {
    let rejected = pod.report.as_ref()?.rejected.as_ref()?;
    let current = rejected.generation.is_none_or(|generation| generation >= observed.generation);
    current.then_some(rejected)
}

/// A pod that does not take this configuration, and will not by itself.
fn rejected(observed: &Observed) -> Option<Verdict> {
    let mut pods = observed.pods.iter().filter(|pod| !pod.may_take);
    let (pod, rejected) = pods.find_map(|pod| Some((pod, rejects(pod, observed)?)))?;
    let message = format!("Pod {} goes on with the configuration it has: {}", pod.name, rejected.message);
    Some(verdict(false, Reason::ConfigRejected, message))
}

/// What the Deployment lacks.
fn running(observed: &Observed) -> Option<Verdict> {
    let (name, wanted) = (&observed.name, observed.wanted);
    let why = why(observed).map_or_else(String::new, |why| format!("; {why}"));
    let waiting = |message| Some(verdict(false, Reason::WaitingForReplicas, message));
    let Some(deployment) = &observed.deployment else {
        return waiting(format!("There is no Deployment {name} yet"));
    };
    let DeploymentState { up_to_date, replicas, updated, ready, available, stuck, .. } = deployment;
    if let (true, Some(stuck)) = (up_to_date, stuck) {
        let message = format!(
            "Deployment {name} has given up waiting, {} of {wanted} ready: {stuck}{}",
            pods(*ready),
            if why.is_empty() { "; look at the pods with kubectl describe and kubectl logs" } else { &why }
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
            format!("{} of {wanted} replaced, {} of the old left{why}", pods(*updated), replicas - updated);
        return Some(verdict(false, Reason::RollingOut, message));
    }
    if *replicas != wanted && *replicas > 0 {
        let message = format!("{} there, {wanted} wanted{why}", pods(*replicas));
        return Some(verdict(false, Reason::Scaling, message));
    }
    if *available < wanted {
        return waiting(format!("{} of {wanted} ready{why}", pods(*available)));
    }
    None
}

/// Why pods are not there or do not run, and what to do: the first cause that is known.
fn why(observed: &Observed) -> Option<String> {
    if let Some(refused) = observed.deployment.as_ref().and_then(|deployment| deployment.refused.as_ref()) {
        return Some(format!(
            "its pods are refused: {refused}; lift the quota or policy that forbids them, or change spec.pod"
        ));
    }
    let (pod, hindrance) = observed.pods.iter().find_map(|pod| Some((pod, pod.hindrance.as_ref()?)))?;
    let (name, Hindrance { reason, message }) = (&pod.name, hindrance);
    let said = if message.is_empty() { reason.clone() } else { format!("{reason}: {message}") };
    let next = match reason.as_str() {
        "Unschedulable" => "make room on a node, or change what spec.pod asks of nodes".into(),
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            "look at spec.pod.image and spec.pod.imagePullSecrets".into()
        }
        "CrashLoopBackOff" => format!("look at kubectl logs {name} --previous"),
        _ => format!("look at kubectl describe pod {name}"),
    };
    Some(format!("pod {name} does not run, {said}; {next}"))
}

/// Ready pods that have yet to load this generation or its Secrets. One that does not tell holds nothing up.
fn reloading(observed: &Observed) -> Option<Verdict> {
    let behind = |pod: &&PodState| {
        let older = pod.report.as_ref().is_some_and(|report| report.generation < observed.generation);
        pod.ready && (older || rejects(pod, observed).is_some())
    };
    let behind: Vec<_> = observed.pods.iter().filter(behind).collect();
    if behind.is_empty() {
        return None;
    }
    let mut message = format!("Generation {} is yet to be loaded by {}", observed.generation, names(&behind));
    if let Some((pod, rejected)) = behind.iter().find_map(|pod| Some((pod, rejects(pod, observed)?))) {
        message = format!("{message}; pod {} waits: {}", pod.name, rejected.message);
    }
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
