//! One controller at a time: who holds the Lease works, the others wait and watch.
//!
//! Every write carries the `resourceVersion` that was read, so that of two who take the Lease one fails. A leader that
//! could not renew in time ends its process at once: that is what keeps two from working (fencing by exit).

pub(crate) mod decide;

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{sleep, timeout, timeout_at};

use self::decide::{DURATION, Decision, RETRY, Watch, decide, last_moment, released, taken};
use super::{names, refusal::cause, settings::Election};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// Why nobody leads is said so often.
const REMINDER: Duration = Duration::from_mins(1);

/// A candidate, or the leader.
#[derive(Debug)]
pub(crate) struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    watch: Watch,
    /// As it was written last, while it is ours.
    held: Option<Lease>,
}

/// Why an attempt came to nothing.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Api(#[from] kube::Error),
    #[error("no answer within {PATIENCE:?}")]
    Silence,
}

impl Candidate {
    /// A candidate of this name for the Lease.
    pub(crate) fn new(client: Client, election: &Election, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client, &election.namespace),
            name: election.name.clone(),
            identity: identity.to_owned(),
            watch: Watch::default(),
            held: None,
        }
    }

    /// Returns once the Lease is ours, with the time from which on it has been.
    pub(crate) async fn win(&mut self) -> Instant {
        let mut told: Option<Instant> = None;
        loop {
            let began = Instant::now();
            let wait = match self.attempt().await {
                Ok(Decision::Wait(wait)) => wait,
                Ok(_) => return began,
                Err(error) => {
                    if told.is_none_or(|told| told.elapsed() > REMINDER) {
                        let error = cause(&error);
                        tracing::warn!(lease = self.name, %error, "The Lease cannot be taken; it is tried again.");
                        told = Some(Instant::now());
                    }
                    RETRY
                }
            };
            // So that candidates do not come at the same moment for ever.
            sleep(wait.mul_f64(1.0 + rand::random::<f64>() / 5.0)).await;
        }
    }

    /// Renews the Lease, held since `renewed`, until it is lost; says why.
    pub(crate) async fn hold(&mut self, mut renewed: Instant) -> String {
        let mut failure = String::from("it was not renewed in time");
        loop {
            let round = async {
                sleep(RETRY).await;
                (Instant::now(), self.attempt().await)
            };
            // An answer that is late must not keep it beyond that.
            match timeout_at(last_moment(renewed).into(), round).await {
                Err(_) => return failure,
                Ok((_, Ok(Decision::Wait(_)))) => return "another controller has it".into(),
                Ok((began, Ok(_))) => renewed = began,
                Ok((_, Err(error))) => {
                    let error = cause(&error);
                    tracing::warn!(lease = self.name, %error, "The Lease could not be renewed; it is tried again.");
                    failure = format!("it could not be renewed: {error}");
                }
            }
        }
    }

    /// Gives the Lease away, so that another takes over at once. Best effort: it expires anyway.
    pub(crate) async fn release(&mut self) {
        let Some(lease) = self.held.take() else { return };
        let spec = lease.spec.as_ref().map(|spec| released(spec, MicroTime(Timestamp::now())));
        let given = Lease { spec, ..lease };
        let written = timeout(PATIENCE, self.api.replace(&self.name, &params(), &given)).await;
        if matches!(written, Ok(Ok(_))) {
            tracing::info!(lease = self.name, "The Lease is given away.");
        } else {
            tracing::info!(
                lease = self.name,
                "The Lease could not be given away; it expires in {DURATION:?}."
            );
        }
    }

    /// Takes or renews the Lease where that may be; [`Decision::Wait`] where another has it.
    async fn attempt(&mut self) -> Result<Decision, Error> {
        timeout(PATIENCE, self.write()).await.unwrap_or(Err(Error::Silence))
    }

    async fn write(&mut self) -> Result<Decision, Error> {
        let found = match self.held.take() {
            Some(held) => Some(held),
            None => self.api.get_opt(&self.name).await?,
        };
        let spec = found.as_ref().and_then(|lease| lease.spec.as_ref());
        let decision = decide(spec, &self.identity, &mut self.watch, Instant::now());
        if matches!(decision, Decision::Wait(_)) {
            return Ok(decision);
        }
        let spec = taken(spec, &self.identity, MicroTime(Timestamp::now()));
        let written = match found {
            Some(lease) => {
                self.api.replace(&self.name, &params(), &Lease { spec: Some(spec), ..lease }).await
            }
            None => self.api.create(&params(), &self.lease(spec)).await,
        };
        match written {
            Ok(lease) => {
                self.held = Some(lease);
                Ok(decision)
            }
            // Somebody was faster; what they wrote is read before anything else is decided.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(self.look_again().await?),
            Err(error) => Err(error.into()),
        }
    }

    /// After a write that came too late: whether the Lease is another's now.
    async fn look_again(&mut self) -> kube::Result<Decision> {
        let found = self.api.get_opt(&self.name).await?;
        let spec = found.as_ref().and_then(|lease| lease.spec.as_ref());
        let decision = decide(spec, &self.identity, &mut self.watch, Instant::now());
        if decision == Decision::Renew {
            // Our own write that had no answer, or somebody's label: it is still ours.
            self.held = found;
            return Ok(decision);
        }
        Ok(Decision::Wait(RETRY))
    }

    fn lease(&self, spec: LeaseSpec) -> Lease {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        Lease { metadata, spec: Some(spec) }
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(names::FIELD_MANAGER.into()), ..PostParams::default() }
}
