//! I2: one key, one message.

use std::collections::{BTreeMap, HashSet};

use super::{
    attempts::{Attempt, times_forgotten},
    content::{self, Publishers, Sighting},
    history::History,
    report::{Report, Rule},
    truth::Truth,
};

/// No more messages with an id on a topic than there are users who published it (and windows in which they did).
pub(super) fn judge(truth: &Truth, sightings: &[Vec<Sighting>], history: &History, report: &mut Report) {
    let publishers = Publishers::new(&truth.attempts);
    let mut groups = BTreeMap::<_, Vec<(usize, &Sighting)>>::new();
    for (n, content) in history.contents.iter().enumerate() {
        let Some(id) = &content.id else { continue };
        let group = groups.entry((content.topic.as_str(), id.as_str(), truth.epochs[n])).or_default();
        group.extend(sightings[n].iter().filter(|sighting| sighting.seq.is_some()).map(|s| (n, s)));
    }
    for ((topic, id, _), mut group) in groups {
        group.sort_by_key(|(_, sighting)| sighting.seq);
        group.dedup_by_key(|(_, sighting)| sighting.seq);
        let mut attempts = publishers.with_id(topic, id);
        attempts.retain(|attempt| !attempt.refused());
        let allowed = allowed(&attempts, topic, history);
        // Published by nobody: told as such already.
        if allowed > 0 && group.len() > allowed {
            let seqs: Vec<_> = group.iter().filter_map(|(_, sighting)| sighting.seq).collect();
            let (n, last) = group[group.len() - 1];
            let what = format!("delivered as {seqs:?}, published with {allowed} keys");
            report.add(content::about(history, &history.contents[n], last, (Rule::PublishedTwice, what)));
        }
    }
}

/// How many messages these attempts may make. Nothing looks for duplicates among those straight to NATS.
fn allowed(attempts: &[&Attempt], topic: &str, history: &History) -> usize {
    let window = history.limits.duplicate_window;
    let users: HashSet<_> = attempts.iter().filter_map(|attempt| attempt.user.as_deref()).collect();
    let direct = attempts.iter().filter(|attempt| attempt.user.is_none()).count();
    let apart = |user: &str| {
        let own: Vec<_> = attempts.iter().filter(|attempt| attempt.user.as_deref() == Some(user)).collect();
        let (from, to) = (own[0].began, own.iter().map(|attempt| attempt.ended.unwrap_or(history.end)).max());
        own.windows(2).filter(|pair| pair[1].began - pair[0].began >= window).count()
            + times_forgotten(history, topic, from, to.unwrap_or(from))
    };
    direct + users.iter().map(|user| 1 + apart(user)).sum::<usize>()
}
