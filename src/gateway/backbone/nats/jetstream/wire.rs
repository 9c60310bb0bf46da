//! What the JetStream API says (NATS ADR-2, ADR-8, ADR-31), as far as it is needed here.

use std::collections::BTreeMap;

use async_nats::{HeaderMap, HeaderValue, Message};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;

use crate::{
    api::{Seq, Stamp},
    gateway::{
        backbone::nats::router::{MESSAGE_ID, Numbered, UNIQUE_ID, named, published},
        protocol::body::is_message_id,
    },
};

/// Number of a message in the stream.
pub(crate) const SEQUENCE: &str = "Nats-Sequence";
/// In a message published again: number of the one before it on the same subject, as far as the stream has it.
pub(crate) const LAST_SEQUENCE: &str = "Nats-Last-Sequence";
/// Name of the stream.
pub(crate) const STREAM: &str = "Nats-Stream";
/// Subject of a message.
pub(crate) const SUBJECT: &str = "Nats-Subject";
/// In an answer to Direct Get: how many messages would follow.
const PENDING: &str = "Nats-Num-Pending";
/// At the end of an answer to Direct Get: last number of the stream when it was asked.
const UP_TO: &str = "Nats-UpTo-Sequence";

/// A stream's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    pub(crate) subjects: Vec<String>,
    pub(crate) republish: Option<RepublishConfig>,
    pub(crate) subject_transform: Option<SubjectTransform>,
    pub(crate) allow_direct: bool,
    pub(crate) max_msgs_per_subject: i64,
    pub(crate) num_replicas: usize,
}

/// Under which subjects messages are stored that come on others.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SubjectTransform {
    pub(crate) src: String,
    pub(crate) dest: String,
}

impl Config {
    /// Whether messages are stored under other subjects than they come on.
    pub(crate) fn renames(&self) -> bool {
        self.subject_transform.as_ref().is_some_and(|transform| transform.src != transform.dest)
    }
}

/// What is published again, and where.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RepublishConfig {
    pub(crate) src: String,
    pub(crate) dest: String,
    pub(crate) headers_only: bool,
}

/// What the stream holds.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) first_seq: Seq,
    pub(crate) last_seq: Seq,
    pub(crate) messages: u64,
}

impl State {
    /// Whether every message behind this position is there, as far as numbers tell: the stream begins before it, and
    /// has no hole, as the purge of a topic leaves one.
    pub(crate) fn has_all_behind(&self, position: Seq) -> bool {
        let no_hole = self.last_seq == 0 || self.first_seq.saturating_add(self.messages) == self.last_seq + 1;
        self.first_seq <= position.saturating_add(1) && no_hole
    }
}

/// Answer to `STREAM.INFO`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Info {
    pub(crate) error: Option<ApiError>,
    pub(crate) config: Config,
    /// When the stream was made: another one has another time.
    pub(crate) created: String,
    pub(crate) state: State,
}

/// The server says no.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    pub(crate) err_code: u16,
    pub(crate) description: String,
}

/// Answer to a publish.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PubAck {
    pub(crate) error: Option<ApiError>,
    pub(crate) seq: Seq,
    pub(crate) duplicate: bool,
}

/// A message out of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) subject: String,
    pub(crate) seq: Seq,
    /// The publisher's id, from our header.
    pub(crate) id: Option<String>,
    /// What the stream knows it by.
    pub(crate) unique_id: Option<String>,
    /// When the stream stored it.
    pub(crate) published: Option<Stamp>,
    pub(crate) body: Bytes,
}

impl Stored {
    /// As it comes behind the message of its topic with the number `prev`.
    pub(crate) fn after(&self, prev: Seq) -> Numbered<'_> {
        let Self { seq, ref id, ref unique_id, published, ref body, .. } = *self;
        Numbered { seq, prev, id: id.as_deref(), unique_id: unique_id.as_deref(), published, body }
    }
}

/// One part of an answer to Direct Get.
pub(crate) enum Direct {
    Message(Stored),
    /// That was all for now.
    End {
        /// Messages that would follow.
        pending: u64,
        /// Last number of the stream, in an answer about several subjects.
        through: Option<Seq>,
    },
    Refused(String),
}

impl Direct {
    pub(crate) fn read(message: Message) -> Self {
        let number = |name| message.headers.as_ref().and_then(|headers| number(headers, name));
        match message.status.map(|status| status.as_u16()) {
            Some(204) => Self::End { pending: number(PENDING).unwrap_or(0), through: number(UP_TO) },
            Some(404) => Self::End { pending: 0, through: None },
            Some(code) => Self::Refused(format!("{code} {}", message.description.unwrap_or_default())),
            None => {
                let Some((seq, headers)) = number(SEQUENCE).zip(message.headers.as_ref()) else {
                    return Self::Refused("a message without its number".into());
                };
                let subject = said(headers, SUBJECT).unwrap_or_default().to_owned();
                let (id, unique_id) = ids(headers);
                let (id, unique_id) = (id.map(str::to_owned), unique_id.map(str::to_owned));
                let published = published(headers);
                Self::Message(Stored { subject, seq, id, unique_id, published, body: message.payload })
            }
        }
    }
}

/// The publisher's id of a message in our header, and what the stream knows it by.
pub(crate) fn ids(headers: &HeaderMap) -> (Option<&str>, Option<&str>) {
    (named(headers, MESSAGE_ID), named(headers, UNIQUE_ID))
}

/// A header that the server has written: behind those of the publisher, who may have written one of the same name.
pub(crate) fn said<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_last(name).map(HeaderValue::as_str)
}

/// Such a header that is a number.
pub(crate) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    said(headers, name)?.parse().ok()
}

/// Answer to `STREAM.MSG.GET`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Got {
    pub(crate) error: Option<ApiError>,
    message: Option<GotMessage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GotMessage {
    subject: String,
    seq: Seq,
    data: String,
    hdrs: String,
    time: String,
}

impl Got {
    /// The message, if it can be read.
    pub(crate) fn message(self) -> Option<Stored> {
        let GotMessage { subject, seq, data, hdrs, time } = self.message?;
        let body = STANDARD.decode(data).ok()?.into();
        let headers = String::from_utf8(STANDARD.decode(hdrs).ok()?).unwrap_or_default();
        let lines: BTreeMap<_, _> = headers.lines().filter_map(|line| line.split_once(':')).collect();
        let [id, unique_id] = [MESSAGE_ID, UNIQUE_ID]
            .map(|name| lines.get(name.as_ref() as &str).map(|id| id.trim().to_owned()))
            .map(|id| id.filter(|id| is_message_id(id)));
        Some(Stored { subject, seq, id, unique_id, published: Stamp::parse(&time), body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_all_behind_a_position_if_it_begins_before_it_and_has_no_hole() {
        for (first_seq, last_seq, messages, position, expected) in [
            (0, 0, 0, 0, true),
            (1, 9, 9, 0, true),
            (4, 9, 6, 3, true),
            (4, 9, 6, 2, false),
            // Emptied, and nothing since.
            (10, 9, 0, 9, true),
            (10, 9, 0, 8, false),
            // A topic was purged.
            (1, 9, 7, 5, false),
        ] {
            let state = State { first_seq, last_seq, messages };
            assert_eq!(state.has_all_behind(position), expected, "{state:?} {position}");
        }
    }
}
