//! Where messages come from and go to: a task that answers two channels and feeds the shards.
//!
//! Shards say which topics they want ([`InterestChange`]), the publisher hands over what clients publish
//! ([`PublishRequest`]), the backbone's task delivers what arrives to the inboxes of the shards that want it.

pub mod memory;
pub mod nats;

mod counts;
mod deliveries;
mod exchange;
mod interests;
#[cfg(test)]
mod shards;

pub use counts::Counts;
pub(crate) use exchange::{Change, Exchange, Gone, Surroundings};

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::history::{HistoryError, Page, Start};
use crate::api::{Feed, Filter, Seq, Topic};

/// A shard begins or ceases to want a topic or pattern.
#[derive(Debug, Clone)]
pub struct InterestChange {
    /// What is wanted.
    pub filter: Filter,
    /// Index of the shard.
    pub shard: usize,
    /// Names this request in the answer, so that an answer to an earlier one is not taken for it.
    pub ticket: u32,
    /// `true`: the shard is answered `InForce` or `Refused`. `false`: no answer.
    pub wanted: bool,
}

/// A message to publish.
#[derive(Debug)]
pub struct PublishRequest {
    /// Where to.
    pub topic: Topic,
    /// The publisher's id of the message.
    pub message_id: Arc<str>,
    /// The same for the same user, topic and messageId only, in every gateway: what a backbone that de-duplicates
    /// knows the message by.
    pub unique_id: String,
    /// The body, byte for byte.
    pub body: Bytes,
    /// Told once the backbone has confirmed, or that it will not.
    pub reply: oneshot::Sender<Result<Published, PublishError>>,
}

/// What the backbone says of a message it has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Published {
    /// Its number in the topic, where the backbone numbers.
    pub seq: Option<Seq>,
    /// The backbone had accepted it before.
    pub duplicate: bool,
    /// The backbone remembers it by its id, for as long as it is to count once: nobody else has to.
    pub remembered: bool,
}

/// A part of a topic's history that somebody wants.
#[derive(Debug)]
pub struct HistoryRequest {
    /// The topic.
    pub topic: Topic,
    /// Where to begin.
    pub start: Start,
    /// Last message wanted; absent: up to the newest.
    pub until: Option<Seq>,
    /// Told the first page. Requests for the same part that are under way at the same time share one page.
    pub reply: oneshot::Sender<Result<Arc<Page>, HistoryError>>,
}

/// Why a message was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The backbone cannot be reached or did not confirm in time: try again.
    #[error("the backbone did not confirm the message: {0}; publish it again with the same messageId")]
    Unavailable(Cow<'static, str>),
    /// The backbone refuses this message for good or for now.
    #[error("{0}")]
    Refused(String),
}

/// Whether the backbone can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Connected now.
    pub connected: bool,
    /// How often a lost connection came back.
    pub reconnects: u64,
    /// How messages come from the stream.
    pub feed: Feed,
    /// What is wrong with the stream, and what to do.
    pub trouble: Option<Arc<str>>,
}

/// The ways to talk to a running backbone. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    /// Interests of the shards; bounded, a shard tries again when it is full.
    pub interests: mpsc::Sender<InterestChange>,
    /// Messages to publish; bounded.
    pub publishes: mpsc::Sender<PublishRequest>,
    /// History to read; bounded.
    pub reads: mpsc::Sender<HistoryRequest>,
    /// Connection state.
    pub status: watch::Receiver<Status>,
}
