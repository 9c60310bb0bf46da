//! How a client acknowledges what is delivered at least once: by one of several habits. Pure.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

/// Before the rest of a topic that is delivered at least once.
pub(crate) const SURE: &str = "faults.sure.";

/// The client that forgets does so with one of so many messages.
const FORGOTTEN: u64 = 20;
/// Messages after which one that acknowledges them together does not wait any longer.
const TOGETHER: usize = 64;
/// In so many seconds of every ten the client with lapses acknowledges nothing: more than an acknowledgement may take.
const LAPSE: u64 = 4;

/// When, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Each message by itself, as it comes.
    Each,
    /// All that have come, every now and then.
    Together,
    /// Each by itself, but some only when they have come again.
    Forgetful,
    /// All that have come, but for some seconds nothing at all.
    Lapsing,
}

impl Habit {
    /// That of the client with this number.
    pub(crate) fn of(number: usize) -> Self {
        // Those of one topic have every twentieth number.
        [Self::Each, Self::Together, Self::Forgetful, Self::Lapsing][(number / 5 + number / 20) % 4]
    }
}

/// What a client has not acknowledged.
#[derive(Debug)]
pub(crate) struct Acknowledging {
    habit: Habit,
    topics: BTreeMap<String, Open>,
}

/// What has come of a topic and is not acknowledged, in order.
#[derive(Debug, Default)]
struct Open(Vec<u64>);

impl Acknowledging {
    /// Of a client that has received nothing.
    pub(crate) fn new(habit: Habit) -> Self {
        Self { habit, topics: BTreeMap::new() }
    }

    /// A message of a topic that is held, for the first time or again; gives the acknowledgement, if there is to be one.
    pub(crate) fn message(&mut self, topic: &str, seq: u64, id: Option<&str>) -> Option<Value> {
        let habit = self.habit;
        let open = self.open(topic)?;
        let again = open.note(seq);
        match habit {
            Habit::Together if open.0.len() >= TOGETHER => open.all(topic),
            Habit::Together | Habit::Lapsing => None,
            Habit::Forgetful if !again && seq.is_multiple_of(FORGOTTEN) => None,
            Habit::Each | Habit::Forgetful => open.one(topic, seq, id),
        }
    }

    /// What is acknowledged at this time of the run.
    pub(crate) fn tick(&mut self, time: Duration) -> Vec<Value> {
        match self.habit {
            Habit::Each | Habit::Forgetful => return Vec::new(),
            Habit::Lapsing if time.as_secs() % 10 < LAPSE => return Vec::new(),
            Habit::Together | Habit::Lapsing => {}
        }
        self.topics.iter_mut().filter_map(|(topic, open)| open.all(topic)).collect()
    }

    /// What has a number up to this one will not come again.
    pub(crate) fn passed(&mut self, topic: &str, seq: u64) {
        if let Some(open) = self.open(topic) {
            open.0.retain(|open| *open > seq);
        }
    }

    /// Where to go on: what follows this position is to come (again).
    pub(crate) fn position(&self, topic: &str, last: u64) -> u64 {
        let first = self.topics.get(topic).and_then(|open| open.0.first());
        first.map_or(last, |first| last.min(first - 1))
    }

    fn open(&mut self, topic: &str) -> Option<&mut Open> {
        topic.starts_with(SURE).then(|| self.topics.entry(topic.to_owned()).or_default())
    }
}

impl Open {
    /// Notes a number; `true` if it was noted before.
    fn note(&mut self, seq: u64) -> bool {
        match self.0.binary_search(&seq) {
            Ok(_) => true,
            Err(place) => {
                self.0.insert(place, seq);
                false
            }
        }
    }

    /// Everything that has come.
    fn all(&mut self, topic: &str) -> Option<Value> {
        let last = std::mem::take(&mut self.0).pop()?;
        Some(json!({"type": "ack", "topic": topic, "seqNo": last}))
    }

    /// One message; without an id by its number, if there is nothing before it that would be meant, too.
    fn one(&mut self, topic: &str, seq: u64, id: Option<&str>) -> Option<Value> {
        let ack = match id {
            Some(id) => json!({"type": "ack", "messageId": id}),
            None if self.0.first() == Some(&seq) => json!({"type": "ack", "topic": topic, "seqNo": seq}),
            None => return None,
        };
        self.0.retain(|open| *open != seq);
        Some(ack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "faults.sure.2";

    fn message(own: &mut Acknowledging, seq: u64, id: Option<&str>) -> Option<Value> {
        own.message(TOPIC, seq, id)
    }

    #[test]
    fn a_forgotten_message_is_acknowledged_when_it_comes_again_and_holds_up_those_without_an_id() {
        let mut own = Acknowledging::new(Habit::Forgetful);
        assert_eq!(message(&mut own, 19, None), Some(json!({"type": "ack", "topic": TOPIC, "seqNo": 19})));
        assert_eq!(message(&mut own, 20, Some("x")), None);
        assert_eq!(message(&mut own, 21, None), None);
        assert_eq!(message(&mut own, 22, Some("y")), Some(json!({"type": "ack", "messageId": "y"})));
        assert_eq!(own.position(TOPIC, 22), 19);
        assert_eq!(message(&mut own, 20, Some("x")), Some(json!({"type": "ack", "messageId": "x"})));
        assert_eq!(message(&mut own, 21, None), Some(json!({"type": "ack", "topic": TOPIC, "seqNo": 21})));
        assert_eq!(own.position(TOPIC, 22), 22);
    }

    #[test]
    fn whoever_lapses_acknowledges_all_of_it_later_but_for_what_will_not_come_again() {
        let mut own = Acknowledging::new(Habit::Lapsing);
        (1..=9).for_each(|seq| assert_eq!(message(&mut own, seq, Some("x")), None));
        assert!(own.tick(Duration::from_secs(13)).is_empty());
        own.passed(TOPIC, 4);
        assert_eq!(own.position(TOPIC, 9), 4);
        assert_eq!(own.tick(Duration::from_secs(14)), [json!({"type": "ack", "topic": TOPIC, "seqNo": 9})]);
        assert!(own.tick(Duration::from_secs(15)).is_empty());
    }
}
