use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::api::TopicLabel;

fn spec(cap: i32, labels: &[(&str, &str)]) -> MetricsSpec {
    MetricsSpec {
        max_topic_series: cap,
        topic_labels: labels
            .iter()
            .map(|(pattern, label)| TopicLabel {
                pattern: pattern.parse().unwrap(),
                label: (*label).to_owned(),
            })
            .collect(),
    }
}

fn fold(spec: &MetricsSpec, topics: &BTreeMap<Arc<str>, u32>) -> Shown {
    let folding = Folding::new(spec);
    let mut tally = folding.tally();
    for (topic, subscribers) in topics {
        tally.add(topic, *subscribers);
    }
    tally.finish()
}

/// Folds topics given as `name=subscribers` and shows the series in the same way.
fn folded(cap: i32, labels: &[(&str, &str)], topics: &str) -> String {
    let topics = topics
        .split_whitespace()
        .map(|text| text.split_once('=').unwrap())
        .map(|(topic, n)| (topic.into(), n.parse().unwrap()))
        .collect();
    let series: Vec<String> =
        fold(&spec(cap, labels), &topics).series.iter().map(|(label, n)| format!("{label}={n}")).collect();
    series.join(" ")
}

#[test]
fn the_largest_keep_their_series_and_patterns_share_one() {
    let user = [("user.*", "user.*")];
    for (cap, labels, topics, expected) in [
        (9, &[][..], "a=1 b=2", "b=2 a=1"),
        (1, &[], "a=1 b=2 c=1", "b=2 __other__=2"),
        (0, &[], "a=1 b=2", "__other__=3"),
        (-1, &[], "a=1 b=2", "__other__=3"),
        (1, &[], "", ""),
        // Equal topics: the first by name, whatever their number.
        (1, &[], "a=1 b=1 c=1 d=1 e=1", "a=1 __other__=4"),
        (2, &[], "a=1 b=2 c=3 d=4 e=5 f=6", "f=6 e=5 __other__=10"),
        (9, &user, "a=2 user.1=2 user.2=3", "user.*=5 a=2"),
        (1, &user, "a=9 user.1=2 user.2=3", "a=9 __other__=5"),
        // The first match wins, and two patterns may share a label.
        (9, &[("user.1", "first"), ("user.*", "users")], "user.1=1 user.2=2", "users=2 first=1"),
        (9, &[("a.*", "both"), ("b.*", "both")], "a.1=1 b.1=2", "both=3"),
        // A pattern that clients subscribe to is folded where it is covered.
        (9, &user, "user.*=1 user.2=2", "user.*=3"),
    ] {
        assert_eq!(folded(cap, labels, topics), expected, "cap {cap}, {labels:?}, {topics}");
    }
}

#[test]
fn a_topic_called_as_a_label_shares_its_series() {
    assert_eq!(folded(9, &[("user.*", "users")], "user.1=1 users=2"), "users=3");
    assert_eq!(folded(1, &[], "__other__=9 a=2 b=1"), "a=2 __other__=10");
    assert_eq!(folded(9, &[("user.*", "__other__")], "a=2 user.1=1"), "a=2 __other__=1");
}

proptest! {
    #[test]
    fn no_subscription_is_lost_or_shown_twice(
        topics in proptest::collection::btree_map("[ab]\\.[a-e]|[abc]|__other__|x", 0_u32..5, 0..16),
        cap in 0_i32..8,
        labels in proptest::collection::vec(
            (prop_oneof![Just("a.*"), Just("b.a"), Just("b.>"), Just(">")],
             prop_oneof![Just("a"), Just("x"), Just("fold"), Just("__other__")]),
            0..3,
        ),
    ) {
        let topics: BTreeMap<Arc<str>, u32> = topics.into_iter().map(|(t, n)| (t.into(), n)).collect();
        let found = fold(&spec(cap, &labels), &topics);
        let sum: u64 = found.series.iter().map(|(_, n)| n).sum();
        prop_assert_eq!(sum, topics.values().map(|n| u64::from(*n)).sum::<u64>());
        prop_assert_eq!(found.exported + found.folded, topics.len() as u64);
        let names: BTreeSet<_> = found.series.iter().map(|(label, _)| &**label).collect();
        prop_assert_eq!(names.len(), found.series.len());
        let named = names.iter().filter(|label| **label != OTHER_TOPIC).count();
        prop_assert!(named <= usize::try_from(cap).unwrap());
    }

    #[test]
    fn without_labels_exactly_the_largest_are_kept(
        counts in proptest::collection::vec(0_u32..9, 0..60),
        cap in 1_i32..9,
    ) {
        let topics: BTreeMap<Arc<str>, u32> =
            counts.iter().enumerate().map(|(n, count)| (format!("t{n:02}").into(), *count)).collect();
        let mut expected: Vec<(Arc<str>, u64)> =
            topics.iter().map(|(topic, n)| (topic.clone(), u64::from(*n))).collect();
        expected.sort_by_key(|(_, n)| Reverse(*n));
        expected.truncate(usize::try_from(cap).unwrap());
        let mut found = fold(&spec(cap, &[]), &topics).series;
        found.retain(|(label, _)| **label != *OTHER_TOPIC);
        prop_assert_eq!(found, expected);
    }
}
