//! The messages that there are on each topic, as far as anybody can know.

use std::collections::{BTreeMap, HashMap};

use super::{
    attempts::{Attempt, Tried, epoch_at},
    content::{self, Publishers, Sighting},
    history::{History, Nanos, Outcome, Seq},
    publishing,
    report::{Report, Rule},
};

/// A life of the stream and a number in it: grows along a topic.
pub(super) type Key = (u32, Seq);

/// A message that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) key: Key,
    /// The earliest time at which it may have been stored.
    pub(super) began: Nanos,
    /// By then it was stored.
    pub(super) confirmed: Nanos,
}

#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) attempts: Vec<Attempt>,
    /// The life of the stream that each content belongs to; `None` if it may be of two.
    pub(super) epochs: Vec<Option<u32>>,
    /// By key.
    topics: HashMap<String, Vec<Fact>>,
}

/// A message while the truth is put together.
struct Draft {
    fact: Fact,
    content: Option<usize>,
    attempt: Option<usize>,
}

type Drafts = HashMap<String, BTreeMap<Key, Draft>>;

impl Truth {
    pub(super) fn build(
        history: &History,
        attempts: Vec<Attempt>,
        sightings: &[Vec<Sighting>],
        report: &mut Report,
    ) -> Self {
        let mut drafts = Drafts::new();
        let firsts = first_tries(&attempts);
        for n in 0..attempts.len() {
            confirmed(history, &attempts, n, &firsts, &mut drafts, report);
        }
        let publishers = Publishers::new(&attempts);
        let mut epochs = Vec::with_capacity(history.contents.len());
        for (n, sightings) in sightings.iter().enumerate() {
            epochs.push(seen(history, &attempts, &publishers, n, sightings, &mut drafts, report));
        }
        let facts = |drafts: BTreeMap<_, Draft>| drafts.into_values().map(|draft| draft.fact).collect();
        let topics = drafts.into_iter().map(|(topic, drafts)| (topic, facts(drafts))).collect();
        Self { attempts, epochs, topics }
    }

    /// What there is on a topic, in order.
    pub(super) fn on(&self, topic: &str) -> &[Fact] {
        self.topics.get(topic).map_or(&[], Vec::as_slice)
    }
}

/// When each key was published for the first time. `attempts` are in the order in which they began.
fn first_tries(attempts: &[Attempt]) -> HashMap<Tried<'_>, Nanos> {
    let mut firsts = HashMap::new();
    for attempt in attempts {
        if let Some(key) = attempt.key() {
            firsts.entry(key).or_insert(attempt.began);
        }
    }
    firsts
}

/// A publish that was confirmed with a number.
fn confirmed(
    history: &History,
    attempts: &[Attempt],
    n: usize,
    firsts: &HashMap<Tried<'_>, Nanos>,
    drafts: &mut Drafts,
    report: &mut Report,
) {
    let attempt = &attempts[n];
    let (Some(seq), Some(epoch), Some(ended)) = (attempt.seq(), attempt.epoch(history), attempt.ended) else {
        return;
    };
    // What is confirmed as a duplicate may have been stored when it was tried first.
    let first = attempt.key().and_then(|key| firsts.get(&key)).copied();
    let began = match attempt.outcome {
        Outcome::Duplicate(_) => first.unwrap_or(attempt.began),
        _ => attempt.began,
    };
    let fact = Fact { key: (epoch, seq), began, confirmed: ended };
    let of_topic = drafts.entry(attempt.topic.clone()).or_default();
    let draft = of_topic.entry(fact.key).or_insert(Draft { fact, content: None, attempt: Some(n) });
    merge(draft, fact);
    if let Some(other) = draft.attempt.map(|other| &attempts[other])
        && !std::ptr::eq(other, attempt)
        && !other.same_key(attempt)
    {
        let what = format!("{} was told the same number for another message", other.who);
        report.add(publishing::about(attempt, Rule::Numbering, what));
    }
}

/// A content that somebody received; gives its epoch.
fn seen(
    history: &History,
    attempts: &[Attempt],
    publishers: &Publishers<'_>,
    n: usize,
    sightings: &[Sighting],
    drafts: &mut Drafts,
    report: &mut Report,
) -> Option<u32> {
    let (content, first) = (&history.contents[n], sightings.first()?);
    let own = match publishers.of(content) {
        Ok(own) => own,
        Err(wrong) => {
            report.add(content::about(history, content, first, wrong));
            Vec::new()
        }
    };
    let own = own.iter().map(|n| &attempts[*n]);
    let mut lives = own.clone().map(|attempt| attempt.epoch(history));
    let epoch = match lives.next() {
        Some(life) => life.filter(|_| lives.all(|other| other == life)),
        None => Some(epoch_at(history, first.at)),
    };
    let began = own.clone().map(|attempt| attempt.began).min().unwrap_or(0);
    for sighting in sightings {
        if own.len() > 0
            && let Err(wrong) = content::number_is_the_confirmed(history, own.clone(), sighting.seq)
        {
            report.add(content::about(history, content, sighting, wrong));
        }
        let (Some(seq), Some(epoch)) = (sighting.seq, epoch) else { continue };
        let fact = Fact { key: (epoch, seq), began, confirmed: sighting.at };
        let of_topic = drafts.entry(content.topic.clone()).or_default();
        let draft = of_topic.entry(fact.key).or_insert(Draft { fact, content: Some(n), attempt: None });
        merge(draft, fact);
        if *draft.content.get_or_insert(n) != n {
            let wrong = (Rule::Numbering, "another message was received with this number".to_owned());
            report.add(content::about(history, content, sighting, wrong));
        }
    }
    epoch
}

fn merge(draft: &mut Draft, more: Fact) {
    draft.fact.began = draft.fact.began.min(more.began);
    draft.fact.confirmed = draft.fact.confirmed.min(more.confirmed);
}
