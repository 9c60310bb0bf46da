//! Which topics get a series of their own: bounded, and the sum over all series is always the subscriptions.

use std::{
    cmp::{Ordering, Reverse},
    sync::Arc,
};

use super::names::OTHER_TOPIC;
use crate::api::{MetricsSpec, Pattern};

/// `spec.metrics`, ready to be applied.
#[derive(Debug)]
pub(super) struct Folding {
    /// In the order of the resource.
    rules: Vec<Rule>,
    /// Each label once.
    labels: Vec<Arc<str>>,
    /// Most series beside `__other__`.
    cap: usize,
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    /// Bytes before the first wildcard: most topics are turned away by comparing these.
    literal: usize,
    /// Index of the label.
    label: usize,
}

/// Counts the topics of one scrape, which come in ascending order. Holds at most 2 × cap of them.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    folding: &'a Folding,
    /// Topics that may get a series of their own.
    kept: Vec<(u32, Arc<str>)>,
    /// Once cap topics with at least so many subscribers came before: one with so many or fewer is folded unseen.
    floor: Option<u32>,
    /// By label: subscribers and topics.
    groups: Vec<(u64, u64)>,
    /// Subscribers and topics of `__other__`.
    other: (u64, u64),
}

/// What a scrape shows of the topics.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// Label and subscribers; labels are distinct. `__other__` is among them where something was folded into it.
    pub(super) series: Vec<(Arc<str>, u64)>,
    /// Topics with a series of their own.
    pub(super) exported: u64,
    /// Topics that share a series.
    pub(super) folded: u64,
}

impl Folding {
    pub(super) fn new(spec: &MetricsSpec) -> Self {
        let mut labels: Vec<Arc<str>> = Vec::new();
        let mut rules = Vec::new();
        for rule in &spec.topic_labels {
            let index = labels.iter().position(|label| **label == *rule.label).unwrap_or_else(|| {
                labels.push(rule.label.as_str().into());
                labels.len() - 1
            });
            rules.push(Rule::new(&rule.pattern, index));
        }
        Self { rules, labels, cap: usize::try_from(spec.max_topic_series).unwrap_or(0) }
    }

    pub(super) fn tally(&self) -> Tally<'_> {
        Tally {
            folding: self,
            kept: Vec::new(),
            floor: (self.cap == 0).then_some(u32::MAX),
            groups: vec![(0, 0); self.labels.len()],
            other: (0, 0),
        }
    }

    /// The label that the topic shares: by the first pattern that matches, or because it is called as a label is
    /// (two series of one name would be an error to Prometheus).
    fn group(&self, topic: &str) -> Option<usize> {
        let rule = self.rules.iter().find(|rule| rule.matches(topic));
        rule.map(|rule| rule.label).or_else(|| self.labels.iter().position(|label| **label == *topic))
    }
}

impl Rule {
    fn new(pattern: &Pattern, label: usize) -> Self {
        let text = pattern.as_str();
        Self { pattern: pattern.clone(), literal: text.find(['*', '>']).unwrap_or(text.len()), label }
    }

    fn matches(&self, topic: &str) -> bool {
        let literal = &self.pattern.as_str()[..self.literal];
        topic.starts_with(literal) && self.pattern.matches_str(topic)
    }
}

impl Tally<'_> {
    /// Counts a topic; its text must be greater than that of the one before.
    pub(super) fn add(&mut self, topic: &Arc<str>, subscribers: u32) {
        if let Some(index) = self.folding.group(topic) {
            count(&mut self.groups[index], subscribers.into());
        } else if **topic == *OTHER_TOPIC || self.floor.is_some_and(|floor| subscribers <= floor) {
            count(&mut self.other, subscribers.into());
        } else {
            self.kept.push((subscribers, topic.clone()));
            if self.kept.len() == self.folding.cap.saturating_mul(2) {
                self.prune();
            }
        }
    }

    /// Keeps the cap largest topics, the first by name among equals.
    fn prune(&mut self) {
        let cap = self.folding.cap;
        self.kept.select_nth_unstable_by(cap, |a, b| larger((a.0.into(), &a.1), (b.0.into(), &b.1)));
        for (subscribers, _) in self.kept.drain(cap..) {
            count(&mut self.other, subscribers.into());
        }
        self.floor = self.kept.iter().map(|(subscribers, _)| *subscribers).min();
    }

    pub(super) fn finish(self) -> Shown {
        let mut other = self.other;
        let mut folded = 0;
        let mut candidates: Vec<(u64, Arc<str>, Option<u64>)> =
            self.kept.into_iter().map(|(subscribers, topic)| (subscribers.into(), topic, None)).collect();
        for (label, (subscribers, topics)) in self.folding.labels.iter().zip(self.groups) {
            if **label == *OTHER_TOPIC {
                other = (other.0 + subscribers, other.1 + topics);
            } else if topics > 0 {
                candidates.push((subscribers, label.clone(), Some(topics)));
            }
        }
        candidates.sort_unstable_by(|a, b| larger((a.0, &a.1), (b.0, &b.1)));
        let mut found = Shown::default();
        for (place, (subscribers, label, group)) in candidates.into_iter().enumerate() {
            let topics = group.unwrap_or(1);
            if place >= self.folding.cap {
                other = (other.0 + subscribers, other.1 + topics);
                continue;
            }
            match group {
                Some(topics) => folded += topics,
                None => found.exported += 1,
            }
            found.series.push((label, subscribers));
        }
        if other.1 > 0 {
            found.series.push((OTHER_TOPIC.into(), other.0));
        }
        found.folded = folded + other.1;
        found
    }
}

fn count(sum: &mut (u64, u64), subscribers: u64) {
    sum.0 += subscribers;
    sum.1 += 1;
}

/// Most subscribers first, then by name, so that equal topics do not change places between scrapes.
fn larger(a: (u64, &Arc<str>), b: (u64, &Arc<str>)) -> Ordering {
    (Reverse(a.0), a.1).cmp(&(Reverse(b.0), b.1))
}

#[cfg(test)]
mod tests;
