//! The streams that resources have made and kept: looked after beside the passes, so that a NATS server that does not
//! answer holds no pass up.
//!
//! Gateways never do this in a cluster: of two with different generations one would undo what the other has done.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{queue::Key, settings::KeptStream, shared::Shared};
use crate::api::{NatsBackbone, Secrets, TopicGatewaySpec};

/// How often a stream that is as it should be is looked at again: it may be deleted, or changed by somebody else.
const KEPT: Duration = Duration::from_mins(1);
/// How soon one that is not.
const AGAIN: Duration = Duration::from_secs(5);

/// What came of the last look: what the stream is like, or why it is not as it should be.
pub(crate) type Outcome = Result<KeptStream, String>;

/// The stream of one gateway, looked after for as long as this lives.
#[derive(Debug)]
pub(crate) struct Stream {
    spec: NatsBackbone,
    secrets: Secrets,
    outcome: watch::Receiver<Option<Outcome>>,
    _task: AbortOnDropHandle<()>,
}

impl Stream {
    /// What came of the last look; none before the first one has ended.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.outcome.borrow().clone()
    }
}

/// Looks after the stream of this resource from now on, if it is to; one that is looked after in the same way is left
/// alone.
pub(crate) fn follow(
    shared: &Arc<Shared>,
    key: &Key,
    spec: &TopicGatewaySpec,
    secrets: &Secrets,
    stream: &mut Option<Stream>,
) {
    let Some(nats) = managed(spec) else {
        *stream = None;
        return;
    };
    if stream.as_ref().is_some_and(|it| it.spec == *nats && it.secrets == *secrets) {
        return;
    }
    let (tell, outcome) = watch::channel(None);
    let servers = nats.servers.iter().map(|server| as_pods_find_it(server, &key.namespace)).collect();
    let seen = NatsBackbone { servers, ..nats.clone() };
    let work = keep(shared.clone(), key.clone(), seen, secrets.clone(), tell);
    let task = AbortOnDropHandle::new(tokio::spawn(work));
    *stream = Some(Stream { spec: nats.clone(), secrets: secrets.clone(), outcome, _task: task });
}

/// The backbone whose stream is to be made and kept.
fn managed(spec: &TopicGatewaySpec) -> Option<&NatsBackbone> {
    spec.backbone.nats.as_ref().filter(|nats| nats.jet_stream.as_ref().is_some_and(|jet| jet.manage))
}

/// A server by a name that means the same here as in the gateway's namespace: one without a domain is a Service there.
fn as_pods_find_it(server: &str, namespace: &str) -> String {
    let Some((scheme, rest)) = server.split_once("://") else { return server.into() };
    let (host, port) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
    if host == "localhost" || host.contains(['.', '[']) {
        return server.into();
    }
    format!("{scheme}://{host}.{namespace}{port}")
}

/// Never ends. Whoever reads the outcome is told of each new one by another pass.
async fn keep(
    shared: Arc<Shared>,
    key: Key,
    spec: NatsBackbone,
    secrets: Secrets,
    tell: watch::Sender<Option<Outcome>>,
) {
    loop {
        let outcome = {
            // A permit is had for as long as one look takes; the semaphore is never closed.
            let _permit = shared.stream_looks.acquire().await;
            (shared.settings.keep_stream.0)(spec.clone(), secrets.clone()).await
        };
        let pause = if outcome.is_ok() { KEPT } else { AGAIN };
        if told(&key, tell.borrow().as_ref(), &outcome) {
            tell.send_replace(Some(outcome));
            shared.schedule.soon(key.clone());
        }
        sleep(pause).await;
    }
}

/// Whether an outcome is another one than before; then it is logged.
fn told(key: &Key, before: Option<&Outcome>, outcome: &Outcome) -> bool {
    if let Ok(kept) = outcome
        && kept.touched()
    {
        tracing::info!(gateway = %key, made = kept.made, changed = ?kept.changed, "The stream was made or changed.");
    }
    if before == Some(outcome) {
        return false;
    }
    match outcome {
        Err(why) => tracing::warn!(gateway = %key, why, "The stream is not as the resource says."),
        Ok(kept) if !kept.left.is_empty() => {
            tracing::warn!(gateway = %key, left = ?kept.left, "The stream is not in all as the resource says.");
        }
        Ok(_) => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_domain_is_looked_for_in_the_namespace_of_the_gateway() {
        for (server, expected) in [
            ("nats://nats:4222", "nats://nats.prod:4222"),
            ("tls://nats", "tls://nats.prod"),
            ("nats://nats.messaging:4222", "nats://nats.messaging:4222"),
            ("nats://nats.example.com", "nats://nats.example.com"),
            ("nats://10.0.0.1:4222", "nats://10.0.0.1:4222"),
            ("nats://[::1]:4222", "nats://[::1]:4222"),
            ("nats://localhost:4222", "nats://localhost:4222"),
        ] {
            assert_eq!(as_pods_find_it(server, "prod"), expected);
        }
    }
}
