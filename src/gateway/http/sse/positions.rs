//! Where a stream stands in each of its topics: the `id:` of its events, which comes back as `Last-Event-ID`.
//!
//! ```text
//! prices.btc=4711,prices.eth=12      topic=number, divided by commas, ordered by topic
//! ```
//!
//! A topic never holds a comma; it may hold `=`, so the last one divides. The number is that of the last message the
//! client has, or the position that its subscription began after (0: before the first, or unknown).

use std::sync::Arc;

use crate::{
    api::{Filter, Seq},
    gateway::protocol::{ErrorCode, session::Refusal},
};

/// Bytes that an id may have with the largest numbers: so the topics of one stream are bounded, and a client can send
/// topics, token and id back in one head of 16 KiB.
pub(super) const ID_BYTES: usize = 6 * 1024;
/// Digits of the largest number.
const DIGITS: usize = 20;
/// Bytes of what is wrong that are shown.
const SHOWN: usize = 64;

/// The positions of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Positions(Vec<Position>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    topic: Arc<str>,
    /// `None`: not subscribed to yet.
    seq: Option<Seq>,
}

impl Positions {
    /// Of these topics and patterns, each once, with what is known already.
    pub(super) fn new(topics: &[(Filter, Option<Seq>)]) -> Self {
        let position =
            |(filter, seq): &(Filter, Option<Seq>)| Position { topic: filter.shared().clone(), seq: *seq };
        let mut positions: Vec<_> = topics.iter().map(position).collect();
        positions.sort_by(|a, b| a.topic.cmp(&b.topic));
        Self(positions)
    }

    /// Notes the position of a topic; those of a pattern's topics are not kept, for there is no end of them.
    pub(super) fn set(&mut self, topic: &str, seq: Seq) {
        if let Ok(at) = self.0.binary_search_by(|position| (*position.topic).cmp(topic)) {
            self.0[at].seq = Some(seq);
        }
    }

    /// Appends the id.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let mut comma = "";
        for (topic, seq) in self.0.iter().filter_map(|position| Some((&position.topic, position.seq?))) {
            out.extend_from_slice(comma.as_bytes());
            out.extend_from_slice(topic.as_bytes());
            out.push(b'=');
            out.extend_from_slice(seq.to_string().as_bytes());
            comma = ",";
        }
    }
}

/// Bytes of the longest id that these topics can have.
pub(super) fn longest_id<'a>(topics: impl Iterator<Item = &'a str>) -> usize {
    topics.map(|topic| topic.len() + DIGITS + 2).sum()
}

/// Reads an id back. What is no id of ours is refused rather than taken for "from now on": messages would be missed
/// in silence.
pub(super) fn parse(id: &str) -> Result<Vec<(&str, Seq)>, Refusal> {
    let mut positions: Vec<(&str, Seq)> = Vec::new();
    for entry in id.split(',') {
        let position = entry.rsplit_once('=').and_then(|(topic, seq)| {
            let known = positions.iter().any(|(own, _)| *own == topic);
            let sound = !known && topic.parse::<Filter>().is_ok() && seq.bytes().all(|c| c.is_ascii_digit());
            Some((topic, seq.parse().ok().filter(|_| sound)?))
        });
        let Some(position) = position else {
            let shown = &entry[..entry.floor_char_boundary(SHOWN)];
            let message = format!(
                "Last-Event-ID is not an id of this gateway at {shown:?}: give topic=number,topic=number with each topic \
                 once, or none to begin with what is live"
            );
            return Err(Refusal::new(ErrorCode::BadRequest, message, None));
        };
        positions.push(position);
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn positions(topics: &[(&str, Option<Seq>)]) -> Positions {
        let topics: Vec<_> = topics.iter().map(|(topic, seq)| (topic.parse().unwrap(), *seq)).collect();
        Positions::new(&topics)
    }

    fn id(positions: &Positions) -> String {
        let mut out = Vec::new();
        positions.put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_id_names_every_topic_whose_position_is_known() {
        let mut positions = positions(&[("b", None), ("a=1", Some(7)), ("c.*", None)]);
        assert_eq!(id(&positions), "a=1=7");
        positions.set("b", 0);
        positions.set("c.*", 0);
        positions.set("c.x", 9);
        assert_eq!(id(&positions), "a=1=7,b=0,c.*=0");
        positions.set("a=1", 3);
        assert_eq!(id(&positions), "a=1=3,b=0,c.*=0", "numbers may begin anew");
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
            topics in prop::collection::btree_map("[a-z0-9_:/@=~+%-]{1,6}(\\.[a-z=]{1,4}){0,3}", any::<u64>(), 1..20)
        ) {
            let all: Vec<_> = topics.iter().map(|(topic, seq)| (topic.as_str(), Some(*seq))).collect();
            let text = id(&positions(&all));
            prop_assert!(text.len() <= longest_id(topics.keys().map(String::as_str)));
            let read: Vec<_> = parse(&text).unwrap().into_iter().map(|(topic, seq)| (topic, Some(seq))).collect();
            prop_assert_eq!(read, all);
        }

        #[test]
        fn arbitrary_text_does_no_harm(text in ".*") {
            let _ = parse(&text);
        }
    }
}
