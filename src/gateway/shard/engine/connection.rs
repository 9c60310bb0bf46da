//! One connection: small while it is idle and keeps up, everything else is boxed and only there when needed.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::{
    ledger::{Ledger, Ledgers},
    reading::Readings,
};
use crate::{
    api::{Seq, Stamp},
    gateway::{
        limits::Seat,
        log::Missed,
        metrics::Transport,
        protocol::{
            command::Id,
            session::{Beginning, Session},
        },
        shard::inbox::ConnectionId,
        websocket::Decoder,
    },
};

/// Publishes of one connection that may wait for the backbone; above it the connection is not read.
pub(super) const IN_FLIGHT: u16 = 64;

#[derive(Debug)]
pub(super) struct Connection<S> {
    pub(super) generation: u32,
    pub(super) socket: S,
    pub(super) transport: Transport,
    pub(super) phase: Phase,
    pub(super) session: Session,
    pub(super) decoder: Decoder,
    pub(super) seat: Seat,
    /// Whole frames owed beside topic data (answers, errors, pings), sent at a frame boundary. Its front may be
    /// the rest of a frame. Bounded by `Settings::outbox_bytes`.
    pub(super) outbox: Vec<u8>,
    /// There while the socket does not take what there is for it.
    pub(super) lag: Option<Box<Lag>>,
    /// Subscriptions in the order they began: a few are kept in place. Bounded by `limits.topicsPerConnection`.
    pub(super) held: SmallVec<[Held; 2]>,
    /// Subscribes that wait for the backbone.
    pub(super) waiting: u16,
    /// Publishes that wait for the backbone; at most [`IN_FLIGHT`].
    pub(super) in_flight: u16,
    /// Messages may be compressed, in both directions.
    pub(super) deflate: bool,
    /// Two of the subscriptions may match the same topic: frames have to be looked at one by one.
    pub(super) overlap: bool,
    /// There while history is read for this connection.
    pub(super) readings: Option<Box<Readings>>,
    /// Subscriptions that are delivered at least once; at most as many as are held.
    pub(super) ledgers: Ledgers,
    /// There while the connection is not read.
    pub(super) pause: Option<Box<Pause>>,
    /// `/ws/sub/{topic}`: subscribed as soon as the client may.
    pub(super) topic: Option<Box<str>>,
    /// Second of the next ping.
    pub(super) ping_at: u32,
    /// Second by which a pong must have come; 0: none is awaited.
    pub(super) pong_by: u32,
    /// Second by which the client must be authenticated, or its token renewed; 0: no end.
    pub(super) ends_at: u32,
    /// Second at which the client is told that its token ends; 0: not to be told, or told already.
    pub(super) notice_at: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Last words are on their way; dropped at this second at the latest.
    Closing(u32),
}

/// One subscription of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// Index of the sub-socket.
    pub(super) socket: u32,
    /// Place among its subscribers.
    pub(super) place: u32,
}

/// Whose turn it is to send something to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// A sub-socket's.
    Live(u32),
    /// That of the history read with this ticket.
    History(u32),
}

/// What a connection that does not keep up has before it.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// The rest of a frame whose beginning is sent and that has left its log: at most one frame. Or a share of
    /// history.
    pub(super) carry: Vec<u8>,
    /// When the messages in it were published of which the latency counts: those of a share at most.
    pub(super) carried: Vec<Stamp>,
    /// The sub-socket whose frame is half sent.
    pub(super) current: Option<u32>,
    /// Those with something to send, in turn; each at most once.
    pub(super) pending: VecDeque<Turn>,
    /// What was missed per sub-socket, to be announced before its next message; each at most once.
    pub(super) missed: Vec<(u32, Missed)>,
    /// The socket took something since the last ping.
    pub(super) moved: bool,
}

/// What a connection that is not read has before it.
#[derive(Debug, Default)]
pub(super) struct Pause {
    /// Read but not yet looked at: at most one read buffer.
    pub(super) bytes: Vec<u8>,
    /// A `setup` or `resume` whose token is being checked.
    pub(super) setup: Option<Setup>,
}

/// A `setup` or `resume` under way.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) id: Option<Id>,
    pub(super) beginning: Beginning,
}

impl<S> Connection<S> {
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether a subscription to a topic that is delivered at least once needs acknowledgements. An answer cannot be
    /// acknowledged: what its client says when it comes back (`Last-Event-ID`) is in the place of that.
    pub(super) fn acknowledges(&self) -> bool {
        self.transport == Transport::WebSocket
    }

    pub(super) fn id(&self, slot: usize) -> ConnectionId {
        ConnectionId { slot: u32::try_from(slot).unwrap_or(u32::MAX), generation: self.generation }
    }

    pub(super) fn ledger(&mut self, index: u32) -> Option<&mut Ledger> {
        self.ledgers.iter_mut().find(|ledger| ledger.index == index)
    }

    pub(super) fn lag(&mut self) -> &mut Lag {
        self.lag.get_or_insert_default()
    }
}

impl Lag {
    /// Notes that there is something for this connection.
    pub(super) fn wait_for(&mut self, turn: Turn) {
        if !self.pending.contains(&turn) {
            self.pending.push_back(turn);
        }
    }

    /// Notes what was missed, together with what was missed before.
    pub(super) fn miss(&mut self, socket: u32, missed: Missed) {
        match self.missed.iter_mut().find(|(own, _)| *own == socket) {
            Some((_, before)) => *before = before.and(missed),
            None => self.missed.push((socket, missed)),
        }
    }

    /// The first number that is to be announced as missed of a sub-socket.
    pub(super) fn missed_from(&self, socket: u32) -> Option<Seq> {
        let (_, missed) = self.missed.iter().find(|(own, _)| *own == socket)?;
        Some(missed.sequences?.0)
    }

    /// Takes what is to be announced as missed of a sub-socket.
    pub(super) fn take_missed(&mut self, socket: u32) -> Option<Missed> {
        let at = self.missed.iter().position(|(own, _)| *own == socket)?;
        Some(self.missed.swap_remove(at).1)
    }

    /// Forgets a sub-socket that is no longer subscribed to.
    pub(super) fn forget(&mut self, socket: u32) {
        self.pending.retain(|own| *own != Turn::Live(socket));
        self.missed.retain(|(own, _)| *own != socket);
    }
}
