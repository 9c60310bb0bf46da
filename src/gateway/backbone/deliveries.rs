//! Arrivals on their way to the shards: gathered per shard, handed over once per batch.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{Counts, interests::Wanted};
use crate::{
    api::Filter,
    gateway::{
        protocol::{GapReason, event},
        shard::{Arrival, Inbox, ShardEvent},
    },
};

/// One batch per shard. Bounded by what the owner gathers before it flushes.
#[derive(Debug)]
pub(crate) struct Deliveries {
    inboxes: Arc<[Arc<Inbox>]>,
    batches: Vec<Vec<Arrival>>,
    cancel: CancellationToken,
}

impl Deliveries {
    /// Empty batches for these shards; `cancel` ends the wait for a shard that takes nothing any more.
    pub(crate) fn new(inboxes: Arc<[Arc<Inbox>]>, cancel: CancellationToken) -> Self {
        Self { batches: inboxes.iter().map(|_| Vec::new()).collect(), inboxes, cancel }
    }

    /// The inbox of one shard.
    pub(crate) fn inbox(&self, shard: usize) -> Option<&Inbox> {
        self.inboxes.get(shard).map(AsRef::as_ref)
    }

    /// Says something to every shard, behind what was flushed before and ahead of what is gathered now.
    pub(crate) fn tell_all(&self, event: impl Fn() -> ShardEvent) {
        self.inboxes.iter().for_each(|inbox| inbox.push(event()));
    }

    /// Puts an arrival into the batch of a shard.
    pub(crate) fn push(&mut self, shard: usize, arrival: Arrival) {
        if let Some(batch) = self.batches.get_mut(shard) {
            batch.push(arrival);
        }
    }

    /// Tells these subscribers of a topic or pattern that messages may have been lost.
    pub(crate) fn gap(&mut self, filter: &Filter, wanted: impl Iterator<Item = Wanted>, counts: &Counts) {
        let mut frame = Vec::new();
        event::gap(&mut frame, filter.as_str(), None, None, GapReason::Backbone);
        let frame = Bytes::from(frame);
        let mut told = false;
        for Wanted { shard, .. } in wanted {
            let (key, topic) = (filter.shared().clone(), filter.shared().clone());
            let frame = frame.clone();
            self.push(shard, Arrival { key, topic, frame, seq: None, message: false, published: None });
            told = true;
        }
        Counts::add(&counts.gaps, u64::from(told));
    }

    /// Hands every batch over with one wake per shard, waiting for shards that have too much before them.
    pub(crate) async fn flush(&mut self) {
        for (inbox, batch) in self.inboxes.iter().zip(&mut self.batches) {
            if !batch.is_empty() {
                self.cancel.run_until_cancelled(inbox.deliver(std::mem::take(batch))).await;
            }
        }
    }
}
