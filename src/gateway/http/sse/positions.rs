//! Where a stream stands in each of its topics: the `id:` of its events, which comes back as `Last-Event-ID`.
//!
//! ```text
//! news.all=-,00000000000000ff,prices.btc=4711,prices.eth=12
//! ```
//!
//! Entries are divided by commas, which no topic holds. One with `=` (the last one divides, for topics may hold it) is a
//! topic and the number of the last message that the client has, or of the position that its subscription began after
//! (0: before the first). `-` stands where the topic has no history to go on in. One without `=` is the epoch of the
//! entries that follow.

use std::sync::Arc;

use crate::{
    api::{Filter, Seq},
    gateway::{
        history::{Epoch, NOWHERE},
        protocol::{
            ErrorCode,
            session::{Reached, Refusal},
        },
    },
};

/// Bytes that an id may have with the largest numbers: so the topics of one stream are bounded, and a client can send
/// topics, token and id back in one head of 16 KiB.
pub(super) const ID_BYTES: usize = 6 * 1024;
/// Digits of the largest number.
const DIGITS: usize = 20;
/// Bytes of the epochs of an id, while the backbone changes from one to the other.
const EPOCHS: usize = 2 * (2 * Epoch::BYTES + 1);
/// Stands for a position in a topic that has none.
const NONE: &str = "-";
/// Bytes of what is wrong that are shown.
const SHOWN: usize = 64;

/// The positions of one stream, ordered by topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Positions(Vec<Position>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    topic: Arc<str>,
    /// `None`: the client has named none, and it is not subscribed to yet.
    reached: Option<Reached>,
    /// Until then only a pattern brings messages of it, and what follows the position is still to come.
    subscribed: bool,
}

impl Positions {
    /// Of these topics and patterns, each once, with what is known already.
    pub(super) fn new(topics: &[(Filter, Option<Reached>)]) -> Self {
        let position = |(filter, reached): &(Filter, Option<Reached>)| {
            let (topic, reached) = (filter.shared().clone(), *reached);
            Position { topic, reached, subscribed: false }
        };
        let mut positions: Vec<_> = topics.iter().map(position).collect();
        positions.sort_by(|a, b| a.topic.cmp(&b.topic));
        Self(positions)
    }

    /// A subscription begins.
    pub(super) fn begin(&mut self, topic: &str, reached: Reached) {
        if let Some(position) = self.find(topic) {
            (position.reached, position.subscribed) = (Some(reached), true);
        }
    }

    /// A subscription has ended, or could not begin: the position stays where it is.
    pub(super) fn end(&mut self, topic: &str) {
        if let Some(position) = self.find(topic) {
            position.subscribed = false;
        }
    }

    /// The client has everything of a topic up to this number. The topics of a pattern are not kept, for there is no end
    /// of them; nor are numbers of a topic without history.
    pub(super) fn set(&mut self, topic: &str, seq: Seq) {
        let position = self.find(topic).filter(|position| position.subscribed);
        let reached = position.and_then(|position| position.reached.as_mut());
        if let Some(reached) = reached.filter(|reached| reached.seq != NOWHERE) {
            reached.seq = seq;
        }
    }

    fn find(&mut self, topic: &str) -> Option<&mut Position> {
        let at = self.0.binary_search_by(|position| (*position.topic).cmp(topic)).ok()?;
        self.0.get_mut(at)
    }

    /// Appends the id.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let known = || self.0.iter().filter_map(|position| Some((&*position.topic, position.reached?)));
        let mut epochs = vec![None];
        for (_, reached) in known() {
            if !epochs.contains(&reached.epoch) {
                epochs.push(reached.epoch);
            }
        }
        let start = out.len();
        let mut entry = |parts: [&str; 3]| {
            if out.len() > start {
                out.push(b',');
            }
            for part in parts {
                out.extend_from_slice(part.as_bytes());
            }
        };
        for epoch in epochs {
            if let Some(epoch) = epoch {
                entry([&epoch.to_string(), "", ""]);
            }
            for (topic, reached) in known().filter(|(_, reached)| reached.epoch == epoch) {
                let seq = if reached.seq == NOWHERE { NONE.into() } else { reached.seq.to_string() };
                entry([topic, "=", &seq]);
            }
        }
    }
}

/// Bytes of the longest id that these topics can have.
pub(super) fn longest_id<'a>(topics: impl Iterator<Item = &'a str>) -> usize {
    EPOCHS + topics.map(|topic| topic.len() + DIGITS + 2).sum::<usize>()
}

/// Reads an id back. What is no id of ours is refused rather than taken for "from now on": messages would be missed
/// in silence.
pub(super) fn parse(id: &str) -> Result<Vec<(&str, Reached)>, Refusal> {
    let mut all: Vec<(&str, Reached)> = Vec::new();
    let mut epoch = None;
    for entry in id.split(',') {
        match (entry.rsplit_once('='), entry.parse::<Epoch>()) {
            (None, Ok(next)) => epoch = Some(next),
            (Some((topic, number)), _) if all.iter().all(|(own, _)| *own != topic) => {
                let Some(seq) = seq(number).filter(|_| topic.parse::<Filter>().is_ok()) else {
                    return Err(no_id(entry));
                };
                all.push((topic, Reached { seq, epoch }));
            }
            _ => return Err(no_id(entry)),
        }
    }
    Ok(all)
}

fn seq(number: &str) -> Option<Seq> {
    if number == NONE {
        return Some(NOWHERE);
    }
    number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn no_id(entry: &str) -> Refusal {
    let shown = &entry[..entry.floor_char_boundary(SHOWN)];
    let message = format!(
        "Last-Event-ID is not an id of this gateway at {shown:?}: give back the id of an event as it was, or none to \
         begin with what is live"
    );
    Refusal::new(ErrorCode::BadRequest, message, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: Option<Epoch> = Some(Epoch::from_bytes([0, 0, 0, 0, 0, 0, 0, 1]));
    const OTHER: Option<Epoch> = Some(Epoch::from_bytes([0, 0, 0, 0, 0, 0, 0, 255]));

    const fn at(seq: Seq, epoch: Option<Epoch>) -> Reached {
        Reached { seq, epoch }
    }

    fn positions(topics: &[(&str, Option<Reached>)]) -> Positions {
        let topics: Vec<_> =
            topics.iter().map(|(topic, reached)| (topic.parse().unwrap(), *reached)).collect();
        Positions::new(&topics)
    }

    fn id(positions: &Positions) -> String {
        let mut out = b"id: ".to_vec();
        positions.put(&mut out);
        String::from_utf8(out[4..].to_vec()).unwrap()
    }

    #[test]
    fn an_id_names_every_topic_whose_position_is_known() {
        let mut positions = positions(&[("b", None), ("a=1", Some(at(7, None))), ("c.*", None)]);
        assert_eq!(id(&positions), "a=1=7");
        positions.set("b", 3);
        positions.set("a=1", 9);
        assert_eq!(
            id(&positions),
            "a=1=7",
            "before the subscription begins only a pattern can bring anything"
        );
        positions.begin("b", at(0, OTHER));
        positions.begin("c.*", at(NOWHERE, None));
        positions.set("c.x", 9);
        positions.set("c.*", 9);
        assert_eq!(id(&positions), "a=1=7,c.*=-,00000000000000ff,b=0");
        positions.begin("a=1", at(3, ONE));
        assert_eq!(id(&positions), "c.*=-,0000000000000001,a=1=3,00000000000000ff,b=0");
        positions.begin("b", at(5, ONE));
        positions.set("b", 4);
        assert_eq!(id(&positions), "c.*=-,0000000000000001,a=1=3,b=4", "numbers may begin anew");
        positions.end("b");
        positions.set("b", 8);
        assert_eq!(
            id(&positions),
            "c.*=-,0000000000000001,a=1=3,b=4",
            "what a pattern brings then is not all"
        );
    }

    #[test]
    fn what_is_no_id_is_refused_by_name() {
        for (bad, named) in [
            ("x", "\"x\""),
            ("", "\"\""),
            ("a=", "\"a=\""),
            ("=1", "\"=1\""),
            ("a=1,", "\"\""),
            ("a=1,,b=1", "\"\""),
            ("a=-1", "\"a=-1\""),
            ("a=+1", "\"a=+1\""),
            ("a=1.5", "\"a=1.5\""),
            ("a=18446744073709551616", "\"a=18446744073709551616\""),
            ("a=1,a=2", "\"a=2\""),
            ("00000000000000FF,a=1", "\"00000000000000FF\""),
            ("a b=1", "\"a b=1\""),
            ("$SYS=1", "\"$SYS=1\""),
            ("a=1, b=2", "\" b=2\""),
        ] {
            let refusal = parse(bad).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::BadRequest);
            assert!(refusal.message.contains(&format!("at {named}:")), "{bad}: {}", refusal.message);
        }
        assert!(parse(&"é".repeat(1000)).unwrap_err().message.len() < 300);
    }

    proptest! {
        #[test]
        fn an_id_read_back_is_the_positions_and_no_longer_than_foretold(
            topics in prop::collection::btree_map(
                "[a-z0-9_:/@=~+%-]{1,6}(\\.[a-z=]{1,4}){0,3}",
                (prop_oneof![any::<u64>(), Just(NOWHERE)], prop::sample::select(vec![None, ONE, OTHER])),
                1..20,
            )
        ) {
            let topics: Vec<_> = topics.iter().map(|(topic, (seq, epoch))| (topic.as_str(), at(*seq, *epoch))).collect();
            let all: Vec<_> = topics.iter().map(|(topic, reached)| (*topic, Some(*reached))).collect();
            let text = id(&positions(&all));
            prop_assert!(text.len() <= longest_id(topics.iter().map(|(topic, _)| *topic)));
            let mut read = parse(&text).unwrap();
            read.sort_by_key(|(topic, _)| *topic);
            prop_assert_eq!(read, topics);
        }

        #[test]
        fn arbitrary_text_does_no_harm(text in ".*") {
            let _ = parse(&text);
        }
    }
}
