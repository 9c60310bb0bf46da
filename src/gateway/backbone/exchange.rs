//! The backbone in use, and how another one takes its place.
//!
//! The channels to the shards and the publisher outlive every backbone: its task holds their far ends and hands them
//! over to the task of the next one, together with what the shards want:
//!
//! ```text
//! prepare: connect the next one beside it ─► the old one stops delivering, hands over ─► the next one subscribes,
//!          the old one goes on meanwhile         and confirms what is in flight            tells `gap`, delivers
//! ```
//!
//! The old one is deaf before the next one subscribes: on one server no message comes twice, and none is overtaken by a
//! later one of its topic. What is published between the two (about the time a subscribe takes to the server) is lost,
//! and every subscriber is told so by a `gap` with reason `backbone` in that very place.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::{
    runtime,
    sync::{mpsc, oneshot, watch},
};
use tokio_util::{context::TokioContext, sync::CancellationToken, task::TaskTracker};

use super::{
    Counts, Handle, HistoryRequest, InterestChange, PublishRequest, Status,
    interests::Wanted,
    memory,
    nats::{self, BackboneError, Keys},
};
use crate::{
    api::{Backbone, Filter, JetStream, NatsBackbone, NatsTls, Secrets, SubscriptionMode},
    gateway::{history::Keeping, shard::Inbox},
};

/// Changes of interest, publishes and reads that wait for the backbone's task, each.
const QUEUE: usize = 8_192;

/// What the task of a backbone works with, and hands to the task that takes its place.
#[derive(Debug)]
pub(crate) struct Post {
    /// Interests of the shards.
    pub(super) changes: mpsc::Receiver<InterestChange>,
    /// Messages to publish.
    pub(super) requests: mpsc::Receiver<PublishRequest>,
    /// History to read.
    pub(super) reads: mpsc::Receiver<HistoryRequest>,
    /// Where the connection's state is shown.
    pub(super) status: watch::Sender<Status>,
    /// What shards want and have been getting.
    pub(super) wanted: Vec<(Filter, Vec<Wanted>)>,
    /// What shards want and have not been answered for.
    pub(super) unanswered: Vec<InterestChange>,
    /// Asks for all this.
    pub(super) asked: mpsc::Receiver<oneshot::Sender<Post>>,
}

/// What every backbone of a gateway shares.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The shards.
    pub(crate) inboxes: Arc<[Arc<Inbox>]>,
    /// What is counted.
    pub(crate) counts: Arc<Counts>,
    /// Owns the backbones' tasks.
    pub(crate) tasks: TaskTracker,
    /// Ends them.
    pub(crate) cancel: CancellationToken,
    /// How much is kept of topics in memory.
    pub(crate) keeping: Arc<ArcSwap<Keeping>>,
    /// Where the backbones run.
    pub(crate) runtime: runtime::Handle,
}

/// The backbone in use.
#[derive(Debug)]
pub(crate) struct Exchange {
    spec: Backbone,
    /// What it proves itself to NATS with.
    keys: Option<Keys>,
    ask: mpsc::Sender<oneshot::Sender<Post>>,
    around: Surroundings,
}

/// What a changed resource means for the backbone in use: made and checked, without effect yet.
#[derive(Debug)]
pub(crate) enum Change {
    /// It goes on, and proves itself with this from its next connection on.
    Keys(Option<Keys>),
    /// Another one takes its place.
    Replace(Box<Next>),
}

/// A backbone that is there and does nothing yet.
#[derive(Debug)]
pub(crate) struct Next {
    spec: Backbone,
    /// The connection to NATS; none for topics in memory.
    nats: Option<nats::Prepared>,
}

/// The backbone's task is gone, which happens only when the gateway ends or the task has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the task of the backbone in use has ended: restart the pod")]
pub(crate) struct Gone;

impl Exchange {
    /// Starts the first backbone.
    pub(crate) async fn start(
        spec: &Backbone,
        secrets: &Secrets,
        around: Surroundings,
    ) -> Result<(Handle, Self), BackboneError> {
        let next = Next::new(spec, secrets, &around).await?;
        let (interests, changes) = mpsc::channel(QUEUE);
        let (publishes, requests) = mpsc::channel(QUEUE);
        let (read, reads) = mpsc::channel(QUEUE);
        let (sender, status) = watch::channel(Status::default());
        let (ask, asked) = mpsc::channel(1);
        let (wanted, unanswered) = (Vec::new(), Vec::new());
        let keys = next.keys();
        next.run(Post { changes, requests, reads, status: sender, wanted, unanswered, asked }, &around);
        let handle = Handle { interests, publishes, reads: read, status };
        Ok((handle, Self { spec: spec.clone(), keys, ask, around }))
    }

    /// Keeps so much of topics in memory from their next message on.
    pub(crate) fn keep(&self, keeping: Keeping) {
        self.around.keeping.store(Arc::new(keeping));
    }

    /// Makes what this resource asks for. Nothing changes before [`Exchange::take_over`].
    pub(crate) async fn prepare(&self, spec: &Backbone, secrets: &Secrets) -> Result<Change, BackboneError> {
        if essence(spec) == essence(&self.spec) {
            let keys = spec.nats.as_ref().map(|nats| Keys::new(nats, secrets)).transpose()?;
            return Ok(Change::Keys(keys));
        }
        Ok(Change::Replace(Box::new(Next::new(spec, secrets, &self.around).await?)))
    }

    /// Carries a change out. A backbone that takes the place of another should be [`Next::connected`] by now.
    pub(crate) async fn take_over(&mut self, change: Change) -> Result<(), Gone> {
        let next = match change {
            Change::Keys(new) => {
                if let Some((own, new)) = self.keys.as_ref().zip(new) {
                    own.replace(&new);
                }
                return Ok(());
            }
            Change::Replace(next) => next,
        };
        let (reply, post) = oneshot::channel();
        self.ask.send(reply).await.map_err(|_| Gone)?;
        let post = post.await.map_err(|_| Gone)?;
        (self.spec, self.keys) = (next.spec.clone(), next.keys());
        next.run(post, &self.around);
        Ok(())
    }
}

impl Next {
    async fn new(spec: &Backbone, secrets: &Secrets, around: &Surroundings) -> Result<Self, BackboneError> {
        let nats = match &spec.nats {
            // The client begins its tasks where it is made.
            Some(nats) => {
                let prepared = nats::Prepared::new(nats, secrets, around);
                Some(TokioContext::new(prepared, around.runtime.clone()).await?)
            }
            None => None,
        };
        Ok(Self { spec: spec.clone(), nats })
    }

    fn keys(&self) -> Option<Keys> {
        self.nats.as_ref().map(nats::Prepared::keys)
    }

    /// Waits until it is connected. May be dropped and called anew.
    pub(crate) async fn connected(&mut self) {
        if let Some(nats) = &mut self.nats {
            nats.connected().await;
        }
    }

    /// Why it is not connected yet.
    pub(crate) fn trouble(&self) -> &str {
        self.nats.as_ref().map_or("", nats::Prepared::trouble)
    }

    fn run(self, post: Post, around: &Surroundings) {
        match self.nats {
            Some(nats) => nats.run(post, around),
            None => memory::run(post, around),
        }
    }
}

/// What makes one backbone another than the next: credentials and certificates do not, nor do subjects that only say
/// what clients may see.
fn essence(spec: &Backbone) -> Option<NatsBackbone> {
    let nats = spec.nats.as_ref()?;
    let mut servers = nats.servers.clone();
    servers.sort_unstable();
    let wildcard = nats.subscription == SubscriptionMode::Wildcard;
    Some(NatsBackbone {
        servers,
        subscription: nats.subscription,
        subjects: if wildcard { nats.subjects.clone() } else { Vec::new() },
        subject_prefix: nats.subject_prefix.trim_end_matches('.').into(),
        // How the stream is kept is not the gateway's concern.
        jet_stream: nats.jet_stream.as_ref().map(|jet| JetStream {
            stream: jet.stream.clone(),
            manage: false,
            max_age: None,
            max_bytes: None,
            replicas: 0,
            duplicate_window_seconds: 0,
        }),
        credentials_secret_ref: None,
        nkey_secret_ref: None,
        token_secret_ref: None,
        user_password_secret_ref: None,
        tls: nats.tls.as_ref().map(|_| NatsTls::default()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn nats(change: impl FnOnce(&mut Value)) -> Backbone {
        let mut spec =
            json!({"servers": ["nats://a:1", "nats://b:1"], "subjects": ["a.>"], "subjectPrefix": "x"});
        change(&mut spec);
        serde_json::from_value(json!({"nats": spec})).unwrap()
    }

    fn same(a: &Backbone, b: &Backbone) -> bool {
        essence(a) == essence(b)
    }

    #[test]
    fn credentials_and_what_clients_may_see_leave_the_backbone_as_it_is() {
        let before = nats(|_| {});
        for (name, value) in [
            ("servers", json!(["nats://b:1", "nats://a:1"])),
            ("subjects", json!(["b.>"])),
            ("subjectPrefix", json!("x.")),
            ("tokenSecretRef", json!({"name": "s", "key": "k"})),
            ("userPasswordSecretRef", json!({"name": "s"})),
        ] {
            assert!(same(&before, &nats(|spec| spec[name] = value.clone())), "{name}: {value}");
        }
        let tls = |ca: &str| nats(|spec| spec["tls"] = json!({"caSecretRef": {"name": ca, "key": "ca.crt"}}));
        assert!(same(&tls("one"), &tls("two")));
    }

    #[test]
    fn another_stream_makes_another_backbone_and_how_it_is_kept_does_not() {
        let stream = |jet: Value| nats(|spec| spec["jetStream"] = jet.clone());
        let before = stream(json!({"stream": "S"}));
        assert!(same(&before, &stream(json!({"stream": "S", "manage": true, "maxAge": "1h"}))));
        assert!(!same(&before, &stream(json!({"stream": "T"}))) && !same(&before, &nats(|_| {})));
    }

    #[test]
    fn servers_mode_prefix_and_whether_there_is_tls_make_another_backbone() {
        let before = nats(|_| {});
        for (name, value) in [
            ("servers", json!(["nats://a:1"])),
            ("subscription", json!("Wildcard")),
            ("subjectPrefix", json!("y")),
            ("tls", json!({})),
        ] {
            assert!(!same(&before, &nats(|spec| spec[name] = value.clone())), "{name}: {value}");
        }
        let wildcard = |subject: &str| {
            nats(|spec| {
                spec["subscription"] = json!("Wildcard");
                spec["subjects"] = json!([subject]);
            })
        };
        assert!(!same(&wildcard("a.>"), &wildcard("b.>")), "these are subscribed to");
        let memory: Backbone = serde_json::from_value(json!({"memory": {}})).unwrap();
        assert!(same(&memory, &memory) && !same(&memory, &before));
    }
}
