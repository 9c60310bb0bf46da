//! Every publish of a run, by whichever way, with what became of it.

use serde_json::Value;

use super::{
    frames::{self, text},
    history::{Body, History, Mark, Nanos, Outcome, Publish, Seq, Track, What},
};

/// What is noted of a backbone that was started again.
const RESTARTED: &str = "restarted";

/// One publish, once. A retry is another attempt with the same key.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) who: String,
    pub(super) user: Option<String>,
    pub(super) topic: String,
    pub(super) id: Option<String>,
    /// What `data` of its message must be, and whether that is base64.
    pub(super) data: String,
    pub(super) base64: bool,
    pub(super) began: Nanos,
    pub(super) ended: Option<Nanos>,
    pub(super) outcome: Outcome,
}

/// User, topic and id.
pub(super) type Tried<'a> = (&'a str, &'a str, &'a str);

impl Attempt {
    /// The number it was confirmed with.
    pub(super) fn seq(&self) -> Option<Seq> {
        match self.outcome {
            Outcome::Ok(seq) | Outcome::Duplicate(seq) => seq,
            Outcome::Refused(_) | Outcome::Unknown => None,
        }
    }

    pub(super) fn refused(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(_))
    }

    /// User, topic and id, for one that counts once.
    pub(super) fn key(&self) -> Option<Tried<'_>> {
        Some((self.user.as_deref()?, self.topic.as_str(), self.id.as_deref()?))
    }

    /// Same user, topic and id: the same message.
    pub(super) fn same_key(&self, other: &Self) -> bool {
        self.key().is_some_and(|key| other.key() == Some(key))
    }

    /// The life of the stream in which it was stored; `None` if it may have been one or the next.
    pub(super) fn epoch(&self, history: &History) -> Option<u32> {
        let began = epoch_at(history, self.began);
        let ended = epoch_at(history, self.ended.unwrap_or(Nanos::MAX));
        (began == ended).then_some(began)
    }
}

/// How often the stream had been made anew by then.
pub(super) fn epoch_at(history: &History, at: Nanos) -> u32 {
    let resets = history.marks.iter().filter(|(_, mark)| *mark == Mark::StreamReset);
    resets.fold(0, |count, (reset, _)| count + u32::from(*reset <= at))
}

/// How often the ids of a topic's messages were forgotten within a time: after a purge the stream still knows them, but
/// a server that starts again reads them from the messages that are left.
pub(super) fn times_forgotten(history: &History, topic: &str, from: Nanos, to: Nanos) -> usize {
    let within = history.marks.iter().filter(|(at, _)| (from..=to).contains(at));
    let (mut purged, mut times) = (false, 0);
    for (_, mark) in within {
        match mark {
            Mark::Purged { pattern, .. } if frames::covers(pattern, topic) => purged = true,
            Mark::BackboneDown(how) if how == RESTARTED && purged => (purged, times) = (false, times + 1),
            _ => {}
        }
    }
    times
}

/// All publishes, by the time they began.
pub(super) fn collect(history: &History) -> Vec<Attempt> {
    let mut attempts: Vec<_> = history.publishes.iter().map(direct).collect();
    for track in &history.tracks {
        of_client(track, &mut attempts);
    }
    attempts.sort_by_key(|attempt| attempt.began);
    attempts
}

fn direct(publish: &Publish) -> Attempt {
    let (data, base64) = match &publish.body {
        Body::Text(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
            (text.clone(), false)
        }
        Body::Text(text) => (format!("\"{}\"", frames::base64(text.as_bytes())), true),
        Body::Bytes(bytes) => (format!("\"{}\"", frames::base64(bytes)), true),
    };
    let Publish { who, user, topic, id, began, ended, outcome, .. } = publish.clone();
    Attempt { who, user, topic, id, data, base64, began, ended: Some(ended), outcome }
}

/// Publishes among a client's commands, matched with their answers by `id`, or else by `messageId`.
fn of_client(track: &Track, attempts: &mut Vec<Attempt>) {
    let mut waiting: Vec<(Value, usize)> = Vec::new();
    for record in &track.records {
        match &record.what {
            What::Connected(_) => waiting.clear(),
            What::Sent(command) if command.contains("publish") => {
                let Ok(frame) = serde_json::from_str::<Value>(command) else { continue };
                if frame["type"] == "publish" {
                    waiting.push((frame["id"].clone(), attempts.len()));
                    attempts.push(command_of(track, &frame, command, record.at));
                }
            }
            What::Received(answer) if answer.contains("\"ack\"") || answer.contains("\"error\"") => {
                let Ok(frame) = serde_json::from_str::<Value>(answer) else { continue };
                let place = waiting.iter().position(|(id, attempt)| {
                    let message = attempts[*attempt].id.as_deref();
                    if id.is_null() { message == frame["messageId"].as_str() } else { *id == frame["id"] }
                });
                if let (Some(outcome), Some(place)) = (outcome(&frame), place) {
                    let attempt = &mut attempts[waiting.remove(place).1];
                    (attempt.ended, attempt.outcome) = (Some(record.at), outcome);
                }
            }
            _ => {}
        }
    }
}

fn command_of(track: &Track, frame: &Value, command: &str, at: Nanos) -> Attempt {
    let id = frame["messageId"].as_str().or(frame["idempotencyKey"].as_str());
    Attempt {
        who: track.client.clone(),
        user: Some(track.user.clone()),
        topic: text(frame, "topic").into(),
        id: id.map(Into::into),
        data: frames::payload(command).unwrap_or_default(),
        base64: false,
        began: at,
        ended: None,
        outcome: Outcome::Unknown,
    }
}

fn outcome(answer: &Value) -> Option<Outcome> {
    let seq = answer["seqNo"].as_u64();
    match (text(answer, "type"), text(answer, "status")) {
        ("ack", "ok") => Some(Outcome::Ok(seq)),
        ("ack", "duplicate") => Some(Outcome::Duplicate(seq)),
        ("error", _) if frames::leaves_open(answer) => Some(Outcome::Unknown),
        ("error", _) => Some(Outcome::Refused(text(answer, "code").into())),
        _ => None,
    }
}
