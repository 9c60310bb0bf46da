//! What to do about the Lease: pure, and without trust in anybody's wall clock.
//!
//! A holder writes to the Lease again and again. Others do not compare the time it writes with their own: they measure
//! with their own clock how long the Lease has stayed as it is. Clocks that disagree change nothing.

use std::time::{Duration, Instant};

use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};

/// How long a Lease counts after its last renewal.
pub(crate) const DURATION: Duration = Duration::from_secs(15);
/// A holder that could not renew for this long stops: well before others take the Lease after [`DURATION`].
pub(crate) const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Time between two looks at the Lease, and between two renewals.
pub(crate) const RETRY: Duration = Duration::from_secs(2);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nobody holds the Lease: take it.
    Acquire,
    /// It is held by us: renew it.
    Renew,
    /// Somebody else holds it: look again after this time.
    Wait(Duration),
}

/// What was seen of the Lease, and since when it has been so by our own clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    seen: Option<(Renewal, Instant)>,
}

/// What changes with every renewal.
#[derive(Debug, Clone, PartialEq)]
struct Renewal {
    holder: String,
    renewed: Option<MicroTime>,
    transitions: i32,
}

/// What to do about the Lease as it is now (`None`: there is none yet). `me` names this process and nobody else.
pub(crate) fn decide(lease: Option<&LeaseSpec>, me: &str, watch: &mut Watch, now: Instant) -> Decision {
    let Some(renewal) = lease.and_then(held) else {
        watch.seen = None;
        return Decision::Acquire;
    };
    if renewal.holder == me {
        watch.seen = None;
        return Decision::Renew;
    }
    let since = match &watch.seen {
        Some((seen, since)) if *seen == renewal => *since,
        _ => now,
    };
    watch.seen = Some((renewal, since));
    let lasts = lease.map_or(DURATION, duration);
    match lasts.checked_sub(now.saturating_duration_since(since)) {
        Some(left) if !left.is_zero() => Decision::Wait(left.min(RETRY)),
        _ => Decision::Acquire,
    }
}

/// When who renewed last at this time must have stopped.
pub(crate) fn last_moment(renewed: Instant) -> Instant {
    renewed + RENEW_DEADLINE
}

/// The Lease as `me` writes it to take or renew it. `now` is only for people to read.
pub(crate) fn taken(lease: Option<&LeaseSpec>, me: &str, now: MicroTime) -> LeaseSpec {
    let before = lease.cloned().unwrap_or_default();
    let mine = before.holder_identity.as_deref() == Some(me);
    let transitions = before.lease_transitions.unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: if mine { before.acquire_time } else { Some(now.clone()) },
        renew_time: Some(now),
        lease_transitions: Some(if mine || lease.is_none() {
            transitions
        } else {
            transitions.saturating_add(1)
        }),
        ..before
    }
}

/// The Lease as its holder leaves it, so that the next one need not wait.
pub(crate) fn released(lease: &LeaseSpec, now: MicroTime) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        renew_time: Some(now),
        ..lease.clone()
    }
}

/// `None` where nobody holds it.
fn held(lease: &LeaseSpec) -> Option<Renewal> {
    let holder = lease.holder_identity.clone().filter(|holder| !holder.is_empty())?;
    Some(Renewal {
        holder,
        renewed: lease.renew_time.clone(),
        transitions: lease.lease_transitions.unwrap_or_default(),
    })
}

/// What its holder says; an hour at most, whatever is written there.
fn duration(lease: &LeaseSpec) -> Duration {
    let seconds = lease.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(DURATION, |seconds| Duration::from_secs(seconds.min(3600)))
}

#[cfg(test)]
mod tests;
