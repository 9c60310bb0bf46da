//! What a session needs to know, and what it decides.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    api::{Filter, Limits, Seq, Topic},
    gateway::{
        history::{Epoch, Start},
        protocol::{
            CloseCode, ErrorCode,
            command::{Id, Token},
        },
    },
};

/// The limits that a session keeps; all from the resource's `limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Subscriptions of one connection.
    pub topics_per_connection: u32,
    /// Publishes of one connection per second; 0 = no limit.
    pub publish_per_second: u32,
    /// Setups, subscribes and unsubscribes of one connection per second; 0 = no limit.
    pub subscribe_per_second: u32,
    /// Bytes of one published payload.
    pub message_bytes: usize,
}

impl From<&Limits> for Policy {
    fn from(limits: &Limits) -> Self {
        // The resource's own rules keep these from being negative.
        let count = |limit: i32| u32::try_from(limit).unwrap_or(0);
        Self {
            topics_per_connection: count(limits.topics_per_connection),
            publish_per_second: count(limits.publish_per_second),
            subscribe_per_second: count(limits.subscribe_per_second),
            message_bytes: count(limits.message_bytes) as usize,
        }
    }
}

/// What the shard knows of a connection's subscriptions.
pub trait Held {
    /// How many there are, those not yet in force included.
    fn count(&self) -> usize;
    /// Whether this topic or pattern is among them.
    fn holds(&self, filter: &str) -> bool;
}

/// What a client wants to begin with: said by `setup`, `resume` or an HTTP request, done once it is known who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// Subscribe to these, not yet checked: `ready`, then each by `Session::subscribe`.
    Setup {
        /// As the client wrote them.
        topics: Vec<String>,
    },
    /// Go on where an earlier connection ended, if the session was this user's: `ready`, then each by
    /// `Session::subscribe`.
    Resume {
        /// From that connection's `ready`, not yet checked.
        session: Box<str>,
        /// Topics as the client wrote them, and the last number it has of each.
        positions: Vec<(String, Seq)>,
        /// What they are positions of; absent: what the session began with.
        epoch: Option<Epoch>,
    },
    /// `/sse`: `ready`, then each by `Session::subscribe`; `resumed` where the client has been here before.
    Stream {
        /// Topics and patterns, and where the client stands in each.
        topics: Vec<(Filter, Option<Reached>)>,
    },
}

/// Where a client stands in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The last number it has; [`NOWHERE`](crate::gateway::history::NOWHERE) where the topic had none.
    pub seq: Seq,
    /// What it is a position of, as `subscribed` told.
    pub epoch: Option<Epoch>,
}

/// What was before is wanted along with a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchUp {
    /// Where to begin.
    pub start: Start,
    /// Part of a `resume`: where there is no history the topic is subscribed to all the same, and the client told
    /// what it has missed.
    pub resumed: bool,
    /// What `start` is a position of, where the client or its session says so.
    pub epoch: Option<Epoch>,
}

impl CatchUp {
    /// Whether it is a position of another epoch than `current`: whatever was behind it there is gone, and everything
    /// of this one is behind it.
    pub fn is_foreign(&self, current: Option<Epoch>) -> bool {
        let other = self.epoch.zip(current).is_some_and(|(own, current)| own != current);
        other && matches!(self.start, Start::After(_))
    }
}

/// What a client has processed; no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// The message with this `messageId`.
    Message {
        /// Its id.
        id: Box<str>,
        /// The topic as the client wrote it, if it did.
        topic: Option<Box<str>>,
    },
    /// Everything of a topic up to this number.
    UpTo {
        /// As the client wrote it.
        topic: Box<str>,
        /// Last message.
        seq: Seq,
    },
}

/// What is to be done about a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing more: the answer, if there is one, has been appended.
    Answered,
    /// Nothing more: an error with this code has been appended.
    Refused(ErrorCode),
    /// Check the token; then begin, or `AUTH_FAILED`.
    Authenticate {
        /// Echoed in the answer.
        id: Option<Id>,
        /// The token.
        token: Token,
        /// What then.
        beginning: Beginning,
    },
    /// Begin: the client is known already.
    Begin {
        /// Echoed in the answer.
        id: Option<Id>,
        /// With what.
        beginning: Beginning,
    },
    /// Subscribe and answer `subscribed`; at once if it is held already.
    Subscribe {
        /// Echoed in the answer.
        id: Option<Id>,
        /// Allowed and within the limits.
        filter: Filter,
        /// What was before, if that is wanted; never with a pattern, but in a `resume`.
        catch_up: Option<CatchUp>,
    },
    /// Send a part of a topic again, then `replayed`.
    Replay {
        /// Echoed in the answer.
        id: Option<Id>,
        /// Allowed.
        topic: Topic,
        /// First message.
        from: Seq,
        /// Last message; the newest if absent.
        to: Option<Seq>,
    },
    /// Unsubscribe and answer `unsubscribed`; it is held.
    Unsubscribe {
        /// Echoed in the answer.
        id: Option<Id>,
        /// What is held.
        filter: Filter,
    },
    /// Note what was processed.
    Acknowledge(Acknowledged),
    /// Publish, and answer once the backbone has confirmed.
    Publish {
        /// Echoed in the answer.
        id: Option<Id>,
        /// Allowed.
        topic: Topic,
        /// The publisher's id of the message.
        message_id: Arc<str>,
        /// JSON, byte for byte.
        payload: Bytes,
    },
    /// Close the connection.
    Close {
        /// With this code.
        code: CloseCode,
        /// And this reason.
        reason: &'static str,
    },
}
