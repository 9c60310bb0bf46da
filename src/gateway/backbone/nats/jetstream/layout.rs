//! Which subjects the stream captures, and on which subjects its messages come. Pure.

use super::wire::Config;
use crate::{
    api::{Filter, Pattern},
    gateway::backbone::Feed,
};

/// The ways a message can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Channel {
    /// As its publisher sent it.
    Sent,
    /// As the stream published it again.
    Stored,
}

/// Whether the stream has what a topic or pattern stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// All of it.
    Inside,
    /// None of it.
    Outside,
    /// Some of it may be.
    Both,
    /// It names subjects on which the stream publishes again; they are nobody's topics.
    Reserved,
}

/// How a stream is laid out, in subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    captured: Vec<Pattern>,
    republish: Option<Republish>,
    /// Before every topic, with its dot, or empty.
    prefix: String,
}

/// `RePublish` from `from…>` to `to…>`, both with their dots.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Republish {
    from: String,
    to: String,
}

impl Layout {
    /// Of a stream's configuration; `prefix` ends with a dot or is empty.
    pub(crate) fn new(config: &Config, prefix: &str) -> Self {
        // What is no pattern captures nothing that could be a topic.
        let captured: Vec<Pattern> =
            config.subjects.iter().filter_map(|subject| subject.parse().ok()).collect();
        Self { republish: Republish::of(config, &captured), captured, prefix: prefix.into() }
    }

    /// What brings the messages.
    pub(crate) fn feed(&self) -> Feed {
        if self.republish.is_some() { Feed::RePublish } else { Feed::Notice }
    }

    /// Whether the stream has this topic or pattern.
    pub(crate) fn place(&self, filter: &Filter) -> Place {
        let subject = format!("{}{filter}", self.prefix);
        if self.reserved(&subject) {
            return Place::Reserved;
        }
        let Filter::Pattern(_) = filter else {
            return if self.captures(&subject) { Place::Inside } else { Place::Outside };
        };
        // Longer than a pattern may be, with the prefix: anything is possible.
        let Ok(pattern) = subject.parse::<Pattern>() else { return Place::Both };
        if self.captured.iter().any(|captured| captured.covers(&pattern)) {
            Place::Inside
        } else if self.captured.iter().any(|captured| captured.overlaps(&pattern)) {
            Place::Both
        } else {
            Place::Outside
        }
    }

    /// Whether the stream captures this subject.
    pub(crate) fn captures(&self, subject: &str) -> bool {
        self.captured.iter().any(|captured| captured.matches_str(subject))
    }

    /// Whether the stream publishes again on this subject.
    pub(crate) fn reserved(&self, subject: &str) -> bool {
        self.republish.as_ref().is_some_and(|republish| subject.starts_with(&republish.to))
    }

    /// What to subscribe to for a topic or pattern.
    pub(crate) fn subjects(&self, filter: &Filter) -> Vec<(Channel, String)> {
        let subject = format!("{}{filter}", self.prefix);
        let sent = (Channel::Sent, subject.clone());
        let Some(republish) = &self.republish else { return vec![sent] };
        let stored = republish.stored(&subject).map(|stored| (Channel::Stored, stored));
        match self.place(filter) {
            Place::Inside => stored.into_iter().collect(),
            Place::Both => stored.into_iter().chain([sent]).collect(),
            Place::Outside | Place::Reserved => vec![sent],
        }
    }
}

impl Republish {
    /// Only where whole messages of all captured subjects come on a subject that follows from theirs by putting
    /// another beginning in its place.
    fn of(config: &Config, captured: &[Pattern]) -> Option<Self> {
        let republish = config.republish.as_ref().filter(|republish| !republish.headers_only)?;
        let from = if republish.src.is_empty() { ">" } else { &republish.src };
        let whole: Pattern = from.parse().ok()?;
        let (from, to) = (from.strip_suffix('>')?, republish.dest.strip_suffix('>')?);
        let plain = !from.contains('*') && !to.is_empty() && !to.contains(['*', '{', '$']);
        (plain && captured.iter().all(|captured| whole.covers(captured)))
            .then(|| Self { from: from.into(), to: to.into() })
    }

    /// The subject on which messages of this subject come again; `None` where there can be none.
    fn stored(&self, subject: &str) -> Option<String> {
        let mut rest = subject;
        for own in self.from.split_terminator('.') {
            let (token, behind) = rest.split_once('.').unwrap_or((rest, ""));
            if token == ">" {
                rest = token;
                break;
            }
            if token != own && token != "*" {
                return None;
            }
            rest = behind;
        }
        (!rest.is_empty()).then(|| format!("{}{rest}", self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(subjects: &[&str], republish: Option<(&str, &str)>, prefix: &str) -> Layout {
        let mut config = serde_json::json!({"subjects": subjects});
        if let Some((src, dest)) = republish {
            config["republish"] = serde_json::json!({"src": src, "dest": dest});
        }
        Layout::new(&serde_json::from_value(config).unwrap(), prefix)
    }

    fn subjects(layout: &Layout, filter: &str) -> Vec<String> {
        let with_channel = |(channel, subject)| format!("{channel:?} {subject}");
        layout.subjects(&filter.parse().unwrap()).into_iter().map(with_channel).collect()
    }

    #[test]
    fn a_topic_of_the_stream_comes_as_it_is_published_again_and_any_other_as_it_was_sent() {
        let layout = layout(&["x.a.>", "x.b"], Some((">", "_tg.S.>")), "x.");
        assert_eq!(layout.feed(), Feed::RePublish);
        for (filter, expected) in [
            ("a.b", vec!["Stored _tg.S.x.a.b"]),
            ("b", vec!["Stored _tg.S.x.b"]),
            ("c", vec!["Sent x.c"]),
            ("a.>", vec!["Stored _tg.S.x.a.>"]),
            ("c.*", vec!["Sent x.c.*"]),
            (">", vec!["Stored _tg.S.x.>", "Sent x.>"]),
            ("*", vec!["Stored _tg.S.x.*", "Sent x.*"]),
        ] {
            assert_eq!(subjects(&layout, filter), expected, "{filter}");
        }
    }

    #[test]
    fn the_beginning_that_is_replaced_may_be_any_literal() {
        let layout = layout(&["a.b.>"], Some(("a.b.>", "out.>")), "");
        for (filter, expected) in [
            ("a.b.c", "Stored out.c"),
            ("a.b.*", "Stored out.*"),
            ("a.*.c", "Stored out.c"),
            ("a.>", "Stored out.>"),
            (">", "Stored out.>"),
        ] {
            assert_eq!(subjects(&layout, filter)[0], expected, "{filter}");
        }
    }

    #[test]
    fn without_a_republish_that_brings_everything_whole_the_messages_are_only_noticed() {
        for republish in [None, Some(("a.>", "out.>")), Some((">", "out.$1")), Some(("*.>", "out.>"))] {
            let layout = layout(&["a.>", "b"], republish, "");
            assert_eq!(layout.feed(), Feed::Notice, "{republish:?}");
            assert_eq!(subjects(&layout, "a.b"), ["Sent a.b"]);
        }
    }

    #[test]
    fn where_the_stream_publishes_again_there_are_no_topics() {
        let layout = layout(&["a.>"], Some((">", "_tg.S.>")), "");
        for (filter, place) in [
            ("a.x", Place::Inside),
            ("a.*", Place::Inside),
            ("b", Place::Outside),
            ("*.x", Place::Both),
            ("_tg.S.a.x", Place::Reserved),
            ("_tg.S.>", Place::Reserved),
        ] {
            assert_eq!(layout.place(&filter.parse().unwrap()), place, "{filter}");
        }
        assert!(layout.reserved("_tg.S.a.x") && !layout.reserved("_tg.Sx"));
    }
}
