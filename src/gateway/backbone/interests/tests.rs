use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Cover, FeedId, Interests, Wanted};
use crate::api::Filter;

const NONE: [FeedId; 0] = [];
const SUBJECTS: [&str; 7] = ["a", "a.b", "a.c", "b.b", "b.c", "a.b.c", "b.c.d"];
const KEYS: [&str; 14] =
    ["a", "a.b", "a.c", "b.b", "b.c", "a.b.c", ">", "a.>", "a.*", "*.b", "*.*", "*", "*.b.>", "b.>"];

fn filter(text: &str) -> Filter {
    text.parse().unwrap()
}

fn wanted(shard: usize) -> Wanted {
    Wanted { shard, ticket: 1 }
}

/// The server's side: sends each message once per feed that matches it.
#[derive(Default)]
struct Rig {
    interests: Interests,
    feeds: BTreeMap<FeedId, Filter>,
}

impl Rig {
    fn pinned(subjects: &[&str]) -> Self {
        let mut rig = Self::default();
        for subject in subjects {
            if let Some(id) = rig.interests.pin(&filter(subject)) {
                rig.feeds.insert(id, filter(subject));
            }
        }
        rig
    }

    fn want(&mut self, key: &str, shard: usize) -> Cover {
        let cover = self.interests.want(&filter(key), wanted(shard));
        if cover.start {
            assert!(self.feeds.insert(cover.feed, filter(key)).is_none());
        }
        assert!(self.feeds.contains_key(&cover.feed), "the cover of {key} is alive");
        cover
    }

    fn release(&mut self, key: &str, shard: usize) -> Vec<FeedId> {
        let ended = self.interests.release(&filter(key), shard);
        for id in &ended {
            assert!(self.feeds.remove(id).is_some());
            assert!(self.interests.source(*id).is_none());
        }
        ended
    }

    /// Who gets a message, and by which feed.
    fn publish(&self, subject: &str) -> Vec<(String, usize, FeedId)> {
        let mut got = Vec::new();
        let mut out = Vec::new();
        for id in self.feeds.iter().filter(|(_, feed)| feed.matches_str(subject)).map(|(id, _)| *id) {
            self.interests.route(self.interests.source(id).unwrap(), subject, &mut out);
            for (key, shards) in out.iter().map(|index| self.interests.key(*index)) {
                got.extend(shards.iter().map(|wanted| (key.to_string(), wanted.shard, id)));
            }
        }
        got.sort();
        got
    }
}

#[test]
fn a_topic_has_one_feed_from_its_first_shard_to_its_last() {
    let mut rig = Rig::default();
    assert_eq!(rig.want("a.b", 0), Cover { feed: 1, start: true });
    assert_eq!(rig.want("a.b", 1), Cover { feed: 1, start: false });
    assert_eq!(rig.release("a.b", 0), NONE);
    assert_eq!(rig.release("a.b", 1), [1]);
    assert_eq!(rig.release("a.b", 1), NONE);
    assert_eq!(rig.want("a.b", 0), Cover { feed: 2, start: true });
}

#[test]
fn what_a_feed_covers_takes_no_feed_of_its_own() {
    let mut rig = Rig::default();
    rig.want("a.>", 0);
    assert_eq!(rig.want("a.b", 0), Cover { feed: 1, start: false });
    assert_eq!(rig.want("a.*", 1), Cover { feed: 1, start: false });
    assert_eq!(rig.release("a.>", 0), NONE, "the feed stays for those it covers");
    assert_eq!(rig.publish("a.b"), [("a.*".to_string(), 1, 1), ("a.b".to_string(), 0, 1)]);
    assert_eq!(rig.publish("a.b.c"), []);
    rig.release("a.b", 0);
    assert_eq!(rig.release("a.*", 1), [1]);
}

#[test]
fn a_feed_lingers_while_a_later_overlapping_key_depends_on_it() {
    let mut rig = Rig::default();
    rig.want("a.b", 0);
    assert_eq!(rig.want("a.*", 0), Cover { feed: 2, start: true });
    assert_eq!(rig.release("a.b", 0), NONE);
    assert_eq!(rig.publish("a.b"), [("a.*".to_string(), 0, 1)], "still by the topic's feed");
    assert_eq!(rig.release("a.*", 0), [2, 1]);
}

#[test]
fn an_earlier_key_does_not_keep_a_later_feed() {
    let mut rig = Rig::default();
    rig.want("a.*", 0);
    rig.want("*.b", 0);
    assert_eq!(rig.release("*.b", 0), [2]);
}

#[test]
fn a_request_stands_until_it_is_released_or_made_again() {
    let mut rig = Rig::default();
    let key = filter("a.b");
    rig.want("a.b", 0);
    assert!(rig.interests.stands(&key, wanted(0)));
    rig.interests.want(&key, Wanted { shard: 0, ticket: 2 });
    assert!(!rig.interests.stands(&key, wanted(0)));
    assert!(rig.interests.stands(&key, Wanted { shard: 0, ticket: 2 }));
    rig.release("a.b", 0);
    assert!(!rig.interests.stands(&key, Wanted { shard: 0, ticket: 2 }));
}

#[test]
fn the_keys_of_a_feed_are_those_it_overlaps_with() {
    let mut rig = Rig::default();
    rig.want("a.b", 0);
    rig.want("c", 0);
    rig.want("*.b", 1);
    let keys = |by| {
        let keys: BTreeSet<_> = rig.interests.wanted(by).map(|(key, _)| key.to_string()).collect();
        keys.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(keys(Some(1)), ["*.b", "a.b"]);
    assert_eq!(keys(Some(2)), ["c"]);
    assert_eq!(keys(Some(9)), Vec::<String>::new());
    assert_eq!(keys(None), ["*.b", "a.b", "c"]);
}

#[test]
fn a_subject_that_reads_like_a_pattern_is_not_that_pattern() {
    let mut rig = Rig::default();
    rig.want("*", 0);
    let source = rig.interests.source(1).unwrap();
    let mut out = Vec::new();
    rig.interests.route(source, "*", &mut out);
    assert_eq!(out.len(), 1, "matched once, as a subject of one token");
}

#[derive(Debug, Clone)]
enum Step {
    Want(&'static str, usize),
    Release(&'static str, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<bool>(), prop::sample::select(&KEYS[..]), 0..3_usize)
        .prop_map(|(want, key, shard)| if want { Step::Want(key, shard) } else { Step::Release(key, shard) });
    prop::collection::vec(step, 1..60)
}

proptest! {
    #[test]
    fn every_wanting_key_gets_each_message_once_and_always_by_the_same_feed(
        steps in steps(),
        pins in prop::collection::vec(prop::sample::select(&KEYS[..]), 0..4),
    ) {
        let mut rig = Rig::pinned(&pins);
        let pinned = rig.feeds.clone();
        let mut model = BTreeSet::new();
        let mut by: BTreeMap<(String, usize, &str), FeedId> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Want(key, shard) => {
                    rig.want(key, shard);
                    model.insert((key, shard));
                }
                Step::Release(key, shard) => {
                    rig.release(key, shard);
                    model.remove(&(key, shard));
                }
            }
            by.retain(|(key, shard, _), _| model.contains(&(key.as_str(), *shard)));
            for subject in SUBJECTS {
                let got = rig.publish(subject);
                let keys: Vec<_> = got.iter().map(|(key, shard, _)| (key.as_str(), *shard)).collect();
                let expected: Vec<_> =
                    model.iter().filter(|(key, _)| filter(key).matches_str(subject)).copied().collect();
                prop_assert_eq!(keys, expected, "{}", subject);
                for (key, shard, feed) in got {
                    prop_assert_eq!(*by.entry((key, shard, subject)).or_insert(feed), feed);
                }
            }
        }
        for (key, shard) in model {
            rig.release(key, shard);
        }
        prop_assert_eq!(&rig.feeds, &pinned, "nobody wants anything: only what is there for good remains");
        prop_assert_eq!(rig.interests.entries.len(), pinned.len());
    }
}
