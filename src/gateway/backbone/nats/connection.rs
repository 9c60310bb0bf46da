//! What becomes of the connection: first, lost, back, errors from the server, messages the client dropped.

use std::sync::atomic::Ordering;

use async_nats::{Event, connection::State};
use tokio::time::timeout;

use super::{
    barrier::CONFIRM,
    jetstream::{Layout, Line, Seen},
    task::{Task, Waiter},
};
use crate::{
    api::Filter,
    gateway::backbone::{
        Counts, Feed, InterestChange, PublishError,
        interests::{Interests, Wanted},
    },
};

/// Error texts of the server that are remembered so as to be logged once; further ones are only counted.
const TEXTS: usize = 100;
/// The client drops events beyond 128: after so many losses at once, others may have gone unseen.
const MANY_LOSSES: usize = 128;

const LOST: &str = "the connection to NATS was lost before it was confirmed";

/// The connection as it was last seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) connected: bool,
    /// Connections made so far. The client counts before it uses a new one, so that this tells for certain
    /// whether two moments belong to the same connection; events alone may be late or missing.
    connects: u64,
}

impl Task {
    /// Sees whether the connection is still the one that was last seen, and acts where it is not.
    pub(super) async fn look(&mut self) {
        // In this order: a state of "connected" implies that the connection has been counted.
        let connected = self.client.connection_state() == State::Connected;
        let connects = self.statistics.connects.load(Ordering::Relaxed);
        let before = std::mem::replace(&mut self.link, Link { connected, connects });
        if self.link != before {
            // Once it is back, everything that is wanted is looked at.
            self.fail_waiting();
            self.changed(before);
        }
        if connected && self.echo.is_none() {
            self.first_connection().await;
        }
        if connected && self.echo.is_some() && self.ready() {
            self.go_on().await;
        }
    }

    /// What waits for an answer on the connection that was lost gets none.
    fn fail_waiting(&mut self) {
        self.fail_all(LOST);
        let Some(jet) = &mut self.jet else { return };
        jet.reconnected(LOST);
        let (kept, unsent) = jet.take_kept();
        for change in &kept {
            self.refuse(change, LOST);
        }
        for request in unsent {
            // Nobody waits any more.
            let _ = request.reply.send(Err(PublishError::Unavailable(LOST.into())));
        }
    }

    /// The client itself has ended, as it does over headers with a carriage return within: another one takes its place,
    /// and everything is subscribed to anew.
    pub(super) async fn revive(&mut self) {
        let (client, events) = match self.dial.dial().await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "The NATS client has ended and cannot be replaced yet.");
                return tokio::time::sleep(CONFIRM).await;
            }
        };
        tracing::warn!(
            "the NATS client has ended and is replaced: look for a message whose headers are malformed"
        );
        self.fail_waiting();
        self.forget_subscriptions();
        (self.echo, self.subscribed, self.proven) = (None, 0, 0);
        (self.lossy, self.losses) = Default::default();
        self.link = Link::default();
        self.statistics = client.statistics();
        if let Some(jet) = &mut self.jet {
            jet.ask_over(Line::Connection(client.clone()));
        }
        self.clients.send_replace(client.clone());
        (self.client, self.events) = (client, events);
        self.status.send_modify(|status| {
            status.connected = false;
            status.reconnects += 1;
        });
    }

    /// Whether it is known on which subjects topics come.
    fn ready(&self) -> bool {
        self.jet.as_ref().is_none_or(|jet| jet.layout().is_some())
    }

    /// Starts what was to wait until it is known on which subjects topics come.
    async fn go_on(&mut self) {
        if !std::mem::replace(&mut self.pinned, true) {
            for filter in self.pins.clone() {
                if let Some(feed) = self.router.interests.pin(&filter) {
                    self.start(feed, &filter).await;
                }
            }
        }
        if !self.inherited.is_empty() {
            self.inherit().await;
        }
    }

    /// The stream was seen, or is known not to be there.
    pub(super) async fn seen(&mut self, seen: Seen) {
        let Some(jet) = &mut self.jet else { return };
        let (trouble, (kept, unsent)) = (jet.trouble(), jet.take_kept());
        // Without its stream nothing comes from it, however it was laid out.
        let feed = jet.layout().filter(|_| jet.absent().is_none()).map_or(Feed::Core, Layout::feed);
        self.status.send_if_modified(|status| {
            let changed = (status.feed, &status.trouble) != (feed, &trouble);
            (status.feed, status.trouble) = (feed, trouble);
            changed
        });
        if seen == Seen::Moved {
            self.subscribe_anew();
        }
        if self.link.connected && self.echo.is_some() && self.ready() {
            self.go_on().await;
        }
        for change in kept {
            self.change(change).await;
        }
        for request in unsent {
            self.publish(request).await;
        }
    }

    /// Topics come on other subjects now: everything is subscribed to anew.
    fn subscribe_anew(&mut self) {
        tracing::info!("the stream captures other subjects, or publishes again elsewhere: subscribing anew");
        self.forget_subscriptions();
    }

    /// Everything that is wanted is to be subscribed to once more.
    fn forget_subscriptions(&mut self) {
        let waiting = self.barriers.take(|waiter| !matches!(waiter, Waiter::Publish(..)));
        self.inherited.extend(self.router.wanted(None));
        self.router.interests = Interests::after(self.router.interests.newest());
        self.feeds.clear();
        self.pinned = false;
        // Those are wanted, and so among the inherited ones; nobody has told them yet where they begin.
        drop(waiting);
        if let Some(jet) = &mut self.jet {
            jet.moved();
        }
    }

    /// What was interrupted is in force again: who can have missed something without getting it is told.
    pub(super) async fn resume(&mut self, interrupted: Vec<(Filter, Vec<Wanted>)>) {
        let Some(jet) = &mut self.jet else { return self.router.announce(&interrupted) };
        let (kept, lost): (Vec<_>, Vec<_>) =
            interrupted.into_iter().partition(|(filter, _)| jet.keeps(&self.router, filter));
        if !kept.is_empty() {
            jet.check_now(&self.router);
        }
        if !lost.is_empty() {
            self.begin_anew(lost).await;
        }
    }

    /// What came before is lost for these. Behind the gap they are told where they go on: that is another position, or
    /// one that was never told.
    async fn begin_anew(&mut self, losers: Vec<(Filter, Vec<Wanted>)>) {
        self.router.announce(&losers);
        self.router.deliveries.flush().await;
        for (filter, wanted) in losers {
            for Wanted { shard, ticket } in wanted {
                if self.router.interests.stands(&filter, Wanted { shard, ticket }) {
                    let change = InterestChange { filter: filter.clone(), shard, ticket, wanted: true };
                    self.in_force(change, true);
                }
            }
        }
    }

    fn changed(&mut self, before: Link) {
        let again = self.link.connects - before.connects.max(1).min(self.link.connects);
        if self.link.connects != before.connects {
            self.proven = 0;
        }
        if again > 0 {
            self.barriers.join(Waiter::Announce(self.router.wanted(None)));
        }
        if !self.link.connected {
            tracing::warn!("the connection to NATS is lost; the gateway serves on and keeps trying");
        } else if again == 0 {
            tracing::info!("connected to NATS");
        } else {
            tracing::info!("connected to NATS again; subscribers are told that messages may be missing");
        }
        self.told.clear();
        self.status.send_modify(|status| {
            status.connected = self.link.connected;
            status.reconnects += again;
        });
    }

    async fn first_connection(&mut self) {
        self.subscribed += 1;
        match timeout(CONFIRM, self.client.subscribe(format!("{}.>", self.inbox))).await {
            Ok(Ok(echo)) => self.echo = Some(echo),
            // Tried again at the next look.
            failed => return tracing::warn!(?failed, "cannot subscribe to the gateway's own inbox on NATS"),
        }
        if let Some(jet) = &mut self.jet {
            jet.ask();
        }
    }

    /// Subscribes to what the backbone before this one delivered; what came in between is lost, and said to be.
    async fn inherit(&mut self) {
        let mut losers = Vec::new();
        while let Some((filter, wanted)) = self.inherited.pop() {
            let mut new = None;
            for one in &wanted {
                let cover = self.router.interests.want(&filter, *one);
                new = new.or(cover.start.then_some(cover.feed));
            }
            if let Some(feed) = new
                && !self.start(feed, &filter).await
            {
                // Tried again at the next look.
                for one in &wanted {
                    self.router.interests.release(&filter, one.shard);
                }
                self.inherited.push((filter, wanted));
                break;
            }
            losers.push((filter, wanted));
        }
        // Without a stream the gap comes before anything that the new subscriptions bring.
        if self.jet.is_none() {
            return self.begin_anew(losers).await;
        }
        self.barriers.join(Waiter::Announce(losers));
    }

    /// Something the client tells.
    pub(super) async fn event(&mut self, event: Event) {
        match event {
            Event::SlowConsumer(sid) => {
                Counts::add(&self.router.counts.dropped, 1);
                self.lossy.insert(sid);
                self.losses += 1;
            }
            Event::ServerError(error) => self.server_error(&error.to_string()),
            Event::ClientError(error) => {
                let text = error.to_string();
                if !self.link.connected && self.told.is_empty() {
                    tracing::warn!(
                        error = text,
                        "NATS cannot be reached; the gateway serves on and keeps trying"
                    );
                }
                self.remember(text);
            }
            _ => self.look().await,
        }
    }

    fn server_error(&mut self, text: &str) {
        Counts::add(&self.router.counts.server_errors, 1);
        if self.remember(text.into()) {
            tracing::warn!(
                error = text,
                "NATS reports an error; check the permissions of the gateway's NATS user"
            );
        }
        let Some(subject) = text.split('"').nth(1) else { return };
        if text.contains("Violation for Publish") {
            let router = &self.router;
            let meant = |waiter: &Waiter| matches!(waiter, Waiter::Publish(topic, _) if router.subject(topic.as_str()) == subject);
            let why =
                format!("NATS does not let the gateway publish to {subject:?}: give its user that right");
            let why = PublishError::Refused(why);
            for waiter in self.barriers.take(meant) {
                if let Waiter::Publish(_, reply) = waiter {
                    let _ = reply.send(Err(why.clone()));
                }
            }
            if let Some(jet) = &mut self.jet {
                jet.acks.refuse(|topic| router.subject(topic.as_str()) == subject, &why);
            }
        } else if text.contains("Violation for Subscription") {
            let router = &self.router;
            let meant = |waiter: &Waiter| matches!(waiter, Waiter::Interest(change) if router.subject(change.filter.as_str()) == subject);
            for waiter in self.barriers.take(meant) {
                if let Waiter::Interest(change) = waiter {
                    self.refuse(
                        &change,
                        "NATS does not let the gateway subscribe to it: give its user that right",
                    );
                }
            }
        }
    }

    /// `true` for a text that is to be logged.
    fn remember(&mut self, text: String) -> bool {
        self.told.len() < TEXTS && self.told.insert(text)
    }

    /// Tells those who want something from a subscription that lost messages, at most once a tick.
    pub(super) async fn announce_losses(&mut self) {
        let many = std::mem::take(&mut self.losses) >= MANY_LOSSES;
        let lossy = std::mem::take(&mut self.lossy);
        let losers = if many {
            self.router.wanted(None)
        } else {
            let feeds = lossy.iter().filter_map(|number| self.feeds.numbered(*number));
            feeds.flat_map(|feed| self.router.wanted(Some(feed))).collect()
        };
        self.resume(losers).await;
    }
}
