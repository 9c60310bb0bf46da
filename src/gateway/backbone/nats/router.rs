//! From a NATS message to the inboxes of the shards that want it.

use std::sync::Arc;

use async_nats::{HeaderName, Message};

use crate::{
    api::{Filter, NatsBackbone, Topic},
    gateway::{
        backbone::{
            Counts,
            deliveries::Deliveries,
            interests::{FeedId, Interests, Source, Wanted},
        },
        protocol::{body, event},
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
