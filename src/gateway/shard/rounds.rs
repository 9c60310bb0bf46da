//! What a shard does round after round: poller, sockets and clock around the [`Engine`].
//!
//! It does so on a thread of its own, where it waits in the poller, or as a task beside others on one thread, where the
//! poller is one of the things that wake it. What the backbone puts into the inbox of a task on its own thread costs no
//! system call and no switch of threads, which is most of what a message for a single subscriber costs besides its `send`.

use std::{
    io::{self, Read},
    os::fd::{AsFd as _, OwnedFd},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mio::{Events, Interest, Poll, Token, event::Event};
use tokio::{
    io::{Interest as Readiness, unix::AsyncFd},
    task::yield_now,
    time::sleep_until,
};

use super::{
    engine::{Engine, Moment},
    inbox::{Hello, Inbox, ShardEvent},
    socket::ClientSocket,
    thread::{Channels, WAKE},
};

/// Sends between two looks at the poller: half a millisecond or a whole one. Another topic waits for as long behind a
/// broadcast; the look itself costs less than a five-hundredth of it.
const WRITES_PER_TURN: usize = 128;
/// Bytes read from one connection between two looks at the others.
const READ_SHARE: usize = 256 * 1024;
const READ_BUFFER: usize = 64 * 1024;
/// Events taken from the poller at one time.
const EVENTS: usize = 1024;
const TICK: Duration = Duration::from_millis(250);

/// A shard at work. Ends with its last connection, once it has been told to drain.
pub(super) struct Rounds {
    poll: Poll,
    inbox: Arc<Inbox>,
    engine: Engine<ClientSocket, Channels>,
    began: Instant,
    /// Milliseconds since then, at the last round.
    beat: Arc<AtomicU64>,
    events: Events,
    batch: Vec<ShardEvent>,
    /// One read buffer for all connections.
    scratch: Vec<u8>,
    /// Connections with more to read, each read once per round.
    unread: Vec<usize>,
    /// There is more to do at once.
    busy: bool,
    ticks: usize,
    next_tick: Instant,
    /// Milliseconds until the next connection is to be closed.
    close_due: Option<u64>,
}

impl Rounds {
    pub(super) fn new(
        (poll, inbox): (Poll, Arc<Inbox>),
        engine: Engine<ClientSocket, Channels>,
        (began, beat): (Instant, Arc<AtomicU64>),
    ) -> Self {
        Self {
            poll,
            inbox,
            engine,
            began,
            beat,
            events: Events::with_capacity(EVENTS),
            batch: Vec::new(),
            scratch: vec![0; READ_BUFFER],
            unread: Vec::new(),
            busy: false,
            ticks: 0,
            next_tick: began + TICK,
            close_due: None,
        }
    }

    /// On a thread of its own.
    pub(super) fn run_on_thread(mut self) {
        if let Err(error) = self.wait_in_poller() {
            failed(&error);
        }
    }

    fn wait_in_poller(&mut self) -> io::Result<()> {
        while !self.engine.is_drained() {
            self.look(self.pause().unwrap_or_default())?;
            self.round();
        }
        Ok(())
    }

    /// As a task, beside others of the same thread.
    pub(super) async fn run_as_task(mut self) {
        if let Err(error) = self.wait_for_bell().await {
            failed(&error);
        }
    }

    async fn wait_for_bell(&mut self) -> io::Result<()> {
        let inbox = self.inbox.clone();
        let poller = watched(self.poll.registry().as_fd().try_clone_to_owned()?)?;
        let mut alarm = pin!(sleep_until(self.next_tick.into()));
        while !self.engine.is_drained() {
            let look = match self.pause() {
                None => {
                    // After the others, and after their sockets.
                    yield_now().await;
                    true
                }
                Some(pause) => {
                    let end = if self.close_due.is_none() { self.next_tick } else { Instant::now() + pause };
                    if alarm.deadline() != end.into() {
                        alarm.as_mut().reset(end.into());
                    }
                    tokio::select! {
                        biased;
                        ready = poller.readable() => {
                            ready?.clear_ready();
                            true
                        }
                        () = inbox.rung() => false,
                        () = &mut alarm => false,
                    }
                }
            };
            if look {
                self.look(Duration::ZERO)?;
            } else {
                self.engine.at(self.now());
            }
            self.round();
        }
        Ok(())
    }

    /// Takes in what the poller has, waiting at most so long for something.
    fn look(&mut self, wait: Duration) -> io::Result<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.engine.at(self.now());
        let mut count = 0;
        for event in &events {
            self.ready(event);
            count += 1;
        }
        // It told what it had room for, and tells the rest when it is asked.
        self.busy = count == EVENTS;
        self.events = events;
        Ok(())
    }

    /// Does what there is to do, up to a turn's share. The engine knows the time by now.
    fn round(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        self.inbox.drain(&mut batch);
        batch.drain(..).for_each(|event| self.handle(event));
        self.batch = batch;
        self.read_on();
        self.busy |= self.engine.turn(WRITES_PER_TURN);
        self.engine.take_unread(&mut self.unread);
        if Instant::now() >= self.next_tick {
            self.engine.tick(self.ticks);
            self.ticks = self.ticks.wrapping_add(1);
            self.next_tick = Instant::now() + TICK;
        }
        self.close_due = self.engine.close_due();
    }

    /// How long to wait for events; `None`: there is something to do.
    fn pause(&self) -> Option<Duration> {
        if self.busy || !self.unread.is_empty() {
            return None;
        }
        let tick = self.next_tick.saturating_duration_since(Instant::now());
        Some(self.close_due.map_or(tick, |ms| tick.min(Duration::from_millis(ms))))
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

/// Tells when a poller has something: a poller's descriptor is itself one that can be waited for.
#[expect(
    deprecated,
    reason = "the other one is unsafe to call for descriptors that are borrowed; this one is owned"
)]
fn watched(poller: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(poller, Readiness::READABLE)
}

fn failed(error: &io::Error) {
    tracing::error!(%error, "The poller of a shard failed; its connections are lost.");
}
