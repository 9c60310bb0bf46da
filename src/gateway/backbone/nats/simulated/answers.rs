//! What the server answers to questions of the JetStream API, as seen on nats-server 2.15.1.

use async_nats::{HeaderMap, Message, StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    PREFIX, STREAM,
    stream::{Entry, Fresh, Server, Stream},
};
use crate::{
    api::{Pattern, Seq},
    gateway::backbone::nats::router::MESSAGE_ID,
};

impl Server {
    /// The parts of an answer. `behind`: so many numbers a copy of the stream may lag.
    pub(crate) fn answer(&self, subject: &str, question: &[u8], behind: Seq) -> Vec<Message> {
        let question: Value = serde_json::from_slice(question).unwrap_or_default();
        let api = subject.trim_start_matches("$JS.API.").trim_end_matches(&format!(".{STREAM}"));
        let Some(stream) = &self.stream else {
            return vec![match api {
                "DIRECT.GET" => part(None, Bytes::new(), Some(503)),
                _ => whole(
                    &json!({"error": {"code": 404, "err_code": 10059, "description": "stream not found"}}),
                ),
            }];
        };
        match api {
            "STREAM.INFO" => vec![whole(&self.info(stream))],
            "STREAM.MSG.GET" => vec![whole(&at_the_leader(stream, &question))],
            "DIRECT.GET" => {
                let visible =
                    if self.traits.replicas > 1 { stream.last.saturating_sub(behind) } else { stream.last };
                let batch = question["batch"].as_u64().unwrap_or(1);
                let batch = usize::try_from(batch).unwrap_or(1).min(self.traits.batch);
                match question["multi_last"].as_array() {
                    Some(subjects) => newest(stream, subjects, &question, batch, stream.last),
                    None => following(stream, &question, batch, visible),
                }
            }
            _ => vec![part(None, Bytes::new(), Some(503))],
        }
    }

    fn info(&self, stream: &Stream) -> Value {
        let traits = &self.traits;
        let republish = traits.republish.then(|| json!({"src": ">", "dest": format!("_tg.{STREAM}.>")}));
        json!({
            "config": {
                "subjects": [format!("{PREFIX}.>")],
                "republish": republish,
                "allow_direct": traits.direct,
                "max_msgs_per_subject": traits.per_subject,
                "num_replicas": traits.replicas,
            },
            "created": format!("life {}", stream.life),
            "state": {"first_seq": stream.first(), "last_seq": stream.last},
        })
    }
}

/// The message as it is published, and as it is published again.
pub(super) fn published(fresh: &Fresh, republish: bool) -> Vec<Message> {
    let Fresh { entry, seq, prev } = fresh;
    let mut sent = part(None, entry.body.clone(), None);
    sent.subject = entry.subject.as_str().into();
    if !republish {
        return vec![sent];
    }
    let mut again = of_stream(entry, *seq, *prev);
    again.subject = format!("_tg.{STREAM}.{}", entry.subject).into();
    vec![sent, again]
}

fn newest(stream: &Stream, subjects: &[Value], question: &Value, batch: usize, visible: Seq) -> Vec<Message> {
    let from = question["seq"].as_u64().unwrap_or(0);
    let wanted: Vec<Pattern> = subjects.iter().filter_map(|subject| subject.as_str()?.parse().ok()).collect();
    let newest = |(seq, entry): &(&Seq, &Entry)| stream.newest(&entry.subject, visible) == **seq;
    let found: Vec<_> = stream
        .messages
        .range(from..=visible.max(from))
        .filter(|(seq, entry)| **seq <= visible && wanted.iter().any(|own| own.matches_str(&entry.subject)))
        .filter(newest)
        .collect();
    if found.is_empty() {
        return vec![part(None, Bytes::new(), Some(404))];
    }
    let pending = found.len().saturating_sub(batch);
    let mut parts: Vec<_> =
        found.into_iter().take(batch).map(|(seq, entry)| of_stream(entry, *seq, 0)).collect();
    parts.push(end(pending, Some(visible)));
    parts
}

fn following(stream: &Stream, question: &Value, batch: usize, visible: Seq) -> Vec<Message> {
    let (from, subject) = (question["seq"].as_u64().unwrap_or(0), question["next_by_subj"].as_str());
    let found: Vec<_> =
        stream.of(subject.unwrap_or_default(), from).filter(|(seq, _)| *seq <= visible).collect();
    if found.is_empty() {
        return vec![part(None, Bytes::new(), Some(404))];
    }
    let pending = found.len().saturating_sub(batch);
    let mut prev = 0;
    let mut parts: Vec<_> = found
        .into_iter()
        .take(batch)
        .map(|(seq, entry)| of_stream(entry, seq, std::mem::replace(&mut prev, seq)))
        .collect();
    parts.push(end(pending, None));
    parts
}

fn at_the_leader(stream: &Stream, question: &Value) -> Value {
    let found = if let Some(subject) = question["last_by_subj"].as_str() {
        let seq = stream.newest(subject, Seq::MAX);
        stream.messages.get(&seq).map(|entry| (seq, entry))
    } else {
        let subject = question["next_by_subj"].as_str().unwrap_or_default();
        stream.of(subject, question["seq"].as_u64().unwrap_or(0)).next()
    };
    let Some((seq, entry)) = found else {
        return json!({"error": {"code": 404, "err_code": 10037, "description": "no message found"}});
    };
    let id =
        entry.id.as_deref().map_or(String::new(), |id| format!("{}: {id}\r\n", MESSAGE_ID.as_ref() as &str));
    json!({"message": {
        "subject": entry.subject,
        "seq": seq,
        "data": STANDARD.encode(&entry.body),
        "hdrs": STANDARD.encode(format!("NATS/1.0\r\n{id}\r\n")),
    }})
}

fn of_stream(entry: &Entry, seq: Seq, prev: Seq) -> Message {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Stream", STREAM);
    headers.insert("Nats-Subject", entry.subject.as_str());
    headers.insert("Nats-Sequence", seq.to_string());
    headers.insert("Nats-Last-Sequence", prev.to_string());
    if let Some(id) = &entry.id {
        headers.insert(MESSAGE_ID, id.as_str());
    }
    part(Some(headers), entry.body.clone(), None)
}

fn end(pending: usize, through: Option<Seq>) -> Message {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Num-Pending", pending.to_string());
    if let Some(through) = through {
        headers.insert("Nats-UpTo-Sequence", through.to_string());
    }
    part(Some(headers), Bytes::new(), Some(204))
}

pub(super) fn whole(answer: &Value) -> Message {
    part(None, answer.to_string().into(), None)
}

fn part(headers: Option<HeaderMap>, payload: Bytes, status: Option<u16>) -> Message {
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    Message {
        subject: "".into(),
        reply: None,
        length: payload.len(),
        payload,
        headers,
        status,
        description: None,
    }
}
