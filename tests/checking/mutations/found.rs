//! What a history has of each kind: where something can be changed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::model::Random;
use crate::checker::{History, Message, Record, What};

/// A place in a history: track and record.
pub(super) type Place = (usize, usize);

/// A live message.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) place: Place,
    pub(super) topic: String,
    pub(super) seq: u64,
    /// The next one, if it follows on the same connection without anything between.
    pub(super) next: Option<usize>,
    /// The topic is held to the end, and nothing more comes.
    pub(super) last: bool,
}

/// Messages by what they are.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) live: Vec<Live>,
    /// Those of complete replays.
    pub(super) replayed: Vec<Place>,
    /// Those of any replay.
    pub(super) copies: Vec<Place>,
    pub(super) again: Vec<Place>,
}

pub(super) fn frame(record: &Record) -> Value {
    match &record.what {
        What::Sent(text) | What::Received(text) => serde_json::from_str(text).unwrap(),
        _ => Value::Null,
    }
}

fn topic_of(history: &History, (track, index): Place) -> Option<String> {
    match &history.tracks[track].records[index].what {
        What::Message(message) => Some(history.contents[message.content as usize].topic.clone()),
        What::Received(_) => frame(&history.tracks[track].records[index])["topic"].as_str().map(Into::into),
        _ => None,
    }
}

pub(super) fn messages(history: &History) -> Messages {
    let mut found = Messages::default();
    for track in 0..history.tracks.len() {
        of_track(history, track, &mut found);
    }
    found
}

fn of_track(history: &History, track: usize, found: &mut Messages) {
    // The newest live message of each topic as an index into `found.live`, the last number, the replays under way.
    let mut newest: BTreeMap<String, usize> = BTreeMap::new();
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut replays: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for (index, record) in history.tracks[track].records.iter().enumerate() {
        let place = (track, index);
        let value = frame(record);
        let topic = topic_of(history, place).unwrap_or_default();
        match (&record.what, value["type"].as_str()) {
            (What::Connected(_) | What::Closed(_), _) => {
                newest.clear();
                last.clear();
            }
            (What::Sent(_), Some("replay")) => {
                replays.insert(value["topic"].as_str().unwrap().into(), Vec::new());
            }
            (What::Received(_), Some("replayed")) => {
                let places = replays.remove(&topic).unwrap_or_default();
                found.copies.extend(&places);
                found.replayed.extend(places.into_iter().filter(|_| value["complete"] == true));
            }
            (What::Received(_), Some("gap" | "subscribed" | "unsubscribed")) => {
                newest.remove(&topic);
                if value["type"] != "gap" {
                    last.remove(&topic);
                }
            }
            (What::Message(message), _) => {
                let seq = message.seq().unwrap();
                if let Some(places) = replays.get_mut(&topic) {
                    places.push(place);
                } else if last.get(&topic).is_some_and(|last| seq <= *last) {
                    found.again.push(place);
                } else {
                    last.insert(topic.clone(), seq);
                    let live = Live { place, topic, seq, next: None, last: false };
                    if let Some(before) = newest.insert(live.topic.clone(), found.live.len()) {
                        found.live[before].next = Some(index);
                    }
                    found.live.push(live);
                }
            }
            _ => {}
        }
    }
    for live in newest.values() {
        found.live[*live].last = true;
    }
}

pub(super) fn pick<T>(from: Vec<T>, random: &mut Random) -> Option<T> {
    let index = random.below(from.len().max(1));
    from.into_iter().nth(index)
}

/// A live message that another one follows.
pub(super) fn followed(history: &History, random: &mut Random) -> Option<(Place, usize)> {
    let live = messages(history).live.into_iter();
    pick(live.filter_map(|live| live.next.map(|next| (live.place, next))).collect(), random)
}

/// A received frame of which the type and the rest are as wished.
pub(super) fn received(
    history: &History,
    random: &mut Random,
    kinds: &[&str],
    wished: impl Fn(Place, &Value) -> bool,
) -> Option<(Place, Value)> {
    let mut found = Vec::new();
    for (track, of) in history.tracks.iter().enumerate() {
        for (index, record) in of.records.iter().enumerate() {
            if let What::Received(_) = record.what {
                let value = frame(record);
                if kinds.contains(&value["type"].as_str().unwrap()) && wished((track, index), &value) {
                    found.push(((track, index), value));
                }
            }
        }
    }
    pick(found, random)
}

/// Whether a live message of the topic comes behind, on this connection, and before anything else of the topic.
pub(super) fn goes_on(history: &History, all: &Messages, (track, index): Place, topic: &str) -> bool {
    for later in index + 1..history.tracks[track].records.len() {
        match &history.tracks[track].records[later].what {
            What::Connected(_) => return false,
            What::Message(_) if topic_of(history, (track, later)).as_deref() == Some(topic) => {
                return all.live.iter().any(|live| live.place == (track, later));
            }
            What::Received(_) if topic_of(history, (track, later)).as_deref() == Some(topic) => return false,
            _ => {}
        }
    }
    false
}

/// Whether what came before on the topic is a live message: the place is fixed by it, and by no earlier gap.
pub(super) fn is_anchored(history: &History, all: &Messages, (track, index): Place, topic: &str) -> bool {
    let before = (0..index).rev().find(|index| topic_of(history, (track, *index)).as_deref() == Some(topic));
    before.is_some_and(|before| all.live.iter().any(|live| live.place == (track, before)))
}

/// Whether the connection of this place lasts to the end.
pub(super) fn lasts(history: &History, (track, index): Place) -> bool {
    !history.tracks[track].records[index..].iter().any(|record| matches!(record.what, What::Closed(_)))
}

pub(super) fn remove(history: &mut History, (track, index): Place) -> bool {
    history.tracks[track].records.remove(index);
    true
}

pub(super) fn insert(history: &mut History, (track, index): Place, record: Record) -> bool {
    history.tracks[track].records.insert(index, record);
    true
}

pub(super) fn rewrite(history: &mut History, (track, index): Place, frame: &Value) -> bool {
    history.tracks[track].records[index].what = What::Received(frame.to_string().into());
    true
}

pub(super) fn message(history: &mut History, (track, index): Place) -> &mut Message {
    match &mut history.tracks[track].records[index].what {
        What::Message(message) => message,
        other => panic!("no message: {other:?}"),
    }
}
