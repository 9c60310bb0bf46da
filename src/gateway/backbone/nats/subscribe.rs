//! What shards want, turned into NATS subscriptions.

use tokio::time::timeout;

use super::{
    barrier::CONFIRM,
    jetstream::{Begin, Channel, Jet, Place},
    task::{Task, Waiter, wanted_by},
};
use crate::{
    api::{Filter, Seq},
    gateway::{
        backbone::{InterestChange, interests::FeedId},
        shard::ShardEvent,
    },
};

pub(super) const NOT_CONNECTED: &str = "the gateway is not connected to NATS";
/// Why nobody is to have what the stream publishes again.
pub(super) const RESERVED: &str =
    "the stream publishes what it has stored on such subjects, for gateways: use the topics themselves";

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
        let Some(change) = self.placed(change) else { return };
        let cover = self.router.interests.want(&change.filter, wanted_by(&change));
        if cover.start && !self.start(cover.feed, &change.filter).await {
            return self.refuse(&change, NOT_CONNECTED);
        }
        if cover.feed <= self.proven {
            self.in_force(change, false);
        } else {
            self.barriers.join(Waiter::Interest(change));
        }
    }

    /// Where there is a stream, waits until it is known what the stream captures, and refuses what cannot be had.
    fn placed(&mut self, change: InterestChange) -> Option<InterestChange> {
        let Some(jet) = &mut self.jet else { return Some(change) };
        if let Some(why) = jet.absent() {
            let why = why.to_owned();
            self.refuse(&change, &why);
            return None;
        }
        match jet.layout().map(|layout| layout.place(&change.filter)) {
            Some(Place::Reserved) => {
                self.refuse(&change, RESERVED);
                None
            }
            Some(_) => Some(change),
            None => {
                jet.keep(change);
                None
            }
        }
    }

    /// Subscribes; `false` if the client does not take it.
    pub(super) async fn start(&mut self, feed: FeedId, filter: &Filter) -> bool {
        let subjects = match self.jet.as_ref().and_then(Jet::layout) {
            Some(layout) => layout.subjects(filter),
            None => vec![(Channel::Sent, self.router.subject(filter.as_str()))],
        };
        for (channel, subject) in subjects {
            self.subscribed += 1;
            match timeout(CONFIRM, self.client.subscribe(subject)).await {
                Ok(Ok(subscriber)) => self.feeds.insert((feed, channel), self.subscribed, subscriber),
                failed => {
                    tracing::warn!(%filter, ?failed, "the NATS client does not subscribe");
                    return false;
                }
            }
        }
        true
    }

    /// The feed of what a shard wants is in force: it is told so, once its position is known where it has one.
    /// `again`: it was told so before.
    pub(super) fn in_force(&mut self, change: InterestChange, again: bool) {
        let stands = self.router.interests.stands(&change.filter, wanted_by(&change));
        match self.jet.as_mut().filter(|_| stands).map(|jet| jet.begin(&change, again)) {
            Some(Begin::Later) => {}
            Some(Begin::At(seq, recoverable)) => self.tell(change, seq, recoverable),
            None => self.tell(change, 0, false),
        }
    }

    /// Tells the shard that what it wants arrives from now on.
    pub(super) fn tell(&self, change: InterestChange, seq: Seq, recoverable: bool) {
        if let Some(inbox) = self.router.deliveries.inbox(change.shard) {
            let InterestChange { filter, ticket, .. } = change;
            inbox.push(ShardEvent::InForce { filter, ticket, seq, recoverable });
        }
    }

    /// Tells the shard that it cannot have what it wants and forgets that it wanted it, unless it has asked anew.
    pub(super) fn refuse(&mut self, change: &InterestChange, reason: &str) {
        let InterestChange { filter, shard, ticket, .. } = change;
        if self.router.interests.stands(filter, wanted_by(change)) {
            self.release(change);
        }
        if let Some(inbox) = self.router.deliveries.inbox(*shard) {
            let reason = format!("{reason}; subscribe again in a moment");
            inbox.push(ShardEvent::Refused { filter: filter.clone(), ticket: *ticket, reason });
        }
    }

    fn release(&mut self, change: &InterestChange) {
        // Nearly always empty: only between the start of this backbone and its first connection.
        for (_, wanted) in self.inherited.iter_mut().filter(|(filter, _)| *filter == change.filter) {
            wanted.retain(|one| one.shard != change.shard);
        }
        let ended = self.router.interests.release(&change.filter, change.shard);
        for feed in &ended {
            self.feeds.remove(*feed);
        }
        if let Some(jet) = &mut self.jet {
            jet.released(&mut self.router, &change.filter, &ended);
        }
    }
}
