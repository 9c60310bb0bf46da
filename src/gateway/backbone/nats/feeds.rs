//! The NATS subscriptions of one connection, polled only when they have something.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use async_nats::{Message, Subscriber};
use futures_util::{Stream, task::AtomicWaker};

use super::jetstream::Channel;
use crate::gateway::backbone::interests::FeedId;

/// What a subscription serves.
pub(super) type Way = (FeedId, Channel);

/// Subscriptions by what they serve. Bounded by the feeds; each holds at most 65 536 messages.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    open: HashMap<Way, Feed>,
    /// As the client numbers its subscriptions.
    by_number: HashMap<u64, FeedId>,
    ready: Arc<Ready>,
}

#[derive(Debug)]
struct Feed {
    number: u64,
    subscriber: Subscriber,
    bell: Arc<Bell>,
    /// Rings the bell; made once, as it is needed for every poll.
    waker: Waker,
}

/// The feeds that have something, each at most once.
#[derive(Debug, Default)]
struct Ready {
    rung: Mutex<Vec<Way>>,
    task: AtomicWaker,
}

#[derive(Debug)]
struct Bell {
    way: Way,
    rung: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.ready.rung.lock().unwrap_or_else(PoisonError::into_inner).push(self.way);
            self.ready.task.wake();
        }
    }
}

impl Feeds {
    /// Takes messages of this subscription, which has this number at the client, from now on.
    pub(super) fn insert(&mut self, way: Way, number: u64, subscriber: Subscriber) {
        let bell = Arc::new(Bell { way, rung: AtomicBool::new(false), ready: self.ready.clone() });
        bell.wake_by_ref();
        let waker = Waker::from(bell.clone());
        self.by_number.insert(number, way.0);
        self.open.insert(way, Feed { number, subscriber, bell, waker });
    }

    /// Ends the subscriptions of a feed; what they still hold is dropped.
    pub(super) fn remove(&mut self, feed: FeedId) {
        for channel in [Channel::Sent, Channel::Stored] {
            if let Some(feed) = self.open.remove(&(feed, channel)) {
                self.by_number.remove(&feed.number);
            }
        }
    }

    /// The feed that a subscription with this number serves.
    pub(super) fn numbered(&self, number: u64) -> Option<FeedId> {
        self.by_number.get(&number).copied()
    }

    /// Ends all subscriptions.
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.by_number.clear();
    }

    /// Waits until some feed has something.
    pub(super) async fn ready(&self) {
        poll_fn(|cx| {
            self.ready.task.register(cx.waker());
            let idle = self.ready.rung.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
            if idle { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Gives what there is to `each`, at most `budget` messages; `true` if there is more.
    pub(super) fn take(&mut self, mut budget: usize, mut each: impl FnMut(Way, Message)) -> bool {
        let rung = std::mem::take(&mut *self.ready.rung.lock().unwrap_or_else(PoisonError::into_inner));
        let mut rung = rung.into_iter();
        for id in rung.by_ref() {
            let Some(feed) = self.open.get_mut(&id) else { continue };
            // Before the poll, so that a message that comes during it rings again.
            feed.bell.rung.store(false, Ordering::Release);
            let mut cx = Context::from_waker(&feed.waker);
            while budget > 0 {
                match Pin::new(&mut feed.subscriber).poll_next(&mut cx) {
                    Poll::Ready(Some(message)) => each(id, message),
                    Poll::Ready(None) | Poll::Pending => break,
                }
                budget -= 1;
            }
            if budget == 0 {
                feed.bell.wake_by_ref();
                break;
            }
        }
        // The bells of these are still rung.
        self.ready.rung.lock().unwrap_or_else(PoisonError::into_inner).extend(rung);
        budget == 0
    }
}
