//! From a NATS message to the inboxes of the shards that want it.

use std::sync::Arc;

use async_nats::{HeaderName, Message};
use bytes::Bytes;

use crate::{
    api::{Filter, NatsBackbone, Seq, Topic},
    gateway::{
        backbone::{
            Counts,
            deliveries::Deliveries,
            interests::{FeedId, Interests, Source, Wanted},
        },
        protocol::{GapReason, body, event},
        shard::Arrival,
    },
};

/// Header in which the gateway passes on the publisher's id of a message, where the body does not hold it.
pub(super) const MESSAGE_ID: HeaderName = HeaderName::from_static("Topicgateway-Message-Id");

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
        let header = || Some(message.headers.as_ref()?.get(MESSAGE_ID)?.as_str());
        let id = scan.message_id.as_deref().or_else(header);
        // The frame is a copy of the body: the client's read buffer is free again at once.
        let frame = event::message(topic.as_str(), scan.seq_no, None, id, &message.payload, &scan);
        for (filter, wanted) in self.keys.iter().map(|key| self.interests.key(*key)) {
            for Wanted { shard, .. } in wanted {
                let (key, topic) = (filter.shared().clone(), topic.shared().clone());
                let arrival = Arrival { key, topic, frame: frame.clone(), seq: scan.seq_no, message: true };
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

    /// Sends a message of the stream to those who were aimed at; answers its frame.
    pub(super) fn stored(
        &mut self,
        topic: &Topic,
        seq: Seq,
        prev: Seq,
        id: Option<&str>,
        body: &[u8],
    ) -> Bytes {
        let (frame, json) = stored_frame(topic.as_str(), seq, prev, id, body);
        Counts::add(&self.counts.not_json, u64::from(!json));
        self.push(topic, &frame, Some(seq), true);
        frame
    }

    /// Tells whoever wants the topic that these messages are gone for good; absent: nobody knows which. It goes on
    /// after `position`.
    pub(super) fn gone(&mut self, topic: &Topic, numbers: Option<(Seq, Seq)>, position: Seq) {
        if self.aim(None, topic.as_str()) {
            let (from, to) = numbers.unzip();
            let mut frame = Vec::new();
            event::gap(&mut frame, topic.as_str(), from, to, GapReason::Expired);
            self.push(topic, &frame.into(), Some(position), false);
            Counts::add(&self.counts.expired, 1);
        }
    }

    fn push(&mut self, topic: &Topic, frame: &Bytes, seq: Option<Seq>, message: bool) {
        for (filter, wanted) in self.keys.iter().map(|key| self.interests.key(*key)) {
            for Wanted { shard, .. } in wanted {
                let (key, topic) = (filter.shared().clone(), topic.shared().clone());
                self.deliveries.push(*shard, Arrival { key, topic, frame: frame.clone(), seq, message });
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

/// The frame of a message of the stream, whose number is that of the stream; and whether the body is JSON.
pub(super) fn stored_frame(topic: &str, seq: Seq, prev: Seq, id: Option<&str>, body: &[u8]) -> (Bytes, bool) {
    let scan = body::scan(body);
    let id = scan.message_id.as_deref().or(id);
    (event::message(topic, Some(seq), Some(prev), id, body, &scan), scan.json)
}
