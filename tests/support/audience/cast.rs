//! Who follows what, and how.

use super::{acknowledging::SURE, crowd::Part};

/// One of so many clients follows two topics.
const WITH_TWO: usize = 10;
/// One of so many comes over Server-Sent Events.
const OVER_EVENTS: usize = 11;
/// One of so many follows a pattern; more where there are few.
const WITH_PATTERN: usize = 25;
const FEW: usize = 200;
const WITH_PATTERN_OF_FEW: usize = 8;

/// Patterns of topics that are not delivered at least once: what a pattern brings cannot be acknowledged.
const PATTERNS: [&str; 3] = ["faults.plain.*", "faults.newest.>", "faults.oldest.*"];

/// What the client with this number follows, of so many clients.
pub(crate) fn part(topics: &[String], number: usize, clients: usize) -> Part {
    let one_of = if clients < FEW { WITH_PATTERN_OF_FEW } else { WITH_PATTERN };
    if number % one_of == 3 {
        Part { filters: with_pattern(topics, number / one_of), events: false }
    } else if number % OVER_EVENTS == 6 {
        Part { filters: over_events(topics, number / OVER_EVENTS), events: true }
    } else {
        let count = if number % WITH_TWO == 1 { 2 } else { 1 };
        let filters = (0..count).map(|more| topics[(number + more) % topics.len()].clone()).collect();
        Part { filters, events: false }
    }
}

/// A pattern; a topic of it and the pattern; the pattern and a topic of it.
fn with_pattern(topics: &[String], number: usize) -> Vec<String> {
    let pattern = PATTERNS[number % PATTERNS.len()];
    let topic = beneath(topics, pattern, number);
    let pattern = pattern.to_owned();
    match (number + number / PATTERNS.len()) % 3 {
        0 => vec![pattern, topic],
        1 => vec![topic, pattern],
        _ => vec![pattern],
    }
}

/// A topic; two topics; a pattern and a topic of it. What is delivered at least once is so by acknowledgements, which
/// such a client cannot send.
fn over_events(topics: &[String], number: usize) -> Vec<String> {
    let others: Vec<_> = topics.iter().filter(|topic| !topic.starts_with(SURE)).collect();
    let other = |more: usize| others[(number + more) % others.len()].clone();
    match number % 4 {
        0 => vec![other(0), other(1)],
        1 => vec![PATTERNS[1].to_owned(), beneath(topics, PATTERNS[1], number)],
        _ => vec![other(0)],
    }
}

fn beneath(topics: &[String], pattern: &str, number: usize) -> String {
    let before = pattern.trim_end_matches(['*', '>']);
    let beneath: Vec<_> = topics.iter().filter(|topic| topic.starts_with(before)).collect();
    beneath[number % beneath.len()].clone()
}

#[test]
fn every_topic_has_followers_by_name_and_every_way_of_following_is_there() {
    for (count, clients) in [(5, 40), (20, 500)] {
        let topics = super::resource::topics(count);
        let parts: Vec<_> = (0..clients).map(|number| part(&topics, number, clients)).collect();
        let of = |filter: &str, events: bool| {
            parts
                .iter()
                .filter(|part| part.events == events && part.filters.iter().any(|own| own == filter))
                .count()
        };
        assert!(topics.iter().all(|topic| of(topic, false) >= 3), "{count} topics");
        assert!(topics.iter().filter(|topic| topic.starts_with(SURE)).count() * 5 == count);
        assert!(PATTERNS.iter().all(|pattern| of(pattern, false) > 0) && of(PATTERNS[1], true) > 0);
        let pattern_first =
            parts.iter().filter(|part| part.filters.len() > 1 && part.filters[0].contains(['*', '>']));
        assert!(pattern_first.count() > 1, "{count} topics");
    }
}
