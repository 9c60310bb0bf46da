//! What was on a topic before: the newest messages kept ([`Tail`]), and what is read of them ([`Page`]). Pure.
//!
//! A position is the number of the last message that one has: what follows it is what is missing. Messages are kept
//! as the very frames that were sent live, so that a message read again is the same to the byte.

mod epoch;
mod keeping;
mod tail;

use bytes::Bytes;

pub use epoch::{Epoch, NoEpoch};
pub use keeping::Keeping;
pub use tail::{Tail, Window};

use crate::api::{Seq, Stamp};

/// Bytes of frames after which a page ends; a single larger message is a page of its own.
pub const PAGE_BYTES: usize = 256 * 1024;
/// Messages after which a page ends.
pub const PAGE_MESSAGES: usize = 1_024;
/// Most messages that `last` may ask for.
pub const MAX_LAST: u32 = 10_000;

/// One message of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub seq: Seq,
    /// The number of the message before it on this topic, 0 for the first: as its frame says.
    pub prev: Seq,
    /// The whole WebSocket frame.
    pub frame: Bytes,
    /// When it was published, where known.
    pub published: Option<Stamp>,
}

/// A position that no message ever has: what is asked for behind it is answered as a position of an earlier life of the
/// stream is, see [`Page::after`].
pub const NOWHERE: Seq = Seq::MAX;

/// Where to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    /// Behind this position; 0: with the first message there ever was.
    After(Seq),
    /// With the newest so many messages up to the last one wanted, at most [`MAX_LAST`].
    Newest(u32),
}

/// A part of a topic, in order and without a hole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The position that the page begins after. That of [`Start::After`], unless no such position was ever given on
    /// this topic (it is of an earlier life of the stream): then the topic's newest, and there are no messages.
    pub after: Seq,
    /// Something between the position asked for and the first message is gone for good.
    pub lost: Option<Lost>,
    /// At most [`PAGE_MESSAGES`] and about [`PAGE_BYTES`].
    pub messages: Vec<Kept>,
    /// There is more up to what was asked for: read on after the last message.
    pub more: bool,
}

/// Messages that are not kept any longer: told with `gap`, reason `expired`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// First and last number, where known.
    pub between: Option<(Seq, Seq)>,
}

impl Page {
    /// What was asked for is of an earlier life of the topic, which has nothing now.
    pub fn of_another_life() -> Self {
        Self { lost: Some(Lost::default()), ..Self::default() }
    }
}

impl Lost {
    /// As far as it lies within what was asked for: what is behind that comes live.
    #[must_use]
    pub fn within(self, until: Option<Seq>) -> Option<Self> {
        let Some((first, end)) = self.between else { return Some(self) };
        let end = until.map_or(end, |until| until.min(end));
        (first <= end).then_some(Self { between: Some((first, end)) })
    }
}

/// Why nothing can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// This topic has no history here (`HISTORY_UNAVAILABLE`).
    #[error("{0}")]
    None(String),
    /// It cannot be read now (`BACKBONE_UNAVAILABLE`).
    #[error("{0}")]
    Unavailable(String),
}
