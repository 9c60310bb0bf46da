//! Shards for the tests of backbones: an inbox, and what is found in it.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{Handle, InterestChange, PublishError, PublishRequest, Published};
use crate::gateway::{
    history::Epoch,
    shard::{Arrival, Inbox, ShardEvent},
    websocket,
};

/// How long a test waits for what must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Inboxes, and the pollers that their wakers need to live.
pub(super) struct Shards {
    pub(super) inboxes: Arc<[Arc<Inbox>]>,
    _pollers: Vec<mio::Poll>,
    taken: Vec<VecDeque<ShardEvent>>,
    /// The epoch that was told last.
    pub(super) epoch: Option<Epoch>,
}

impl Shards {
    pub(super) fn new(count: usize) -> Self {
        let pollers: Vec<_> = (0..count).map(|_| mio::Poll::new().unwrap()).collect();
        let inboxes = pollers
            .iter()
            .map(|poll| Arc::new(Inbox::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap())))
            .collect();
        Self { inboxes, _pollers: pollers, taken: (0..count).map(|_| VecDeque::new()).collect(), epoch: None }
    }

    /// The next event of a shard, if there is one by now. Epochs are noted, see [`Shards::epoch`].
    pub(super) fn take(&mut self, shard: usize) -> Option<ShardEvent> {
        if self.taken[shard].is_empty() {
            let mut events = Vec::new();
            self.inboxes[shard].drain(&mut events);
            self.taken[shard].extend(events);
        }
        while let Some(ShardEvent::Epoch(epoch)) = self.taken[shard].front() {
            self.epoch = *epoch;
            self.taken[shard].pop_front();
        }
        self.taken[shard].pop_front()
    }

    /// The next event of a shard.
    pub(super) async fn next(&mut self, shard: usize) -> ShardEvent {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.take(shard) {
                return event;
            }
            assert!(Instant::now() < end, "nothing came to shard {shard}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The next arrivals of a shard; it must have nothing else before it.
    pub(super) async fn arrivals(&mut self, shard: usize) -> Vec<Arrival> {
        match self.next(shard).await {
            ShardEvent::Deliver(arrivals) => arrivals,
            other => panic!("{other:?} came instead of messages"),
        }
    }

    /// Wants a key and waits until that is answered: the position, or why not.
    pub(super) async fn want(
        &mut self,
        handle: &Handle,
        key: &str,
        shard: usize,
        ticket: u32,
    ) -> Result<u64, String> {
        change(handle, key, shard, ticket, true).await;
        match self.next(shard).await {
            ShardEvent::InForce { filter, ticket: answered, seq, .. } => {
                assert_eq!((filter.as_str(), answered), (key, ticket));
                Ok(seq)
            }
            ShardEvent::Refused { filter, ticket: answered, reason } => {
                assert_eq!((filter.as_str(), answered), (key, ticket));
                Err(reason)
            }
            other => panic!("{other:?} came instead of an answer"),
        }
    }
}

pub(super) async fn change(handle: &Handle, key: &str, shard: usize, ticket: u32, wanted: bool) {
    let change = InterestChange { filter: key.parse().unwrap(), shard, ticket, wanted };
    handle.interests.send(change).await.unwrap();
}

pub(super) type Answer = oneshot::Receiver<Result<Published, PublishError>>;

/// Hands over a message to publish; the answer comes later.
pub(super) async fn request(handle: &Handle, topic: &str, id: &str, body: impl Into<bytes::Bytes>) -> Answer {
    let (reply, answer) = oneshot::channel();
    let request = PublishRequest {
        topic: topic.parse().unwrap(),
        message_id: id.into(),
        unique_id: id.into(),
        body: body.into(),
        reply,
    };
    handle.publishes.send(request).await.unwrap();
    answer
}

pub(super) async fn publish(
    handle: &Handle,
    topic: &str,
    id: &str,
    body: impl Into<bytes::Bytes>,
) -> Result<Published, PublishError> {
    request(handle, topic, id, body).await.await.unwrap()
}

/// Waits until the backbone has taken everything that was handed over.
pub(super) async fn taken(handle: &Handle) {
    while handle.interests.capacity() < handle.interests.max_capacity()
        || handle.publishes.capacity() < handle.publishes.max_capacity()
    {
        tokio::task::yield_now().await;
    }
}

/// The JSON of a frame.
pub(super) fn json(arrival: &Arrival) -> serde_json::Value {
    serde_json::from_slice(websocket::payload(&arrival.frame).unwrap()).unwrap()
}
