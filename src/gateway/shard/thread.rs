//! The thread of a shard: poller, sockets and clock around the [`Engine`].

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mio::{Events, Interest, Poll, Token, Waker, event::Event};
use tokio::sync::mpsc;

use super::{
    Settings,
    engine::{Control, Engine, Moment},
    inbox::{Hello, Inbox, Request, ShardEvent},
    socket::ClientSocket,
};
use crate::{
    api::Stamp,
    gateway::{backbone::InterestChange, metrics::ShardCounts, topics::Registry},
};

const WAKE: Token = Token(usize::MAX);
/// Sends between two looks at the poller: about a millisecond.
const WRITES_PER_TURN: usize = 256;
/// Bytes read from one connection between two looks at the others.
const READ_SHARE: usize = 256 * 1024;
const READ_BUFFER: usize = 64 * 1024;
const TICK: Duration = Duration::from_millis(250);

/// A shard whose inbox exists and whose thread does not run yet.
#[derive(Debug)]
pub struct Shard {
    index: usize,
    poll: Poll,
    inbox: Arc<Inbox>,
}

/// A shard whose thread runs. Joined once it has drained.
#[derive(Debug)]
pub struct Running {
    thread: JoinHandle<()>,
    beat: Arc<AtomicU64>,
    began: Instant,
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
    /// Makes the poller and the inbox.
    pub fn new(index: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        Ok(Self { index, poll, inbox: Arc::new(Inbox::new(waker)) })
    }

    /// Where to put what the shard is to do.
    pub fn inbox(&self) -> Arc<Inbox> {
        self.inbox.clone()
    }

    /// Starts the thread. It ends after [`ShardEvent::Drain`], once every connection is gone.
    pub fn start(
        self,
        settings: Arc<Settings>,
        channels: Channels,
        counts: Arc<ShardCounts>,
        registry: Arc<Registry>,
    ) -> io::Result<Running> {
        let began = Instant::now();
        let beat = Arc::new(AtomicU64::new(0));
        let mut thread = Thread {
            poll: self.poll,
            inbox: self.inbox,
            engine: Engine::new(self.index, settings, channels, counts, registry),
            began,
            beat: beat.clone(),
            scratch: vec![0; READ_BUFFER],
            unread: Vec::new(),
        };
        let name = format!("shard-{}", self.index);
        let thread = std::thread::Builder::new().name(name).spawn(move || thread.run())?;
        Ok(Running { thread, beat, began })
    }
}

impl Running {
    /// Time since the thread last came round its loop.
    pub fn silence(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.beat.load(Ordering::Relaxed)))
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end of the thread; `false` if it panicked.
    pub fn join(self) -> bool {
        self.thread.join().is_ok()
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

struct Thread {
    poll: Poll,
    inbox: Arc<Inbox>,
    engine: Engine<ClientSocket, Channels>,
    began: Instant,
    beat: Arc<AtomicU64>,
    /// One read buffer for all connections.
    scratch: Vec<u8>,
    /// Connections with more to read, each read once per round.
    unread: Vec<usize>,
}

impl Thread {
    fn run(&mut self) {
        let mut events = Events::with_capacity(1024);
        let mut batch = Vec::new();
        let (mut busy, mut due) = (false, None);
        let (mut ticks, mut next_tick) = (0_usize, self.began + TICK);
        while !self.engine.is_drained() {
            let wait = self.wait(busy, due, next_tick);
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "The poller of a shard failed; its connections are lost.");
                return;
            }
            self.engine.at(self.now());
            events.iter().for_each(|event| self.ready(event));
            self.inbox.drain(&mut batch);
            batch.drain(..).for_each(|event| self.handle(event));
            self.read_on();
            busy = self.engine.turn(WRITES_PER_TURN);
            self.engine.take_unread(&mut self.unread);
            if Instant::now() >= next_tick {
                self.engine.tick(ticks);
                ticks = ticks.wrapping_add(1);
                next_tick = Instant::now() + TICK;
            }
            due = self.engine.close_due();
        }
    }

    /// How long to wait for events.
    fn wait(&self, busy: bool, due: Option<u64>, next_tick: Instant) -> Duration {
        if busy || !self.unread.is_empty() {
            return Duration::ZERO;
        }
        let tick = next_tick.saturating_duration_since(Instant::now());
        due.map_or(tick, |ms| tick.min(Duration::from_millis(ms)))
    }

    fn now(&self) -> Moment {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat.store(ms, Ordering::Relaxed);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Moment { ms, unix }
    }

    fn ready(&mut self, event: &Event) {
        if event.token() == WAKE {
            return;
        }
        let slot = event.token().0;
        if event.is_writable() {
            self.engine.writable(slot);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(slot, event.is_read_closed() || event.is_error());
        }
    }

    fn handle(&mut self, event: ShardEvent) {
        match event {
            ShardEvent::Connect(hello) => self.connect(*hello),
            event => self.engine.event(event),
        }
    }

    fn connect(&mut self, Hello { mut socket, greeting }: Hello) {
        let slot = self.engine.next_slot();
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self.poll.registry().register(&mut socket, Token(slot), interest) {
            Ok(()) => {
                if socket.has_more() {
                    self.unread.push(slot);
                }
                self.engine.connect(socket, greeting);
            }
            Err(error) => tracing::warn!(%error, "A connection could not be watched and is dropped."),
        }
    }

    /// Reads what there is, up to a share; edge-triggered, so what is left is noted.
    fn read(&mut self, slot: usize, to_the_end: bool) {
        let mut share = READ_SHARE;
        while let Some(socket) = self.engine.readable_socket(slot) {
            let read = socket.read(&mut self.scratch);
            let more = socket.has_more();
            match read {
                Ok(0) => return self.engine.ended(slot),
                Ok(count) => {
                    self.engine.received(slot, &mut self.scratch[..count]);
                    // Less than asked for: there is no more, and the poller will say when there is.
                    if count < READ_BUFFER && !to_the_end && !more {
                        return;
                    }
                    share = share.saturating_sub(count);
                    if share == 0 {
                        self.unread.push(slot);
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if more {
                        self.unread.push(slot);
                    }
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.engine.ended(slot),
            }
        }
    }

    fn read_on(&mut self) {
        for slot in std::mem::take(&mut self.unread) {
            self.read(slot, true);
        }
    }
}
