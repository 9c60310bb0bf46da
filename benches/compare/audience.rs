//! All subscribers of a peer: read by one thread, each message counted, the time of some looked at.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token};

use crate::{
    frames::{Partial, Seen, Shape},
    support::frame,
    wire::Wire,
};

/// Of so many messages the latency of one is noted: enough of them, and what it costs does not show.
const LOOKED_AT: u64 = 7;

struct Member {
    wire: Wire<mio::net::TcpStream>,
    partial: Partial,
}

/// Sockets that are subscribed.
pub(crate) struct Audience {
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    shape: Shape,
    buffer: Vec<u8>,
    began: Instant,
    /// Messages read so far.
    pub(crate) received: u64,
    /// Noted latencies, in microseconds.
    pub(crate) latencies: Vec<u32>,
    /// Connections that ended.
    pub(crate) ended: usize,
}

impl Audience {
    /// Nobody yet.
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            poll: Poll::new().unwrap(),
            // Few at a time, so that what is due meanwhile is not sent late.
            events: Events::with_capacity(128),
            members: Vec::new(),
            shape,
            buffer: vec![0; 256 * 1024],
            began: Instant::now(),
            received: 0,
            latencies: Vec::new(),
            ended: 0,
        }
    }

    /// Takes over a connection that is subscribed.
    pub(crate) fn add(&mut self, wire: Wire<TcpStream>) {
        let mut wire = wire.polled();
        let token = Token(self.members.len());
        self.poll.registry().register(wire.socket(), token, Interest::READABLE).unwrap();
        self.members.push(Member { wire, partial: Partial::default() });
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.members.len() as u64
    }

    /// The clock that messages carry.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Reads what there is, waiting at most so long for something.
    pub(crate) fn read(&mut self, wait: Duration) {
        self.poll.poll(&mut self.events, Some(wait)).unwrap();
        let Self { events, members, shape, buffer, began, received, latencies, ended, .. } = self;
        for event in &*events {
            let Member { wire, partial } = &mut members[event.token().0];
            loop {
                let count = match wire.read(buffer) {
                    Ok(0) => {
                        *ended += 1;
                        break;
                    }
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => {
                        *ended += 1;
                        break;
                    }
                };
                let now = began.elapsed();
                partial.read(&buffer[..count], shape, |seen| match seen {
                    Seen::Message(message) => {
                        *received += 1;
                        if *received % LOOKED_AT == 0 {
                            let sent = Duration::from_nanos(shape.time(message));
                            latencies.push(now.saturating_sub(sent).as_micros() as u32);
                        }
                    }
                    // Who does not take an answer of some bytes is gone, which the next read tells.
                    Seen::Ping(payload) => drop(wire.write(&frame(0x8a, payload))),
                    Seen::OwnPing => {
                        let (head, answer) = shape.own_pong();
                        drop(wire.write(&frame(head, answer)));
                    }
                    Seen::Close | Seen::Other => {}
                });
                if count < buffer.len() && wire.is_plain() {
                    break;
                }
            }
        }
    }

    /// Reads until nothing has come for a while.
    pub(crate) fn settle(&mut self) {
        let mut seen = u64::MAX;
        while seen != self.received {
            seen = self.received;
            self.read(Duration::from_millis(200));
        }
    }

    /// The latency in milliseconds that so many of a hundred do not exceed; `None` if none was noted.
    pub(crate) fn percentile(&mut self, of_100: usize) -> Option<f64> {
        self.latencies.sort_unstable();
        let at = (self.latencies.len() * of_100 / 100).min(self.latencies.len().checked_sub(1)?);
        Some(f64::from(self.latencies[at]) / 1000.0)
    }
}
