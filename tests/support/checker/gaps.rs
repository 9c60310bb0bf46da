//! What a `gap` names.

use super::{
    frames::covers,
    history::{History, Mark, Nanos, Seq},
    truth::{Fact, Key},
};

/// Why a gap says that messages will not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Expired,
    Dropped,
    Backbone,
}

impl Reason {
    /// The word of the protocol; `None` for any other.
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "expired" => Some(Self::Expired),
            "dropped" => Some(Self::Dropped),
            "backbone" => Some(Self::Backbone),
            _ => None,
        }
    }
}

/// A `gap` frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) from: Option<Seq>,
    pub(super) to: Option<Seq>,
    pub(super) reason: Reason,
    pub(super) at: Nanos,
    /// The client had not read for a while on this connection.
    pub(super) stalled: bool,
}

/// A received `gap`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    pub(super) told: Told,
    /// The position of the client when it came.
    pub(super) after: Key,
    /// The next message of the topic, once it has come.
    pub(super) before: Option<Key>,
    /// The message that will bound it may still come.
    pub(super) pending: bool,
    /// It may explain a hole before the next message: no position was agreed on since.
    pub(super) open: bool,
}

impl Gap {
    /// Whether the gap names a message. Where a number is left out, only what lies between the messages before and
    /// after the gap can be meant; and what was published after the gap had come cannot be meant at all.
    pub(super) fn names(&self, fact: &Fact) -> bool {
        let numbered = self.told.from.is_some() && self.told.to.is_some();
        let bounded = self
            .before
            .is_none_or(|before| if numbered { fact.key.0 <= before.0 } else { fact.key < before });
        fact.began <= self.told.at && self.after < fact.key && bounded && self.includes(fact.key.1)
    }

    /// Whether a number is within the gap's numbers.
    pub(super) fn includes(&self, seq: Seq) -> bool {
        self.told.from.is_none_or(|from| from <= seq) && self.told.to.is_none_or(|to| seq <= to)
    }

    fn is_in_a_flood(&self, topic: &str, history: &History) -> bool {
        history.marks.iter().any(|(at, mark)| match mark {
            Mark::Flooded(pattern) => {
                covers(pattern, topic) && (*at..at + history.limits.answer).contains(&self.told.at)
            }
            _ => false,
        })
    }

    /// Whether something that was done may be the cause of it that this message will not come.
    pub(super) fn is_explained(&self, topic: &str, fact: &Fact, history: &History) -> bool {
        let mut before = history.marks.iter().take_while(|(at, _)| *at <= self.told.at).map(|(_, mark)| mark);
        match self.told.reason {
            Reason::Expired => before.any(|mark| match mark {
                Mark::Purged { pattern, upto } => covers(pattern, topic) && fact.key.1 <= *upto,
                Mark::StreamReset => true,
                Mark::GatewayKilled(_) | Mark::BackboneDown(_) | Mark::Flooded(_) => false,
            }),
            Reason::Dropped => self.told.stalled || self.is_in_a_flood(topic, history),
            Reason::Backbone => false,
        }
    }
}
