//! What a `gap` names.

use super::{
    history::{Nanos, Seq},
    truth::{Fact, Key},
};

/// A received `gap`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    pub(super) from: Option<Seq>,
    pub(super) to: Option<Seq>,
    pub(super) at: Nanos,
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
        let numbered = self.from.is_some() && self.to.is_some();
        let bounded = self
            .before
            .is_none_or(|before| if numbered { fact.key.0 <= before.0 } else { fact.key < before });
        fact.began <= self.at && self.after < fact.key && bounded && self.includes(fact.key.1)
    }

    /// Whether a number is within the gap's numbers.
    pub(super) fn includes(&self, seq: Seq) -> bool {
        self.from.is_none_or(|from| from <= seq) && self.to.is_none_or(|to| seq <= to)
    }
}
