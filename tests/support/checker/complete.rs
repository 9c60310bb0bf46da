//! Nothing is missing: what a client was owed has come, or a gap names it.

use super::{
    gaps::Gap,
    history::{Limits, Nanos},
    position::Span,
    truth::{Fact, Key},
};

/// What came of what was owed.
#[derive(Debug, Default)]
pub(super) struct Owed {
    pub(super) total: usize,
    pub(super) told: usize,
    pub(super) missing: Vec<Fact>,
}

/// Compares what there was with what came. Behind the last message that came, only what was confirmed well before
/// the end is owed, and only if the subscription lasted that long.
pub(super) fn owed(span: &Span, facts: &[Fact], gaps: &[Gap], limits: &Limits, end: Nanos) -> Owed {
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
        if !came && gaps.iter().any(|gap| gap.names(fact)) {
            owed.told += 1;
        } else if !came {
            owed.missing.push(*fact);
        }
    }
    owed
}

/// Whether a message is behind the position at which the stretch began.
fn concerns(span: &Span, fact: &Fact) -> bool {
    fact.began > span.began || span.epoch.is_some_and(|epoch| fact.key > (epoch, span.start))
}
