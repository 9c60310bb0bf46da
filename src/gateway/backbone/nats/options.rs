//! From the resource to the settings of the NATS client: credentials, TLS, how it reconnects.

use std::{sync::Arc, time::Duration};

use async_nats::{ConnectOptions, Event};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::BackboneError;
use crate::api::{Filter, NatsBackbone, NatsTls, SecretKeyRef, SecretRef, Secrets, SubscriptionMode};

/// Longest wait between two attempts to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// A server that is silent for three of these is taken for lost.
const PING: Duration = Duration::from_secs(5);
/// Operations that wait for the connection: more than can be in flight, so that the task never waits for room.
const OPERATIONS: usize = 32_768;

/// The client's settings; `events` is told what happens to the connection.
pub(super) fn options(
    spec: &NatsBackbone,
    secrets: &Secrets,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
) -> Result<ConnectOptions, BackboneError> {
    let options = ConnectOptions::new()
        .name("topic-gateway")
        .retry_on_initial_connect()
        .client_capacity(OPERATIONS)
        .ping_interval(PING)
        .tls_client_config(tls(spec.tls.as_ref(), secrets)?)
        .require_tls(spec.tls.is_some())
        .reconnect_delay_callback(move |attempt| wait(attempt, &cancel))
        .event_callback(move |event| {
            let events = events.clone();
            async move {
                // Fails when the backbone has ended, and then nobody needs to know.
                let _ = events.send(event).await;
            }
        });
    credentials(options, spec, secrets)
}

/// The feeds of `Wildcard` mode, in topics: what no other entry covers, widest first.
pub(super) fn pins(spec: &NatsBackbone) -> Vec<Filter> {
    if spec.subscription == SubscriptionMode::PerTopic {
        return Vec::new();
    }
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

fn credentials(
    options: ConnectOptions,
    spec: &NatsBackbone,
    secrets: &Secrets,
) -> Result<ConnectOptions, BackboneError> {
    if let Some(reference) = &spec.credentials_secret_ref {
        // The client only finds the seed where a line end stands behind it.
        let parsed = options.credentials(&format!("{}\n", text(secrets, reference)?));
        return parsed.map_err(|_| value(reference, "is not a NATS credentials file (user JWT and seed)"));
    }
    if let Some(reference) = &spec.nkey_secret_ref {
        let seed = text(secrets, reference)?;
        if seed.len() != 58 || !seed.starts_with("SU") {
            return Err(value(reference, "is not the nkey seed of a user (SU and 56 characters more)"));
        }
        return Ok(options.nkey(seed.into()));
    }
    if let Some(reference) = &spec.token_secret_ref {
        return Ok(options.token(text(secrets, reference)?.into()));
    }
    if let Some(reference) = &spec.user_password_secret_ref {
        let [user, password] =
            ["username", "password"].map(|name| text(secrets, &key(reference, name)).map(String::from));
        return Ok(options.user_and_password(user?, password?));
    }
    Ok(options)
}

fn tls(spec: Option<&NatsTls>, secrets: &Secrets) -> Result<ClientConfig, BackboneError> {
    let spec = spec.cloned().unwrap_or_default();
    let mut roots = RootCertStore::empty();
    match &spec.ca_secret_ref {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(reference) => {
            for certificate in certificates(secrets, reference)? {
                roots
                    .add(certificate)
                    .map_err(|error| value(reference, &format!("is no CA certificate: {error}")))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BackboneError::Tls(error.to_string()))?
        .with_root_certificates(roots);
    let Some(reference) = &spec.client_certificate_secret_ref else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(secrets, &key(reference, "tls.crt"))?;
    let private = key(reference, "tls.key");
    let bytes = secrets.key(&private)?;
    let private =
        PrivateKeyDer::from_pem_slice(bytes).map_err(|_| value(&private, "holds no private key in PEM"))?;
    builder.with_client_auth_cert(chain, private).map_err(|error| {
        BackboneError::Tls(format!(
            "certificate and key in Secret {:?} do not go together: {error}",
            reference.name
        ))
    })
}

fn certificates(
    secrets: &Secrets,
    reference: &SecretKeyRef,
) -> Result<Vec<CertificateDer<'static>>, BackboneError> {
    let pem = CertificateDer::pem_slice_iter(secrets.key(reference)?).collect::<Result<Vec<_>, _>>();
    match pem {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(value(reference, "holds no certificates in PEM")),
    }
}

/// The text of a value; a line end behind it is left by many tools and never meant.
fn text<'a>(secrets: &'a Secrets, reference: &SecretKeyRef) -> Result<&'a str, BackboneError> {
    let bytes = secrets.key(reference)?;
    let text = std::str::from_utf8(bytes).map_err(|_| value(reference, "is not UTF-8 text"))?;
    Ok(text.trim_end_matches(['\r', '\n']))
}

fn key(reference: &SecretRef, key: &str) -> SecretKeyRef {
    SecretKeyRef { name: reference.name.clone(), key: key.into() }
}

fn value(reference: &SecretKeyRef, problem: &str) -> BackboneError {
    BackboneError::Value {
        secret: reference.name.clone(),
        key: reference.key.clone(),
        problem: problem.into(),
    }
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
