//! What the control plane says to a shard, and what a shard asks of it. Values only: no locks are held across.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{ClientSocket, Settings};
use crate::{
    api::{Filter, Seq, Stamp, Topic},
    gateway::{
        access::{Access, Identity},
        history::{Epoch, HistoryError, Page, Start},
        limits::Seat,
        metrics::Transport,
        protocol::session::Beginning,
        websocket::CloseCode,
    },
};

/// Names a connection on its shard; a slot that is used again gets another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// Place in the shard's slab.
    pub slot: u32,
    /// Counts the uses of the slot.
    pub generation: u32,
}

/// One message for one sub-socket (topic or pattern) of one shard.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The sub-socket: the topic's text, or the pattern's for those who subscribed to a pattern.
    pub key: Arc<str>,
    /// The concrete topic.
    pub topic: Arc<str>,
    /// The whole WebSocket frame (header and body), encoded once for every shard and subscriber.
    pub frame: Bytes,
    /// Number of the message in its topic, where known.
    pub seq: Option<Seq>,
    /// `false`: not a message but an announcement (a `gap` from the backbone) for all subscribers; `seq` is then the
    /// topic's position from now on, absent where nobody knows it.
    pub message: bool,
    /// When the message was published, as the stream or its publisher says.
    pub published: Option<Stamp>,
}

/// A connection that has just left HTTP, or whose answer has just begun.
#[derive(Debug)]
pub struct Hello {
    /// Where its frames go.
    pub socket: ClientSocket,
    /// What is known of the client.
    pub greeting: Greeting,
}

/// What the HTTP side knows of a client when it hands the connection over.
#[derive(Debug)]
pub struct Greeting {
    /// How the client is connected.
    pub transport: Transport,
    /// Bytes the client sent behind the upgrade request.
    pub early: Bytes,
    /// The connection's place among all; given back when it closes.
    pub seat: Seat,
    /// From a token in the URL or a header, or anonymous where the policy admits it.
    pub identity: Option<Arc<Identity>>,
    /// The connection is told this error first (a token in the URL or header that was refused).
    pub refused: Option<String>,
    /// The connection is closed with this code and reason at once (origin, capacity).
    pub close: Option<(CloseCode, &'static str)>,
    /// `/ws/sub/{topic}`: the text from the URL, not yet checked.
    pub topic: Option<String>,
    /// The client has agreed on permessage-deflate.
    pub deflate: bool,
    /// `/sse`: what a client that cannot send commands begins with.
    pub beginning: Option<Beginning>,
}

/// What became of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishAnswer {
    /// Accepted by the backbone for the first time.
    Accepted(Option<Seq>),
    /// The backbone had accepted it before.
    Duplicate(Option<Seq>),
    /// Try again later.
    Unavailable(String),
    /// More than the gateway or the backbone takes.
    Limited(String),
}

/// What the control plane says to a shard.
#[derive(Debug)]
pub enum ShardEvent {
    /// A connection to serve.
    Connect(Box<Hello>),
    /// Messages, in the backbone's order. All sub-sockets of one message are in one event.
    Deliver(Vec<Arrival>),
    /// What was wanted arrives from now on. Said again with the same ticket: it does so from another position on, or
    /// with another history.
    InForce {
        /// What was wanted.
        filter: Filter,
        /// From the request.
        ticket: u32,
        /// Position that what follows starts after; 0 where unknown.
        seq: Seq,
        /// The backbone keeps what is sent on it, numbers it, and can be asked for it.
        recoverable: bool,
    },
    /// Whose numbers follow, in this event's place among the others; absent: nobody's.
    Epoch(Option<Epoch>),
    /// What was wanted cannot be had now.
    Refused {
        /// What was wanted.
        filter: Filter,
        /// From the request.
        ticket: u32,
        /// Why, and what to do.
        reason: String,
    },
    /// Answer to [`Request::Authenticate`].
    Authenticated {
        /// Who asked.
        connection: ConnectionId,
        /// Who it is, or why not.
        result: Result<Arc<Identity>, String>,
    },
    /// Answer to [`Request::History`].
    History {
        /// Who asked.
        connection: ConnectionId,
        /// From the request.
        ticket: u32,
        /// The first page of what was asked for, or why there is none.
        result: Result<Arc<Page>, HistoryError>,
    },
    /// Answer to [`Request::Publish`].
    Published {
        /// Who asked.
        connection: ConnectionId,
        /// The command's `id`, as JSON.
        id: Option<Box<str>>,
        /// The topic.
        topic: Topic,
        /// The publisher's id of the message.
        message_id: Arc<str>,
        /// What became of it.
        answer: PublishAnswer,
    },
    /// Judge everybody who was let in before by these rules.
    Access(Arc<Access>),
    /// Go on under these settings, with everybody who is connected.
    Settings(Arc<Settings>),
    /// Tell everybody to go elsewhere and close them evenly over this time; the thread ends when all are gone.
    Drain {
        /// Over which the closes are spread.
        window: Duration,
        /// Of the plan that says who is closed when.
        seed: u64,
    },
}

/// What a shard asks of the control plane.
#[derive(Debug)]
pub enum Request {
    /// Check a token.
    Authenticate {
        /// The shard that asks.
        shard: usize,
        /// The connection that asks.
        connection: ConnectionId,
        /// The token; not to be printed.
        token: String,
    },
    /// Read what was on a topic before.
    History {
        /// The shard that asks.
        shard: usize,
        /// The connection that asks.
        connection: ConnectionId,
        /// Names the request in the answer.
        ticket: u32,
        /// The topic.
        topic: Topic,
        /// Where to begin.
        start: Start,
        /// Last message wanted; absent: up to the newest.
        until: Option<Seq>,
    },
    /// Publish a message, de-duplicated.
    Publish {
        /// The shard that asks.
        shard: usize,
        /// The connection that asks.
        connection: ConnectionId,
        /// The command's `id`, as JSON.
        id: Option<Box<str>>,
        /// Who publishes.
        user: Arc<str>,
        /// Where to.
        topic: Topic,
        /// The publisher's id of the message.
        message_id: Arc<str>,
        /// The payload, byte for byte.
        payload: Bytes,
    },
}

/// A shard's inbox: a bounded queue with one wake per batch.
#[derive(Debug)]
pub struct Inbox {
    queue: Mutex<Queue>,
    bell: Bell,
    room: Notify,
}

/// How a shard is told that there is something.
#[derive(Debug)]
enum Bell {
    /// It waits in its poller.
    Poller(mio::Waker),
    /// It is a task.
    Task(Notify),
}

#[derive(Debug, Default)]
struct Queue {
    events: Vec<ShardEvent>,
    messages: usize,
}

/// Messages an inbox holds before the backbone has to wait.
const MESSAGES: usize = 65_536;

impl Inbox {
    /// An inbox that wakes its shard with `waker`.
    pub fn new(waker: mio::Waker) -> Self {
        Self { queue: Mutex::default(), bell: Bell::Poller(waker), room: Notify::new() }
    }

    /// An inbox of a shard that waits for it by [`Inbox::rung`].
    pub(crate) fn of_a_task() -> Self {
        Self { queue: Mutex::default(), bell: Bell::Task(Notify::new()), room: Notify::new() }
    }

    /// Waits until something has been put in since the last time. For a shard that is a task.
    pub(crate) async fn rung(&self) {
        match &self.bell {
            Bell::Task(bell) => bell.notified().await,
            Bell::Poller(_) => std::future::pending().await,
        }
    }

    /// Puts an event in. Answers are as many as the requests they answer, connections as many as the limit
    /// lets in, so that only messages need the bound that [`Inbox::deliver`] keeps.
    pub fn push(&self, event: ShardEvent) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let wake = queue.events.is_empty();
        if let ShardEvent::Deliver(arrivals) = &event {
            queue.messages += arrivals.len();
        }
        queue.events.push(event);
        drop(queue);
        match &self.bell {
            _ if !wake => {}
            // The only error is a full pipe or a closed poller; both mean the shard is awake or gone.
            Bell::Poller(waker) => drop(waker.wake()),
            Bell::Task(bell) => bell.notify_one(),
        }
    }

    /// Puts messages in, waiting while the shard has 65 536 of them before it.
    pub async fn deliver(&self, arrivals: Vec<Arrival>) {
        loop {
            let room = self.room.notified();
            if self.queue.lock().unwrap_or_else(PoisonError::into_inner).messages < MESSAGES {
                break;
            }
            room.await;
        }
        self.push(ShardEvent::Deliver(arrivals));
    }

    /// Takes everything out, into an empty vector whose memory is used again. For the shard.
    pub(crate) fn drain(&self, into: &mut Vec<ShardEvent>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut queue.events, into);
        queue.messages = 0;
        drop(queue);
        self.room.notify_waiters();
    }
}
