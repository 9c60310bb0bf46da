//! I7: every content that was seen is one that was published, under the number that its publisher was told.

use std::collections::HashMap;

use super::{
    attempts::{Attempt, times_forgotten},
    history::{Content, History, Nanos, Seq, What},
    report::{Rule, Violation},
};

/// A number with which a content was seen, by whom first and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub(super) seq: Option<Seq>,
    pub(super) track: usize,
    pub(super) at: Nanos,
}

/// The numbers of each content; one, unless something is wrong.
pub(super) fn sightings(history: &History) -> Vec<Vec<Sighting>> {
    let mut found: Vec<Vec<Sighting>> = vec![Vec::new(); history.contents.len()];
    for (track, of) in history.tracks.iter().enumerate() {
        for record in &of.records {
            let What::Message(message) = &record.what else { continue };
            let (seq, at) = (message.seq(), record.at);
            let sightings = &mut found[message.content as usize];
            match sightings.iter_mut().find(|sighting| sighting.seq == seq) {
                Some(before) if before.at <= at => {}
                Some(before) => *before = Sighting { seq, track, at },
                None => sightings.push(Sighting { seq, track, at }),
            }
        }
    }
    found
}

/// Looks up the publishes of a content.
pub(super) struct Publishers<'a> {
    attempts: &'a [Attempt],
    by_id: HashMap<(&'a str, &'a str), Vec<usize>>,
    by_data: HashMap<(&'a str, &'a str), Vec<usize>>,
}

impl<'a> Publishers<'a> {
    pub(super) fn new(attempts: &'a [Attempt]) -> Self {
        let (mut by_id, mut by_data): (HashMap<_, Vec<_>>, HashMap<_, Vec<_>>) = Default::default();
        for (n, attempt) in attempts.iter().enumerate() {
            if let Some(id) = &attempt.id {
                by_id.entry((attempt.topic.as_str(), id.as_str())).or_default().push(n);
            }
            by_data.entry((attempt.topic.as_str(), attempt.data.as_str())).or_default().push(n);
        }
        Self { attempts, by_id, by_data }
    }

    /// Who published this id on this topic.
    pub(super) fn with_id(&self, topic: &str, id: &str) -> Vec<&'a Attempt> {
        let found = self.by_id.get(&(topic, id)).into_iter().flatten();
        found.map(|n| &self.attempts[*n]).collect()
    }

    /// The publishes that a content may come from, or what is wrong with it.
    pub(super) fn of(&self, content: &Content) -> Result<Vec<usize>, (Rule, String)> {
        let ids = content.id.as_deref().and_then(|id| self.by_id.get(&(content.topic.as_str(), id)));
        let data = self.by_data.get(&(content.topic.as_str(), content.data.as_str()));
        let named = ids.is_some();
        // One that publishes straight to NATS may have an id in its body that the history does not know.
        let usable = |n: &&usize| named || content.id.is_none() || self.attempts[**n].id.is_none();
        let candidates: Vec<_> = ids.or(data).into_iter().flatten().filter(usable).copied().collect();
        let Some(first) = candidates.first() else {
            return Err((Rule::NeverPublished, "nobody published this".into()));
        };
        let equal = |n: &usize| {
            let attempt = &self.attempts[*n];
            attempt.data == content.data && attempt.base64 == content.base64
        };
        let equal: Vec<_> = candidates.iter().copied().filter(equal).collect();
        if equal.is_empty() {
            let published = shortened(&self.attempts[*first].data);
            return Err((
                Rule::Content,
                format!("published was {published}, received {}", shortened(&content.data)),
            ));
        }
        let accepted: Vec<_> = equal.into_iter().filter(|n| !self.attempts[*n].refused()).collect();
        if accepted.is_empty() {
            return Err((Rule::NeverPublished, "every publish of it was refused".into()));
        }
        Ok(accepted)
    }
}

/// The number seen is the one that its publisher was told.
pub(super) fn number_is_the_confirmed<'a>(
    history: &History,
    publishers: impl Iterator<Item = &'a Attempt> + Clone,
    seq: Option<Seq>,
) -> Result<(), (Rule, String)> {
    let Some(seq) = seq else { return Ok(()) };
    let mut told = publishers.clone().filter_map(Attempt::seq);
    // A retry that was told a number speaks for the attempts before it, as long as their id is known.
    let spoken_for = |attempt: &Attempt| {
        let ended = |other: &Attempt| other.ended.unwrap_or(history.end);
        let known =
            |other: &Attempt| times_forgotten(history, &other.topic, attempt.began, ended(other)) == 0;
        publishers.clone().any(|other| other.same_key(attempt) && other.seq().is_some() && known(other))
    };
    let left_open = publishers.clone().any(|attempt| attempt.seq().is_none() && !spoken_for(attempt));
    if left_open || told.clone().any(|told| told == seq) {
        return Ok(());
    }
    let told = told.next().unwrap_or(0);
    Err((Rule::WrongNumber, format!("its publisher was told {told}")))
}

/// A violation seen by the first client that received a content.
pub(super) fn about(
    history: &History,
    content: &Content,
    sighting: &Sighting,
    (rule, what): (Rule, String),
) -> Violation {
    Violation {
        rule,
        who: history.tracks[sighting.track].client.clone(),
        topic: content.topic.clone(),
        seq: sighting.seq,
        at: sighting.at,
        what: format!("id {}: {what}", content.id.as_deref().unwrap_or("none")),
    }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.into();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}
