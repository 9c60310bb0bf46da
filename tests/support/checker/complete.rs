//! Nothing is missing: what a client was owed has come, or a gap names it.

use super::{
    gaps::Gap,
    history::History,
    position::Span,
    truth::{Fact, Key},
};

/// What came of what was owed.
#[derive(Debug, Default)]
pub(super) struct Owed {
    pub(super) total: usize,
    pub(super) told: usize,
    pub(super) missing: Vec<Fact>,
    /// Named by gaps, none of which has a cause that is written down.
    pub(super) unexplained: Vec<Fact>,
}

/// Compares what there was with what came. Behind the last message that came, only what was confirmed well before
/// the end is owed, and only if the subscription lasted that long.
pub(super) fn owed(topic: &str, span: &Span, facts: &[Fact], gaps: &[Gap], history: &History) -> Owed {
    let (limits, end) = (&history.limits, history.end);
    let mut owed = Owed::default();
    if !span.recoverable {
        return owed;
    }
    let mut seen: Vec<Key> = span.seen.clone();
    seen.sort_unstable();
    let last = seen.last().copied();
    let mut seen = seen.into_iter().peekable();
    for fact in facts.iter().filter(|fact| concerns(span, fact)) {
        while seen.next_if(|key| *key < fact.key).is_some() {}
        let came = seen.peek() == Some(&fact.key);
        let in_time = span.to_end && fact.confirmed + limits.settle <= end;
        if !came && !in_time && last.is_none_or(|last| fact.key > last) {
            continue;
        }
        owed.total += 1;
        if came {
            continue;
        }
        let mut naming = gaps.iter().filter(|gap| gap.names(fact)).peekable();
        if naming.peek().is_none() {
            owed.missing.push(*fact);
            continue;
        }
        owed.told += 1;
        if limits.explained && !naming.any(|gap| gap.is_explained(topic, fact, history)) {
            owed.unexplained.push(*fact);
        }
    }
    owed
}

/// Whether a message is behind the position at which the stretch began.
fn concerns(span: &Span, fact: &Fact) -> bool {
    fact.began > span.began || span.epoch.is_some_and(|epoch| fact.key > (epoch, span.start))
}
