//! The client rule of the protocol, and nothing else: `seqNo` ≤ last is dropped, a hole is asked for once, positions
//! are kept for the next `resume`. What comes by a pattern alone has no position from one connection to the next. Pure.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::acknowledging::{Acknowledging, Habit};

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
    message_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    recoverable: Option<bool>,
    pub(crate) resumed: bool,
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
    /// Topics and patterns.
    filters: Vec<String>,
    /// Whether it asks for what was dropped because it was slow.
    curious: bool,
    session: Option<String>,
    /// Position on each topic that was ever held, and on those that came by a pattern on this connection.
    last: BTreeMap<String, u64>,
    /// The highest number that has come of each topic by its name: a lower one comes again.
    highest: BTreeMap<String, u64>,
    /// Topics and patterns held on this connection.
    held: BTreeSet<String>,
    /// Those asked for on this connection, by the number of the command.
    asked: BTreeMap<String, u64>,
    /// A gap without numbers came: the next message may follow anything.
    torn: BTreeSet<String>,
    acknowledging: Acknowledging,
    ids: u64,
}

/// Something that a run counts.
pub(crate) type Met = &'static str;

/// Whether this is no topic, but a pattern of topics.
pub(crate) fn is_pattern(filter: &str) -> bool {
    filter.contains(['*', '>'])
}

/// Whether a topic is meant by a filter: itself, or a pattern that ends with its only wildcard.
pub(crate) fn means(filter: &str, topic: &str) -> bool {
    match filter.strip_suffix(['*', '>']) {
        Some(before) => topic.starts_with(before),
        None => filter == topic,
    }
}

impl Following {
    /// A client that wants these topics and patterns and has nothing.
    pub(crate) fn new(filters: Vec<String>, curious: bool, habit: Habit) -> Self {
        Self {
            filters,
            curious,
            session: None,
            last: BTreeMap::new(),
            highest: BTreeMap::new(),
            held: BTreeSet::new(),
            asked: BTreeMap::new(),
            torn: BTreeSet::new(),
            acknowledging: Acknowledging::new(habit),
            ids: 0,
        }
    }

    /// Nothing is held on a new connection.
    pub(crate) fn disconnected(&mut self) {
        self.held.clear();
        self.asked.clear();
        self.torn.clear();
        let Self { filters, last, .. } = self;
        last.retain(|topic, _| filters.contains(topic));
    }

    /// A connection: how to begin on it. One that wants a pattern first names it here, too: it is told that it misses
    /// something.
    pub(crate) fn connected(&mut self, token: &str) -> Value {
        self.disconnected();
        let id = self.id();
        let Some(session) = &self.session else {
            return json!({"type": "setup", "id": id, "token": token});
        };
        let mut positions: BTreeMap<_, _> =
            self.last.keys().map(|topic| (topic.clone(), self.position(topic).unwrap_or(0))).collect();
        positions
            .extend(self.filters.first().filter(|first| is_pattern(first)).map(|first| (first.clone(), 0)));
        self.asked.extend(positions.keys().map(|topic| (topic.clone(), id)));
        json!({"type": "resume", "id": id, "token": token, "sessionId": session, "lastSeqPerTopic": positions})
    }

    /// A number for a command.
    pub(crate) fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Whether it holds everything up to these positions. Of a topic of which nothing has come by a pattern since the
    /// client connected, nobody knows what it missed before.
    pub(crate) fn has(&self, heads: &BTreeMap<String, u64>) -> bool {
        let has = |(topic, head): (&String, &u64)| {
            let last = self.last.get(topic);
            if self.names(topic) { last >= Some(head) } else { last.is_none_or(|last| last >= head) }
        };
        let wanted = |(topic, _): &(&String, &u64)| self.filters.iter().any(|filter| means(filter, topic));
        self.filters.iter().all(|filter| self.held.contains(filter)) && heads.iter().filter(wanted).all(has)
    }

    /// Asks for what is neither held nor asked for: what follows the last message, or what comes.
    pub(crate) fn missing(&mut self) -> Vec<Value> {
        if self.session.is_none() {
            return Vec::new();
        }
        let open = |filter: &&String| !self.held.contains(*filter) && !self.asked.contains_key(*filter);
        let wanted: Vec<_> = self.filters.iter().filter(open).cloned().collect();
        let mut commands = Vec::new();
        for filter in wanted {
            let id = self.id();
            let mut command = json!({"type": "subscribe", "id": id, "topic": filter});
            if let Some(position) = self.position(&filter) {
                command["fromSeq"] = json!(position + 1);
            }
            self.asked.insert(filter, id);
            commands.push(command);
        }
        commands
    }

    /// What it acknowledges at this time of the run.
    pub(crate) fn acknowledge(&mut self, time: Duration) -> Vec<Value> {
        self.acknowledging.tick(time)
    }

    /// A frame: what to send for it, and what to count.
    pub(crate) fn take(&mut self, frame: &Frame<'_>) -> (Vec<Value>, Option<Met>) {
        let topic = frame.topic.as_ref();
        match frame.kind.as_ref() {
            "ready" => {
                self.session = Some(frame.session_id.clone().into_owned());
                return (self.missing(), None);
            }
            "subscribed" => return (Vec::new(), self.subscribed(topic, frame)),
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

    fn subscribed(&mut self, filter: &str, frame: &Frame<'_>) -> Option<Met> {
        self.asked.remove(filter);
        self.held.insert(filter.to_owned());
        if is_pattern(filter) {
            return Some("patterns");
        }
        let seq = frame.seq_no.unwrap_or(0);
        let last = self.last.entry(filter.to_owned()).or_insert(seq);
        // Numbers have begun again, or what was not acknowledged comes again.
        *last = seq.min(*last);
        self.acknowledging.passed(filter, seq);
        (frame.recoverable != Some(true)).then_some("not recoverable")
    }

    fn message(&mut self, topic: &str, frame: &Frame<'_>) -> (Vec<Value>, Option<Met>) {
        let (seq, prev) = (frame.seq_no.unwrap_or(0), frame.prev_seq_no.unwrap_or(0));
        if !self.held.contains(topic) {
            return (Vec::new(), Some(self.by_pattern(topic, seq)));
        }
        let ack = self.acknowledging.message(topic, seq, frame.message_id.as_deref());
        let mut commands: Vec<_> = ack.into_iter().collect();
        let Some(last) = self.last.get_mut(topic) else { return (commands, Some("not subscribed")) };
        if seq <= *last {
            return (commands, Some("again"));
        }
        let (from, torn) = (*last + 1, self.torn.remove(topic));
        *last = seq;
        if prev < from || torn {
            let highest = self.highest.entry(topic.to_owned()).or_default();
            let met = if seq > *highest { "new" } else { "again" };
            *highest = seq.max(*highest);
            return (commands, Some(met));
        }
        commands.push(self.replay(topic, from, prev));
        (commands, Some("holes"))
    }

    /// A message that only a pattern can have brought. Of a topic that is wanted by its name it comes by that, too.
    fn by_pattern(&mut self, topic: &str, seq: u64) -> Met {
        if !self.held.iter().any(|filter| means(filter, topic)) {
            return "not subscribed";
        }
        if self.names(topic) {
            return "ahead";
        }
        let last = self.last.entry(topic.to_owned()).or_default();
        if seq <= *last {
            return "twice by a pattern";
        }
        *last = seq;
        "by a pattern"
    }

    fn gap(&mut self, topic: &str, frame: &Frame<'_>) -> (Vec<Value>, Option<Met>) {
        let met = match frame.reason.as_ref() {
            "expired" => "gaps expired",
            "dropped" => "gaps dropped",
            "backbone" => "gaps backbone",
            _ => "gaps of no known reason",
        };
        if self.names(topic) && !self.held.contains(topic) {
            // A pattern has brought it.
            return (Vec::new(), Some("ahead"));
        }
        let Some((from, to)) = frame.from_seq.zip(frame.to_seq) else {
            self.torn.insert(topic.to_owned());
            return (Vec::new(), Some(met));
        };
        if let Some(last) = self.last.get_mut(topic) {
            *last = to.max(*last);
        }
        self.acknowledging.passed(topic, to);
        let wanted = self.curious && frame.reason == "dropped";
        (if wanted { vec![self.replay(topic, from, to)] } else { Vec::new() }, Some(met))
    }

    fn replay(&mut self, topic: &str, from: u64, to: u64) -> Value {
        json!({"type": "replay", "id": self.id(), "topic": topic, "fromSeq": from, "toSeq": to})
    }

    /// Where to go on with a topic that was held.
    fn position(&self, topic: &str) -> Option<u64> {
        self.last.get(topic).map(|last| self.acknowledging.position(topic, *last))
    }

    fn names(&self, topic: &str) -> bool {
        self.filters.iter().any(|filter| filter == topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_followed_by_name_waits_for_its_own_subscription_and_a_pattern_leaves_no_position() {
        let filters = ["faults.plain.*", "faults.plain.0"].map(String::from).to_vec();
        let mut own = Following::new(filters, false, Habit::Each);
        let take = |own: &mut Following, frame: &str| own.take(&serde_json::from_str(frame).unwrap()).1;
        assert_eq!(own.connected("t")["type"], "setup");
        own.take(&serde_json::from_str(r#"{"type":"ready","sessionId":"s"}"#).unwrap());
        take(&mut own, r#"{"type":"subscribed","topic":"faults.plain.*","seqNo":9}"#);
        let message = |n: u64, seq: u64| {
            format!(r#"{{"type":"message","topic":"faults.plain.{n}","seqNo":{seq},"prevSeqNo":3}}"#)
        };
        assert_eq!(take(&mut own, &message(0, 8)), Some("ahead"));
        assert_eq!(take(&mut own, &message(1, 9)), Some("by a pattern"));
        assert_eq!(take(&mut own, &message(1, 9)), Some("twice by a pattern"));
        let told = r#"{"type":"subscribed","topic":"faults.plain.0","seqNo":7,"recoverable":true}"#;
        assert_eq!(take(&mut own, told), None);
        assert_eq!(take(&mut own, &message(0, 8)), Some("new"));
        assert_eq!(own.connected("t")["lastSeqPerTopic"], json!({"faults.plain.*": 0, "faults.plain.0": 8}));
        assert!(!own.last.contains_key("faults.plain.1"));
    }
}
