//! What shards want, turned into NATS subscriptions.

use tokio::time::timeout;

use super::{
    barrier::CONFIRM,
    task::{Task, Waiter, wanted_by},
};
use crate::{
    api::Filter,
    gateway::{
        backbone::{InterestChange, interests::FeedId},
        shard::ShardEvent,
    },
};

pub(super) const NOT_CONNECTED: &str = "the gateway is not connected to NATS";

impl Task {
    /// A shard begins or ceases to want something.
    pub(super) async fn change(&mut self, change: InterestChange) {
        if !change.wanted {
            return self.release(&change);
        }
        if !self.link.connected {
            self.release(&change);
            return self.refuse(&change, NOT_CONNECTED);
        }
        let cover = self.router.interests.want(&change.filter, wanted_by(&change));
        if cover.start && !self.start(cover.feed, &change.filter).await {
            return self.refuse(&change, NOT_CONNECTED);
        }
        if cover.feed <= self.proven {
            self.in_force(change);
        } else {
            self.barriers.join(Waiter::Interest(change));
        }
    }

    /// Subscribes; `false` if the client does not take it.
    pub(super) async fn start(&mut self, feed: FeedId, filter: &Filter) -> bool {
        let subject = self.router.subject(filter.as_str());
        match timeout(CONFIRM, self.client.subscribe(subject)).await {
            Ok(Ok(subscriber)) => self.feeds.insert(feed, subscriber),
            failed => {
                tracing::warn!(%filter, ?failed, "the NATS client does not subscribe");
                return false;
            }
        }
        true
    }

    /// Tells the shard that what it wants arrives from now on.
    pub(super) fn in_force(&self, change: InterestChange) {
        if let Some(inbox) = self.router.deliveries.inbox(change.shard) {
            let InterestChange { filter, epoch, .. } = change;
            inbox.push(ShardEvent::InForce { filter, epoch, seq: 0, recoverable: false });
        }
    }

    /// Tells the shard that it cannot have what it wants and forgets that it wanted it, unless it has asked anew.
    pub(super) fn refuse(&mut self, change: &InterestChange, reason: &str) {
        let InterestChange { filter, shard, epoch, .. } = change;
        if self.router.interests.stands(filter, wanted_by(change)) {
            self.release(change);
        }
        if let Some(inbox) = self.router.deliveries.inbox(*shard) {
            let reason = format!("{reason}; subscribe again in a moment");
            inbox.push(ShardEvent::Refused { filter: filter.clone(), epoch: *epoch, reason });
        }
    }

    fn release(&mut self, change: &InterestChange) {
        // Nearly always empty: only between the start of this backbone and its first connection.
        for (_, wanted) in self.inherited.iter_mut().filter(|(filter, _)| *filter == change.filter) {
            wanted.retain(|one| one.shard != change.shard);
        }
        for feed in self.router.interests.release(&change.filter, change.shard) {
            self.feeds.remove(feed);
        }
    }
}
