//! NATS without a network, driven by hand: a server with one stream, and what stands between it and a gateway's shards.
//!
//! ```text
//!   server ◄── up: in order ─────────┐          changes, publishes, reads
//!     │                              │                   │
//!     └─► down: in order ─► queues ──┴─► Jet, Router ◄───┘──► inboxes of the shards
//!                           one for each subscription, and one for answers: taken from in any order
//! ```
//!
//! [`Jet`], [`Router`] and [`Barriers`] are the real ones; what the task around them does ([`super::task`] and its
//! neighbours) is done here without the NATS client. Nothing happens by itself: every step is somebody's call.

mod answers;
mod asking;
mod stream;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use async_nats::Message;
use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio_util::sync::CancellationToken;

pub(crate) use self::stream::{Entry, Fresh, Server, Stored, Traits};
use super::{
    barrier::Barriers,
    feeds::Way,
    jetstream::{Jet, Line},
    router::Router,
};
use crate::{
    api::{Filter, NatsBackbone, Pattern, Seq},
    gateway::{
        backbone::{
            Counts, HistoryRequest, InterestChange, PublishError, PublishRequest,
            deliveries::Deliveries,
            interests::{FeedId, Wanted},
        },
        shard::Inbox,
    },
};

/// Name of the stream.
pub(crate) const STREAM: &str = "S";
/// Before every topic.
pub(crate) const PREFIX: &str = "s";
const QUEUE: usize = 8_192;
const LOST: &str = "the connection to NATS was lost before it was confirmed";

/// Somebody who waits for a barrier.
enum Waiter {
    Interest(InterestChange),
    Announce(Vec<(Filter, Vec<Wanted>)>),
}

/// What goes to the server.
enum Command {
    Subscribe(Way),
    Barrier(u64),
    Publish { id: u64, entry: Entry, unique_id: String },
    Ask { reply: String, subject: String, question: Bytes },
}

/// What comes back on the gateway's own inbox.
enum Echo {
    Barrier(u64),
    Confirmed(u64, Message),
    Answer(String, Message),
}

struct Subscription {
    subject: Pattern,
    /// The server knows it.
    in_force: bool,
    /// Has come and is not looked at yet.
    waiting: VecDeque<Message>,
}

/// The ways into a link.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) interests: mpsc::Sender<InterestChange>,
    pub(crate) publishes: mpsc::Sender<PublishRequest>,
    pub(crate) reads: mpsc::Sender<HistoryRequest>,
}

/// One gateway's connection to NATS and the state behind it.
pub(crate) struct Link {
    jet: Jet,
    router: Router,
    barriers: Barriers<Waiter>,
    proven: FeedId,
    connected: bool,
    connects: u32,
    subscriptions: BTreeMap<Way, Subscription>,
    /// Feeds that lost messages since the last tick, as the client tells.
    lossy: BTreeSet<FeedId>,
    changes: mpsc::Receiver<InterestChange>,
    publishes: mpsc::Receiver<PublishRequest>,
    reads: mpsc::Receiver<HistoryRequest>,
    questions: UnboundedReceiver<(String, String, Bytes)>,
    up: VecDeque<Command>,
    /// With the server, which answers them in any order.
    asked: Vec<(String, String, Bytes)>,
    down: VecDeque<(Option<Way>, Option<Message>, Option<Echo>)>,
    echo: VecDeque<Echo>,
}

impl Link {
    /// A link that is not connected yet.
    pub(crate) fn new(spec: &NatsBackbone, inboxes: Arc<[Arc<Inbox>]>) -> (Self, Ends) {
        let (interests, changes) = mpsc::channel(QUEUE);
        let (publish, publishes) = mpsc::channel(QUEUE);
        let (read, reads) = mpsc::channel(QUEUE);
        let (hand, questions) = mpsc::unbounded_channel();
        let deliveries = Deliveries::new(inboxes, CancellationToken::new());
        let router = Router::new(spec, deliveries, Arc::new(Counts::default()));
        let stream = spec.jet_stream.as_ref().unwrap();
        let link = Self {
            jet: Jet::new(stream, Line::Hand(hand), "", router.prefix()),
            router,
            barriers: Barriers::default(),
            proven: 0,
            connected: false,
            connects: 0,
            subscriptions: BTreeMap::new(),
            lossy: BTreeSet::new(),
            changes,
            publishes,
            reads,
            questions,
            up: VecDeque::new(),
            asked: Vec::new(),
            down: VecDeque::new(),
            echo: VecDeque::new(),
        };
        (link, Ends { interests, publishes: publish, reads: read })
    }

    /// Something is on its way, or waits to be looked at.
    pub(crate) fn is_busy(&self) -> bool {
        !self.up.is_empty()
            || !self.asked.is_empty()
            || !self.down.is_empty()
            || !self.echo.is_empty()
            || self.subscriptions.values().any(|subscription| !subscription.waiting.is_empty())
    }

    // --- The server's side ---------------------------------------------------------------------------------------

    /// The server looks at what came first, and answers one of the questions it has (`pick` says which). What it has
    /// stored is to be [published](Self::published) to every link.
    pub(crate) fn serve(&mut self, server: &mut Server, pick: usize, behind: Seq) -> Option<Fresh> {
        let mut fresh = None;
        match self.up.pop_front() {
            None => {}
            Some(Command::Subscribe(way)) => {
                if let Some(subscription) = self.subscriptions.get_mut(&way) {
                    subscription.in_force = true;
                }
            }
            Some(Command::Barrier(id)) => self.back(Echo::Barrier(id)),
            Some(Command::Ask { reply, subject, question }) => self.asked.push((reply, subject, question)),
            Some(Command::Publish { id, entry, unique_id }) => {
                let ack = match server.store(entry, Some(&unique_id)) {
                    Some(Stored::Fresh(stored)) => {
                        let ack = serde_json::json!({"stream": STREAM, "seq": stored.seq});
                        fresh = Some(stored);
                        ack
                    }
                    Some(Stored::Duplicate(seq)) => {
                        serde_json::json!({"stream": STREAM, "seq": seq, "duplicate": true})
                    }
                    None => serde_json::json!({"error": {"code": 503, "err_code": 0, "description": "away"}}),
                };
                self.back(Echo::Confirmed(id, answers::whole(&ack)));
            }
        }
        if !self.asked.is_empty() {
            let (reply, subject, question) = self.asked.remove(pick % self.asked.len());
            for part in server.answer(&subject, &question, behind) {
                self.back(Echo::Answer(reply.clone(), part));
            }
        }
        fresh
    }

    /// The server passes on what it has stored.
    pub(crate) fn published(&mut self, fresh: &Fresh, republish: bool) {
        if !self.connected {
            return;
        }
        for message in answers::published(fresh, republish) {
            for (way, subscription) in &self.subscriptions {
                if subscription.in_force && subscription.subject.matches_str(&message.subject) {
                    self.down.push_back((Some(*way), Some(message.clone()), None));
                }
            }
        }
    }

    fn back(&mut self, echo: Echo) {
        self.down.push_back((None, None, Some(echo)));
    }

    // --- The client's side ---------------------------------------------------------------------------------------

    /// The next that is on its way arrives; `lose`: unless it is a message, which the client drops. It tells so, or
    /// (`silently`) not.
    pub(crate) fn arrive(&mut self, lose: bool, silently: bool) {
        match self.down.pop_front() {
            Some((Some(way), Some(message), _)) => {
                let Some(subscription) = self.subscriptions.get_mut(&way) else { return };
                if !lose {
                    subscription.waiting.push_back(message);
                } else if !silently {
                    self.lossy.insert(way.0);
                }
            }
            Some((_, _, Some(echo))) => self.echo.push_back(echo),
            _ => {}
        }
    }

    /// Looks at some of what has arrived on one of the subscriptions, or at an answer.
    pub(crate) fn process(&mut self, pick: usize, count: usize) {
        let full = self.subscriptions.iter().filter(|(_, subscription)| !subscription.waiting.is_empty());
        let full: Vec<_> = full.map(|(way, _)| *way).collect();
        let echo = usize::from(!self.echo.is_empty());
        if full.len() + echo == 0 {
            return;
        }
        match full.get(pick % (full.len() + echo)) {
            Some(way) => self.receive(*way, count),
            None => {
                for _ in 0..count {
                    let Some(echo) = self.echo.pop_front() else { break };
                    self.answered(echo);
                }
            }
        }
        self.flush();
    }

    fn receive(&mut self, way: Way, count: usize) {
        for _ in 0..count {
            let Some(subscription) = self.subscriptions.get_mut(&way) else { break };
            let Some(message) = subscription.waiting.pop_front() else { break };
            if let Some(source) = self.router.interests.source(way.0) {
                self.jet.message(&mut self.router, way, source, &message);
            }
        }
    }

    fn answered(&mut self, echo: Echo) {
        match echo {
            Echo::Answer(reply, message) => {
                self.jet.requests.arrived(reply.rsplit('.').next().unwrap_or_default(), message);
            }
            Echo::Confirmed(id, message) => self.jet.acks.arrived(&id.to_string(), &message),
            Echo::Barrier(id) => {
                let (waiters, newest) = self.barriers.arrived(id);
                self.proven = newest.unwrap_or(self.proven);
                for waiter in waiters {
                    match waiter {
                        Waiter::Interest(change) => self.in_force(change, false),
                        Waiter::Announce(losers) => self.resume(losers),
                    }
                }
            }
        }
    }

    /// Takes in what shards and publishers ask, and what the stream's answers have come to; sends what is to be sent.
    pub(crate) fn take_in(&mut self) {
        while let Ok(change) = self.changes.try_recv() {
            self.change(change);
        }
        while let Ok(request) = self.publishes.try_recv() {
            self.publish(request);
        }
        while let Ok(read) = self.reads.try_recv() {
            self.history(read);
        }
        while let Some(done) = self.jet.done().now_or_never() {
            // What came before goes out before, as in the task's own loop.
            self.flush();
            self.done(done);
        }
        let mut questions = Vec::new();
        while let Ok(question) = self.questions.try_recv() {
            questions.push(question);
        }
        // Topics are looked at in no particular order; here there has to be one.
        questions.sort_by_cached_key(|(_, _, question)| {
            let mut letters = question.to_vec();
            letters.sort_unstable();
            (letters, question.clone())
        });
        for (subject, reply, question) in questions.into_iter().filter(|_| self.connected) {
            self.up.push_back(Command::Ask { reply, subject, question });
        }
        if self.connected && self.barriers.due() {
            let id = self.barriers.send(self.router.interests.newest(), Instant::now());
            self.up.push_back(Command::Barrier(id));
        }
        self.flush();
    }

    fn flush(&mut self) {
        // An inbox has room for more than any run brings.
        self.router.deliveries.flush().now_or_never().unwrap();
    }

    // --- The connection ------------------------------------------------------------------------------------------

    /// The connection is there for the first time, or again.
    pub(crate) fn connect(&mut self) {
        if std::mem::replace(&mut self.connected, true) {
            return;
        }
        self.connects += 1;
        for way in self.subscriptions.keys() {
            self.up.push_back(Command::Subscribe(*way));
        }
        self.broken();
        self.proven = 0;
        if self.connects > 1 {
            self.barriers.join(Waiter::Announce(self.router.wanted(None)));
        } else {
            self.jet.ask();
        }
        self.take_in();
    }

    /// The connection is lost, with everything that is on its way.
    pub(crate) fn cut(&mut self) {
        if !std::mem::replace(&mut self.connected, false) {
            return;
        }
        self.up.clear();
        self.asked.clear();
        self.down.clear();
        self.subscriptions.values_mut().for_each(|subscription| subscription.in_force = false);
        self.broken();
        self.take_in();
    }

    fn broken(&mut self) {
        self.fail_all();
        self.jet.reconnected(LOST);
        let (kept, unsent) = self.jet.take_kept();
        for change in &kept {
            self.refuse(change, LOST);
        }
        for request in unsent {
            let _ = request.reply.send(Err(PublishError::Unavailable(LOST.into())));
        }
    }

    fn fail_all(&mut self) {
        for waiter in self.barriers.take_all() {
            if let Waiter::Interest(change) = waiter {
                self.refuse(&change, LOST);
            }
        }
    }

    /// Once a second.
    pub(crate) fn tick(&mut self) {
        let lossy = std::mem::take(&mut self.lossy);
        let losers = lossy.iter().flat_map(|feed| self.router.wanted(Some(*feed))).collect();
        self.resume(losers);
        if self.connected {
            self.jet.tick();
        }
        self.take_in();
    }

    fn resume(&mut self, interrupted: Vec<(Filter, Vec<Wanted>)>) {
        let (kept, lost): (Vec<_>, Vec<_>) =
            interrupted.into_iter().partition(|(filter, _)| self.jet.keeps(&self.router, filter));
        if !kept.is_empty() {
            self.jet.check_now(&self.router);
        }
        self.router.announce(&lost);
        self.flush();
        for (filter, wanted) in lost {
            for Wanted { shard, ticket } in wanted {
                let change = InterestChange { filter: filter.clone(), shard, ticket, wanted: true };
                if self.router.interests.stands(&filter, Wanted { shard, ticket }) {
                    self.in_force(change, true);
                }
            }
        }
    }
}
