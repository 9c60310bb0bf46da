//! How far the user has each topic, and the session to go on with: what the next connection is told.

use std::collections::{BTreeMap, BTreeSet};

use crate::{api::Seq, cli::client::Frame};

/// Most topics that one `resume` may name; whatever is beyond is subscribed to anew.
const MAX_TOPICS: usize = 1024;

/// A topic whose history can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// Last number that the user has.
    pub(super) seq: Seq,
    /// What it is a number of, where the gateway has told.
    pub(super) epoch: Option<String>,
}

/// What `resume` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Session<'a> {
    pub(super) id: &'a str,
    pub(super) epoch: Option<&'a str>,
    /// Topics of that epoch.
    pub(super) last: BTreeMap<&'a str, Seq>,
}

/// Positions of the topics whose history can be read. Bounded by [`MAX_TOPICS`].
#[derive(Debug, Default)]
pub(super) struct Positions {
    session: Option<String>,
    /// The newest that was told.
    epoch: Option<String>,
    last: BTreeMap<String, Position>,
    /// Those of them with messages that are not acknowledged.
    read: BTreeSet<String>,
}

impl Positions {
    /// Takes a frame in; `false` for a message that has been seen before.
    pub(super) fn sees(&mut self, frame: &Frame) -> bool {
        let Some(topic) = &frame.topic else {
            if frame.kind == "ready" {
                self.session.clone_from(&frame.session_id);
            }
            return true;
        };
        if frame.kind == "subscribed" {
            self.begins(topic, frame);
            return true;
        }
        match (frame.kind.as_str(), self.last.get_mut(topic)) {
            ("gap", Some(last)) => last.seq = last.seq.max(frame.to_seq.unwrap_or(0)),
            ("message", Some(last)) => {
                let Some(seq) = frame.seq_no else { return true };
                if seq <= last.seq {
                    return false;
                }
                last.seq = seq;
                self.read.insert(topic.clone());
            }
            _ => {}
        }
        true
    }

    fn begins(&mut self, topic: &str, frame: &Frame) {
        let (seq, epoch) = (frame.seq_no.unwrap_or(0), frame.epoch.clone());
        if !frame.recoverable {
            self.last.remove(topic);
            return;
        }
        self.epoch.clone_from(&epoch);
        if let Some(last) = self.last.get_mut(topic) {
            // Where it begins after less than is known, numbers have begun anew; so they have in another epoch.
            let anew = last.epoch != epoch;
            *last = Position { seq: if anew { seq } else { last.seq.min(seq) }, epoch };
        } else if self.last.len() < MAX_TOPICS {
            self.last.insert(topic.into(), Position { seq, epoch });
        }
    }

    /// The session to resume, and how far each topic of the newest epoch is; `None` where there is nothing to resume.
    pub(super) fn session(&self) -> Option<Session<'_>> {
        let current = self.last.iter().filter(|(_, position)| position.epoch == self.epoch);
        let last: BTreeMap<_, _> = current.map(|(topic, position)| (topic.as_str(), position.seq)).collect();
        let id = self.session.as_deref().filter(|_| !last.is_empty())?;
        Some(Session { id, epoch: self.epoch.as_deref(), last })
    }

    /// The gateway does not know the session.
    pub(super) fn forget_session(&mut self) {
        self.session = None;
    }

    /// What there is to acknowledge: topics, and the last number that the user has of each.
    pub(super) fn take_read(&mut self) -> Vec<(String, Seq)> {
        let read = std::mem::take(&mut self.read).into_iter();
        read.filter_map(|topic| self.of(&topic).map(|position| position.seq).map(|seq| (topic, seq)))
            .collect()
    }

    /// The position of a topic, where its history can be read.
    pub(super) fn of(&self, topic: &str) -> Option<&Position> {
        self.last.get(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(frames: &[&str]) -> (Positions, Vec<bool>) {
        let mut positions = Positions::default();
        let shown = frames.iter().map(|text| positions.sees(&serde_json::from_str(text).unwrap())).collect();
        (positions, shown)
    }

    fn seq(positions: &Positions) -> Option<Seq> {
        positions.of("t").map(|position| position.seq)
    }

    const READY: &str = r#"{"type":"ready","sessionId":"s"}"#;
    const BEGIN: &str = r#"{"type":"subscribed","topic":"t","seqNo":4,"recoverable":true}"#;
    const FIFTH: &str = r#"{"type":"message","topic":"t","seqNo":5}"#;

    #[test]
    fn a_message_is_shown_once_and_moves_the_position() {
        let (positions, shown) = after(&[READY, BEGIN, FIFTH, FIFTH]);
        assert_eq!((shown, seq(&positions)), (vec![true, true, true, false], Some(5)));
        assert_eq!(positions.session().map(|session| session.id), Some("s"));
    }

    #[test]
    fn what_was_shown_of_a_topic_with_history_is_acknowledged_once() {
        let other = r#"{"type":"message","topic":"other","seqNo":9}"#;
        let (mut positions, _) = after(&[READY, BEGIN, FIFTH, other]);
        assert_eq!(positions.take_read(), [("t".to_owned(), 5)]);
        assert_eq!(positions.take_read(), []);
    }

    #[test]
    fn topics_without_history_and_without_numbers_are_shown_as_they_come() {
        let begin = r#"{"type":"subscribed","topic":"t","seqNo":0,"recoverable":false}"#;
        let (positions, shown) = after(&[READY, begin, FIFTH, FIFTH, r#"{"type":"message","topic":"t"}"#]);
        assert_eq!((shown, positions.session().is_none()), (vec![true; 5], true));
    }

    #[test]
    fn numbers_that_begin_anew_are_followed_and_gaps_are_steps() {
        let gap = r#"{"type":"gap","topic":"t","fromSeq":6,"toSeq":8,"reason":"expired"}"#;
        let (positions, _) = after(&[BEGIN, FIFTH, gap]);
        assert_eq!(seq(&positions), Some(8));
        let anew = r#"{"type":"subscribed","topic":"t","seqNo":1,"recoverable":true,"recovered":false}"#;
        let (positions, shown) = after(&[BEGIN, FIFTH, anew, r#"{"type":"message","topic":"t","seqNo":2}"#]);
        assert_eq!((shown[3], seq(&positions)), (true, Some(2)));
    }

    #[test]
    fn a_session_goes_on_with_the_topics_of_the_newest_epoch() {
        let begin = |topic, seq, epoch| {
            format!(
                r#"{{"type":"subscribed","topic":"{topic}","seqNo":{seq},"recoverable":true,"epoch":"{epoch}"}}"#
            )
        };
        let (a, b, anew) = (begin("a", 7, "old"), begin("b", 9, "old"), begin("b", 12, "new"));
        let (positions, _) = after(&[READY, &a, &b, &anew]);
        let last = BTreeMap::from([("b", 12)]);
        assert_eq!(positions.session(), Some(Session { id: "s", epoch: Some("new"), last }));
        assert_eq!(positions.of("a"), Some(&Position { seq: 7, epoch: Some("old".into()) }));
    }
}
