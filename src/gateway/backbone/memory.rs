//! Topics in the gateway's own memory: for one replica, trials and tests.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::{
    Counts, HistoryRequest, InterestChange, PublishError, PublishRequest, Published,
    deliveries::Deliveries,
    exchange::{Post, Surroundings},
    interests::{Interests, Source, Wanted},
};
use crate::{
    api::{Filter, Seq, Stamp, Topic},
    gateway::{
        history::{Epoch, Keeping, Kept, Tail},
        protocol::{body, event},
        shard::{Arrival, ShardEvent},
    },
};

/// Topics whose number is remembered; it must not be forgotten, so that one more is refused.
pub const MAX_TOPICS: usize = 100_000;

/// What is kept of all topics together, in bytes of frames; beyond it the message that came first goes first.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// Changes of interest, publishes and reads taken at one time, each.
const BATCH: usize = 256;

/// Starts the task of a backbone that is always connected and numbers each topic from 1.
pub(crate) fn run(post: Post, around: &Surroundings) {
    let Surroundings { inboxes, counts, tasks, cancel, keeping, runtime } = around.clone();
    let memory = Memory {
        interests: Interests::default(),
        topics: HashMap::new(),
        order: VecDeque::new(),
        kept: 0,
        bytes: 0,
        keeping,
        epoch: Epoch::random(),
        deliveries: Deliveries::new(inboxes, cancel.clone()),
        counts,
    };
    post.status.send_modify(|status| status.connected = true);
    tasks.spawn_on(memory.run(post, cancel), &runtime);
}

struct Memory {
    interests: Interests,
    /// At most [`MAX_TOPICS`]. A topic's number is remembered even where none of its messages is kept.
    topics: HashMap<Arc<str>, Tail>,
    /// Topic and number of the messages that are kept, in the order they came. Those that their topic has forgotten
    /// since are dropped when they outnumber the others, or come to the front.
    order: VecDeque<(Arc<str>, Seq)>,
    /// Messages kept.
    kept: usize,
    /// Bytes of their frames, at most [`KEPT_BYTES`].
    bytes: usize,
    /// How much of each topic.
    keeping: Arc<ArcSwap<Keeping>>,
    /// Numbers begin with it.
    epoch: Epoch,
    deliveries: Deliveries,
    counts: Arc<Counts>,
}

impl Memory {
    async fn run(mut self, mut post: Post, cancel: CancellationToken) {
        // Everything comes by one feed that is there for good.
        let everything = ">".parse().ok().and_then(|all: Filter| self.interests.pin(&all));
        let Some(everything) = everything.and_then(|id| self.interests.source(id)) else { return };
        self.deliveries.tell_all(|| ShardEvent::Epoch(Some(self.epoch)));
        self.inherit(&mut post).await;
        let (mut changed, mut requests, mut reads, mut keys) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        loop {
            self.deliveries.flush().await;
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(next) = post.asked.recv() => {
                    let wanted = self.interests.wanted(None);
                    post.wanted = wanted.map(|(filter, wanted)| (filter.clone(), wanted.to_vec())).collect();
                    // Fails when the gateway is ending.
                    let _ = next.send(post);
                    return;
                }
                1.. = post.changes.recv_many(&mut changed, BATCH) => {
                    changed.drain(..).for_each(|change| self.change(change));
                }
                1.. = post.reads.recv_many(&mut reads, BATCH) => reads.drain(..).for_each(|read| self.read(read)),
                1.. = post.requests.recv_many(&mut requests, BATCH) => {
                    let answers: Vec<_> = requests
                        .drain(..)
                        .map(|request: PublishRequest| (self.publish(everything, &request, &mut keys), request.reply))
                        .collect();
                    self.deliveries.flush().await;
                    for (answer, reply) in answers {
                        // Nobody waits any more: the message is delivered all the same.
                        let _ = reply.send(answer);
                    }
                }
            }
        }
        post.status.send_modify(|status| status.connected = false);
    }

    /// Goes on with what shards want from the backbone before; whatever came on its way here is lost.
    /// Behind that gap shards are told where they go on.
    async fn inherit(&mut self, post: &mut Post) {
        for (filter, wanted) in &post.wanted {
            self.deliveries.gap(filter, wanted.iter().copied(), &self.counts);
        }
        self.deliveries.flush().await;
        for (filter, wanted) in post.wanted.drain(..) {
            for Wanted { shard, ticket } in wanted {
                self.change(InterestChange { filter: filter.clone(), shard, ticket, wanted: true });
            }
        }
        post.unanswered.drain(..).for_each(|change| self.change(change));
    }

    fn change(&mut self, change: InterestChange) {
        let InterestChange { filter, shard, ticket, wanted } = change;
        if !wanted {
            self.interests.release(&filter, shard);
            return;
        }
        self.interests.want(&filter, Wanted { shard, ticket });
        let seq = match &filter {
            Filter::Topic(topic) => self.topics.get(topic.as_str()).map_or(0, Tail::head),
            Filter::Pattern(_) => 0,
        };
        if let Some(inbox) = self.deliveries.inbox(shard) {
            let recoverable = matches!(filter, Filter::Topic(_));
            inbox.push(ShardEvent::InForce { filter, ticket, seq, recoverable });
        }
    }

    fn read(&self, request: HistoryRequest) {
        let HistoryRequest { topic, start, until, reply } = request;
        let none = Tail::default();
        let page = self.topics.get(topic.as_str()).unwrap_or(&none).page(start, until);
        // Nobody waits any more.
        let _ = reply.send(Ok(Arc::new(page)));
    }

    fn publish(
        &mut self,
        everything: Source,
        request: &PublishRequest,
        keys: &mut Vec<usize>,
    ) -> Result<Published, PublishError> {
        let PublishRequest { topic, message_id, .. } = request;
        let tail = self.topics.get(topic.as_str());
        if tail.is_none() && self.topics.len() >= MAX_TOPICS {
            return Err(PublishError::Refused(format!(
                "the in-memory backbone holds {MAX_TOPICS} topics and takes no new one: \
                 publish to a topic it has, restart the gateway, or configure backbone.nats"
            )));
        }
        let prev = tail.map_or(0, Tail::head);
        let (seq, published) = (prev + 1, Stamp::at(SystemTime::now()));
        Counts::add(&self.counts.messages_received, 1);
        Counts::add(&self.counts.bytes_received, request.body.len() as u64);
        self.interests.route(everything, topic.as_str(), keys);
        let scan = body::scan(&request.body);
        Counts::add(&self.counts.not_json, u64::from(!scan.json));
        let frame =
            event::message(topic.as_str(), Some(seq), Some(prev), Some(message_id), &request.body, &scan);
        for (filter, wanted) in keys.iter().map(|key| self.interests.key(*key)) {
            for Wanted { shard, .. } in wanted {
                let (key, topic) = (filter.shared().clone(), topic.shared().clone());
                let (frame, seq) = (frame.clone(), Some(seq));
                let arrival = Arrival { key, topic, frame, seq, message: true, published };
                self.deliveries.push(*shard, arrival);
            }
        }
        self.keep(topic, Kept { seq, prev, frame, published });
        Ok(Published { seq: Some(seq), duplicate: false, remembered: false })
    }

    fn keep(&mut self, topic: &Topic, message: Kept) {
        self.order.push_back((topic.shared().clone(), message.seq));
        let tail = self.topics.entry(topic.shared().clone()).or_default();
        let (kept, bytes) = (tail.len(), tail.bytes());
        tail.push(message, self.keeping.load().window(topic.as_str()));
        self.kept = self.kept + tail.len() - kept;
        self.bytes = self.bytes + tail.bytes() - bytes;
        while self.bytes > KEPT_BYTES {
            let Some((topic, seq)) = self.order.pop_front() else { break };
            if let Some(tail) = self.topics.get_mut(&topic).filter(|tail| seq > tail.start()) {
                self.bytes -= tail.forget_oldest();
                self.kept -= 1;
            }
        }
        if self.order.len() > 2 * self.kept + BATCH {
            let Self { order, topics, .. } = self;
            order.retain(|(topic, seq)| topics.get(topic).is_some_and(|tail| *seq > tail.start()));
        }
    }
}
