//! From an arrival to the sockets: append once, then one send per subscriber of all its new frames.

use super::{
    Control, Engine, Socket,
    connection::{Connection, Turn},
    lagging::{Flow, send_log, send_packed},
    latency::Run,
    table::{Job, SubSocket, Table},
};
use crate::{
    api::{Filter, Seq},
    gateway::{
        log::Mark,
        planted::{Flaw, planted},
        protocol::event,
        shard::inbox::Arrival,
    },
};

impl<S: Socket, C: Control> Engine<S, C> {
    /// Puts a message at the end of its sub-socket's log, if anybody here reads it.
    pub(super) fn append(&mut self, arrival: &Arrival) {
        let Some(index) = self.table.find(&arrival.key) else { return };
        let Some(socket) = self.table.get(index) else { return };
        if socket.subscribers.is_empty() {
            return;
        }
        // Those who keep up must never fall out of the window because much came at once.
        if socket.log.bytes() + arrival.frame.len() as u64 > self.settings.window.bytes {
            self.enforce_window(index);
        }
        let second = self.now.second();
        let Some(socket) = self.table.get_mut(index) else { return };
        let topic = (arrival.key != arrival.topic).then(|| arrival.topic.clone());
        // Topics of a pattern count each for itself: the pattern has no position.
        if let (true, Some(seq), None) = (arrival.message, arrival.seq, &topic) {
            socket.seq = seq;
        }
        // What an announcement speaks of follows what was there before it.
        let before = socket.seq;
        let spoken_of = |position: &Seq| !arrival.message && topic.is_none() && *position > before;
        let last = arrival.seq.filter(spoken_of);
        let first = last.map(|_| before + 1);
        // After a gap the backbone says where it goes on, if it knows.
        if !arrival.message {
            let position = arrival.seq.unwrap_or(0);
            let anew = position < std::mem::replace(&mut socket.seq, position);
            socket.unplaced = socket.recoverable && arrival.seq.is_none();
            if anew && arrival.seq.is_some() {
                self.begin_anew(index, position);
            }
        }
        let Some(socket) = self.table.get_mut(index) else { return };
        let seq = arrival.seq.filter(|_| arrival.message).or(last);
        let published = arrival.published;
        let mark = Mark { seq, first, message: arrival.message, topic, second, published };
        socket.log.append(&arrival.frame, mark, &mut self.pool);
        self.queue(index);
    }

    /// Numbers begin anew after this position (the stream was made anew): without being told, clients would take what
    /// follows for what they have seen.
    fn begin_anew(&mut self, index: u32, position: Seq) {
        let second = self.now.second();
        let Some(socket) = self.table.get_mut(index) else { return };
        socket.life = socket.life.wrapping_add(1);
        let mut frame = Vec::new();
        event::subscribed(
            &mut frame,
            None,
            socket.filter.as_str(),
            position,
            self.epoch,
            socket.recoverable,
            Some(false),
        );
        let mark = Mark { seq: None, first: None, message: false, topic: None, second, published: None };
        socket.log.append(&frame, mark, &mut self.pool);
        for subscriber in &socket.subscribers {
            let Some(connection) = self.connections.get_mut(subscriber.connection as usize) else { continue };
            if let Some(ledger) = connection.ledger(index) {
                ledger.begin_anew(position);
                if let Some(readings) = &mut connection.readings {
                    readings.forget_deliveries(index);
                }
            }
        }
    }

    /// Queues a hand-out, or another round of the one under way.
    fn queue(&mut self, index: u32) {
        let Some(socket) = self.table.get_mut(index) else { return };
        if let Some(job) = &mut socket.job {
            job.again |= !planted(Flaw::WakeUpLost);
        } else {
            // Whoever was last begins the next round: nobody is always last.
            let next = socket.rotation();
            socket.job = Some(Job { left: socket.subscribers.len(), next, again: false });
            self.jobs.push_back(index);
        }
    }

    /// Hands out everything the sub-socket has, whatever else waits.
    pub(super) fn hand_out_now(&mut self, index: u32) {
        while self.table.get(index).is_some_and(|socket| socket.job.is_some()) {
            self.hand_out(index, usize::MAX);
        }
        self.jobs.retain(|own| *own != index);
    }

    /// Goes on with one hand-out for at most `writes` sends; returns how many are left.
    pub(super) fn hand_out(&mut self, index: u32, writes: usize) -> usize {
        let (mut left, mut run) = (writes, Run::default());
        while left > 0 {
            let Some((place, slot)) = self.next_subscriber(index) else {
                self.count(index, &mut run);
                self.end_round(index);
                break;
            };
            if (slot as usize) < self.unjudged {
                left -= 1;
                self.count(index, &mut run);
                self.judge_anew(slot as usize);
                if !self.reads(index, place, slot) {
                    continue;
                }
            }
            match self.feed(index, place, slot as usize, &mut run) {
                Flow::Idle => {}
                Flow::Sent | Flow::Blocked => left = left.saturating_sub(1),
                Flow::Broken => {
                    self.count(index, &mut run);
                    self.lost(slot as usize);
                }
            }
        }
        self.count(index, &mut run);
        left
    }

    /// Counts what was sent of a sub-socket, before its log may let go of it.
    fn count(&self, index: u32, run: &mut Run) {
        if let Some(socket) = self.table.get(index) {
            run.count(&socket.log, &self.counts, &self.control);
        }
    }

    /// The next subscriber of the round under way.
    fn next_subscriber(&mut self, index: u32) -> Option<(u32, u32)> {
        let socket = self.table.get_mut(index)?;
        let job = socket.job.as_mut()?;
        if job.left == 0 || socket.subscribers.is_empty() {
            return None;
        }
        job.left -= 1;
        let place = job.next % socket.subscribers.len();
        job.next = place + 1;
        Some((u32::try_from(place).unwrap_or(u32::MAX), socket.subscribers[place].connection))
    }

    /// Whether the subscriber at this place is still this connection's.
    fn reads(&self, index: u32, place: u32, slot: u32) -> bool {
        let subscriber = self.table.get(index).and_then(|socket| socket.subscribers.get(place as usize));
        subscriber.is_some_and(|subscriber| subscriber.connection == slot)
    }

    /// All have been looked at: once more if something came meanwhile, else the log is let go.
    fn end_round(&mut self, index: u32) {
        let Some(socket) = self.table.get_mut(index) else { return };
        let Some(job) = socket.job.take() else { return };
        if job.again {
            socket.job = Some(Job { left: socket.subscribers.len(), next: job.next, again: false });
        } else if socket.behind == 0 {
            socket.log.clear(&mut self.pool);
        } else {
            socket.log.settle();
        }
    }

    /// Sends one subscriber what is new to it.
    fn feed(&mut self, index: u32, place: u32, slot: usize, run: &mut Run) -> Flow {
        if self.connections.get(slot).is_some_and(|connection| !connection.outbox.is_empty()) {
            // Whoever owes too much is closed, and the sub-socket may end with it.
            self.count(index, run);
            if self.pay(slot) == Flow::Broken {
                return Flow::Broken;
            }
        }
        let Some(connection) = self.connections.get_mut(slot) else { return Flow::Idle };
        if connection.ledger(index).is_some() {
            return self.wake(index, place, slot);
        }
        let skip = skipped(&self.table, connection, index);
        let Some(socket) = self.table.get_mut(index) else { return Flow::Idle };
        socket.pass_seen(place);
        let SubSocket { log, filter, subscribers, behind, .. } = socket;
        let head = log.head();
        let Some(subscriber) = subscribers.get_mut(place as usize) else { return Flow::Idle };
        if subscriber.behind || subscriber.cursor == head {
            return Flow::Idle;
        }
        let flow = if connection.lag.is_some() {
            Flow::Blocked
        } else if connection.deflate
            && let Some(least) = self.settings.compress_from
        {
            self.packing.pack(least, log, subscriber.cursor, head, &mut self.pool);
            let took = |range, bytes| run.took_as(range, bytes, log, &self.counts, &self.control);
            let (out, cursor) = (&mut connection.socket, &mut subscriber.cursor);
            let (flow, rest) = send_packed(out, log, (filter.as_str(), &skip), cursor, head, took);
            if !rest.is_empty() {
                connection.lag().carry = rest;
            }
            flow
        } else {
            let took = |bytes| run.took(bytes, log, &self.counts, &self.control);
            let (out, cursor) = (&mut connection.socket, &mut subscriber.cursor);
            send_log(out, log, (filter.as_str(), &skip), cursor, head, took)
        };
        if flow == Flow::Blocked {
            let half = subscriber.cursor != log.boundary(subscriber.cursor);
            subscriber.behind = true;
            *behind += 1;
            self.counts.lagging_changed(1);
            let lag = connection.lag();
            lag.current = lag.current.or(half.then_some(index));
            lag.wait_for(Turn::Live(index));
        }
        flow
    }

    /// Tells a subscriber with a ledger that there is something new: messages are read from history, and only
    /// announcements taken from the log.
    fn wake(&mut self, index: u32, place: u32, slot: usize) -> Flow {
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get_mut(index)) else {
            return Flow::Idle;
        };
        let Some(subscriber) = socket.subscribers.get_mut(place as usize) else { return Flow::Idle };
        if subscriber.cursor == socket.log.head() {
            return Flow::Idle;
        }
        let sent = connection.ledger(index).map_or(0, |ledger| ledger.sent());
        while let Some((end, _)) = socket.log.frame(subscriber.cursor) {
            if socket.log.messages(subscriber.cursor, end).next().is_none() {
                // What is before a gap is still to be read then, and that read finds and tells the gap in its place.
                let spoken_of = socket.log.sequences(subscriber.cursor, end);
                if spoken_of.is_none_or(|(first, _)| first <= sent + 1) {
                    connection.outbox.extend(socket.log.copy(subscriber.cursor, end));
                    self.owing.push(slot);
                }
            }
            subscriber.cursor = end;
        }
        self.pump(slot, index);
        Flow::Sent
    }
}

/// What other subscriptions of the same connection bring: a message is sent once, however many of its subscriptions
/// match. The earliest has every frame that came since, so it alone decides; but one that is delivered at least once
/// always goes first, and one that has begun with what was before is put ahead of the others then.
pub(super) fn skipped<S>(table: &Table, connection: &Connection<S>, index: u32) -> Vec<Filter> {
    if !connection.overlap {
        return Vec::new();
    }
    let earlier = connection.held.iter().take_while(|held| held.socket != index).map(|held| held.socket);
    let ledgers = connection.ledgers.iter().map(|ledger| ledger.index);
    let others = earlier.chain(ledgers.filter(|own| *own != index));
    others.filter_map(|other| table.get(other).map(|socket| socket.filter.clone())).collect()
}
