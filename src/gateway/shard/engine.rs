//! What a shard does, without the thread, the poller and the clock: connections, sub-sockets and the turn.
//!
//! The thread ([`super::thread`]) calls in with bytes, events and the time; sockets and the control plane are
//! reached through two small traits, so that tests and the simulator drive the very same code.
//!
//! ```text
//! received / event ──► session ──► subscriptions ──► table: sub-socket = log + subscribers (cursors)
//!                         │                              │ append marks it
//!                         ▼                              ▼
//!                      outbox ────────► socket ◄──── turn: one send per subscriber of all its new frames
//!                                          │ short write
//!                                          ▼
//!                                     lagging: continued by `writable`
//! ```

mod acknowledging;
mod commands;
mod connection;
mod delivery;
mod fanout;
mod history;
mod lagging;
mod latency;
mod ledger;
mod lifecycle;
mod packing;
mod reading;
mod rights;
mod subscriptions;
mod table;

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::Arc,
};

use connection::Connection;
use packing::Packing;
use slab::Slab;
use table::Table;

use super::{
    Settings,
    inbox::{ConnectionId, Request, ShardEvent},
};
use crate::{
    api::Stamp,
    gateway::{
        access::Access, backbone::InterestChange, history::Epoch, log::Pool, metrics::ShardCounts,
        topics::Registry,
    },
};

/// The time, as the thread hands it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Milliseconds since the shard began: monotonic.
    pub ms: u64,
    /// Seconds since 1970, for the ends of tokens only.
    pub unix: u64,
}

impl Moment {
    /// Seconds since the shard began.
    pub fn second(self) -> u32 {
        u32::try_from(self.ms / 1000).unwrap_or(u32::MAX)
    }
}

/// A socket to write to.
pub trait Socket {
    /// Writes as much as goes without waiting. `Ok(0)`: nothing goes now, `writable` will be called.
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Sends what [`Socket::send`] took and the system did not yet, as encryption holds some back. `false`: some still
    /// waits, `writable` will be called.
    fn flush(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    /// Makes room for last words to a peer that does not read (a larger send buffer).
    fn make_room(&mut self);

    /// Says that nothing more will be written (a FIN), after what [`Socket::flush`] is still to send. May be said again.
    fn finish(&mut self);
}

/// The way to the control plane, and the clock on its wall. Both ways give the value back when the other side has no
/// room now.
pub trait Control {
    /// Tells the backbone what this shard wants.
    fn interest(&mut self, change: InterestChange) -> Result<(), InterestChange>;

    /// Asks for a token to be checked or a message to be published.
    fn request(&mut self, request: Request) -> Result<(), Request>;

    /// The time at this very moment, for what is measured against the time stamps of messages and for nothing else. It
    /// is asked for at most once per send; `None` where the clock is of no use (it says that it is before 1970).
    fn clock(&self) -> Option<Stamp>;
}

/// One shard's state. See the module's picture.
#[derive(Debug)]
pub struct Engine<S, C> {
    shard: usize,
    settings: Arc<Settings>,
    control: C,
    counts: Arc<ShardCounts>,
    registry: Arc<Registry>,
    /// Bounded by `limits.connections`.
    connections: Slab<Connection<S>>,
    table: Table,
    pool: Pool,
    packing: Packing,
    /// Sub-sockets with frames to hand out; each at most once.
    jobs: VecDeque<u32>,
    /// Connections whose outbox was filled in this turn; sent before the jobs.
    owing: Vec<usize>,
    /// Connections that may have more to read than their share of a turn; each at most once.
    unread: Vec<usize>,
    /// Connections whose history reads the control plane had no room for.
    unasked: Vec<usize>,
    /// Interest changes the backbone had no room for; bounded by [`UNTOLD`] in what makes new ones.
    untold: VecDeque<InterestChange>,
    /// The rules, once they have changed; before, everybody was let in by those in force.
    access: Option<Arc<Access>>,
    /// Slots below this one have not been judged by them yet.
    unjudged: usize,
    now: Moment,
    /// What the numbers of topics with a history belong to.
    epoch: Option<Epoch>,
    /// Counts what is asked of the backbone: interests and history reads.
    ticket: u32,
    generation: u32,
    /// After a drain has begun: who is to be closed when (in ms), soonest last.
    draining: Option<Vec<(u64, ConnectionId)>>,
}

/// Subscribes are refused while this many interest changes wait for the backbone.
const UNTOLD: usize = 65_536;

impl<S: Socket, C: Control> Engine<S, C> {
    /// A shard without connections.
    pub fn new(
        shard: usize,
        settings: Arc<Settings>,
        control: C,
        counts: Arc<ShardCounts>,
        registry: Arc<Registry>,
    ) -> Self {
        Self {
            shard,
            settings,
            packing: Packing::default(),
            control,
            counts,
            registry,
            connections: Slab::new(),
            table: Table::default(),
            pool: Pool::default(),
            jobs: VecDeque::new(),
            owing: Vec::new(),
            unread: Vec::new(),
            unasked: Vec::new(),
            untold: VecDeque::new(),
            access: None,
            unjudged: 0,
            now: Moment::default(),
            epoch: None,
            ticket: 0,
            generation: 0,
            draining: None,
        }
    }

    /// Sets the time for everything that follows.
    pub fn at(&mut self, now: Moment) {
        self.now = now;
    }

    /// Handles what the control plane says; connections are handled by [`Engine::connect`].
    pub fn event(&mut self, event: ShardEvent) {
        match event {
            ShardEvent::Connect(_) => {}
            ShardEvent::Deliver(arrivals) => arrivals.into_iter().for_each(|arrival| self.append(&arrival)),
            ShardEvent::InForce { filter, ticket, seq, recoverable } => {
                self.in_force(&filter, ticket, seq, recoverable);
            }
            ShardEvent::Epoch(epoch) => self.epoch = epoch,
            ShardEvent::History { connection, ticket, result } => self.history(connection, ticket, result),
            ShardEvent::Refused { filter, ticket, reason } => self.refused(&filter, ticket, &reason),
            ShardEvent::Authenticated { connection, result } => self.authenticated(connection, result),
            ShardEvent::Published { connection, id, topic, message_id, answer } => {
                self.published(connection, id.as_ref(), &topic, &message_id, answer);
            }
            ShardEvent::Access(access) => self.change_access(access),
            ShardEvent::Settings(settings) => self.change_settings(settings),
            ShardEvent::Drain { window, seed } => self.drain(window, seed),
        }
    }

    /// Hands out frames: at most about `writes` sends, then the thread looks at events again. `true`: there is
    /// more to do at once.
    pub fn turn(&mut self, writes: usize) -> bool {
        self.judge_some();
        self.pay_owing();
        let mut left = writes;
        while left > 0 {
            let Some(socket) = self.jobs.pop_front() else { break };
            left = self.hand_out(socket, left);
            if self.table.get(socket).is_some_and(|socket| socket.job.is_some()) {
                self.jobs.push_back(socket);
            }
        }
        self.tell_untold();
        self.counts.set_log_bytes(i64::try_from(self.pool.bytes()).unwrap_or(i64::MAX));
        !self.jobs.is_empty() || !self.owing.is_empty() || self.unjudged > 0
    }

    /// Connections that are still here.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Bytes that all logs keep.
    #[cfg(test)]
    pub(crate) fn log_bytes(&self) -> u64 {
        self.pool.bytes()
    }

    /// Whether everybody has gone after a drain.
    pub fn is_drained(&self) -> bool {
        self.draining.is_some() && self.connections.is_empty()
    }

    fn tell(&mut self, change: InterestChange) {
        if !self.untold.is_empty() {
            self.untold.push_back(change);
        } else if let Err(change) = self.control.interest(change) {
            self.untold.push_back(change);
        }
    }

    fn tell_untold(&mut self) {
        while let Some(change) = self.untold.pop_front() {
            if let Err(change) = self.control.interest(change) {
                self.untold.push_front(change);
                break;
            }
        }
    }
}
