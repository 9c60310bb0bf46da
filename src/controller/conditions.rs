//! From what was seen to the conditions of the status: pure, and the same words for the same state.
//!
//! | type | True when |
//! |---|---|
//! | `Ready` | every wanted pod serves, with the configuration of this generation |
//! | `Available` | as many pods serve as the disruption budget asks for, at least one |
//! | `ResolvedRefs` | every Secret referred to is there and holds what it should |
//! | `BackboneConnected` | every pod that tells is connected to the backbone |
//! | `Reconciling` | work is under way that will end by itself |
//! | `Stalled` | nothing goes on until somebody changes something |
//!
//! Every type is there from the first visit on. `Ready`, `Reconciling` and `Stalled` mean what kstatus takes them for
//! (`kubectl wait`, `helm --wait`, Flux): never are both of the latter True, and while one of them is, `Ready` is not.
//! Only while a child that no client needs has to be gone before it is made anew, both `Ready` and `Reconciling` are.
//!
//! A pod that cannot be asked counts as its readiness says: it holds nothing up. While `spec.paused` is set, `Ready`
//! goes on to tell whether what runs serves, with the reason `Paused`; that the spec has moved on since is no fault
//! then, and neither Secrets nor refused children are looked at for it.

mod readiness;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use super::{
    observed::{Observed, PodState, Problem},
    reason::Reason,
    streams::Outcome,
};
use crate::api::{Feed, GatewayReport};
use readiness::ready;

/// Names of pods in a message; more are counted.
const NAMES: usize = 3;
/// Characters of a message. The API allows 32768; this is as much as one reads.
const LONGEST: usize = 1024;

/// Status, reason and message of one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    /// `None`: not known.
    status: Option<bool>,
    reason: Reason,
    message: String,
}

fn verdict(status: impl Into<Option<bool>>, reason: Reason, message: impl Into<String>) -> Verdict {
    Verdict { status: status.into(), reason, message: message.into() }
}

/// All conditions, always of the same types and in the same order. One whose status is as in `previous` keeps its
/// transition time; the others have turned `now`.
pub(crate) fn conditions(observed: &Observed, previous: &[Condition], now: Timestamp) -> Vec<Condition> {
    let ready = ready(observed);
    let verdicts = [
        ("Available", available(observed)),
        ("BackboneConnected", backbone_connected(observed)),
        ("Ready", ready.clone()),
        ("Reconciling", reconciling(observed, &ready)),
        ("ResolvedRefs", resolved_refs(observed)),
        ("Stalled", stalled(observed, &ready)),
    ];
    let condition = |(name, verdict)| condition(name, verdict, observed.generation, previous, now);
    verdicts.into_iter().map(condition).collect()
}

fn condition(
    name: &str,
    verdict: Verdict,
    generation: i64,
    previous: &[Condition],
    now: Timestamp,
) -> Condition {
    let status = verdict.status.map_or("Unknown", |holds| if holds { "True" } else { "False" });
    let before = previous.iter().find(|before| before.type_ == name && before.status == status);
    Condition {
        type_: name.into(),
        status: status.into(),
        reason: verdict.reason.as_str().into(),
        message: shortened(verdict.message),
        observed_generation: Some(generation),
        last_transition_time: before.map_or(Time(now), |before| before.last_transition_time.clone()),
    }
}

fn available(observed: &Observed) -> Verdict {
    if observed.wanted == 0 {
        return verdict(false, Reason::ScaledToZero, "No pod is wanted, so nobody can connect");
    }
    let available = observed.deployment.as_ref().map_or(0, |deployment| deployment.available);
    let minimum = observed.minimum.max(1);
    let message = format!("{} must serve, {available} {}", pods(minimum), does(available));
    if available >= minimum {
        verdict(true, Reason::MinimumReplicasAvailable, message)
    } else {
        verdict(false, Reason::MinimumReplicasUnavailable, message)
    }
}

fn resolved_refs(observed: &Observed) -> Verdict {
    let references = &observed.references;
    let Some(first) = references.first() else {
        return verdict(true, Reason::ResolvedRefs, "Every Secret that is referred to holds what it should");
    };
    // What is surely wrong goes before what could not be looked up.
    let wrong = [Reason::SecretNotFound, Reason::KeyMissing, Reason::InvalidKey, Reason::InvalidCertificate];
    match references.iter().find(|problem| wrong.contains(&problem.reason)) {
        Some(wrong) => verdict(false, wrong.reason, told(references)),
        None => verdict(None, first.reason, told(references)),
    }
}

fn backbone_connected(observed: &Observed) -> Verdict {
    let tell: Vec<_> = observed.pods.iter().filter_map(|pod| Some((pod, pod.report.as_ref()?))).collect();
    let kept = observed.stream.as_ref();
    if tell.is_empty()
        && let Some(Err(why)) = kept
    {
        return verdict(
            false,
            Reason::StreamUnavailable,
            format!("The stream could not be looked after: {why}"),
        );
    }
    if tell.is_empty() && observed.wanted == 0 {
        return verdict(None, Reason::ScaledToZero, "No pod is wanted, so none can tell");
    }
    if tell.is_empty() {
        return verdict(None, Reason::NoReport, "No pod tells yet whether it is connected");
    }
    let apart: Vec<_> =
        tell.iter().filter(|(_, report)| !report.backbone_connected).map(|(pod, _)| *pod).collect();
    if apart.is_empty() {
        let without = tell.iter().find_map(|(pod, report)| Some((pod, report.stream_trouble.as_ref()?)));
        return match without {
            // One that is only slow is used all the same.
            Some((pod, trouble)) if tell.iter().all(|(_, report)| report.feed == Feed::Core) => {
                let message = format!("Pod {} has no stream: {trouble}{}", pod.name, of_stream(kept));
                verdict(false, Reason::StreamUnavailable, message)
            }
            _ => verdict(true, Reason::Connected, connected(&tell, kept)),
        };
    }
    let message = format!(
        "Not connected to the backbone: {}; look at the servers in spec.backbone.nats, at the credentials and at \
         network policies, and in the pods' logs for what NATS answers",
        names(&apart)
    );
    verdict(false, Reason::NotConnected, message)
}

/// How messages come, and what is not as it should be though they do.
fn connected(tell: &[(&PodState, &GatewayReport)], kept: Option<&Outcome>) -> String {
    let feed = if tell.iter().any(|(_, report)| report.feed == Feed::Notice) {
        "; messages are noticed and then read from the stream one by one: have it publish them again (RePublish) to \
         spare NATS the work"
    } else if tell.iter().any(|(_, report)| report.feed == Feed::RePublish) {
        "; messages come as the stream publishes them again (RePublish)"
    } else {
        ""
    };
    let trouble = tell.iter().find_map(|(_, report)| report.stream_trouble.as_deref());
    let trouble = trouble.map(|trouble| format!("; {trouble}")).unwrap_or_default();
    format!("Every pod that tells is connected to the backbone{feed}{trouble}{}", of_stream(kept))
}

/// What came of looking after the stream, behind something else.
fn of_stream(kept: Option<&Outcome>) -> String {
    match kept {
        Some(Err(why)) => format!("; the stream could not be looked after: {why}"),
        Some(Ok(kept)) if !kept.left.is_empty() => format!("; {}", kept.left.join("; ")),
        _ => String::new(),
    }
}

/// Work goes on by itself while it is not ready for a reason that passes.
fn reconciling(observed: &Observed, ready: &Verdict) -> Verdict {
    if observed.paused {
        return verdict(false, Reason::Paused, "spec.paused is set, nothing is changed");
    }
    match ready.status {
        Some(true) => match observed.leaving.first() {
            Some(leaving) => verdict(true, Reason::WaitingForDeletion, leaving.message.clone()),
            None => verdict(false, Reason::Settled, "Everything is as the spec wants it"),
        },
        _ if ready.reason.waits_for_somebody() => {
            verdict(false, ready.reason, "Waits for a change, see the condition Stalled")
        }
        _ => verdict(true, ready.reason, ready.message.clone()),
    }
}

fn stalled(observed: &Observed, ready: &Verdict) -> Verdict {
    if observed.paused {
        return verdict(false, Reason::Paused, "spec.paused is set, nothing is changed");
    }
    match ready.status {
        Some(true) => verdict(false, Reason::Settled, "Nothing is in the way"),
        _ if ready.reason.waits_for_somebody() => verdict(true, ready.reason, ready.message.clone()),
        _ => verdict(false, ready.reason, "Work goes on, see the condition Reconciling"),
    }
}

/// Every message, once.
fn told(problems: &[Problem]) -> String {
    let mut messages: Vec<&str> = Vec::new();
    for problem in problems {
        if !messages.contains(&problem.message.as_str()) {
            messages.push(&problem.message);
        }
    }
    messages.join("; ")
}

/// At most [`NAMES`] of them, and how many more.
fn names(of: &[&PodState]) -> String {
    let shown: Vec<_> = of.iter().take(NAMES).map(|pod| pod.name.as_str()).collect();
    let (shown, more) = (shown.join(", "), of.len().saturating_sub(NAMES));
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn pods(count: i32) -> String {
    if count == 1 { "1 pod".into() } else { format!("{count} pods") }
}

fn does(count: i32) -> &'static str {
    if count == 1 { "does" } else { "do" }
}

fn shortened(mut message: String) -> String {
    if let Some((at, _)) = message.char_indices().nth(LONGEST) {
        message.truncate(at);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests;
