//! What a client may say: one text frame to one command, or the reason why not.

mod fields;

use std::{borrow::Cow, fmt};

pub use fields::{parse, parse_entry};

use super::body::MAX_MESSAGE_ID;
use crate::{
    api::Seq,
    gateway::history::{Epoch, Start},
};

/// Longest `id`, in bytes between the quotes.
pub const MAX_ID: usize = 128;
/// Most entries of `setup.topics` and `resume.lastSeqPerTopic`.
pub const MAX_TOPICS: usize = 1024;

/// A command's `id` as the client wrote it (a JSON string or integer), echoed byte for byte.
pub type Id = Box<str>;

/// A command and the id that its answer echoes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Echoed in the answer.
    pub id: Option<Id>,
    /// What is asked for.
    pub command: Command<'a>,
}

/// What a client asks for. Topics are text as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// Authenticate, or replace the token; then subscribe.
    Setup {
        /// The token, if one was given.
        token: Option<Token>,
        /// Topics to subscribe to, at most [`MAX_TOPICS`].
        topics: Vec<Cow<'a, str>>,
    },
    /// Receive a topic or pattern.
    Subscribe {
        /// Topic or pattern.
        topic: Cow<'a, str>,
        /// `fromSeq` or `last`: where to begin in what was before.
        history: Option<Start>,
        /// What `fromSeq` is a position of, as `subscribed` told.
        epoch: Option<Epoch>,
    },
    /// Receive it no longer.
    Unsubscribe {
        /// Topic or pattern.
        topic: Cow<'a, str>,
    },
    /// Publish a message.
    Publish {
        /// Where to.
        topic: Cow<'a, str>,
        /// The publisher's id of the message: 1 to 256 bytes.
        message_id: Cow<'a, str>,
        /// JSON as the client wrote it.
        payload: &'a str,
    },
    /// A message was processed.
    Ack(Ack<'a>),
    /// Send a part of a topic again.
    Replay {
        /// The topic.
        topic: Cow<'a, str>,
        /// First message.
        from_seq: Seq,
        /// Last message; the newest if absent.
        to_seq: Option<Seq>,
    },
    /// Go on where an earlier connection ended.
    Resume {
        /// From that connection's `ready`.
        session_id: Cow<'a, str>,
        /// Last number seen of each topic, at most [`MAX_TOPICS`].
        last_seq_per_topic: Vec<(Cow<'a, str>, Seq)>,
        /// What these are positions of, as `subscribed` told; absent: what the session began with.
        epoch: Option<Epoch>,
        /// Replaces `setup.token`.
        token: Option<Token>,
    },
    /// Answered with `pong`.
    Ping,
}

/// What was processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ack<'a> {
    /// The message with this `messageId`.
    Message {
        /// Its id.
        id: Cow<'a, str>,
        /// The topic it came on; absent: whichever it is. An id may be there on several.
        topic: Option<Cow<'a, str>>,
    },
    /// Everything of a topic up to this number.
    UpTo {
        /// The topic.
        topic: Cow<'a, str>,
        /// Last message.
        seq: Seq,
    },
}

/// A frame that is no command. To be told as `BAD_REQUEST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The frame's `id`, where it could be read.
    pub id: Option<Id>,
    /// The frame's `topic`, where it could be read.
    pub topic: Option<String>,
    /// Names the field and says what is wanted.
    pub message: String,
}

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The publisher's id of the message (1 to 256 bytes), where it gives one that can be read.
    pub message_id: Option<Cow<'a, str>>,
    /// JSON as the client wrote it, or what is wrong.
    pub payload: Result<&'a str, String>,
}

/// A secret: printed as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests;
