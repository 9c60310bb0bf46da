//! Sub-sockets: which connections a topic's (or a pattern's) messages go to.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use slab::Slab;

use crate::{
    api::{Filter, Seq, SlowConsumer},
    gateway::{
        log::Log,
        protocol::{command::Id, session::CatchUp},
        shard::{inbox::ConnectionId, settings::Rule},
    },
};

/// All sub-sockets of a shard. Bounded by the subscriptions of its connections.
#[derive(Debug, Default)]
pub(super) struct Table {
    by_key: HashMap<Arc<str>, u32>,
    sockets: Slab<SubSocket>,
}

/// One topic or pattern: its log and those who read it.
#[derive(Debug)]
pub(super) struct SubSocket {
    pub(super) filter: Filter,
    pub(super) policy: SlowConsumer,
    /// Delivered at least once: seconds that an acknowledgement may take.
    pub(super) ack_seconds: Option<u32>,
    pub(super) log: Log,
    /// In no particular order; a subscription knows its place here.
    pub(super) subscribers: Vec<Subscriber>,
    /// Subscribers that are behind: the log keeps frames for them.
    pub(super) behind: u32,
    /// Subscribes that wait until the backbone delivers.
    pub(super) waiting: Vec<Waiting>,
    /// Names the request for it to the backbone.
    pub(super) ticket: u32,
    /// Whether the backbone delivers.
    pub(super) in_force: bool,
    /// The backbone has told a loss that may change where the topic stands, and will say where it goes on.
    pub(super) unplaced: bool,
    /// Counts how often numbers began anew: what was asked for before is of no use.
    pub(super) life: u32,
    /// Position of the topic's newest message, as far as the backbone tells; 0 = unknown.
    pub(super) seq: Seq,
    /// The backbone can be asked for what was before.
    pub(super) recoverable: bool,
    /// Where the hand-out under way goes on; `None`: not queued.
    pub(super) job: Option<Job>,
    /// Counts the hand-outs.
    pub(super) turns: usize,
    /// Shared over all shards, read by the metrics.
    pub(super) count: Arc<AtomicU32>,
}

/// One subscriber: a cursor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subscriber {
    pub(super) cursor: u64,
    pub(super) connection: u32,
    /// The client came with everything up to this number, before the backbone had brought it here; 0: it has not.
    pub(super) seen: Seq,
    /// The log keeps frames for it, and its connection will come back for them.
    pub(super) behind: bool,
}

/// A hand-out under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    /// Subscribers still to look at.
    pub(super) left: usize,
    /// The next one's place, counted round.
    pub(super) next: usize,
    /// Frames came or places changed meanwhile: once more round.
    pub(super) again: bool,
}

/// A subscribe that waits for the backbone.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) connection: ConnectionId,
    pub(super) id: Option<Id>,
    pub(super) catch_up: Option<CatchUp>,
}

impl Table {
    pub(super) fn find(&self, key: &str) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    pub(super) fn get(&self, socket: u32) -> Option<&SubSocket> {
        self.sockets.get(socket as usize)
    }

    pub(super) fn get_mut(&mut self, socket: u32) -> Option<&mut SubSocket> {
        self.sockets.get_mut(socket as usize)
    }

    pub(super) fn insert(&mut self, socket: SubSocket) -> u32 {
        let key = socket.filter.shared().clone();
        let index = u32::try_from(self.sockets.insert(socket)).unwrap_or(u32::MAX);
        self.by_key.insert(key, index);
        index
    }

    pub(super) fn remove(&mut self, socket: u32) -> Option<SubSocket> {
        let removed = self.sockets.try_remove(socket as usize)?;
        self.by_key.remove(removed.filter.shared());
        Some(removed)
    }

    /// Changes every sub-socket.
    pub(super) fn each(&mut self, mut change: impl FnMut(&mut SubSocket)) {
        self.sockets.iter_mut().for_each(|(_, socket)| change(socket));
    }

    /// Indices of all sub-sockets for which `wanted` holds.
    pub(super) fn indices(&self, wanted: impl Fn(&SubSocket) -> bool) -> Vec<u32> {
        let found = self.sockets.iter().filter(|(_, socket)| wanted(socket));
        found.map(|(index, _)| u32::try_from(index).unwrap_or(u32::MAX)).collect()
    }
}

impl SubSocket {
    /// A sub-socket that is not in force yet.
    pub(super) fn new(
        filter: Filter,
        rule: Rule,
        waiting: Vec<Waiting>,
        ticket: u32,
        count: Arc<AtomicU32>,
    ) -> Self {
        Self {
            filter,
            policy: rule.slow_consumer,
            ack_seconds: rule.ack_seconds,
            log: Log::default(),
            subscribers: Vec::new(),
            behind: 0,
            waiting,
            ticket,
            in_force: false,
            unplaced: false,
            life: 0,
            seq: 0,
            recoverable: false,
            turns: 0,
            job: None,
            count,
        }
    }

    pub(super) fn add(&mut self, connection: u32) -> u32 {
        let cursor = self.log.head();
        self.subscribers.push(Subscriber { cursor, connection, seen: 0, behind: false });
        self.count.fetch_add(1, Ordering::Relaxed);
        self.places_changed();
        u32::try_from(self.subscribers.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes a subscriber out; returns it and the connection whose subscriber now has its place.
    pub(super) fn take(&mut self, place: u32) -> (Subscriber, Option<u32>) {
        let taken = self.subscribers.swap_remove(place as usize);
        self.count.fetch_sub(1, Ordering::Relaxed);
        if taken.behind {
            self.behind -= 1;
        }
        self.places_changed();
        (taken, self.subscribers.get(place as usize).map(|moved| moved.connection))
    }

    /// Moves a subscriber on over the messages that its client has already.
    pub(super) fn pass_seen(&mut self, place: u32) {
        let Some(subscriber) = self.subscribers.get_mut(place as usize) else { return };
        let log = &self.log;
        while subscriber.seen > 0
            && subscriber.cursor == log.boundary(subscriber.cursor)
            && let Some((end, _)) = log.frame(subscriber.cursor)
        {
            match log.sequences(subscriber.cursor, end) {
                Some((_, seq)) if seq <= subscriber.seen => subscriber.cursor = end,
                // Numbers may begin again with an announcement.
                _ => subscriber.seen = 0,
            }
        }
    }

    /// A hand-out under way counts places: somebody may be passed over now, so it goes round once more.
    fn places_changed(&mut self) {
        if let Some(job) = &mut self.job {
            job.again = true;
        }
    }

    /// Where a new round begins: another subscriber each time, so that nobody is always last.
    pub(super) fn rotation(&mut self) -> usize {
        self.turns = self.turns.wrapping_add(1);
        self.turns.wrapping_mul(7919) % self.subscribers.len().max(1)
    }

    /// Whether its messages are sent again until they are acknowledged.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.recoverable && self.ack_seconds.is_some()
    }

    /// Whether a subscription can begin.
    pub(super) fn is_ready(&self) -> bool {
        self.in_force && !self.unplaced
    }

    pub(super) fn is_awaited_by(&self, connection: ConnectionId) -> bool {
        self.waiting.iter().any(|waiting| waiting.connection == connection)
    }

    pub(super) fn is_unused(&self) -> bool {
        self.subscribers.is_empty() && self.waiting.is_empty()
    }
}
