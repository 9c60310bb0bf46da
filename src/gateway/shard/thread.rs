//! Where a shard runs, and how it is reached from there.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use mio::{Poll, Token, Waker};
use tokio::{runtime::Handle, sync::mpsc, task};

use super::{
    Settings,
    engine::{Control, Engine},
    inbox::{Inbox, Request},
    rounds::Rounds,
};
use crate::{
    api::Stamp,
    gateway::{backbone::InterestChange, metrics::ShardCounts, topics::Registry},
};

/// What the poller tells of the inbox.
pub(super) const WAKE: Token = Token(usize::MAX);

/// A shard whose inbox exists and that does not run yet.
#[derive(Debug)]
pub struct Shard {
    index: usize,
    poll: Poll,
    inbox: Arc<Inbox>,
    /// Where it is to run as a task; absent: on a thread of its own.
    beside: Option<Handle>,
}

/// A shard that runs. It ends once it has drained.
#[derive(Debug)]
pub struct Running {
    end: End,
    beat: Arc<AtomicU64>,
    began: Instant,
}

/// What knows of its end.
#[derive(Debug)]
enum End {
    Thread(thread::JoinHandle<()>),
    Task(task::JoinHandle<()>),
}

/// The channels to the control plane.
#[derive(Debug, Clone)]
pub struct Channels {
    /// To the backbone.
    pub interests: mpsc::Sender<InterestChange>,
    /// To whoever authenticates and publishes.
    pub requests: mpsc::Sender<Request>,
}

impl Shard {
    /// Makes the poller and the inbox of a shard that is to have a thread of its own.
    pub fn new(index: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        Ok(Self { index, poll, inbox: Arc::new(Inbox::new(waker)), beside: None })
    }

    /// The same for one that is to be a task of this runtime, which has one thread: what fills the inbox from there
    /// costs least.
    pub fn beside(index: usize, runtime: &Handle) -> io::Result<Self> {
        let inbox = Arc::new(Inbox::of_a_task());
        Ok(Self { index, poll: Poll::new()?, inbox, beside: Some(runtime.clone()) })
    }

    /// Where to put what the shard is to do.
    pub fn inbox(&self) -> Arc<Inbox> {
        self.inbox.clone()
    }

    /// Starts it. It ends after [`ShardEvent::Drain`](super::ShardEvent::Drain), once every connection is gone.
    pub fn start(
        self,
        settings: Arc<Settings>,
        channels: Channels,
        counts: Arc<ShardCounts>,
        registry: Arc<Registry>,
    ) -> io::Result<Running> {
        let Self { index, poll, inbox, beside } = self;
        let (began, beat) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let engine = Engine::new(index, settings, channels, counts, registry);
        let rounds = Rounds::new((poll, inbox), engine, (began, beat.clone()));
        let end = if let Some(runtime) = beside {
            End::Task(runtime.spawn(rounds.run_as_task()))
        } else {
            let builder = thread::Builder::new().name(format!("shard-{index}"));
            End::Thread(builder.spawn(move || rounds.run_on_thread())?)
        };
        Ok(Running { end, beat, began })
    }
}

impl Running {
    /// Time since it last came round.
    pub fn silence(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.beat.load(Ordering::Relaxed)))
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        match &self.end {
            End::Thread(thread) => thread.is_finished(),
            End::Task(task) => task.is_finished(),
        }
    }
}

impl Control for Channels {
    fn interest(&mut self, change: InterestChange) -> Result<(), InterestChange> {
        // A backbone that has gone is as good as one that took it: the gateway is ending.
        self.interests.try_send(change).or_else(|error| match error {
            mpsc::error::TrySendError::Full(change) => Err(change),
            mpsc::error::TrySendError::Closed(_) => Ok(()),
        })
    }

    fn request(&mut self, request: Request) -> Result<(), Request> {
        self.requests.try_send(request).map_err(mpsc::error::TrySendError::into_inner)
    }

    fn clock(&self) -> Option<Stamp> {
        Stamp::at(SystemTime::now())
    }
}
