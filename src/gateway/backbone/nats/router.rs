//! From a NATS message to the inboxes of the shards that want it.

use std::sync::Arc;

use async_nats::{HeaderMap, HeaderName, HeaderValue, Message, header::NATS_TIME_STAMP};
use bytes::Bytes;

use crate::{
    api::{Filter, NatsBackbone, Seq, Stamp, Topic},
    gateway::{
        backbone::{
            Counts,
            deliveries::Deliveries,
            interests::{FeedId, Interests, Source, Wanted},
        },
        history::Kept,
        protocol::{GapReason, body, event},
        shard::Arrival,
    },
};

/// Header in which the gateway passes on the publisher's id of a message.
pub(super) const MESSAGE_ID: HeaderName = HeaderName::from_static("Topicgateway-Message-Id");
/// By which the stream knows a message that is published again.
pub(super) const UNIQUE_ID: HeaderName = HeaderName::from_static("Nats-Msg-Id");

/// Knows who wants what and gathers what goes to whom.
#[derive(Debug)]
pub(super) struct Router {
    pub(super) interests: Interests,
    pub(super) deliveries: Deliveries,
    pub(super) counts: Arc<Counts>,
    /// With its dot, or empty.
    prefix: String,
    /// Memory that is used again for every message.
    keys: Vec<usize>,
}

impl Router {
    pub(super) fn new(spec: &NatsBackbone, deliveries: Deliveries, counts: Arc<Counts>) -> Self {
        let prefix = spec.subject_prefix.trim_end_matches('.');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        Self { interests: Interests::default(), deliveries, counts, prefix, keys: Vec::new() }
    }

    /// The NATS subject of a topic or pattern.
    pub(super) fn subject(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// Routes one message that came on a feed.
    pub(super) fn message(&mut self, source: Source, message: &Message) {
        let Some(topic) = message.subject.strip_prefix(self.prefix.as_str()) else { return };
        self.interests.route(source, topic, &mut self.keys);
        let Some(first) = self.keys.first() else { return };
        // The copy of the text is only made where no key holds it already.
        let topic = match self.interests.key(*first).0 {
            Filter::Topic(own) => own.clone(),
            Filter::Pattern(_) => match topic.parse::<Topic>() {
                Ok(topic) => topic,
                Err(_) => return Counts::add(&self.counts.ignored_subjects, 1),
            },
        };
        let scan = body::scan(&message.payload);
        Counts::add(&self.counts.not_json, u64::from(!scan.json));
        let header = || named(message.headers.as_ref()?, MESSAGE_ID);
        let id = scan.message_id.as_deref().or_else(header);
        let published = message.headers.as_ref().and_then(published);
        // The frame is a copy of the body: the client's read buffer is free again at once.
        let frame = event::message(topic.as_str(), scan.seq_no, None, id, &message.payload, &scan);
        for (filter, wanted) in self.keys.iter().map(|key| self.interests.key(*key)) {
            for Wanted { shard, .. } in wanted {
                let (key, topic) = (filter.shared().clone(), topic.shared().clone());
                let (frame, seq) = (frame.clone(), scan.seq_no);
                let arrival = Arrival { key, topic, frame, seq, message: true, published };
                self.deliveries.push(*shard, arrival);
            }
        }
    }

    /// The topic or pattern on NATS, without the prefix; `None` where it has another.
    pub(super) fn topic_of<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(self.prefix.as_str())
    }

    /// With its dot, or empty.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Looks up who gets messages of this topic that come on this feed; without a feed: whoever wants the topic.
    /// `false` if nobody does.
    pub(super) fn aim(&mut self, source: Option<Source>, topic: &str) -> bool {
        match source {
            Some(source) => self.interests.route(source, topic, &mut self.keys),
            None => self.interests.reach(topic, &mut self.keys),
        }
        !self.keys.is_empty()
    }

    /// Sends a message of the stream to those who were aimed at; answers what is to be kept of it.
    pub(super) fn stored(&mut self, topic: &Topic, message: &Numbered<'_>) -> Kept {
        let (kept, json) = message.kept(topic);
        Counts::add(&self.counts.not_json, u64::from(!json));
        self.push(topic, &kept.frame, Some(kept.seq), (true, kept.published));
        kept
    }

    /// Tells whoever wants the topic that these messages are gone for good; absent: nobody knows which. It goes on
    /// after `position`.
    pub(super) fn gone(&mut self, topic: &Topic, numbers: Option<(Seq, Seq)>, position: Seq) {
        if self.aim(None, topic.as_str()) {
            let (from, to) = numbers.unzip();
            let mut frame = Vec::new();
            event::gap(&mut frame, topic.as_str(), from, to, GapReason::Expired);
            self.push(topic, &frame.into(), Some(position), (false, None));
            Counts::add(&self.counts.expired, 1);
        }
    }

    fn push(
        &mut self,
        topic: &Topic,
        frame: &Bytes,
        seq: Option<Seq>,
        (message, published): (bool, Option<Stamp>),
    ) {
        for (filter, wanted) in self.keys.iter().map(|key| self.interests.key(*key)) {
            for Wanted { shard, .. } in wanted {
                let (key, topic) = (filter.shared().clone(), topic.shared().clone());
                let frame = frame.clone();
                self.deliveries.push(*shard, Arrival { key, topic, frame, seq, message, published });
            }
        }
    }

    /// Who wants something from this feed now, or from any.
    pub(super) fn wanted(&self, feed: Option<FeedId>) -> Vec<(Filter, Vec<Wanted>)> {
        self.interests.wanted(feed).map(|(filter, wanted)| (filter.clone(), wanted.to_vec())).collect()
    }

    /// Tells these, as far as they still want it, that messages may have been lost.
    pub(super) fn announce(&mut self, losers: &[(Filter, Vec<Wanted>)]) {
        for (filter, wanted) in losers {
            let still = wanted.iter().filter(|wanted| self.interests.stands(filter, **wanted)).copied();
            self.deliveries.gap(filter, still, &self.counts);
        }
    }
}

/// What a header names the message; one that is no id counts as absent, as in a body.
pub(super) fn named(headers: &HeaderMap, header: HeaderName) -> Option<&str> {
    headers.get(header).map(HeaderValue::as_str).filter(|id| body::is_message_id(id))
}

/// When a message was published, as its headers say. A stream writes its own time behind what the publisher wrote.
pub(super) fn published(headers: &HeaderMap) -> Option<Stamp> {
    Stamp::parse(headers.get_last(NATS_TIME_STAMP)?.as_str())
}

/// A message of the stream.
#[derive(Debug)]
pub(super) struct Numbered<'a> {
    /// Its number in the stream.
    pub(super) seq: Seq,
    /// The number of the one before it on its topic.
    pub(super) prev: Seq,
    /// The publisher's id, where it published through a gateway.
    pub(super) id: Option<&'a str>,
    /// What the stream knows it by: the id of a publisher that speaks to the stream itself.
    pub(super) unique_id: Option<&'a str>,
    /// When the stream stored it.
    pub(super) published: Option<Stamp>,
    pub(super) body: &'a [u8],
}

impl Numbered<'_> {
    /// What is kept of it, and whether the body is JSON.
    pub(super) fn kept(&self, topic: &Topic) -> (Kept, bool) {
        let Self { seq, prev, published, .. } = *self;
        let scan = body::scan(self.body);
        // A gateway was told the id: whatever the payload holds is the application's own.
        let id = self.id.or(scan.message_id.as_deref()).or(self.unique_id);
        let frame = event::message(topic.as_str(), Some(seq), Some(prev), id, self.body, &scan);
        (Kept { seq, prev, frame, published }, scan.json)
    }
}
