//! What shards want of a link, what is published and read by it, and what the stream's answers mean for them.

use std::{collections::VecDeque, time::Instant};

use super::{Command, Entry, Link, Subscription, Waiter};
use crate::{
    api::{Filter, Seq},
    gateway::{
        backbone::{
            HistoryRequest, InterestChange, PublishError, PublishRequest,
            interests::{FeedId, Wanted},
            nats::{
                jetstream::{Begin, Begun, Done, Opened, Place, Seen},
                subscribe::{NOT_CONNECTED, RESERVED},
            },
        },
        history::HistoryError,
        shard::ShardEvent,
    },
};

impl Link {
    // --- What shards want ----------------------------------------------------------------------------------------

    pub(super) fn change(&mut self, change: InterestChange) {
        if !change.wanted {
            return self.release(&change);
        }
        if !self.connected {
            self.release(&change);
            return self.refuse(&change, NOT_CONNECTED);
        }
        let Some(change) = self.placed(change) else { return };
        let wanted = Wanted { shard: change.shard, ticket: change.ticket };
        let cover = self.router.interests.want(&change.filter, wanted);
        if cover.start {
            self.start(cover.feed, &change.filter);
        }
        if cover.feed <= self.proven {
            self.in_force(change, false);
        } else {
            self.barriers.join(Waiter::Interest(change));
        }
    }

    fn placed(&mut self, change: InterestChange) -> Option<InterestChange> {
        if let Some(why) = self.jet.absent() {
            let why = why.to_owned();
            self.refuse(&change, &why);
            return None;
        }
        match self.jet.layout().map(|layout| layout.place(&change.filter)) {
            Some(Place::Reserved) => {
                self.refuse(&change, RESERVED);
                None
            }
            Some(_) => Some(change),
            None => {
                self.jet.keep(change);
                None
            }
        }
    }

    fn start(&mut self, feed: FeedId, filter: &Filter) {
        let subjects = self.jet.layout().map(|layout| layout.subjects(filter)).unwrap_or_default();
        for (channel, subject) in subjects {
            let subscription =
                Subscription { subject: subject.parse().unwrap(), in_force: false, waiting: VecDeque::new() };
            self.subscriptions.insert((feed, channel), subscription);
            self.up.push_back(Command::Subscribe((feed, channel)));
        }
    }

    pub(super) fn in_force(&mut self, change: InterestChange, again: bool) {
        let wanted = Wanted { shard: change.shard, ticket: change.ticket };
        if !self.router.interests.stands(&change.filter, wanted) {
            return self.tell(change, 0, false);
        }
        match self.jet.begin(&change, again) {
            Begin::Later => {}
            Begin::At(seq, recoverable) => self.tell(change, seq, recoverable),
        }
    }

    fn tell(&self, change: InterestChange, seq: Seq, recoverable: bool) {
        if let Some(inbox) = self.router.deliveries.inbox(change.shard) {
            let InterestChange { filter, ticket, .. } = change;
            inbox.push(ShardEvent::InForce { filter, ticket, seq, recoverable });
        }
    }

    pub(super) fn refuse(&mut self, change: &InterestChange, reason: &str) {
        let InterestChange { filter, shard, ticket, .. } = change;
        if self.router.interests.stands(filter, Wanted { shard: *shard, ticket: *ticket }) {
            self.release(change);
        }
        if let Some(inbox) = self.router.deliveries.inbox(*shard) {
            let reason = format!("{reason}; subscribe again in a moment");
            inbox.push(ShardEvent::Refused { filter: filter.clone(), ticket: *ticket, reason });
        }
    }

    fn release(&mut self, change: &InterestChange) {
        let ended = self.router.interests.release(&change.filter, change.shard);
        self.subscriptions.retain(|(feed, _), _| !ended.contains(feed));
        self.jet.released(&mut self.router, &change.filter, &ended);
    }

    // --- What is published and read ------------------------------------------------------------------------------

    pub(super) fn publish(&mut self, request: PublishRequest) {
        if self.connected && self.jet.is_new() {
            return self.jet.keep_publish(request);
        }
        let why = if self.connected { self.jet.absent() } else { Some(NOT_CONNECTED) };
        if let Some(why) = why {
            let why = PublishError::Unavailable(why.to_owned().into());
            let _ = request.reply.send(Err(why));
            return;
        }
        let PublishRequest { topic, message_id, unique_id, body, reply } = request;
        let subject = self.router.subject(topic.as_str());
        let id = self.jet.acks.wait(topic, reply, Instant::now());
        let entry = Entry { subject, id: Some(message_id.to_string()), body };
        self.up.push_back(Command::Publish { id, entry, unique_id });
    }

    pub(super) fn history(&mut self, read: HistoryRequest) {
        if self.connected {
            return self.jet.history(read, &self.router.counts);
        }
        let error = HistoryError::Unavailable(format!("{NOT_CONNECTED}; ask again in a moment"));
        let _ = read.reply.send(Err(error));
    }

    pub(super) fn done(&mut self, done: Done) {
        let Self { jet, router, .. } = self;
        match done {
            Done::Info(highest, info) => {
                let seen = jet.info(router, highest, info);
                self.seen(seen);
            }
            Done::Opened(life, heads) => match jet.opened(router, life, heads) {
                Opened::Begun(begun, through) => {
                    for Begun { change, position, .. } in &begun {
                        let recoverable = matches!(change.filter, Filter::Topic(_));
                        self.tell(change.clone(), *position, recoverable);
                    }
                    self.jet.open(&mut self.router, &begun, through);
                }
                Opened::Failed(changes, error) => {
                    for change in &changes {
                        self.refuse(change, &error.to_string());
                    }
                }
            },
            Done::Checked(life, urgent, heads) => jet.checked(router, life, urgent, heads),
            Done::Part(topic, read, part) => jet.part(router, &topic, read, part),
            Done::Found(topic, ask, found) => jet.found(&topic, ask, found, &router.counts),
        }
    }

    fn seen(&mut self, seen: Seen) {
        assert_ne!(seen, Seen::Moved, "the stream's subjects never change here");
        let (kept, unsent) = self.jet.take_kept();
        for change in kept {
            self.change(change);
        }
        for request in unsent {
            self.publish(request);
        }
    }
}
