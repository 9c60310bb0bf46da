//! Writing to sockets: what a send leaves over, and those who do not keep up.
//!
//! Order on a connection that lags: the rest of a half-sent frame, then what is owed (the outbox), then the
//! sub-sockets in turn, each preceded by its `gap` if something was missed.

use std::io::IoSlice;

use super::{
    Control, Engine, Socket,
    connection::Turn,
    fanout::skipped,
    latency::{Run, latency},
    table::SubSocket,
};
use crate::{
    api::Filter,
    gateway::{
        log::{Log, MAX_SLICES, Verdict, fall_out},
        planted::{Flaw, planted},
        protocol::{GapReason, event},
        websocket::CloseCode,
    },
};

/// Bytes of one sub-socket that are sent before another of the same connection has its turn.
pub(super) const SHARE_BYTES: u64 = 128 * 1024;

/// How far a write came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// There was nothing to send.
    Idle,
    /// Everything is sent.
    Sent,
    /// The socket takes no more now.
    Blocked,
    /// The connection is gone.
    Broken,
}

/// Sends a log from `cursor` to `end`, leaving out frames of topics that `skip` holds; `own` is the topic of frames
/// that name none. Moves the cursor, and says from where to where each send took the log.
pub(super) fn send_log<S: Socket>(
    socket: &mut S,
    log: &Log,
    (own, skip): (&str, &[Filter]),
    cursor: &mut u64,
    end: u64,
    mut took: impl FnMut((u64, u64)),
) -> Flow {
    while *cursor < end {
        let (stop, wanted) = run(log, own, *cursor, end, skip);
        if !wanted {
            *cursor = stop;
            continue;
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = log.gather(*cursor, stop, &mut slices);
        let asked: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        let Ok(sent) = socket.send(&slices[..filled]) else { return Flow::Broken };
        let from = *cursor;
        *cursor += sent as u64;
        if sent > 0 {
            took((from, *cursor));
        }
        if sent < asked {
            return Flow::Blocked;
        }
    }
    Flow::Sent
}

/// As [`send_log`], of the compressed variant, which must have been made up to `end`. The cursor stays at boundaries:
/// returned is also what is left of a frame that is half sent. Says, too, as how many bytes each send takes it. Apart, so that the plain way stays short.
#[inline(never)]
pub(super) fn send_packed<S: Socket>(
    socket: &mut S,
    log: &Log,
    (own, skip): (&str, &[Filter]),
    cursor: &mut u64,
    end: u64,
    mut took: impl FnMut((u64, u64), u64),
) -> (Flow, Vec<u8>) {
    while *cursor < end {
        let (stop, wanted) = run(log, own, *cursor, end, skip);
        if !wanted {
            *cursor = stop;
            continue;
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = log.gather_packed(*cursor, stop, &mut slices);
        let asked: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        let Ok(sent) = socket.send(&slices[..filled]) else { return (Flow::Broken, Vec::new()) };
        let (from, (to, rest)) = (*cursor, log.packed_at(*cursor, sent));
        *cursor = to;
        if sent > 0 {
            took((from, to), (sent + rest.len()) as u64);
        }
        if sent < asked {
            return (Flow::Blocked, rest.to_vec());
        }
    }
    (Flow::Sent, Vec::new())
}

/// How far the frames from `cursor` on are all to be sent, or all to be left out.
fn run(log: &Log, own: &str, cursor: u64, end: u64, skip: &[Filter]) -> (u64, bool) {
    if skip.is_empty() {
        return (end, true);
    }
    // A frame that is half sent is sent whole.
    let mut stop = log.boundary(cursor);
    let mut wanted = (stop != cursor).then_some(true);
    while stop < end {
        let Some((frame_end, topic)) = log.frame(stop) else { break };
        let topic = topic.map_or(own, |topic| topic);
        let fresh = !skip.iter().any(|filter| filter.matches_str(topic));
        if *wanted.get_or_insert(fresh) != fresh {
            break;
        }
        stop = frame_end;
    }
    (stop, wanted.unwrap_or(true))
}

impl<S: Socket, C: Control> Engine<S, C> {
    /// Sends what is owed to a connection that keeps up; one that lags is paid when it is writable.
    pub(super) fn pay(&mut self, slot: usize) -> Flow {
        let Some(connection) = self.connections.get_mut(slot) else { return Flow::Idle };
        if connection.outbox.is_empty() {
            return Flow::Idle;
        }
        if connection.lag.is_none() {
            match send_outbox(&mut connection.socket, &mut connection.outbox) {
                Flow::Blocked => {
                    connection.lag();
                }
                flow => return flow,
            }
        }
        if connection.outbox.len() > self.settings.outbox_bytes && connection.is_open() {
            self.close(slot, CloseCode::TooFast, "more answers are owed than the client reads");
        }
        Flow::Blocked
    }

    /// Sends all outboxes that were filled in this turn.
    pub(super) fn pay_owing(&mut self) {
        while let Some(slot) = self.owing.pop() {
            if self.pay(slot) == Flow::Broken {
                self.lost(slot);
            } else {
                self.finish_closing(slot);
            }
        }
    }

    /// The socket takes bytes again.
    pub fn writable(&mut self, slot: usize) {
        self.judge_first(slot);
        let Some(connection) = self.connections.get_mut(slot) else { return };
        match connection.socket.flush() {
            Err(_) => return self.lost(slot),
            Ok(false) => return,
            Ok(true) => {}
        }
        if connection.lag.is_none() {
            return self.finish_closing(slot);
        }
        match self.resume(slot) {
            Flow::Broken => self.lost(slot),
            Flow::Blocked => {}
            Flow::Idle | Flow::Sent => {
                if let Some(connection) = self.connections.get_mut(slot) {
                    connection.lag = None;
                }
                self.finish_closing(slot);
            }
        }
    }

    fn resume(&mut self, slot: usize) -> Flow {
        loop {
            let Some(connection) = self.connections.get_mut(slot) else { return Flow::Idle };
            let Some(lag) = &mut connection.lag else { return Flow::Idle };
            if !lag.carry.is_empty() {
                lag.moved = true;
                match send_outbox(&mut connection.socket, &mut lag.carry) {
                    Flow::Sent | Flow::Idle => {}
                    other => return other,
                }
                if !lag.carried.is_empty() {
                    let now = self.control.clock();
                    lag.carried.drain(..).for_each(|published| latency(&self.counts, published, now, 1));
                }
            }
            if let Some(index) = lag.current {
                match self.continue_frame(slot, index) {
                    Flow::Sent | Flow::Idle => continue,
                    other => return other,
                }
            }
            match send_outbox(&mut connection.socket, &mut connection.outbox) {
                Flow::Sent | Flow::Idle => {}
                other => return other,
            }
            let index = match lag.pending.front() {
                None => return Flow::Sent,
                Some(Turn::Live(index)) => *index,
                Some(Turn::History(ticket)) => {
                    let ticket = *ticket;
                    self.send_history(slot, ticket);
                    continue;
                }
            };
            if let Some(missed) = lag.take_missed(index) {
                if let Some(socket) = self.table.get(index).filter(|_| !planted(Flaw::GapDropped)) {
                    let (first, last) = missed.sequences.unzip();
                    event::gap(
                        &mut connection.outbox,
                        socket.filter.as_str(),
                        first,
                        last,
                        GapReason::Dropped,
                    );
                }
                continue;
            }
            match self.share(slot, index) {
                Flow::Sent | Flow::Idle => {}
                other => return other,
            }
        }
    }

    /// Sends the rest of the frame that is half sent.
    fn continue_frame(&mut self, slot: usize, index: u32) -> Flow {
        let flow = self.send_share(slot, index, 0);
        if matches!(flow, Flow::Sent | Flow::Idle)
            && let Some(lag) = self.connections.get_mut(slot).and_then(|connection| connection.lag.as_mut())
        {
            lag.current = None;
        }
        flow
    }

    /// Sends one sub-socket's share; whoever has more is put behind the others.
    fn share(&mut self, slot: usize, index: u32) -> Flow {
        let flow = self.send_share(slot, index, SHARE_BYTES);
        let Some(connection) = self.connections.get_mut(slot) else { return Flow::Broken };
        let Some(lag) = &mut connection.lag else { return flow };
        let place = connection.held.iter().find(|held| held.socket == index).map(|held| held.place);
        let Some((socket, place)) = self.table.get_mut(index).zip(place) else {
            lag.pending.pop_front();
            return flow;
        };
        let SubSocket { subscribers, log, behind, .. } = socket;
        let Some(subscriber) = subscribers.get_mut(place as usize) else { return flow };
        match flow {
            Flow::Blocked => {
                lag.current = (subscriber.cursor != log.boundary(subscriber.cursor)).then_some(index);
            }
            Flow::Sent | Flow::Idle if subscriber.cursor == log.head() => {
                lag.pending.pop_front();
                subscriber.behind = false;
                *behind -= 1;
                self.counts.lagging_changed(-1);
                if *behind == 0 && socket.job.is_none() {
                    socket.log.clear(&mut self.pool);
                }
            }
            Flow::Sent | Flow::Idle => lag.pending.rotate_left(1),
            Flow::Broken => {}
        }
        flow
    }

    /// Sends at least `bytes` of one sub-socket, up to a frame boundary.
    fn send_share(&mut self, slot: usize, index: u32, bytes: u64) -> Flow {
        let Some(connection) = self.connections.get_mut(slot) else { return Flow::Broken };
        let skip = skipped(&self.table, connection, index);
        let place = connection.held.iter().find(|held| held.socket == index).map(|held| held.place);
        let Some((socket, place)) = self.table.get_mut(index).zip(place) else { return Flow::Idle };
        socket.pass_seen(place);
        let SubSocket { subscribers, log, filter, .. } = socket;
        let Some(subscriber) = subscribers.get_mut(place as usize) else { return Flow::Idle };
        let end = log.boundary((subscriber.cursor + bytes).min(log.head()));
        let before = subscriber.cursor;
        let least = self.settings.compress_from.filter(|_| connection.deflate);
        if let Some(least) = least {
            self.packing.pack(least, log, before, end, &mut self.pool);
        }
        let mut run = Run::default();
        let (out, cursor, wanted) =
            (&mut connection.socket, &mut subscriber.cursor, (filter.as_str(), &*skip));
        let (flow, rest) = if least.is_some() {
            let took = |range, bytes| run.took_as(range, bytes, log, &self.counts, &self.control);
            send_packed(out, log, wanted, cursor, end, took)
        } else {
            let took = |range| run.took(range, log, &self.counts, &self.control);
            (send_log(out, log, wanted, cursor, end, took), Vec::new())
        };
        run.count(log, &self.counts, &self.control);
        if let Some(lag) = &mut connection.lag {
            lag.moved |= subscriber.cursor != before;
            if !rest.is_empty() {
                lag.carry = rest;
            }
        }
        flow
    }

    /// Cuts a log to its window; whoever falls out is treated as the policy says.
    pub(super) fn enforce_window(&mut self, index: u32) {
        // Whoever keeps up has its frames first: only those who are behind may fall out.
        self.hand_out_now(index);
        let Some(socket) = self.table.get_mut(index) else { return };
        if socket.behind == 0 {
            return;
        }
        let Some(cut) = socket.log.excess(self.settings.window, self.now.second()) else { return };
        let policy = socket.policy;
        let mut fallen = Vec::new();
        let SubSocket { subscribers, log, .. } = socket;
        for subscriber in subscribers.iter_mut().filter(|subscriber| subscriber.cursor < cut) {
            let slot = subscriber.connection as usize;
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            let boundary = log.boundary(subscriber.cursor);
            if let Some(lag) = &mut connection.lag
                && lag.current == Some(index)
                && boundary != subscriber.cursor
                && !planted(Flaw::JumpInsideFrame)
            {
                lag.carry = log.copy(subscriber.cursor, boundary);
                lag.current = None;
                subscriber.cursor = boundary;
            }
            if subscriber.cursor >= cut {
                continue;
            }
            // Whoever reads history reads this there, too: it loses nothing.
            if let Some(live) = connection.readings.as_mut().and_then(|readings| readings.live(index)) {
                live.splice = log.sequences(subscriber.cursor, cut).map_or(live.splice, |(_, last)| last);
                subscriber.cursor = cut;
                continue;
            }
            self.counts.slow_consumer(policy);
            let lag = connection.lag();
            match fall_out(log, subscriber.cursor, cut, policy) {
                Verdict::Disconnect => fallen.push(slot),
                Verdict::Jump { to, missed } => {
                    subscriber.cursor = to;
                    lag.miss(index, missed);
                    self.counts.gap(GapReason::Dropped);
                }
            }
        }
        for slot in fallen {
            self.close(slot, CloseCode::SlowConsumer, "the client does not keep up: reconnect and resume");
        }
        if let Some(socket) = self.table.get_mut(index) {
            socket.log.trim(cut, &mut self.pool);
        }
    }
}

/// Sends a buffer from its front; what is left stays.
fn send_outbox<S: Socket>(socket: &mut S, outbox: &mut Vec<u8>) -> Flow {
    if outbox.is_empty() {
        return Flow::Idle;
    }
    match socket.send(&[IoSlice::new(outbox)]) {
        Err(_) => Flow::Broken,
        Ok(sent) if sent == outbox.len() => {
            *outbox = Vec::new();
            Flow::Sent
        }
        Ok(sent) => {
            outbox.drain(..sent);
            Flow::Blocked
        }
    }
}
