//! The client rule of the protocol, and nothing else: `seqNo` ≤ last is dropped, a hole is asked for once, positions
//! are kept for the next `resume`. Pure.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::Deserialize;
use serde_json::{Value, json};

/// A frame, as far as a client needs it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Frame<'a> {
    /// What it is.
    #[serde(rename = "type", borrow)]
    pub(crate) kind: Cow<'a, str>,
    /// Its topic.
    #[serde(borrow)]
    pub(crate) topic: Cow<'a, str>,
    pub(crate) seq_no: Option<u64>,
    prev_seq_no: Option<u64>,
    from_seq: Option<u64>,
    to_seq: Option<u64>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    recoverable: Option<bool>,
    /// Of an error.
    #[serde(borrow)]
    pub(crate) code: Cow<'a, str>,
    pub(crate) retryable: bool,
    /// Of the command that it answers.
    pub(crate) id: Option<u64>,
    pub(crate) reconnect_after_ms: Option<u64>,
    #[serde(borrow)]
    pub(crate) status: Cow<'a, str>,
}

/// What a client has, and what it is to have.
#[derive(Debug)]
pub(crate) struct Following {
    topics: Vec<String>,
    /// Whether it asks for what was dropped because it was slow.
    curious: bool,
    session: Option<String>,
    /// Position on each topic that was ever held.
    pub(crate) last: BTreeMap<String, u64>,
    /// Topics held on this connection.
    held: BTreeSet<String>,
    /// Topics asked for on this connection, by the number of the command.
    asked: BTreeMap<String, u64>,
    /// A gap without numbers came: the next message may follow anything.
    torn: BTreeSet<String>,
    ids: u64,
}

/// Something that a run counts.
pub(crate) type Met = &'static str;

impl Following {
    /// A client that wants these topics and has nothing.
    pub(crate) fn new(topics: Vec<String>, curious: bool) -> Self {
        Self {
            topics,
            curious,
            session: None,
            last: BTreeMap::new(),
            held: BTreeSet::new(),
            asked: BTreeMap::new(),
            torn: BTreeSet::new(),
            ids: 0,
        }
    }

    /// A connection: how to begin on it.
    pub(crate) fn connected(&mut self, token: &str) -> Value {
        self.held.clear();
        self.asked.clear();
        self.torn.clear();
        let id = self.id();
        match &self.session {
            None => json!({"type": "setup", "id": id, "token": token}),
            Some(session) => {
                self.asked.extend(self.last.keys().map(|topic| (topic.clone(), id)));
                json!({"type": "resume", "id": id, "token": token, "sessionId": session, "lastSeqPerTopic": self.last})
            }
        }
    }

    /// A number for a command.
    pub(crate) fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Whether it holds everything up to these positions.
    pub(crate) fn has(&self, heads: &BTreeMap<String, u64>) -> bool {
        self.topics.iter().all(|topic| self.held.contains(topic) && self.last.get(topic) >= heads.get(topic))
    }

    /// Asks for the topics that are neither held nor asked for: what follows the last message, or what comes.
    pub(crate) fn missing(&mut self) -> Vec<Value> {
        if self.session.is_none() {
            return Vec::new();
        }
        let wanted: Vec<_> =
            self.topics.iter().filter(|topic| !self.held.contains(*topic)).cloned().collect();
        let mut commands = Vec::new();
        for topic in wanted.into_iter().filter(|topic| !self.asked.contains_key(topic)).collect::<Vec<_>>() {
            let id = self.id();
            let mut command = json!({"type": "subscribe", "id": id, "topic": topic});
            if let Some(last) = self.last.get(&topic) {
                command["fromSeq"] = json!(last + 1);
            }
            self.asked.insert(topic, id);
            commands.push(command);
        }
        commands
    }

    /// A frame: what to send for it, and what to count.
    pub(crate) fn take(&mut self, frame: &Frame<'_>) -> (Vec<Value>, Option<Met>) {
        let topic = frame.topic.as_ref();
        match frame.kind.as_ref() {
            "ready" => {
                self.session = Some(frame.session_id.clone().into_owned());
                return (self.missing(), None);
            }
            "subscribed" => {
                self.asked.remove(topic);
                self.held.insert(topic.to_owned());
                let seq = frame.seq_no.unwrap_or(0);
                let last = self.last.entry(topic.to_owned()).or_insert(seq);
                // Numbers have begun again.
                *last = seq.min(*last);
                return (Vec::new(), (frame.recoverable != Some(true)).then_some("not recoverable"));
            }
            "message" => return self.message(topic, frame),
            "gap" => return self.gap(topic, frame),
            "error"
                if self
                    .asked
                    .get(topic)
                    .is_some_and(|asked| Some(*asked) == frame.id || frame.id.is_none()) =>
            {
                self.asked.remove(topic);
            }
            _ => {}
        }
        (Vec::new(), None)
    }

    fn message(&mut self, topic: &str, frame: &Frame<'_>) -> (Vec<Value>, Option<Met>) {
        let (seq, prev) = (frame.seq_no.unwrap_or(0), frame.prev_seq_no.unwrap_or(0));
        let Some(last) = self.last.get_mut(topic) else { return (Vec::new(), Some("not subscribed")) };
        if seq <= *last {
            return (Vec::new(), Some("again"));
        }
        let (from, torn) = (*last + 1, self.torn.remove(topic));
        *last = seq;
        if prev < from || torn {
            return (Vec::new(), Some("new"));
        }
        (vec![self.replay(topic, from, prev)], Some("holes"))
    }

    fn gap(&mut self, topic: &str, frame: &Frame<'_>) -> (Vec<Value>, Option<Met>) {
        let met = match frame.reason.as_ref() {
            "expired" => "gaps expired",
            "dropped" => "gaps dropped",
            "backbone" => "gaps backbone",
            _ => "gaps of no known reason",
        };
        let Some((from, to)) = frame.from_seq.zip(frame.to_seq) else {
            self.torn.insert(topic.to_owned());
            return (Vec::new(), Some(met));
        };
        if let Some(last) = self.last.get_mut(topic) {
            *last = to.max(*last);
        }
        let wanted = self.curious && frame.reason == "dropped";
        (if wanted { vec![self.replay(topic, from, to)] } else { Vec::new() }, Some(met))
    }

    fn replay(&mut self, topic: &str, from: u64, to: u64) -> Value {
        json!({"type": "replay", "id": self.id(), "topic": topic, "fromSeq": from, "toSeq": to})
    }
}
