//! Who wants what, and which subscriptions at the backbone ("feeds") that takes. Pure.
//!
//! Feeds may overlap (a topic below a pattern, two patterns), and then one message comes several times. It is
//! routed only where it comes on **the earliest-started feed that matches it**. A key that an existing feed
//! covers gets no feed of its own, and a feed is kept for as long as it is the earliest for some subject of a
//! key that is wanted. So while a key is wanted, each of its subjects comes on the same feed from first to last:
//! there is no hand-over at which a message could be lost, doubled or overtaken.

mod trie;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use slab::Slab;

use self::trie::Trie;
use crate::api::Filter;

/// Names a feed; feeds are numbered from 1 in the order they start.
pub(crate) type FeedId = u64;

/// The keys (topics and patterns) shards want and the feeds made for them. Bounded by what shards want.
#[derive(Debug, Default)]
pub(crate) struct Interests {
    entries: Slab<Entry>,
    by_text: HashMap<Arc<str>, usize>,
    /// Entries that are patterns.
    patterns: Trie,
    /// Feeds of patterns, in the order they started.
    pattern_feeds: BTreeMap<FeedId, usize>,
    /// Feeds of topics.
    topic_feeds: HashMap<FeedId, usize>,
    /// Patterns that some shard wants: none of them, and a message costs one look-up.
    wanted_patterns: usize,
    started: FeedId,
}

/// A topic or pattern that is wanted, or whose feed is still needed.
#[derive(Debug)]
struct Entry {
    filter: Filter,
    wanted: Vec<Wanted>,
    /// While wanted: the earliest feed that covers the whole key.
    cover: FeedId,
    feed: Option<Feed>,
}

#[derive(Debug)]
struct Feed {
    id: FeedId,
    /// Wanted keys that some subject reaches by this feed; one more where the feed is there for good.
    dependents: usize,
    /// No earlier feed overlaps with this one: all of its messages are to be routed.
    alone: bool,
}

/// A shard that wants a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The shard.
    pub(crate) shard: usize,
    /// From its request.
    pub(crate) ticket: u32,
}

/// What a new interest takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cover {
    /// The feed that must be in force for the key to be in force; the earlier ones are then, too.
    pub(crate) feed: FeedId,
    /// The feed is new: to be started now.
    pub(crate) start: bool,
}

/// A feed that messages come on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    id: FeedId,
    alone: bool,
}

impl Interests {
    /// Nobody wants anything; feeds are numbered behind this one.
    pub(crate) fn after(newest: FeedId) -> Self {
        Self { started: newest, ..Self::default() }
    }

    /// A shard wants a key; said again, the new ticket counts. A pattern looks at every feed once.
    pub(crate) fn want(&mut self, filter: &Filter, wanted: Wanted) -> Cover {
        let index = self.entry(filter);
        let entry = &mut self.entries[index];
        entry.wanted.retain(|old| old.shard != wanted.shard);
        entry.wanted.push(wanted);
        if entry.cover != 0 {
            return Cover { feed: entry.cover, start: false };
        }
        let (feed, start) = match self.covering(filter) {
            Some(feed) => (feed, false),
            None => (self.start(index), true),
        };
        self.entries[index].cover = feed;
        self.wanted_patterns += usize::from(matches!(filter, Filter::Pattern(_)));
        for needed in self.overlapping(filter, feed) {
            if let Some(feed) = &mut self.entries[needed].feed {
                feed.dependents += 1;
            }
        }
        Cover { feed, start }
    }

    /// A shard wants a key no more. Answers the feeds that are to be ended.
    pub(crate) fn release(&mut self, filter: &Filter, shard: usize) -> Vec<FeedId> {
        let Some(&index) = self.by_text.get(filter.as_str()) else { return Vec::new() };
        let entry = &mut self.entries[index];
        entry.wanted.retain(|wanted| wanted.shard != shard);
        if !entry.wanted.is_empty() || entry.cover == 0 {
            return Vec::new();
        }
        let cover = std::mem::take(&mut entry.cover);
        self.wanted_patterns -= usize::from(matches!(filter, Filter::Pattern(_)));
        let mut ended = Vec::new();
        for needed in self.overlapping(filter, cover) {
            ended.extend(self.part(needed));
        }
        self.tidy(index);
        ended
    }

    /// Whether this very request still stands.
    pub(crate) fn stands(&self, filter: &Filter, wanted: Wanted) -> bool {
        self.by_text.get(filter.as_str()).is_some_and(|index| self.entries[*index].wanted.contains(&wanted))
    }

    /// Starts a feed that is there for good; `None` where an earlier feed covers it.
    pub(crate) fn pin(&mut self, filter: &Filter) -> Option<FeedId> {
        if self.covering(filter).is_some() {
            return None;
        }
        let index = self.entry(filter);
        let id = self.start(index);
        if let Some(feed) = &mut self.entries[index].feed {
            feed.dependents += 1;
        }
        Some(id)
    }

    /// The feed with this number, if it has not ended.
    pub(crate) fn source(&self, id: FeedId) -> Option<Source> {
        let index = self.topic_feeds.get(&id).or_else(|| self.pattern_feeds.get(&id))?;
        let feed = self.entries[*index].feed.as_ref()?;
        Some(Source { id, alone: feed.alone })
    }

    /// Puts into `out` which keys get a message that came on this feed: for [`Interests::key`].
    pub(crate) fn route(&self, source: Source, subject: &str, out: &mut Vec<usize>) {
        out.clear();
        let own = self.by_text.get(subject).copied();
        out.extend(own.filter(|index| matches!(self.entries[*index].filter, Filter::Topic(_))));
        if self.wanted_patterns > 0 || !source.alone {
            self.patterns.matches(subject, out);
            if self.earliest(out) != Some(source.id) {
                out.clear();
            }
        }
        out.retain(|index| !self.entries[*index].wanted.is_empty());
    }

    /// Puts into `out` which keys get messages of this subject, whatever feed they come on.
    pub(crate) fn reach(&self, subject: &str, out: &mut Vec<usize>) {
        out.clear();
        let own = self.by_text.get(subject).copied();
        out.extend(own.filter(|index| matches!(self.entries[*index].filter, Filter::Topic(_))));
        if self.wanted_patterns > 0 {
            self.patterns.matches(subject, out);
        }
        out.retain(|index| !self.entries[*index].wanted.is_empty());
    }

    /// A key and who wants it, by a number from [`Interests::route`].
    pub(crate) fn key(&self, index: usize) -> (&Filter, &[Wanted]) {
        let entry = &self.entries[index];
        (&entry.filter, &entry.wanted)
    }

    /// The wanted keys that messages of this feed may belong to, and who wants them; all keys for `None`.
    pub(crate) fn wanted(&self, by: Option<FeedId>) -> impl Iterator<Item = (&Filter, &[Wanted])> {
        let feed = by.map(|id| self.topic_feeds.get(&id).or_else(|| self.pattern_feeds.get(&id)));
        self.entries
            .iter()
            .map(|(_, entry)| entry)
            .filter(move |entry| match feed {
                None => true,
                Some(None) => false,
                Some(Some(feed)) => overlap(&self.entries[*feed].filter, &entry.filter),
            })
            .filter(|entry| !entry.wanted.is_empty())
            .map(|entry| (&entry.filter, entry.wanted.as_slice()))
    }

    /// Whether some shard wants this topic by its own name.
    pub(crate) fn names(&self, topic: &str) -> bool {
        self.by_text.get(topic).is_some_and(|index| !self.entries[*index].wanted.is_empty())
    }

    /// The earliest feed that brings this subject.
    pub(crate) fn feed_of(&self, subject: &str) -> Option<FeedId> {
        self.earliest(&self.matching(subject))
    }

    /// The earliest feed that brings all of a topic or pattern that is wanted.
    pub(crate) fn cover(&self, filter: &Filter) -> Option<FeedId> {
        let cover = self.entries[*self.by_text.get(filter.as_str())?].cover;
        (cover != 0).then_some(cover)
    }

    /// The newest feed.
    pub(crate) fn newest(&self) -> FeedId {
        self.started
    }

    fn entry(&mut self, filter: &Filter) -> usize {
        if let Some(index) = self.by_text.get(filter.as_str()) {
            return *index;
        }
        let index =
            self.entries.insert(Entry { filter: filter.clone(), wanted: Vec::new(), cover: 0, feed: None });
        self.by_text.insert(filter.shared().clone(), index);
        if let Filter::Pattern(pattern) = filter {
            self.patterns.insert(pattern.as_str(), index);
        }
        index
    }

    fn start(&mut self, index: usize) -> FeedId {
        let filter = self.entries[index].filter.clone();
        let alone = self.overlapping(&filter, self.started).is_empty();
        self.started += 1;
        self.entries[index].feed = Some(Feed { id: self.started, dependents: 0, alone });
        match filter {
            Filter::Topic(_) => self.topic_feeds.insert(self.started, index),
            Filter::Pattern(_) => self.pattern_feeds.insert(self.started, index),
        };
        self.started
    }

    /// One key depends on the feed of this entry no more; answers the feed if that was the last.
    fn part(&mut self, index: usize) -> Option<FeedId> {
        let feed = self.entries[index].feed.as_mut()?;
        feed.dependents -= 1;
        if feed.dependents > 0 {
            return None;
        }
        let id = feed.id;
        self.entries[index].feed = None;
        self.topic_feeds.remove(&id);
        self.pattern_feeds.remove(&id);
        self.tidy(index);
        Some(id)
    }

    fn tidy(&mut self, index: usize) {
        let idle = |entry: &Entry| entry.wanted.is_empty() && entry.feed.is_none();
        if self.entries.get(index).is_some_and(idle) {
            let entry = self.entries.remove(index);
            self.by_text.remove(entry.filter.as_str());
            if let Filter::Pattern(pattern) = &entry.filter {
                self.patterns.remove(pattern.as_str());
            }
        }
    }

    /// The earliest feed that covers the whole key.
    fn covering(&self, filter: &Filter) -> Option<FeedId> {
        match filter {
            Filter::Topic(topic) => self.earliest(&self.matching(topic.as_str())),
            Filter::Pattern(key) => {
                let covers =
                    |index: usize| matches!(&self.entries[index].filter, Filter::Pattern(p) if p.covers(key));
                self.pattern_feeds.iter().find(|(_, index)| covers(**index)).map(|(id, _)| *id)
            }
        }
    }

    /// Entries whose feeds overlap with the filter and started no later than `last`.
    fn overlapping(&self, filter: &Filter, last: FeedId) -> Vec<usize> {
        let started = |index: &usize| self.entries[*index].feed.as_ref().is_some_and(|feed| feed.id <= last);
        match filter {
            Filter::Topic(topic) => self.matching(topic.as_str()).into_iter().filter(started).collect(),
            Filter::Pattern(_) => self
                .pattern_feeds
                .values()
                .chain(self.topic_feeds.values())
                .filter(|index| started(index) && overlap(&self.entries[**index].filter, filter))
                .copied()
                .collect(),
        }
    }

    /// The topic's own entry and those of the patterns that match it.
    fn matching(&self, topic: &str) -> Vec<usize> {
        let mut found: Vec<_> = self.by_text.get(topic).copied().into_iter().collect();
        self.patterns.matches(topic, &mut found);
        found
    }

    fn earliest(&self, entries: &[usize]) -> Option<FeedId> {
        entries.iter().filter_map(|index| Some(self.entries[*index].feed.as_ref()?.id)).min()
    }
}

fn overlap(a: &Filter, b: &Filter) -> bool {
    match (a, b) {
        (Filter::Pattern(a), Filter::Pattern(b)) => a.overlaps(b),
        (Filter::Pattern(pattern), Filter::Topic(topic))
        | (Filter::Topic(topic), Filter::Pattern(pattern)) => pattern.matches(topic),
        (Filter::Topic(a), Filter::Topic(b)) => a == b,
    }
}
