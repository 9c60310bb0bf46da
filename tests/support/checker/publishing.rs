//! What publishers were told: numbers, and `duplicate`.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{
    attempts::{Attempt, times_forgotten},
    frames::text,
    history::{History, Nanos, Outcome, Seq, What},
    report::{Report, Rule, Violation},
};

pub(super) fn judge(attempts: &[Attempt], history: &History, report: &mut Report) {
    report.published = attempts.len();
    let recoverable = recoverable_topics(history);
    let mut keys: HashMap<_, Vec<&Attempt>> = HashMap::new();
    let mut topics: HashMap<_, Vec<&Attempt>> = HashMap::new();
    for attempt in attempts {
        if attempt.user.is_some() && attempt.id.is_some() {
            keys.entry((&attempt.user, &attempt.topic, &attempt.id)).or_default().push(attempt);
        }
        if let Some(epoch) = attempt.epoch(history) {
            topics.entry((&attempt.topic, epoch)).or_default().push(attempt);
        }
        if recoverable.contains(&attempt.topic) {
            has_a_number(attempt, report);
        }
    }
    for same in keys.values() {
        duplicates_follow(same, history, report);
        confirmed_once(same, history, report);
    }
    for same in topics.values() {
        numbers_follow_time(same, report);
    }
}

/// Topics that some client was told to be recoverable.
fn recoverable_topics(history: &History) -> HashSet<String> {
    let records = history.tracks.iter().flat_map(|track| &track.records);
    let frames = records.filter_map(|record| match &record.what {
        What::Received(frame) if frame.contains("\"subscribed\"") => {
            serde_json::from_str::<Value>(frame).ok()
        }
        _ => None,
    });
    frames
        .filter(|frame| frame["type"] == "subscribed" && frame["recoverable"] == true)
        .map(|frame| text(&frame, "topic").into())
        .collect()
}

fn has_a_number(attempt: &Attempt, report: &mut Report) {
    if attempt.outcome == Outcome::Ok(None) {
        report.add(about(
            attempt,
            Rule::WrongNumber,
            "confirmed without a number on a recoverable topic".into(),
        ));
    }
}

/// `duplicate` only if an attempt before may have been the first, and with its number.
fn duplicates_follow(same: &[&Attempt], history: &History, report: &mut Report) {
    for (n, attempt) in same.iter().enumerate() {
        let Outcome::Duplicate(seq) = attempt.outcome else { continue };
        let ended = attempt.ended.unwrap_or(Nanos::MAX);
        let others = same.iter().enumerate().filter(|(m, other)| *m != n && other.began < ended);
        let mut first = others.map(|(_, other)| other).filter(|other| !other.refused());
        let what = match (first.clone().next(), seq) {
            (None, _) => "`duplicate`, but nothing was published with this key before".to_owned(),
            (Some(_), Some(seq)) => match first.find_map(|other| {
                let forgotten = times_forgotten(history, &other.topic, other.began, ended) > 0;
                other.seq().filter(|own| *own != seq && !forgotten)
            }) {
                Some(other) => format!("`duplicate` of {seq}, but the first one is {other}"),
                None => continue,
            },
            _ => continue,
        };
        report.add(about(attempt, Rule::WrongDuplicate, what));
    }
}

/// `ok` at most once for a key within the window.
fn confirmed_once(same: &[&Attempt], history: &History, report: &mut Report) {
    let window = history.limits.duplicate_window;
    let mut confirmed = same.iter().filter(|attempt| matches!(attempt.outcome, Outcome::Ok(_)));
    let Some(mut first) = confirmed.next() else { return };
    for attempt in confirmed {
        let ended = attempt.ended.unwrap_or(attempt.began);
        let known = times_forgotten(history, &attempt.topic, first.began, ended) == 0;
        if ended.saturating_sub(first.began) < window && known {
            let what = format!("`ok` again for a key that {} was told `ok` for before", first.who);
            report.add(about(attempt, Rule::PublishedTwice, what));
        }
        first = attempt;
    }
}

/// What was confirmed before another was published has the smaller number.
fn numbers_follow_time(same: &[&Attempt], report: &mut Report) {
    let numbered = |attempt: &&&Attempt| matches!(attempt.outcome, Outcome::Ok(Some(_)));
    let mut by_end: Vec<&&Attempt> = same.iter().filter(numbered).collect();
    by_end.sort_by_key(|attempt| attempt.ended);
    let (mut next, mut largest): (usize, Option<Seq>) = (0, None);
    // `same` is in the order in which they began.
    for attempt in same.iter().filter(numbered) {
        while let Some(ended) = by_end.get(next).filter(|other| other.ended < Some(attempt.began)) {
            largest = largest.max(ended.seq());
            next += 1;
        }
        if largest >= attempt.seq() {
            let what = format!("published after {} was confirmed", largest.unwrap_or(0));
            report.add(about(attempt, Rule::Numbering, what));
        }
    }
}

/// A violation seen by a publisher.
pub(super) fn about(attempt: &Attempt, rule: Rule, what: String) -> Violation {
    let id = attempt.id.as_deref().unwrap_or("without an id");
    Violation {
        rule,
        who: attempt.who.clone(),
        topic: attempt.topic.clone(),
        seq: attempt.seq(),
        at: attempt.ended.unwrap_or(attempt.began),
        what: format!("publish {id}: {what}"),
    }
}
