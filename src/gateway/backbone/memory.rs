//! Topics in the gateway's own memory: for one replica, trials and tests.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    Counts, InterestChange, PublishError, PublishRequest, Published,
    deliveries::Deliveries,
    exchange::{Post, Surroundings},
    interests::{Interests, Source, Wanted},
};
use crate::{
    api::{Filter, Seq},
    gateway::{
        protocol::{body, event},
        shard::{Arrival, ShardEvent},
    },
};

/// Topics whose number is remembered; it must not be forgotten, so that one more is refused.
pub const MAX_TOPICS: usize = 100_000;

/// Changes of interest and publishes taken at one time, each.
const BATCH: usize = 256;

/// Starts the task of a backbone that is always connected and numbers each topic from 1.
pub(crate) fn run(post: Post, around: &Surroundings) {
    let Surroundings { inboxes, counts, tasks, cancel } = around.clone();
    let memory = Memory {
        interests: Interests::default(),
        numbers: HashMap::new(),
        deliveries: Deliveries::new(inboxes, cancel.clone()),
        counts,
    };
    post.status.send_modify(|status| status.connected = true);
    tasks.spawn(memory.run(post, cancel));
}

struct Memory {
    interests: Interests,
    /// The number of the last message of each topic; at most [`MAX_TOPICS`].
    numbers: HashMap<Arc<str>, Seq>,
    deliveries: Deliveries,
    counts: Arc<Counts>,
}

impl Memory {
    async fn run(mut self, mut post: Post, cancel: CancellationToken) {
        // Everything comes by one feed that is there for good.
        let everything = ">".parse().ok().and_then(|all: Filter| self.interests.pin(&all));
        let Some(everything) = everything.and_then(|id| self.interests.source(id)) else { return };
        self.inherit(&mut post);
        let (mut changed, mut requests, mut keys) = (Vec::new(), Vec::new(), Vec::new());
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
    fn inherit(&mut self, post: &mut Post) {
        for (filter, wanted) in post.wanted.drain(..) {
            for one in &wanted {
                self.interests.want(&filter, *one);
            }
            self.deliveries.gap(&filter, wanted.into_iter(), &self.counts);
        }
        post.unanswered.drain(..).for_each(|change| self.change(change));
    }

    fn change(&mut self, change: InterestChange) {
        let InterestChange { filter, shard, epoch, wanted } = change;
        if !wanted {
            self.interests.release(&filter, shard);
            return;
        }
        self.interests.want(&filter, Wanted { shard, epoch });
        let seq = match &filter {
            Filter::Topic(topic) => self.numbers.get(topic.as_str()).copied().unwrap_or(0),
            Filter::Pattern(_) => 0,
        };
        if let Some(inbox) = self.deliveries.inbox(shard) {
            inbox.push(ShardEvent::InForce { filter, epoch, seq });
        }
    }

    fn publish(
        &mut self,
        everything: Source,
        request: &PublishRequest,
        keys: &mut Vec<usize>,
    ) -> Result<Published, PublishError> {
        let PublishRequest { topic, message_id, .. } = request;
        if !self.numbers.contains_key(topic.as_str()) && self.numbers.len() >= MAX_TOPICS {
            return Err(PublishError::Refused(format!(
                "the in-memory backbone holds {MAX_TOPICS} topics and takes no new one: \
                 publish to a topic it has, restart the gateway, or configure backbone.nats"
            )));
        }
        let number = self.numbers.entry(topic.shared().clone()).or_insert(0);
        let prev = *number;
        *number += 1;
        let seq = *number;
        Counts::add(&self.counts.messages_received, 1);
        Counts::add(&self.counts.bytes_received, request.body.len() as u64);
        self.interests.route(everything, topic.as_str(), keys);
        if !keys.is_empty() {
            let scan = body::scan(&request.body);
            Counts::add(&self.counts.not_json, u64::from(!scan.json));
            let frame =
                event::message(topic.as_str(), Some(seq), Some(prev), Some(message_id), &request.body, &scan);
            for (filter, wanted) in keys.iter().map(|key| self.interests.key(*key)) {
                for Wanted { shard, .. } in wanted {
                    let (key, topic) = (filter.shared().clone(), topic.shared().clone());
                    let arrival = Arrival { key, topic, frame: frame.clone(), seq: Some(seq), message: true };
                    self.deliveries.push(*shard, arrival);
                }
            }
        }
        Ok(Published { seq: Some(seq) })
    }
}
