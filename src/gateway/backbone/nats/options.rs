//! From the resource to the settings of the NATS client: what it subscribes to from the start, how it reconnects.

use std::{future::ready, time::Duration};

use async_nats::{ConnectOptions, Event};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{BackboneError, keys::Keys};
use crate::api::{Filter, NatsBackbone, SubscriptionMode};

/// Longest wait between two attempts to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// A server that is silent for three of these is taken for lost.
const PING: Duration = Duration::from_secs(5);
/// Operations that wait for the connection: more than can be in flight, so that the task never waits for room.
const OPERATIONS: usize = 32_768;

/// The client's settings; `events` is told what happens to the connection.
pub(super) fn options(
    spec: &NatsBackbone,
    keys: &Keys,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
) -> Result<ConnectOptions, BackboneError> {
    let login = keys.clone();
    Ok(ConnectOptions::with_auth_callback(move |nonce| ready(login.login(&nonce)))
        .name("topic-gateway")
        .retry_on_initial_connect()
        .client_capacity(OPERATIONS)
        .ping_interval(PING)
        .tls_client_config(keys.tls()?)
        .require_tls(spec.tls.is_some())
        .reconnect_delay_callback(move |attempt| wait(attempt, &cancel))
        .event_callback(move |event| {
            let events = events.clone();
            async move {
                // Fails when the backbone has ended, and then nobody needs to know.
                let _ = events.send(event).await;
            }
        }))
}

/// The settings of a client that connects at once or not at all.
pub(super) fn once(spec: &NatsBackbone, keys: &Keys) -> Result<ConnectOptions, BackboneError> {
    let login = keys.clone();
    Ok(ConnectOptions::with_auth_callback(move |nonce| ready(login.login(&nonce)))
        .name("topic-gateway-controller")
        .max_reconnects(1)
        .tls_client_config(keys.tls()?)
        .require_tls(spec.tls.is_some()))
}

/// The feeds of `Wildcard` mode.
pub(super) fn pins(spec: &NatsBackbone) -> Vec<Filter> {
    if spec.subscription == SubscriptionMode::PerTopic { Vec::new() } else { widest(spec) }
}

/// The entries of `subjects`, in topics: what no other entry covers, widest first.
pub(super) fn widest(spec: &NatsBackbone) -> Vec<Filter> {
    let prefix = spec.subject_prefix.trim_end_matches('.');
    let below: Vec<_> = spec.subjects.iter().filter_map(|subject| subject.below(prefix)).collect();
    let first_of = |index: usize| {
        let own = &below[index];
        !below.iter().enumerate().any(|(at, other)| other.covers(own) && (at < index || !own.covers(other)))
    };
    (0..below.len())
        .filter(|index| first_of(*index))
        .filter_map(|index| below[index].as_str().parse().ok())
        .collect()
}

/// Doubles from 50 ms up to [`LONGEST_WAIT`], with half of it left to chance so that gateways do not come at once.
/// The client tries for ever and cannot be told to stop, so that after the end it is put to sleep for good.
fn wait(attempt: usize, cancel: &CancellationToken) -> Duration {
    if cancel.is_cancelled() {
        return Duration::MAX;
    }
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    let longest = (Duration::from_millis(50) * 2_u32.pow(doublings)).min(LONGEST_WAIT);
    longest.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_to_two_seconds_and_is_for_good_after_the_end() {
        let cancel = CancellationToken::new();
        for (attempt, longest) in [(0, 50), (1, 50), (2, 100), (4, 400), (7, 2_000), (usize::MAX, 2_000)] {
            let longest = Duration::from_millis(longest);
            let wait = wait(attempt, &cancel);
            assert!(wait <= longest && wait >= longest / 2, "attempt {attempt}: {wait:?}");
        }
        cancel.cancel();
        assert_eq!(wait(1, &cancel), Duration::MAX);
    }

    #[test]
    fn wildcard_mode_subscribes_to_what_no_other_entry_covers() {
        for (mode, prefix, subjects, expected) in [
            (SubscriptionMode::PerTopic, "", vec![">"], vec![]),
            (SubscriptionMode::Wildcard, "", vec!["a.>", "b.*", "a.b", "a.>"], vec!["a.>", "b.*"]),
            (SubscriptionMode::Wildcard, "", vec!["a.b", "a.*"], vec!["a.*"]),
            (SubscriptionMode::Wildcard, "acme.", vec![">", "other.>"], vec![">"]),
            (SubscriptionMode::Wildcard, "acme", vec!["acme.a.*", "acme.b", "*.b"], vec!["a.*", "b"]),
        ] {
            let spec = NatsBackbone {
                subscription: mode,
                subject_prefix: prefix.into(),
                subjects: subjects.iter().map(|subject| subject.parse().unwrap()).collect(),
                ..super::super::tests::spec(&[])
            };
            let pins: Vec<_> = pins(&spec).iter().map(ToString::to_string).collect();
            assert_eq!(pins, expected, "{subjects:?} below {prefix:?}");
        }
    }
}
