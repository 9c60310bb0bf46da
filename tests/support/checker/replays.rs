//! The bracket between `replay` and `replayed`: exactly what there is between its numbers.

use super::{
    answers::Wrong,
    history::{Nanos, Seq},
    report::Rule,
    truth::Fact,
};

/// A replay that is under way.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) id: Option<String>,
    pub(super) topic: String,
    pub(super) from: Seq,
    pub(super) to: Option<Seq>,
    /// The topic was subscribed to when it was asked for.
    pub(super) held: bool,
    pub(super) sent: Nanos,
    pub(super) seen: Vec<Seq>,
    pub(super) epoch: Option<u32>,
}

/// What a message on a topic under replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy {
    Live,
    Replayed,
    /// The replay has caught up with the live messages: the one or the other.
    Either,
}

impl Replay {
    /// Whether a message may belong to it: within its numbers, and later than the one before.
    pub(super) fn takes(&self, topic: &str, seq: Seq) -> bool {
        self.topic == topic
            && seq >= self.from
            && self.to.is_none_or(|to| seq <= to)
            && self.seen.last().is_none_or(|last| seq > *last)
    }

    /// What a message is that it [takes](Self::takes) and that `may_be_live` behind the number `last`.
    pub(super) fn tell_apart(&self, prev: Option<Seq>, may_be_live: bool, last: Option<Seq>) -> Copy {
        match self.seen.last() {
            _ if !may_be_live => Copy::Replayed,
            Some(own) if Some(*own) == prev && last == prev => Copy::Either,
            Some(own) if Some(*own) == prev => Copy::Replayed,
            _ => Copy::Live,
        }
    }

    /// Judges it once `replayed` has come. What was confirmed before it was asked for must be there, unless the
    /// answer says that it is not complete. A gap told before is no excuse: it may be why this is asked for.
    ///
    /// `to` is where the answer says that it ends, for a topic that is subscribed to: what is behind comes live, as a
    /// subscriber is owed it. `life` is that of the stream all the while; `None` if it was made anew meanwhile.
    pub(super) fn judge(
        &self,
        from: Option<Seq>,
        complete: bool,
        to: Option<Seq>,
        facts: &[Fact],
        life: Option<u32>,
    ) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        if from.is_some_and(|from| from < self.from) {
            wrong.push((Rule::Replay, from, format!("replayed from there, asked for from {}", self.from)));
        }
        let known = facts.iter().filter(|fact| fact.confirmed < self.sent);
        let Some(epoch) = self.epoch.or(life) else { return wrong };
        let asked = |fact: &&Fact| {
            fact.key.0 == epoch
                && fact.key.1 >= self.from
                && self.to.into_iter().chain(to).all(|to| fact.key.1 <= to)
        };
        for fact in known.filter(asked).filter(|_| complete) {
            if self.seen.binary_search(&fact.key.1).is_err() {
                let what = format!("not in the replay from {}, which says it is complete", self.from);
                wrong.push((Rule::Replay, Some(fact.key.1), what));
            }
        }
        wrong
    }
}
