//! The task that owns the connection: what it holds and in which order it looks at things.

use std::{
    collections::{BTreeSet, HashSet},
    future::{pending, poll_fn},
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::{Duration, Instant},
};

use async_nats::{Client, Event, Message, Statistics, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Dial,
    barrier::{Barriers, CONFIRM},
    connection::Link,
    feeds::Feeds,
    jetstream::{Begun, Done, Jet, Line, Opened},
    router::Router,
    subscribe::NOT_CONNECTED,
};
use crate::{
    api::{Filter, JetStream, Topic},
    gateway::backbone::{
        Counts, HistoryRequest, InterestChange, PublishError, Published, Status,
        exchange::Post,
        interests::{FeedId, Interests, Wanted},
    },
    gateway::{history::HistoryError, shard::ShardEvent},
};

/// Changes of interest or publishes handled in one turn.
const BATCH: usize = 256;
/// Messages from NATS handled in one turn; the shards are woken once for all of them.
const MESSAGES: usize = 2_048;
/// Interests and publishes that wait for confirmation; more of them stay in their queues.
const IN_FLIGHT: usize = 8_192;
/// How often overdue barriers are looked for, and losses announced.
const TICK: Duration = Duration::from_secs(1);
const NO_STREAM: &str =
    "this gateway has no stream to read history from: subscribe without `fromSeq` and `last`";
/// How long the end may take.
const END: Duration = Duration::from_secs(5);

/// Somebody who waits for a barrier.
pub(super) enum Waiter {
    /// A shard that wants something.
    Interest(InterestChange),
    /// A publisher.
    Publish(Topic, oneshot::Sender<Result<Published, PublishError>>),
    /// Those who wanted something when the connection came back: they are told once it is in force again.
    Announce(Vec<(Filter, Vec<Wanted>)>),
}

pub(super) struct Task {
    pub(super) client: Client,
    /// Makes another one, should this one end.
    pub(super) dial: Dial,
    /// Tells of it whoever uses the client besides.
    pub(super) clients: watch::Sender<Client>,
    pub(super) statistics: Arc<Statistics>,
    pub(super) router: Router,
    pub(super) feeds: Feeds,
    pub(super) barriers: Barriers<Waiter>,
    /// Feeds up to this one are known to be in force on this connection.
    pub(super) proven: FeedId,
    /// Feeds that are there for good.
    pub(super) pins: Vec<Filter>,
    /// They are started.
    pub(super) pinned: bool,
    /// The stream, where there is to be one.
    pub(super) jet: Option<Jet>,
    /// Subscriptions made so far: the client numbers them from 1.
    pub(super) subscribed: u64,
    /// What shards got from the backbone before this one, until it is subscribed to here.
    pub(super) inherited: Vec<(Filter, Vec<Wanted>)>,
    /// What the client tells.
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) status: watch::Sender<Status>,
    pub(super) link: Link,
    /// Where barriers come back; subscribed to on the first connection.
    pub(super) echo: Option<Subscriber>,
    pub(super) inbox: String,
    /// Subscriptions that lost messages since the last tick, as the client numbers them, and how often.
    pub(super) lossy: HashSet<u64>,
    pub(super) losses: usize,
    /// Error texts that have been logged.
    pub(super) told: BTreeSet<String>,
}

impl Task {
    pub(super) fn new(
        (client, events): (Client, mpsc::Receiver<Event>),
        (dial, clients): (Dial, watch::Sender<Client>),
        router: Router,
        pins: Vec<Filter>,
        stream: Option<&JetStream>,
    ) -> Self {
        let inbox = client.new_inbox();
        Self {
            statistics: client.statistics(),
            jet: stream
                .map(|stream| Jet::new(stream, Line::Connection(client.clone()), &inbox, router.prefix())),
            inbox,
            subscribed: 0,
            pinned: false,
            client,
            dial,
            clients,
            router,
            pins,
            events,
            inherited: Vec::new(),
            status: watch::channel(Status::default()).0,
            feeds: Feeds::default(),
            barriers: Barriers::default(),
            proven: 0,
            link: Link::default(),
            echo: None,
            lossy: HashSet::new(),
            losses: 0,
            told: BTreeSet::new(),
        }
    }

    pub(super) async fn run(mut self, post: Post, cancel: CancellationToken) {
        let mut post = self.begin(post).await;
        let Post { changes, requests, reads, asked, .. } = &mut post;
        let (mut changed, mut requested) = (Vec::new(), Vec::new());
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let next = loop {
            self.send_barrier().await;
            self.router.deliveries.flush().await;
            let room = self.barriers.waiting() + self.jet.as_ref().map_or(0, Jet::waiting) < IN_FLIGHT;
            tokio::select! {
                () = cancel.cancelled() => break None,
                Some(next) = asked.recv() => break Some(next),
                Some(event) = self.events.recv() => self.event(event).await,
                1.. = changes.recv_many(&mut changed, BATCH), if room => {
                    for change in changed.drain(..) {
                        self.change(change).await;
                    }
                }
                1.. = requests.recv_many(&mut requested, BATCH), if room => {
                    for request in requested.drain(..) {
                        self.publish(request).await;
                    }
                }
                Some(read) = reads.recv(), if room => self.history(read),
                message = next(self.echo.as_mut()) => match message {
                    Some(message) => self.answered(message).await,
                    None => self.revive().await,
                },
                done = done(self.jet.as_mut()) => self.done(done).await,
                () = self.feeds.ready() => self.receive().await,
                _ = tick.tick() => self.tick().await,
            }
        };
        match next {
            None => self.end("the gateway is going away").await,
            Some(next) => {
                // What has come so far goes out.
                self.receive().await;
                self.router.deliveries.flush().await;
                // Fails when the gateway is ending.
                let _ = next.send(self.hand_over(post));
                self.end("another backbone has taken its place").await;
            }
        }
    }

    /// Goes on where the backbone before this one has stopped.
    async fn begin(&mut self, mut post: Post) -> Post {
        // Until the stream is seen, if there is one.
        self.router.deliveries.tell_all(|| ShardEvent::Epoch(None));
        self.inherited = std::mem::take(&mut post.wanted);
        self.status = std::mem::replace(&mut post.status, watch::channel(Status::default()).0);
        self.look().await;
        let connected = self.link.connected;
        self.status
            .send_if_modified(|status| std::mem::replace(&mut status.connected, connected) != connected);
        for change in std::mem::take(&mut post.unanswered) {
            self.change(change).await;
        }
        post
    }

    /// Stops delivering, and gives away everything but the publishes that are still to be confirmed.
    fn hand_over(&mut self, post: Post) -> Post {
        self.feeds.clear();
        let mut unanswered = Vec::new();
        for waiter in self.barriers.take(|waiter| !matches!(waiter, Waiter::Publish(..))) {
            // Who is to be told of a gap is told by the next backbone, as everybody is.
            if let Waiter::Interest(change) = waiter
                && self.router.interests.stands(&change.filter, wanted_by(&change))
            {
                self.router.interests.release(&change.filter, change.shard);
                unanswered.push(change);
            }
        }
        if let Some(jet) = &mut self.jet {
            for change in jet.stop() {
                self.router.interests.release(&change.filter, change.shard);
                unanswered.push(change);
            }
        }
        let mut wanted = self.router.wanted(None);
        wanted.append(&mut self.inherited);
        self.router.interests = Interests::default();
        let status = std::mem::replace(&mut self.status, watch::channel(Status::default()).0);
        Post { status, wanted, unanswered, ..post }
    }

    /// Takes a batch of messages from the feeds and hands it to the shards.
    async fn receive(&mut self) {
        let Self { feeds, router, jet, .. } = self;
        let (mut messages, mut bytes) = (0, 0);
        let mut source = (0, None);
        let mut take = || {
            feeds.take(MESSAGES, |(feed, channel), message| {
                messages += 1;
                bytes += message.payload.len() as u64;
                if source.0 != feed {
                    source = (feed, router.interests.source(feed));
                }
                match (source.1, &mut *jet) {
                    (Some(source), None) => router.message(source, &message),
                    (Some(source), Some(jet)) => jet.message(router, (feed, channel), source, &message),
                    (None, _) => {}
                }
            })
        };
        // Bounded by its own budget; tokio's would cut the batches to 128 messages.
        let more = tokio::task::unconstrained(poll_fn(|_| Poll::Ready(take()))).await;
        Counts::add(&router.counts.messages_received, messages);
        Counts::add(&router.counts.bytes_received, bytes);
        if more {
            router.deliveries.flush().await;
            tokio::task::yield_now().await;
        }
    }

    async fn tick(&mut self) {
        self.look().await;
        if self.barriers.overdue(Instant::now()) {
            let interrupted = self.fail_all(
                "NATS did not confirm it within 5 s; if that lasts, check that the gateway's NATS user may publish \
                 and subscribe to _INBOX.>",
            );
            if !interrupted.is_empty() {
                self.barriers.join(Waiter::Announce(interrupted));
            }
        }
        self.announce_losses().await;
        if let Some(jet) = self.jet.as_mut().filter(|_| self.link.connected) {
            jet.tick();
        }
    }

    fn history(&mut self, read: HistoryRequest) {
        let error = match &mut self.jet {
            Some(jet) if self.link.connected => return jet.history(read, &self.router.counts),
            Some(_) => HistoryError::Unavailable(format!("{NOT_CONNECTED}; ask again in a moment")),
            None => HistoryError::None(NO_STREAM.into()),
        };
        // Nobody waits any more.
        let _ = read.reply.send(Err(error));
    }

    /// The stream has answered something.
    async fn done(&mut self, done: Done) {
        let Self { jet: Some(jet), router, .. } = self else { return };
        match done {
            Done::Info(highest, info) => {
                let seen = jet.info(router, highest, info);
                self.seen(seen).await;
            }
            Done::Opened(life, heads) => match jet.opened(router, life, heads) {
                Opened::Begun(begun, through) => {
                    for Begun { change, position, .. } in &begun {
                        let recoverable = matches!(change.filter, Filter::Topic(_));
                        self.tell(change.clone(), *position, recoverable);
                    }
                    if let Some(jet) = &mut self.jet {
                        jet.open(&mut self.router, &begun, through);
                    }
                }
                Opened::Failed(changes, error) => {
                    let reason = error.to_string();
                    for change in &changes {
                        self.refuse(change, &reason);
                    }
                }
            },
            Done::Checked(life, urgent, heads) => jet.checked(router, life, urgent, heads),
            Done::Part(topic, read, part) => jet.part(router, &topic, read, part),
            Done::Found(topic, ask, found) => jet.found(&topic, ask, found, &router.counts),
        }
    }

    /// Something has come to the gateway's own inbox: barriers, and answers to what it asked.
    async fn answered(&mut self, message: Message) {
        let mut message = message;
        for left in (0..BATCH).rev() {
            let kind = message.subject.strip_prefix(self.inbox.as_str()).and_then(|rest| rest.get(1..));
            match (kind.and_then(|kind| kind.split_once('.')), &mut self.jet) {
                (Some(("r", id)), Some(jet)) => {
                    let id = id.to_owned();
                    jet.requests.arrived(&id, message);
                }
                (Some(("p", id)), Some(jet)) => jet.acks.arrived(id, &message),
                _ => self.returned(&message).await,
            }
            let next = || self.echo.as_mut()?.next().now_or_never().flatten();
            let Some(next) = (left > 0).then(next).flatten() else { break };
            message = next;
        }
    }

    /// Sends the barrier that somebody waits for.
    async fn send_barrier(&mut self) {
        if self.link.connected && self.barriers.due() {
            let id = self.barriers.send(self.router.interests.newest(), Instant::now());
            // If it is not sent it is not back in time, and then those who wait are told.
            let _ = timeout(CONFIRM, self.client.publish(format!("{}.b", self.inbox), id.to_string().into()))
                .await;
        }
    }

    /// A barrier is back.
    async fn returned(&mut self, barrier: &Message) {
        // What the server refused before it sent the barrier is known by now or in a moment.
        tokio::task::yield_now().await;
        while let Ok(event) = self.events.try_recv() {
            self.event(event).await;
        }
        self.look().await;
        let id = std::str::from_utf8(&barrier.payload).ok().and_then(|id| id.parse().ok());
        let (waiters, newest) = self.barriers.arrived(id.unwrap_or(0));
        self.proven = newest.unwrap_or(self.proven);
        for waiter in waiters {
            match waiter {
                Waiter::Interest(change) => self.in_force(change, false),
                Waiter::Publish(_, reply) => {
                    // Nobody waits any more: the message is published all the same.
                    let _ = reply.send(Ok(Published::default()));
                }
                Waiter::Announce(losers) => self.resume(losers).await,
            }
        }
    }

    /// Nobody waits any more: shards are refused, publishers told to try again. Answers whose subscriptions are still
    /// to be in force again, before it can be seen what they have missed.
    pub(super) fn fail_all(&mut self, reason: &'static str) -> Vec<(Filter, Vec<Wanted>)> {
        let mut interrupted = Vec::new();
        for waiter in self.barriers.take_all() {
            match waiter {
                Waiter::Interest(change) => self.refuse(&change, reason),
                Waiter::Publish(_, reply) => {
                    let _ = reply.send(Err(PublishError::Unavailable(reason.into())));
                }
                // Whether or not the subscriptions are in force, messages have been lost. With a stream nobody knows
                // that yet: it is seen when they are in force.
                Waiter::Announce(losers) => match &self.jet {
                    None => self.router.announce(&losers),
                    Some(_) => interrupted.extend(losers),
                },
            }
        }
        interrupted
    }

    /// Waits for what is in flight, drains and ends.
    async fn end(mut self, reason: &'static str) {
        let work = async {
            self.look().await;
            self.send_barrier().await;
            let acks = |jet: &Option<Jet>| jet.as_ref().map_or(0, |jet| jet.acks.waiting());
            while self.link.connected && self.barriers.waiting() + acks(&self.jet) > 0 {
                let Some(message) = next(self.echo.as_mut()).await else { break };
                self.answered(message).await;
                self.send_barrier().await;
            }
        };
        let _ = timeout(END, work).await;
        self.fail_all(reason);
        if let Some(jet) = &mut self.jet {
            jet.acks.fail_all(reason);
        }
        self.feeds.clear();
        if self.link.connected {
            let _ = timeout(END, self.client.drain()).await;
        }
        self.status.send_modify(|status| status.connected = false);
        tracing::debug!(
            messages = self.statistics.in_messages.load(Ordering::Relaxed),
            "the NATS connection has ended"
        );
    }
}

/// Who asks in this change.
pub(super) fn wanted_by(change: &InterestChange) -> Wanted {
    Wanted { shard: change.shard, ticket: change.ticket }
}

async fn done(jet: Option<&mut Jet>) -> Done {
    match jet {
        Some(jet) => jet.done().await,
        None => pending().await,
    }
}

async fn next(subscriber: Option<&mut Subscriber>) -> Option<Message> {
    match subscriber {
        Some(subscriber) => subscriber.next().await,
        None => pending().await,
    }
}
