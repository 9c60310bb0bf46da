//! What comes on the subscriptions, and what is read where something did not come.

use async_nats::{HeaderMap, Message};

use super::{
    Jet, TOPICS,
    live::Live,
    reader::ReadError,
    sequencer::{Part, Read, Verdict},
    wire::{self, Stored},
};
use crate::{
    api::{Seq, Topic},
    gateway::{
        backbone::{
            Counts, Feed,
            interests::{FeedId, Source},
            nats::router::{Numbered, Router, published},
        },
        history::Tail,
    },
};

impl Jet {
    /// A message that the stream has stored and published again.
    pub(crate) fn stored(&mut self, router: &mut Router, feed: FeedId, source: Source, message: &Message) {
        // Only the stream itself sends on these subjects, unless somebody else may, too.
        let Some((headers, seq, prev)) = self.numbers(message) else {
            return Counts::add(&router.counts.ignored_subjects, 1);
        };
        let Some(subject) = wire::said(headers, wire::SUBJECT) else { return };
        let Some(topic) = router.topic_of(subject) else { return };
        self.watch.highest = self.watch.highest.max(seq);
        if !router.aim(Some(source), topic) {
            return;
        }
        // Before the feed has a position nobody was promised anything: what is before this message is nobody's.
        let base = self.bases.get(&feed).copied().unwrap_or(seq - 1);
        if !self.begins(router, feed, topic) && !self.follows(router, topic, base) {
            return;
        }
        let Some(live) = self.topics.get_mut(topic) else { return };
        let (id, unique_id) = wire::ids(headers);
        let published = published(headers);
        let exact = live.order.is_exact();
        match live.order.judge(seq, prev) {
            Verdict::Deliver { prev } => {
                let before = live.tail.bytes();
                if !exact && prev == 0 {
                    // It came by a pattern: whether there were others before it, which are gone, nobody has looked.
                    live.tail = Tail::at(seq - 1);
                }
                live.send(router, &Numbered { seq, prev, id, unique_id, published, body: &message.payload });
                let grown = (before, live.tail.bytes());
                self.kept(topic, grown);
                if !exact {
                    self.ask_positions_again();
                }
            }
            // Sent twice, or of a stream that begins anew.
            Verdict::Old => self.watch.suspect(),
            Verdict::Early => {
                let held = Stored {
                    subject: subject.to_owned(),
                    seq,
                    id: id.map(str::to_owned),
                    unique_id: unique_id.map(str::to_owned),
                    published,
                    body: message.payload.clone(),
                };
                let read = live.order.hold(seq, prev, message.payload.len(), held);
                let topic = live.topic.clone();
                self.read(&topic, read);
            }
        }
    }

    /// A message that is in the stream now, or in a moment.
    pub(crate) fn noticed(&mut self, router: &mut Router, feed: FeedId, source: Source, topic: &str) {
        if !router.aim(Some(source), topic) {
            return;
        }
        let base = self.bases.get(&feed).copied().unwrap_or(self.watch.highest);
        if !self.begins(router, feed, topic) && !self.follows(router, topic, base) {
            return;
        }
        let Some(live) = self.topics.get_mut(topic) else { return };
        let (read, topic) = (live.order.notice(), live.topic.clone());
        self.read(&topic, read);
    }

    /// Missing messages have been read, or not.
    pub(crate) fn part(
        &mut self,
        router: &mut Router,
        topic: &Topic,
        read: Read,
        part: Result<Part<Stored>, ReadError>,
    ) {
        self.parts -= 1;
        let mut steps = std::mem::take(&mut self.steps);
        let mut next = None;
        // Nobody wants the topic any more.
        if let Some(live) = self.topics.get_mut(topic.as_str()) {
            let before = live.tail.bytes();
            match part {
                Ok(part) => {
                    let newest = part.messages.last().map_or(0, |(seq, _)| *seq);
                    self.watch.highest = self.watch.highest.max(newest);
                    // Without RePublish every message is read, and none was lost.
                    if self.known.as_ref().is_some_and(|layout| layout.feed() == Feed::RePublish) {
                        Counts::add(&router.counts.repaired, part.messages.len() as u64);
                    }
                    next = live.order.filled(read, part, &mut steps);
                    live.follow(router, &mut steps);
                }
                Err(error) => {
                    tracing::debug!(%topic, %error, "missing messages could not be read, tried again");
                    live.order.failed(read);
                    self.watch.suspect();
                    self.again.insert(topic.clone());
                }
            }
            let grown = (before, live.tail.bytes());
            self.kept(topic.as_str(), grown);
        }
        self.steps = steps;
        self.read(topic, next);
        self.pump();
        self.ask_positions_again();
    }

    /// Whether the topic is wanted by its name and its feed not known to be in force yet: what comes already is held until
    /// the topic's position is known.
    fn begins(&mut self, router: &Router, feed: FeedId, topic: &str) -> bool {
        let new = !self.topics.contains_key(topic) && !self.bases.contains_key(&feed);
        let named = if new && router.interests.names(topic) { topic.parse::<Topic>().ok() } else { None };
        let Some(topic) = named else { return false };
        self.topics.insert(topic.shared().clone(), Live::opening(topic));
        true
    }

    /// Follows the topic, if it is new from `base` on; `false` if it is none.
    pub(crate) fn follows(&mut self, router: &Router, topic: &str, base: Seq) -> bool {
        if self.topics.contains_key(topic) {
            return true;
        }
        let Ok(parsed) = topic.parse::<Topic>() else {
            Counts::add(&router.counts.ignored_subjects, 1);
            return false;
        };
        if self.topics.len() >= TOPICS {
            self.forget_patterns(router);
        }
        self.topics.insert(parsed.shared().clone(), Live::from(parsed, base));
        true
    }

    /// Forgets the topics that nobody wants by name.
    fn forget_patterns(&mut self, router: &Router) {
        tracing::warn!(topics = TOPICS, "more topics come by patterns than the gateway follows: narrow them");
        let named = |topic: &str| router.interests.names(topic);
        let forgotten: Vec<_> = self.topics.keys().filter(|topic| !named(topic)).cloned().collect();
        for topic in forgotten {
            self.forget(&topic);
        }
        self.bases.values_mut().for_each(|base| *base = self.watch.highest);
    }

    /// Follows a topic no more.
    pub(crate) fn forget(&mut self, topic: &str) {
        if let Some(live) = self.topics.remove(topic) {
            self.kept(topic, (live.tail.bytes(), 0));
        }
    }

    /// Tries again what could not be read.
    pub(crate) fn read_again(&mut self) {
        for topic in std::mem::take(&mut self.again) {
            let read = self.topics.get_mut(topic.as_str()).and_then(|live| live.order.wanting());
            self.read(&topic, read);
        }
    }

    fn numbers<'a>(&self, message: &'a Message) -> Option<(&'a HeaderMap, Seq, Seq)> {
        let headers = message.headers.as_ref()?;
        let ours = wire::said(headers, wire::STREAM)? == &*self.reader.stream;
        let (seq, prev) =
            wire::number(headers, wire::SEQUENCE).zip(wire::number(headers, wire::LAST_SEQUENCE))?;
        ours.then_some((headers, seq, prev))
    }
}
