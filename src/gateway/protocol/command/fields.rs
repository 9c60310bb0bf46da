//! Reads the fields of a frame, raw, in one pass; then each command decodes those it knows.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Ack, Command, Entry, Envelope, Id, MAX_ID, MAX_MESSAGE_ID, MAX_TOPICS, Rejection, Token};
use crate::{
    api::Seq,
    gateway::{
        history::{Epoch, MAX_LAST, NoEpoch, Start},
        protocol::json,
    },
};

/// Every field of every command. What is not here is ignored.
const NAMES: [&str; 15] = [
    "type",
    "id",
    "token",
    "topics",
    "topic",
    "fromSeq",
    "last",
    "messageId",
    "idempotencyKey",
    "payload",
    "seqNo",
    "toSeq",
    "sessionId",
    "lastSeqPerTopic",
    "epoch",
];

const TYPES: &str = "setup, subscribe, unsubscribe, publish, ack, replay, resume or ping";

/// Reads one text frame. Whatever the text, the worst is a [`Rejection`]: nesting is skipped in a loop, numbers
/// are not computed with, and only fields that the command uses are decoded.
pub fn parse(text: &str) -> Result<Envelope<'_>, Rejection> {
    let mut fields = Fields::default();
    let read = fields.read(text, "frame", r#"{"type":"ping"}"#);
    let (id, bad_id) = match fields.id() {
        Ok(id) => (id, Ok(())),
        Err(message) => (None, Err(message)),
    };
    match read.and(bad_id).and_then(|()| fields.command()) {
        Ok(command) => Ok(Envelope { id, command }),
        Err(message) => {
            let topic = fields.get("topic").and_then(json::as_text).map(Cow::into_owned);
            Err(Rejection { id, topic, message })
        }
    }
}

/// Reads one line of a batch of publishes. Fields are those of `publish`; its topic stands elsewhere.
pub fn parse_entry(text: &str) -> Entry<'_> {
    let mut fields = Fields::default();
    let read = fields.read(text, "line", r#"{"messageId":"1","payload":{"bid":1}}"#);
    let named = fields.get("messageId").or(fields.get("idempotencyKey")).is_some();
    let (message_id, bad_id) = match fields.message_id() {
        Ok(id) => (Some(id), Ok(())),
        Err(_) if !named => (None, Ok(())),
        Err(message) => (None, Err(message)),
    };
    Entry { message_id, payload: read.and(bad_id).and_then(|()| fields.payload()) }
}

/// The known fields of one frame, as JSON text.
#[derive(Default)]
struct Fields<'a> {
    values: [Option<&'a str>; NAMES.len()],
    twice: Option<&'static str>,
}

impl<'a> Visitor<'a> for &mut Fields<'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        // Keys are taken raw: decoding would refuse lone surrogates even where the field is ignored.
        while let Some(key) = map.next_key::<&RawValue>()? {
            let key = json::as_text(key.get());
            let Some(at) = key.and_then(|key| NAMES.iter().position(|name| *name == key)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&RawValue>()?.get();
            if self.values[at].is_some() {
                self.twice = Some(NAMES[at]);
            } else {
                self.values[at] = Some(value);
            }
        }
        Ok(())
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self, text: &'a str, what: &str, example: &str) -> Result<(), String> {
        if !text.trim_ascii_start().starts_with('{') {
            return Err(format!("a {what} must be one JSON object, for example {example}"));
        }
        let mut source = serde_json::Deserializer::from_str(text);
        source
            .deserialize_map(&mut *self)
            .and_then(|()| source.end())
            .map_err(|error| format!("the {what} is not valid JSON: {error}"))?;
        self.twice.map_or(Ok(()), |name| Err(format!("`{name}` is given twice: give it once")))
    }

    fn command(&self) -> Result<Command<'a>, String> {
        let Some(name) = self.get("type") else { return Err(format!("`type` is missing: give {TYPES}")) };
        let Some(name) = json::as_text(name) else {
            return Err(format!("`type` must be a string: give {TYPES}"));
        };
        Ok(match &*name {
            "setup" => Command::Setup { token: self.token()?, topics: self.topics()? },
            "subscribe" => Command::Subscribe {
                topic: self.text("topic")?,
                history: self.history()?,
                epoch: self.epoch()?,
            },
            "unsubscribe" => Command::Unsubscribe { topic: self.text("topic")? },
            "publish" => Command::Publish {
                topic: self.text("topic")?,
                message_id: self.message_id()?,
                payload: self.payload()?,
            },
            "ack" => self.ack()?,
            "replay" => self.replay()?,
            "resume" => Command::Resume {
                session_id: self.text("sessionId")?,
                last_seq_per_topic: self.last_seq_per_topic()?,
                epoch: self.epoch()?,
                token: self.token()?,
            },
            "ping" => Command::Ping,
            other => {
                let shown = &other[..other.floor_char_boundary(64)];
                return Err(format!("`type` {shown:?} is not known: give {TYPES}"));
            }
        })
    }

    fn ack(&self) -> Result<Command<'a>, String> {
        Ok(Command::Ack(if self.get("messageId").is_some() {
            Ack::Message { id: self.message_id()?, topic: self.optional_text("topic")? }
        } else if self.get("topic").is_some() || self.get("seqNo").is_some() {
            Ack::UpTo { topic: self.text("topic")?, seq: self.seq("seqNo")? }
        } else {
            return Err("`messageId` is missing: give it, or `topic` and `seqNo`".into());
        }))
    }

    fn replay(&self) -> Result<Command<'a>, String> {
        let (from_seq, to_seq) = (self.seq("fromSeq")?, self.optional_seq("toSeq")?);
        if to_seq.is_some_and(|to| to < from_seq) {
            return Err("`toSeq` must not be less than `fromSeq`".into());
        }
        Ok(Command::Replay { topic: self.text("topic")?, from_seq, to_seq })
    }

    fn payload(&self) -> Result<&'a str, String> {
        self.get("payload").ok_or_else(|| "`payload` is missing: give any JSON value".into())
    }

    fn history(&self) -> Result<Option<Start>, String> {
        Ok(match (self.optional_seq("fromSeq")?, self.optional_seq("last")?) {
            (None, None) => None,
            (Some(first), None) => Some(Start::After(first.saturating_sub(1))),
            (None, Some(count)) => {
                Some(Start::Newest(u32::try_from(count).unwrap_or(MAX_LAST).min(MAX_LAST)))
            }
            (Some(_), Some(_)) => return Err("`fromSeq` and `last` exclude each other: give one".into()),
        })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        NAMES.iter().position(|known| *known == name).and_then(|at| self.values[at])
    }

    fn id(&self) -> Result<Option<Id>, String> {
        let Some(raw) = self.get("id") else { return Ok(None) };
        if !raw.starts_with('"') && !json::is_integer(raw) {
            return Err("`id` must be a string or an integer".into());
        }
        let quotes = if raw.starts_with('"') { 2 } else { 0 };
        if raw.len() - quotes > MAX_ID {
            return Err(format!("`id` must have at most {MAX_ID} bytes"));
        }
        Ok(Some(raw.into()))
    }

    fn optional_text(&self, name: &str) -> Result<Option<Cow<'a, str>>, String> {
        self.get(name)
            .map(|raw| json::as_text(raw).ok_or_else(|| format!("`{name}` must be a string")))
            .transpose()
    }

    fn text(&self, name: &str) -> Result<Cow<'a, str>, String> {
        self.optional_text(name)?.ok_or_else(|| format!("`{name}` is missing: give a string"))
    }

    fn optional_seq(&self, name: &str) -> Result<Option<Seq>, String> {
        self.get(name).map(|raw| seq(raw, name)).transpose()
    }

    fn seq(&self, name: &str) -> Result<Seq, String> {
        self.optional_seq(name)?.ok_or_else(|| format!("`{name}` is missing: give a non-negative integer"))
    }

    fn epoch(&self) -> Result<Option<Epoch>, String> {
        let parse = |text: Cow<'_, str>| text.parse().map_err(|error: NoEpoch| format!("`epoch`: {error}"));
        self.optional_text("epoch")?.map(parse).transpose()
    }

    fn token(&self) -> Result<Option<Token>, String> {
        Ok(self.optional_text("token")?.map(|token| Token(token.into_owned())))
    }

    fn message_id(&self) -> Result<Cow<'a, str>, String> {
        let other = self.get("messageId").is_none() && self.get("idempotencyKey").is_some();
        let name = if other { "idempotencyKey" } else { "messageId" };
        let id = self.text(name)?;
        if !(1..=MAX_MESSAGE_ID).contains(&id.len()) {
            return Err(format!("`{name}` must have 1 to {MAX_MESSAGE_ID} bytes"));
        }
        // It goes into a header of NATS. Said here, so that every backbone takes the same.
        if id.contains(['\r', '\n']) {
            return Err(format!("`{name}` must not hold line ends: leave them out"));
        }
        if id.trim() != id {
            return Err(format!("`{name}` must not begin or end with a space: leave it out"));
        }
        Ok(id)
    }

    fn topics(&self) -> Result<Vec<Cow<'a, str>>, String> {
        let Some(raw) = self.get("topics") else { return Ok(Vec::new()) };
        let wanted = || format!("`topics` must be an array of at most {MAX_TOPICS} strings");
        serde_json::Deserializer::from_str(raw).deserialize_seq(Topics).map_err(|_| wanted())
    }

    fn last_seq_per_topic(&self) -> Result<Vec<(Cow<'a, str>, Seq)>, String> {
        let name = "lastSeqPerTopic";
        let wanted = format!("an object of at most {MAX_TOPICS} topics with a non-negative integer each");
        let Some(raw) = self.get(name) else { return Err(format!("`{name}` is missing: give {wanted}")) };
        let positions = serde_json::Deserializer::from_str(raw)
            .deserialize_map(Positions)
            .map_err(|_| format!("`{name}` must be {wanted}"))?;
        let mut topics: Vec<&str> = positions.iter().map(|(topic, _)| topic.as_ref()).collect();
        topics.sort_unstable();
        match topics.windows(2).find(|pair| pair[0] == pair[1]) {
            // Not echoed: it may be long.
            Some(_) => Err(format!("`{name}` gives a topic twice: give it once")),
            None => Ok(positions),
        }
    }
}

fn seq(raw: &str, name: &str) -> Result<Seq, String> {
    raw.parse().map_err(|_| format!("`{name}` must be a non-negative integer"))
}

/// An array of strings, at most [`MAX_TOPICS`]; the caller words the error.
struct Topics;

impl<'a> Visitor<'a> for Topics {
    type Value = Vec<Cow<'a, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut topics = Vec::new();
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            if topics.len() == MAX_TOPICS {
                return Err(S::Error::custom("too many"));
            }
            topics.push(json::as_text(raw.get()).ok_or_else(|| S::Error::custom("not a string"))?);
        }
        Ok(topics)
    }
}

/// An object from topic to number, at most [`MAX_TOPICS`]; the caller words the error.
struct Positions;

impl<'a> Visitor<'a> for Positions {
    type Value = Vec<(Cow<'a, str>, Seq)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of numbers")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut positions = Vec::new();
        while let Some((topic, seq)) = map.next_entry::<&RawValue, &RawValue>()? {
            if positions.len() == MAX_TOPICS {
                return Err(M::Error::custom("too many"));
            }
            let topic = json::as_text(topic.get()).ok_or_else(|| M::Error::custom("not a string"))?;
            positions.push((topic, seq.get().parse().map_err(M::Error::custom)?));
        }
        Ok(positions)
    }
}
