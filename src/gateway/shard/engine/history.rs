//! What was before: read from the backbone page by page and sent ahead of what is live, without hole or double.
//!
//! ```text
//!   history                       log of the sub-socket
//!   ───────────────────────┐ ┌──────────────────────────
//!    page │ page │ page …  │ │ frame │ frame │ frame …
//!   ───────────────────────┘ └──────────────────────────
//!                      splice: the position that the cursor stands at
//! ```
//!
//! The subscriber stands in the log as one that is behind, so that the log keeps what is live for it. Should the
//! window not suffice, the cursor moves on with the splice, and more is read from history instead.

use std::sync::Arc;

use super::{
    Control, Engine, Socket,
    acknowledging::ack_within,
    connection::{Connection, Turn},
    reading::{Live, Purpose, Reading, Rest, Stage},
    subscriptions::Missing,
    table::SubSocket,
};
use crate::{
    api::{Filter, Seq, Topic},
    gateway::{
        history::{HistoryError, Lost, Page, Start},
        protocol::{ErrorCode, GapReason, command::Id, event, session::CatchUp},
        shard::inbox::{ConnectionId, Request},
    },
};

/// Replays of topics that a connection is not subscribed to, at one time.
pub(super) const REPLAYS: usize = 16;

impl<S: Socket, C: Control> Engine<S, C> {
    /// Lets a new subscriber, which stands at the log's head, read what was before first.
    pub(super) fn catch_up(&mut self, slot: usize, index: u32, id: Option<Id>, wanted: CatchUp) {
        let splice = self.table.get(index).map_or(0, |socket| socket.seq);
        let purpose = Purpose::Subscribe { id, wanted };
        self.read_before(slot, index, purpose, Live { index, reached: splice, splice }, wanted.start);
    }

    fn read_before(&mut self, slot: usize, index: u32, purpose: Purpose, live: Live, start: Start) {
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get_mut(index)) else {
            return;
        };
        let Filter::Topic(topic) = &socket.filter else { return };
        let topic = topic.clone();
        if let Some(lag) = &mut connection.lag {
            lag.pending.retain(|turn| *turn != Turn::Live(index));
            // It is announced now: whoever waits for history may not lag meanwhile.
            if let Some(missed) = lag.take_missed(index) {
                let ((first, last), out) = (missed.sequences.unzip(), &mut connection.outbox);
                event::gap(out, topic.as_str(), first, last, GapReason::Dropped);
                self.owing.push(slot);
            }
        }
        if hold(connection, socket, index) {
            self.counts.lagging_changed(1);
        }
        self.read(slot, topic, purpose, Some(live), start);
    }

    /// Begins to read.
    pub(super) fn read(
        &mut self,
        slot: usize,
        topic: Topic,
        purpose: Purpose,
        live: Option<Live>,
        start: Start,
    ) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        self.ticket = self.ticket.wrapping_add(1);
        let (ticket, stage) = (self.ticket, Stage::Queued);
        let sent = if let Start::After(position) = start { position } else { 0 };
        let socket = live.and_then(|live| self.table.get(live.index));
        let life_then = socket.map_or(0, |socket| socket.life);
        let reading = Reading { ticket, topic, purpose, live, stage, start, sent, life_then };
        connection.readings.get_or_insert_default().list.push(reading);
        self.ask(slot);
    }

    /// A subscription that begins with what is live waits for a replay of its topic that is under way.
    pub(super) fn wait_for_replay(&mut self, slot: usize, index: u32) {
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get_mut(index)) else {
            return;
        };
        let (Filter::Topic(topic), Some(readings)) = (&socket.filter, &mut connection.readings) else {
            return;
        };
        let live = Live { index, reached: socket.seq, splice: socket.seq };
        if readings.join(topic, live) && hold(connection, socket, index) {
            self.counts.lagging_changed(1);
        }
    }

    /// Sends a part of a topic again: what is live waits meanwhile, where the topic is subscribed to.
    pub(super) fn replay(&mut self, slot: usize, id: Option<Id>, topic: Topic, from: Seq, to: Option<Seq>) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let readings = connection.readings.get_or_insert_default();
        let again = readings.list.iter().any(|reading| reading.topic == topic);
        let apart = readings.list.iter().filter(|reading| reading.live.is_none()).count();
        if again || apart >= REPLAYS {
            event::error(
                &mut connection.outbox,
                id.as_ref(),
                ErrorCode::LimitExceeded,
                ONE_AT_A_TIME,
                Some(topic.as_str()),
                Some(true),
            );
            self.counts.error(ErrorCode::LimitExceeded);
            self.owing.push(slot);
            return;
        }
        let start = Start::After(from.saturating_sub(1));
        let held = |index: &u32| connection.held.iter().any(|held| held.socket == *index);
        let index = self.table.find(topic.as_str()).filter(held);
        let Some((index, socket)) = index.and_then(|index| Some((index, self.table.get(index)?))) else {
            let purpose = Purpose::Replay { id, from, to, complete: true };
            return self.read(slot, topic, purpose, None, start);
        };
        if !socket.recoverable {
            let code = ErrorCode::HistoryUnavailable;
            return self.error(slot, id.as_ref(), code, NO_HISTORY, Some(topic.as_str()));
        }
        let reached = self.reached(slot, index);
        let to = Some(to.map_or(reached, |to| to.min(reached)));
        let purpose = Purpose::Replay { id, from, to, complete: true };
        if socket.is_acknowledged() {
            // What is live is read from history too: nothing in the log has to wait.
            return self.read(slot, topic, purpose, None, start);
        }
        self.read_before(slot, index, purpose, Live { index, reached, splice: reached }, start);
    }

    /// The position of a subscription: what it has not been sent yet has larger numbers.
    pub(super) fn reached(&self, slot: usize, index: u32) -> Seq {
        let Some((connection, socket)) = self.connections.get(slot).zip(self.table.get(index)) else {
            return 0;
        };
        if let Some(ledger) = connection.ledgers.iter().find(|ledger| ledger.index == index) {
            return ledger.sent();
        }
        let mut readings = connection.readings.iter().flat_map(|readings| &readings.list);
        let reading = readings.find(|reading| reading.live.is_some_and(|live| live.index == index));
        match reading {
            Some(Reading { purpose: Purpose::Replay { .. }, live: Some(live), .. }) => live.reached,
            Some(reading) => reading.sent,
            None => {
                let held = connection.held.iter().find(|held| held.socket == index);
                held.map_or(socket.seq, |held| position(socket, held.place))
            }
        }
    }

    /// Asks for what there is room for. What the control plane does not take now is asked for in the next tick.
    fn ask(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let id = connection.id(slot);
        while let Some(reading) = connection.readings.as_mut().and_then(|readings| readings.next()) {
            let (ticket, topic, start, until) =
                (reading.ticket, reading.topic.clone(), reading.start, reading.until());
            let request = Request::History { shard: self.shard, connection: id, ticket, topic, start, until };
            if self.control.request(request).is_err() {
                self.unasked.push(slot);
                return;
            }
            reading.stage = Stage::Asked(until);
        }
    }

    /// Asks again where there was no room.
    pub(super) fn ask_again(&mut self) {
        for slot in std::mem::take(&mut self.unasked) {
            if let Some(connection) = self.connections.get_mut(slot)
                && let Some(readings) = &mut connection.readings
            {
                readings.forgive();
            }
            self.ask(slot);
        }
    }

    /// The backbone has answered.
    pub(super) fn history(&mut self, id: ConnectionId, ticket: u32, result: Result<Arc<Page>, HistoryError>) {
        let Some(slot) = self.slot(id) else { return };
        // Other rules may hold since it was asked for.
        self.judge_first(slot);
        if self.slot(id).is_none() {
            return;
        }
        match result {
            Ok(page) => self.begin_page(slot, ticket, page),
            Err(error) => self.unreadable(slot, ticket, &error),
        }
        self.ask(slot);
        // What is there goes out now, if the socket takes it.
        self.writable(slot);
    }

    fn begin_page(&mut self, slot: usize, ticket: u32, page: Arc<Page>) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let acknowledges = connection.acknowledges();
        let Some(reading) = connection.readings.as_mut().and_then(|readings| readings.get(ticket)) else {
            return;
        };
        let Stage::Asked(until) = reading.stage else { return };
        let socket = reading.live.and_then(|live| self.table.get(live.index));
        // A ledger passes over what the log tells of that.
        let outdated = acknowledges && socket.is_some_and(|socket| reading.is_outdated(socket));
        let page = if outdated { Arc::new(Page::of_another_life()) } else { page };
        let (mut after, lost) = (page.after, page.lost.and_then(|lost| lost.within(until)));
        if let Some(live) =
            reading.live.filter(|_| !matches!(reading.start, Start::After(_)) || is_anew(lost))
        {
            // The topic's newest message may still be on its way here: it will come live.
            after = after.min(live.splice);
        }
        // What is gone counts as passed.
        reading.sent = lost.and_then(|lost| lost.between).map_or(after, |(_, last)| last.max(after));
        // What was asked for up to there was of another life.
        let until = if is_anew(lost) { Some(after) } else { until };
        if let Some(live) = reading.live.as_mut().filter(|_| is_anew(lost)) {
            live.splice = after;
        }
        reading.stage = Stage::Sending(until, page, 0);
        let index = reading.live.map(|live| live.index);
        match std::mem::replace(&mut reading.purpose, Purpose::Continue) {
            Purpose::Subscribe { id, wanted } => {
                let topic = reading.topic.clone();
                let foreign = self.is_foreign(&wanted);
                if let Some(index) = index {
                    self.came_ahead(slot, index, after);
                    let missing = Some(Missing::of(lost, foreign));
                    self.subscribed(slot, index, id.as_ref(), after, missing, Some(wanted));
                    if let Some(between @ Some(_)) = lost.filter(|_| foreign).map(|lost| lost.between) {
                        self.tell_gap(slot, &topic, between, GapReason::Expired);
                    }
                    if self.is_accounted(slot, index) {
                        return self.hand_to_ledger(slot, index, lost.and_then(|lost| lost.between), after);
                    }
                }
            }
            Purpose::Deliver => {
                reading.purpose = Purpose::Deliver;
                let topic = reading.topic.clone();
                let ledger = index.and_then(|index| connection.ledger(index));
                match (ledger, lost.map(|lost| lost.between)) {
                    (Some(ledger), Some(Some((_, end)))) => ledger.skip_to(end),
                    (Some(ledger), Some(None)) => ledger.begin_anew(after),
                    _ => {}
                }
                if let Some(lost) = lost {
                    self.tell_gap(slot, &topic, lost.between, GapReason::Expired);
                }
            }
            Purpose::Continue => {
                if let Some(lost) = lost {
                    let topic = reading.topic.clone();
                    self.tell_gap(slot, &topic, lost.between, GapReason::Expired);
                }
            }
            Purpose::Replay { id, from, to, complete } => {
                let complete = complete && lost.is_none();
                reading.purpose = Purpose::Replay { id, from, to, complete };
                if let Some(between @ Some(_)) = lost.map(|lost| lost.between) {
                    let topic = reading.topic.clone();
                    self.tell_gap(slot, &topic, between, GapReason::Expired);
                }
            }
        }
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.lag().wait_for(Turn::History(ticket));
        }
    }

    /// The backbone cannot be read: the command is told so. A subscription that is under way reads again later: what
    /// is live waits for it, and what the window has no room for meanwhile is read as well.
    fn unreadable(&mut self, slot: usize, ticket: u32, error: &HistoryError) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Some(readings) = connection.readings.as_mut() else { return };
        if let (HistoryError::Unavailable(_), Some(reading)) = (error, readings.get(ticket))
            && matches!(reading.purpose, Purpose::Continue)
        {
            reading.stage = Stage::Failed;
            self.unasked.push(slot);
            return;
        }
        let Some(reading) = readings.take(ticket) else { return };
        let Reading { topic, purpose, live, sent, .. } = reading;
        let code = match error {
            HistoryError::None(_) => ErrorCode::HistoryUnavailable,
            HistoryError::Unavailable(_) => ErrorCode::BackboneUnavailable,
        };
        let (reason, name) = (error.to_string(), Some(topic.as_str()));
        match purpose {
            Purpose::Subscribe { id, .. } => {
                self.error(slot, id.as_ref(), code, &reason, name);
                if let Some(live) = live {
                    self.detach(slot, live.index);
                }
            }
            // It is read again in a moment.
            Purpose::Deliver => {}
            Purpose::Continue => {
                if let Some(live) = live {
                    if sent < live.splice {
                        self.tell_gap(slot, &topic, Some((sent + 1, live.splice)), GapReason::Backbone);
                    }
                    self.go_live(slot, live.index);
                }
            }
            Purpose::Replay { id, .. } => {
                self.error(slot, id.as_ref(), code, &reason, name);
                self.after_replay(slot, live);
            }
        }
    }

    /// A subscription that has waited for a replay goes on: with history again, if its window was too small.
    fn after_replay(&mut self, slot: usize, live: Option<Live>) {
        match live {
            Some(live) if live.reached < live.splice => {
                self.read_before(slot, live.index, Purpose::Continue, live, Start::After(live.reached));
            }
            Some(live) => self.go_live(slot, live.index),
            None => {}
        }
    }

    pub(super) fn tell_gap(
        &mut self,
        slot: usize,
        topic: &Topic,
        between: Option<(Seq, Seq)>,
        reason: GapReason,
    ) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let (first, last) = between.unzip();
        event::gap(&mut connection.outbox, topic.as_str(), first, last, reason);
        self.counts.gap(reason);
        self.owing.push(slot);
    }

    /// Puts a share of a page on its way. To be called when nothing else is half sent.
    pub(super) fn send_history(&mut self, slot: usize, ticket: u32) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Some(lag) = &mut connection.lag else { return };
        let reading = connection.readings.as_mut().and_then(|readings| readings.get(ticket));
        let Some(reading) = reading else {
            lag.pending.pop_front();
            return;
        };
        let accounted = matches!(reading.purpose, Purpose::Deliver);
        let index = reading.live.filter(|_| accounted).map(|live| live.index);
        let seconds = index.and_then(|index| self.table.get(index)?.ack_seconds);
        let ledger = connection.ledgers.iter_mut().find(|ledger| Some(ledger.index) == index);
        let before = lag.carry.len();
        let (messages, rest) = reading.put(ledger, self.now.ms + ack_within(seconds), lag);
        self.counts.delivered(messages, (lag.carry.len() - before) as u64);
        match rest {
            Rest::Some => lag.pending.rotate_left(1),
            Rest::Waits => drop(lag.pending.pop_front()),
            Rest::None { read, more } => {
                lag.pending.pop_front();
                self.end_page(slot, ticket, read, more);
            }
        }
    }

    /// A page is sent: on to the next one, or done.
    fn end_page(&mut self, slot: usize, ticket: u32, read: Option<Seq>, more: bool) {
        let Some(readings) = self.connections.get_mut(slot).and_then(|one| one.readings.as_mut()) else {
            return;
        };
        let Some(reading) = readings.get(ticket) else { return };
        // A topic that is not subscribed to may end before that.
        if !more && let Some(read) = read.filter(|_| reading.live.is_some()) {
            reading.sent = reading.sent.max(read);
        }
        if more || reading.until() != read {
            reading.start = Start::After(reading.sent);
            reading.stage = Stage::Queued;
        } else if let Some(Reading { topic, purpose, live, sent, .. }) = readings.take(ticket) {
            self.end_reading(slot, &topic, purpose, live, sent);
        }
        self.ask(slot);
    }

    fn end_reading(&mut self, slot: usize, topic: &Topic, purpose: Purpose, live: Option<Live>, sent: Seq) {
        match (purpose, live) {
            (Purpose::Replay { id, from, to, complete }, live) => {
                // How far a topic that is not subscribed to goes, only its messages tell.
                let end = to.filter(|_| live.is_some()).unwrap_or(sent);
                self.replayed(slot, id.as_ref(), topic, (from, end), complete);
                self.after_replay(slot, live);
            }
            (Purpose::Deliver, Some(live)) => {
                let connection = self.connections.get_mut(slot);
                if let Some(ledger) = connection.and_then(|connection| connection.ledger(live.index)) {
                    ledger.reached(sent);
                }
                self.pump(slot, live.index);
            }
            (Purpose::Subscribe { .. } | Purpose::Continue, Some(live)) => self.go_live(slot, live.index),
            (_, None) => {}
        }
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.readings.take_if(|readings| readings.list.is_empty());
        }
    }

    pub(super) fn replayed(
        &mut self,
        slot: usize,
        id: Option<&Id>,
        topic: &Topic,
        (from, to): (Seq, Seq),
        complete: bool,
    ) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let to = to.max(from.saturating_sub(1));
        event::replayed(&mut connection.outbox, id, topic.as_str(), from, to, complete);
        self.owing.push(slot);
    }

    /// A client that has seen more elsewhere than has come here yet is not sent that again when it comes.
    fn came_ahead(&mut self, slot: usize, index: u32, position: Seq) {
        let Some((connection, socket)) = self.connections.get(slot).zip(self.table.get_mut(index)) else {
            return;
        };
        let place = connection.held.iter().find(|held| held.socket == index).map(|held| held.place as usize);
        if let Some(subscriber) = place.and_then(|place| socket.subscribers.get_mut(place)) {
            subscriber.seen = position;
        }
    }

    /// A subscription whose beginning is known now is sent as its ledger says.
    fn hand_to_ledger(&mut self, slot: usize, index: u32, lost: Option<(Seq, Seq)>, after: Seq) {
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get_mut(index)) else {
            return;
        };
        if let Some(readings) = &mut connection.readings {
            readings.forget(index);
        }
        let place = connection.held.iter().find(|held| held.socket == index).map(|held| held.place as usize);
        let head = socket.log.head();
        if let Some(subscriber) = place.and_then(|place| socket.subscribers.get_mut(place)) {
            subscriber.cursor = head;
            if std::mem::take(&mut subscriber.behind) {
                socket.behind -= 1;
                self.counts.lagging_changed(-1);
            }
        }
        if socket.behind == 0 && socket.job.is_none() {
            socket.log.clear(&mut self.pool);
        }
        self.begin_ledger(slot, index, lost.map_or(after, |(_, last)| last));
    }

    /// Everything before is sent: the subscription goes on with what the log has kept for it.
    fn go_live(&mut self, slot: usize, index: u32) {
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.lag().wait_for(Turn::Live(index));
        }
    }
}

/// Has the log keep what is live for a subscriber that reads history; `true` if it was not behind before.
fn hold<S>(connection: &Connection<S>, socket: &mut SubSocket, index: u32) -> bool {
    let held = connection.held.iter().find(|held| held.socket == index);
    let subscriber = held.and_then(|held| socket.subscribers.get_mut(held.place as usize));
    let Some(subscriber) = subscriber.filter(|subscriber| !subscriber.behind) else { return false };
    subscriber.behind = true;
    socket.behind += 1;
    true
}

/// Number of the last message before a subscriber's next one.
fn position(socket: &SubSocket, place: u32) -> Seq {
    let cursor = socket.subscribers.get(place as usize).map_or(0, |subscriber| subscriber.cursor);
    let ahead = socket.log.sequences(socket.log.boundary(cursor), socket.log.head());
    ahead.map_or(socket.seq, |(next, _)| next.saturating_sub(1))
}

/// Whether the position asked for was of an earlier life of the topic.
fn is_anew(lost: Option<Lost>) -> bool {
    lost.is_some_and(|lost| lost.between.is_none())
}

const NO_HISTORY: &str = "this topic has no history here: nothing of it can be sent again";
const ONE_AT_A_TIME: &str =
    "history of this topic, or of too many, is on its way to this connection: wait until it is there";
