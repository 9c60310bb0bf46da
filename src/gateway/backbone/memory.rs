//! Topics in the gateway's own memory: for one replica, trials and tests.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Counts, Handle, InterestChange, PublishError, PublishRequest, Published, Status,
    deliveries::Deliveries,
    interests::{Interests, Source, Wanted},
};
use crate::{
    api::{Filter, Seq},
    gateway::{
        protocol::{body, event},
        shard::{Arrival, Inbox, ShardEvent},
    },
};

/// Topics whose number is remembered; it must not be forgotten, so that one more is refused.
pub const MAX_TOPICS: usize = 100_000;

/// Changes of interest and publishes that wait for the task, each.
const QUEUE: usize = 8_192;
/// Of these, taken at one time.
const BATCH: usize = 256;

/// Starts the task of a backbone that is always connected and numbers each topic from 1.
pub fn spawn(
    inboxes: Arc<[Arc<Inbox>]>,
    counts: Arc<Counts>,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) -> Handle {
    let (interests, changes) = mpsc::channel(QUEUE);
    let (publishes, requests) = mpsc::channel(QUEUE);
    let (sender, status) = watch::channel(Status { connected: true, reconnects: 0 });
    let memory = Memory {
        interests: Interests::default(),
        numbers: HashMap::new(),
        deliveries: Deliveries::new(inboxes, cancel.clone()),
        counts,
        status: sender,
    };
    tasks.spawn(memory.run(changes, requests, cancel));
    Handle { interests, publishes, status }
}

struct Memory {
    interests: Interests,
    /// The number of the last message of each topic; at most [`MAX_TOPICS`].
    numbers: HashMap<Arc<str>, Seq>,
    deliveries: Deliveries,
    counts: Arc<Counts>,
    /// Held so that those who watch see a backbone that lives.
    status: watch::Sender<Status>,
}

impl Memory {
    async fn run(
        mut self,
        mut interests: mpsc::Receiver<InterestChange>,
        mut publishes: mpsc::Receiver<PublishRequest>,
        cancel: CancellationToken,
    ) {
        // Everything comes by one feed that is there for good.
        let everything = ">".parse().ok().and_then(|all: Filter| self.interests.pin(&all));
        let Some(everything) = everything.and_then(|id| self.interests.source(id)) else { return };
        let (mut changed, mut requests, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                1.. = interests.recv_many(&mut changed, BATCH) => {
                    changed.drain(..).for_each(|change| self.change(change));
                }
                1.. = publishes.recv_many(&mut requests, BATCH) => {
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
        self.status.send_replace(Status::default());
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
