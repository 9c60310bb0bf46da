//! How connections begin, live and end: greeting, heartbeat, deadlines, close, drain.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;

use super::{
    Control, Engine, Socket,
    connection::{Connection, Phase, Setup},
    ledger::Ledgers,
};
use crate::gateway::{
    access::Identity,
    drain,
    metrics::Transport,
    protocol::{
        ErrorCode, event,
        session::{Beginning, Session},
    },
    shard::{Settings, inbox::Greeting},
    websocket::{self, CloseCode, Decoder},
};

/// Seconds a client has to authenticate.
const SETUP_SECONDS: u32 = 10;
/// Seconds a client has to answer a ping.
const PONG_SECONDS: u32 = 10;
/// Seconds that last words and the client's own close may take.
const CLOSING_SECONDS: u32 = 5;
/// What a close frame without a code is counted as (RFC 6455 § 7.4.1), and the end of an answer by its client, for
/// which HTTP has no code.
const NO_CODE: u16 = 1005;
/// What an end without a close frame is counted as (RFC 6455 § 7.4.1).
const NO_CLOSE: u16 = 1006;

impl<S: Socket, C: Control> Engine<S, C> {
    /// The slot the next connection will have, so that its socket can be registered before.
    pub fn next_slot(&self) -> usize {
        self.connections.vacant_key()
    }

    /// Takes a connection over.
    pub fn connect(&mut self, socket: S, greeting: Greeting) {
        self.generation = self.generation.wrapping_add(1);
        let second = self.now.second();
        let Greeting { transport, early, seat, identity, refused, close, topic, beginning, deflate } =
            greeting;
        let slot = self.connections.vacant_key();
        self.connections.insert(Connection {
            generation: self.generation,
            socket,
            transport,
            phase: Phase::Open,
            session: Session::new(None),
            decoder: Decoder::default(),
            seat,
            outbox: Vec::new(),
            lag: None,
            held: SmallVec::new(),
            waiting: 0,
            in_flight: 0,
            deflate,
            overlap: false,
            readings: None,
            ledgers: Ledgers::default(),
            pause: None,
            topic: topic.map(Into::into),
            ping_at: second + 1 + spread(slot, self.settings.heartbeat_seconds),
            pong_by: 0,
            ends_at: second + SETUP_SECONDS,
            notice_at: 0,
        });
        self.counts.connection_opened(transport);
        if let Some((code, reason)) = close {
            self.close(slot, code, reason);
        } else if self.draining.is_some() {
            self.close(slot, CloseCode::Drain, CloseCode::Drain.reason());
        } else {
            self.greet(slot, identity, refused.as_deref(), beginning);
            self.received(slot, &mut early.to_vec());
        }
    }

    fn greet(
        &mut self,
        slot: usize,
        identity: Option<Arc<Identity>>,
        refused: Option<&str>,
        beginning: Option<Beginning>,
    ) {
        if let Some(message) = refused {
            self.error(slot, None, ErrorCode::AuthFailed, message, None);
        }
        let known = match identity.map(|identity| self.judged(identity)) {
            None => false,
            Some(Ok(identity)) => self.adopt(slot, identity),
            Some(Err(error)) => {
                self.error(slot, None, ErrorCode::AuthFailed, &error.to_string(), None);
                false
            }
        };
        match beginning {
            Some(beginning) if known => self.begin(slot, Setup { id: None, beginning }),
            // It cannot send a setup: there is nothing to wait for.
            Some(_) => {
                self.close(slot, CloseCode::Unauthenticated, "not admitted: connect with another token");
            }
            None if known => self.subscribe_from_url(slot),
            None => {}
        }
    }

    /// Says last words and ends every subscription; the socket is let go once they are sent.
    pub(super) fn close(&mut self, slot: usize, code: CloseCode, reason: &str) {
        if self.begin_closing(slot, code.code()) {
            let Some(connection) = self.connections.get_mut(slot) else { return };
            websocket::close(&mut connection.outbox, code, reason);
            connection.socket.make_room();
            if connection.lag.is_some() {
                // With more room the last words may go now, though the client does not read.
                self.writable(slot);
            }
            self.owing.push(slot);
        }
    }

    /// The client has sent a close: it gets one back.
    pub(super) fn closed_by_client(&mut self, slot: usize, code: Option<u16>) {
        if self.begin_closing(slot, code.unwrap_or(NO_CODE))
            && let Some(connection) = self.connections.get_mut(slot)
        {
            websocket::echo_close(&mut connection.outbox, code);
            self.owing.push(slot);
        }
    }

    fn begin_closing(&mut self, slot: usize, code: u16) -> bool {
        let Some(connection) = self.connections.get_mut(slot).filter(|connection| connection.is_open())
        else {
            return false;
        };
        connection.phase = Phase::Closing(self.now.second() + CLOSING_SECONDS);
        if connection.pause.take().is_some() {
            self.unread.push(slot);
        }
        self.counts.connection_closed(connection.transport, code);
        let user = connection.session.identity().map(|identity| identity.user.clone());
        tracing::debug!(code, user = user.as_deref(), shard = self.shard, slot, "A connection ended.");
        self.leave_all(slot);
        true
    }

    fn leave_all(&mut self, slot: usize) {
        while let Some(held) =
            self.connections.get(slot).and_then(|connection| connection.held.last().copied())
        {
            self.detach(slot, held.socket);
        }
    }

    /// Last words are sent: nothing more will be written, what the client still sends is thrown away.
    pub(super) fn finish_closing(&mut self, slot: usize) {
        if let Some(connection) = self.connections.get_mut(slot)
            && !connection.is_open()
            && connection.outbox.is_empty()
            && connection.lag.is_none()
        {
            connection.socket.finish();
        }
    }

    /// The connection broke without a close.
    pub(super) fn lost(&mut self, slot: usize) {
        let transport = self.connections.get(slot).map(|connection| connection.transport);
        self.begin_closing(slot, if transport == Some(Transport::Sse) { NO_CODE } else { NO_CLOSE });
        self.connections.try_remove(slot);
    }

    /// The client has ended its side, or the socket has failed.
    pub fn ended(&mut self, slot: usize) {
        self.lost(slot);
    }

    /// Looks after every connection: to be called four times a second; each call looks at a quarter of them, and
    /// at the windows of all sub-sockets that somebody is behind in.
    pub fn tick(&mut self, count: usize) {
        let second = self.now.second();
        let mut slot = count % 4;
        while slot < self.connections.capacity() {
            self.look_after(slot, second);
            slot += 4;
        }
        self.ask_again();
        for index in self.table.indices(|socket| socket.behind > 0) {
            self.enforce_window(index);
        }
        if self.pool.bytes() == 0 {
            self.pool.shrink();
        }
    }

    fn look_after(&mut self, slot: usize, second: u32) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if let Phase::Closing(until) = connection.phase {
            if second >= until {
                self.lost(slot);
            }
            return;
        }
        let has_ledgers = !connection.ledgers.is_empty();
        if connection.ends_at != 0 && second >= connection.ends_at {
            let reason = if connection.session.identity().is_some() {
                "the token has expired: connect with a new one"
            } else {
                "not authenticated in time: send setup within 10 seconds"
            };
            self.close(slot, CloseCode::Unauthenticated, reason);
        } else if connection.notice_at != 0 && second >= connection.notice_at {
            self.give_notice(slot, second);
        } else if connection.pong_by != 0 && second >= connection.pong_by {
            // A slow reader that does read is alive: its pong is behind what it has not read yet.
            if connection.lag.as_mut().is_some_and(|lag| std::mem::take(&mut lag.moved)) {
                connection.pong_by = second + PONG_SECONDS;
            } else {
                self.close(slot, CloseCode::NoPong, CloseCode::NoPong.reason());
            }
        } else if second >= connection.ping_at {
            connection.ping_at = second + self.settings.heartbeat_seconds;
            if connection.pong_by == 0 {
                connection.pong_by = second + PONG_SECONDS;
                connection.outbox.extend_from_slice(websocket::PING);
                self.owing.push(slot);
            }
        }
        if has_ledgers {
            self.look_after_ledgers(slot);
        }
    }

    /// Goes on under other settings. A client's next ping comes no later than the new heartbeat wants it; topics held
    /// beyond a lower limit are kept.
    pub(super) fn change_settings(&mut self, settings: Arc<Settings>) {
        let (second, heartbeat) = (self.now.second(), settings.heartbeat_seconds);
        for (slot, connection) in &mut self.connections {
            if heartbeat != self.settings.heartbeat_seconds {
                connection.ping_at = connection.ping_at.min(second + 1 + spread(slot, heartbeat));
            }
        }
        let mut delivered_otherwise = false;
        self.table.each(|socket| {
            let rule = settings.rule(&socket.filter);
            delivered_otherwise |= socket.ack_seconds.is_some() != rule.ack_seconds.is_some();
            (socket.policy, socket.ack_seconds) = (rule.slow_consumer, rule.ack_seconds);
        });
        self.settings = settings;
        if delivered_otherwise {
            self.follow_delivery();
        }
    }

    /// Tells everybody to go elsewhere, and plans when whoever stays is closed.
    pub(super) fn drain(&mut self, window: Duration, seed: u64) {
        let slots: Vec<_> =
            self.connections.iter().filter(|(_, c)| c.is_open()).map(|(slot, _)| slot).collect();
        let plan = drain::plan(slots.len(), window, seed);
        let mut due = Vec::with_capacity(slots.len());
        for (slot, at) in slots.into_iter().zip(plan) {
            let ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
            let connection = &mut self.connections[slot];
            event::draining(&mut connection.outbox, ms);
            due.push((self.now.ms + ms, connection.id(slot)));
            self.owing.push(slot);
        }
        due.reverse();
        self.draining = Some(due);
    }

    /// Closes those whose time has come. Returns the milliseconds until the next one's.
    pub fn close_due(&mut self) -> Option<u64> {
        loop {
            let (at, id) = *self.draining.as_ref()?.last()?;
            if at > self.now.ms {
                return Some(at - self.now.ms);
            }
            if let Some(due) = &mut self.draining {
                due.pop();
            }
            if let Some(slot) = self.slot(id) {
                self.close(slot, CloseCode::Drain, CloseCode::Drain.reason());
            }
        }
    }
}

/// Spreads the pings of connections over the period (Knuth's multiplicative hash).
fn spread(slot: usize, period: u32) -> u32 {
    let scrambled = (slot as u64 + 1).wrapping_mul(2_654_435_761) >> 8;
    u32::try_from(scrambled % u64::from(period.max(1))).unwrap_or(0)
}
