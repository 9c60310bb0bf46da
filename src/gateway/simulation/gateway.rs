//! One gateway: the real engines and services, and the link to the server.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{dice::Dice, resource::Resource, wire::Wire};
use crate::gateway::{
    access::{Access, Identity},
    backbone::nats::simulated::Link,
    limits::Admission,
    metrics::{ShardCounts, Transport},
    publisher::Publisher,
    services,
    shard::{Channels, Greeting, Inbox, ShardEvent, engine::Engine, engine::Moment},
    topics::Registry,
};

/// Requests of the shards that wait for the services.
const REQUESTS: usize = 16;
/// Files that a gateway may open: more than there are clients.
const FILES: u64 = 10_000;

/// A gateway that runs.
pub(super) struct Gateway {
    pub(super) name: String,
    pub(super) link: Link,
    pub(super) shards: Vec<Shard>,
    pub(super) access: Arc<ArcSwap<Access>>,
    pub(super) draining: bool,
    admission: Arc<Admission>,
    registry: Arc<Registry>,
    began: u64,
    /// Looks after connections so far.
    ticks: usize,
    /// Ends the services.
    _end: DropGuard,
}

/// One of its shards.
pub(super) struct Shard {
    pub(super) engine: Engine<Wire, Channels>,
    counts: Arc<ShardCounts>,
    inbox: Arc<Inbox>,
    events: VecDeque<ShardEvent>,
    _poll: mio::Poll,
}

impl Gateway {
    pub(super) fn new(
        name: String,
        shards: usize,
        resource: &Resource,
        access: Arc<Access>,
        now: u64,
    ) -> Self {
        let polls: Vec<_> = (0..shards).map(|_| mio::Poll::new().unwrap()).collect();
        let inbox = |poll: &mio::Poll| Inbox::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let inboxes: Arc<[Arc<Inbox>]> = polls.iter().map(|poll| Arc::new(inbox(poll))).collect();
        let (link, ends) = Link::new(resource.spec.backbone.nats.as_ref().unwrap(), inboxes.clone());
        let access = Arc::new(ArcSwap::new(access));
        let (requests, asked) = mpsc::channel(REQUESTS);
        let cancel = CancellationToken::new();
        let publisher = Publisher::new(ends.publishes.clone());
        let run =
            services::run(asked, access.clone(), publisher, ends.reads, inboxes.clone(), cancel.clone());
        tokio::spawn(run);
        let channels = Channels { interests: ends.interests, requests };
        let registry = Registry::new();
        let shards = polls.into_iter().enumerate().map(|(index, poll)| {
            let counts = Arc::new(ShardCounts::default());
            let engine = Engine::new(
                index,
                resource.settings.clone(),
                channels.clone(),
                counts.clone(),
                registry.clone(),
            );
            Shard { engine, counts, inbox: inboxes[index].clone(), events: VecDeque::new(), _poll: poll }
        });
        Self {
            name,
            link,
            shards: shards.collect(),
            access,
            draining: false,
            admission: Admission::new(&resource.spec.limits, FILES),
            registry,
            began: now,
            ticks: 0,
            _end: cancel.drop_guard(),
        }
    }

    /// Sets the time: milliseconds of the run, and seconds since 1970.
    pub(super) fn at(&mut self, now: u64, unix: u64) {
        let moment = Moment { ms: now - self.began, unix };
        self.shards.iter_mut().for_each(|shard| shard.engine.at(moment));
    }

    /// Takes a connection in on one of the shards; answers the shard and the slot.
    pub(super) fn connect(
        &mut self,
        shard: usize,
        wire: &Wire,
        identity: Option<Arc<Identity>>,
        now: u64,
    ) -> (usize, usize) {
        let seat = self.admission.admit(now).unwrap();
        let early = bytes::Bytes::new();
        let greeting = Greeting {
            transport: Transport::WebSocket,
            early,
            seat,
            identity,
            refused: None,
            close: None,
            topic: None,
            deflate: false,
            beginning: None,
        };
        let shard = shard % self.shards.len();
        let engine = &mut self.shards[shard].engine;
        let slot = engine.next_slot();
        engine.connect(wire.clone(), greeting);
        (shard, slot)
    }

    /// A quarter of a second has passed, `quarters` times.
    pub(super) fn tick(&mut self, quarters: u64) {
        for _ in 0..quarters.min(4) {
            for shard in &mut self.shards {
                shard.engine.tick(self.ticks);
            }
            self.ticks += 1;
        }
    }

    /// Other rules are in force.
    pub(super) fn rule(&mut self, access: &Arc<Access>) {
        self.access.store(access.clone());
        for shard in &mut self.shards {
            shard.engine.event(ShardEvent::Access(access.clone()));
        }
    }

    pub(super) fn drain(&mut self, window: Duration, dice: &mut Dice) {
        self.draining = true;
        for shard in &mut self.shards {
            shard.engine.event(ShardEvent::Drain { window, seed: dice.number() });
        }
    }

    pub(super) fn is_drained(&self) -> bool {
        self.draining && self.shards.iter().all(|shard| shard.engine.is_drained())
    }

    /// What is left of clients that have all gone.
    pub(super) fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        let mut none = |what: &str, count: u64| {
            if count > 0 {
                left.push(format!("{}: {count} {what} left", self.name));
            }
        };
        let (topics, subscriptions) = self.registry.totals();
        none("topics", topics);
        none("subscriptions", subscriptions);
        none("seats", self.admission.connections());
        for shard in &self.shards {
            none("connections", shard.engine.connections() as u64);
            none("connections counted", shard.counts.connections());
            none("bytes of logs", shard.engine.log_bytes());
            none("lagging subscribers", shard.counts.lagging());
        }
        left
    }
}

impl Shard {
    /// Handles some of what the control plane says.
    pub(super) fn handle(&mut self, count: usize) {
        let mut batch = Vec::new();
        self.inbox.drain(&mut batch);
        self.events.extend(batch);
        for _ in 0..count {
            let Some(event) = self.events.pop_front() else { break };
            self.engine.event(event);
        }
    }

    pub(super) fn turn(&mut self, writes: usize) -> bool {
        self.engine.close_due();
        let more = self.engine.turn(writes);
        self.engine.take_unread(&mut Vec::new());
        more
    }

    pub(super) fn is_idle(&mut self) -> bool {
        self.handle(0);
        self.events.is_empty()
    }
}
