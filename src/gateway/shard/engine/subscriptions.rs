//! Subscriptions: wanted of the backbone with the first subscriber, released with the last.

use super::{
    Control, Engine, Socket, UNTOLD,
    connection::{Connection, Held},
    reading::{Purpose, Reading},
    table::{SubSocket, Waiting},
};
use crate::{
    api::{Filter, Seq},
    gateway::{
        backbone::InterestChange,
        history::{Lost, Start},
        log::{Mark, Missed},
        metrics::Resumed,
        planted::{Flaw, planted},
        protocol::{
            ErrorCode, GapReason,
            command::Id,
            event,
            session::{CatchUp, Session},
        },
        shard::inbox::ConnectionId,
    },
};

/// What of a topic's history will not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Nothing,
    Something(Missed),
}

impl Missing {
    /// What history lacks; `foreign`: what was asked for is of another epoch, so nobody can say what is gone.
    pub(super) fn of(lost: Option<Lost>, foreign: bool) -> Self {
        match lost {
            _ if foreign => Self::Something(Missed::default()),
            Some(Lost { between }) => Self::Something(Missed { sequences: between }),
            None => Self::Nothing,
        }
    }
}

pub(super) const RIGHT_ENDED: &str = "the right to this topic has ended";
const NO_HISTORY: &str = "this topic has no history here: subscribe without `fromSeq` and `last`";

impl<S: Socket, C: Control> Engine<S, C> {
    /// Subscribes a connection that may. Answered at once where the topic is in force here or held already,
    /// else when the backbone says so.
    pub(super) fn subscribe(
        &mut self,
        slot: usize,
        id: Option<Id>,
        filter: Filter,
        catch_up: Option<CatchUp>,
    ) {
        let Some(index) = self.table.find(filter.as_str()) else {
            self.subscribe_first(slot, id, filter, catch_up);
            return;
        };
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get_mut(index)) else {
            return;
        };
        if socket.is_ready() {
            self.attach(slot, index, id, catch_up);
            self.release_unused(index);
        } else {
            connection.waiting += 1;
            socket.waiting.push(Waiting { connection: connection.id(slot), id, catch_up });
        }
    }

    fn subscribe_first(&mut self, slot: usize, id: Option<Id>, filter: Filter, catch_up: Option<CatchUp>) {
        if self.untold.len() >= UNTOLD {
            let reason = "the gateway is busy with other subscribes: try again";
            self.error(slot, id.as_ref(), ErrorCode::BackboneUnavailable, reason, Some(filter.as_str()));
            return;
        }
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.waiting += 1;
        self.ticket = self.ticket.wrapping_add(1);
        let waiting = vec![Waiting { connection: connection.id(slot), id, catch_up }];
        let count = self.registry.enter(filter.shared());
        let rule = self.settings.rule(&filter);
        self.table.insert(SubSocket::new(filter.clone(), rule, waiting, self.ticket, count));
        self.tell(InterestChange { filter, shard: self.shard, ticket: self.ticket, wanted: true });
    }

    /// The backbone delivers from now on: everybody who waits begins here. Said again of what is in force, it is
    /// about another backbone.
    pub(super) fn in_force(&mut self, filter: &Filter, ticket: u32, seq: Seq, recoverable: bool) {
        let Some(index) = self.table.find(filter.as_str()) else { return };
        let Some(socket) = self.table.get_mut(index).filter(|socket| socket.ticket == ticket) else { return };
        socket.seq = if socket.in_force { seq } else { socket.seq.max(seq) };
        socket.recoverable = recoverable;
        let Some((index, waiting)) = self.answered(filter, ticket) else { return };
        if let Some(socket) = self.table.get_mut(index) {
            (socket.in_force, socket.unplaced) = (true, false);
        }
        for Waiting { connection, id, catch_up } in waiting {
            if let Some(slot) = self.slot(connection) {
                self.judge_first(slot);
                self.attach(slot, index, id, catch_up);
            }
        }
        self.release_unused(index);
    }

    /// The backbone cannot deliver: everybody who waits is told.
    pub(super) fn refused(&mut self, filter: &Filter, ticket: u32, reason: &str) {
        let Some((index, waiting)) = self.answered(filter, ticket) else { return };
        for Waiting { connection, id, .. } in waiting {
            if let Some(slot) = self.slot(connection) {
                self.error(slot, id.as_ref(), ErrorCode::BackboneUnavailable, reason, Some(filter.as_str()));
            }
        }
        // The backbone has forgotten the interest itself.
        if self.table.get(index).is_some_and(SubSocket::is_unused) && self.table.remove(index).is_some() {
            self.registry.leave(filter.shared());
        }
    }

    /// Takes out who waits for the answer with this ticket; an answer to an earlier request is nobody's.
    fn answered(&mut self, filter: &Filter, ticket: u32) -> Option<(u32, Vec<Waiting>)> {
        let index = self.table.find(filter.as_str())?;
        let socket = self.table.get_mut(index)?;
        if socket.is_ready() || socket.ticket != ticket {
            return None;
        }
        let waiting = std::mem::take(&mut socket.waiting);
        for waiting in &waiting {
            if let Some(slot) = self.slot(waiting.connection) {
                self.connections[slot].waiting -= 1;
            }
        }
        Some((index, waiting))
    }

    /// Makes the connection a subscriber, if it is not, and says so; or lets it read what was before first.
    fn attach(&mut self, slot: usize, index: u32, id: Option<Id>, catch_up: Option<CatchUp>) {
        let catch_up = catch_up.map(|wanted| self.within(wanted));
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get_mut(index)) else {
            return;
        };
        if !connection.is_open() {
            return;
        }
        if !may_subscribe(&connection.session, &socket.filter) {
            // The rules or the token have changed since it was asked for.
            let filter = socket.filter.clone();
            return self.error(slot, id.as_ref(), ErrorCode::AclDenied, RIGHT_ENDED, Some(filter.as_str()));
        }
        let held = connection.held.iter().any(|held| held.socket == index);
        let catch_up = catch_up.filter(|_| !held);
        if !socket.recoverable && catch_up.is_some_and(|catch_up| !catch_up.resumed) {
            let filter = socket.filter.clone();
            let code = ErrorCode::HistoryUnavailable;
            return self.error(slot, id.as_ref(), code, NO_HISTORY, Some(filter.as_str()));
        }
        if !held {
            let place = socket.add(u32::try_from(slot).unwrap_or(u32::MAX));
            connection.held.push(Held { socket: index, place });
        }
        if connection.topic.as_deref() == Some(socket.filter.as_str()) {
            connection.topic = None;
        }
        let recoverable = socket.recoverable;
        let seq = match catch_up {
            _ if held => self.reached(slot, index),
            None => self.unsent_by_patterns(slot, index),
            Some(_) => socket.seq,
        };
        match catch_up {
            // The usual end of a short interruption.
            Some(wanted @ CatchUp { start: Start::After(position), .. })
                if recoverable && position == seq && !self.is_foreign(&wanted) =>
            {
                self.subscribed(slot, index, id.as_ref(), seq, Some(Missing::Nothing), catch_up);
            }
            Some(wanted) if recoverable => self.catch_up(slot, index, id, wanted),
            Some(_) => {
                let all = Some(Missing::Something(Missed::default()));
                self.subscribed(slot, index, id.as_ref(), seq, all, catch_up);
            }
            None => self.subscribed(slot, index, id.as_ref(), seq, None, None),
        }
        let read_first =
            catch_up.is_some_and(|wanted| wanted.start != Start::After(seq) || self.is_foreign(&wanted));
        if !held && !read_first {
            if self.is_accounted(slot, index) {
                self.begin_ledger(slot, index, seq);
            } else {
                self.wait_for_replay(slot, index);
            }
        }
        self.look_for_overlap(slot);
    }

    /// Whether a client comes with a position of another epoch than numbers are of now.
    pub(super) fn is_foreign(&self, wanted: &CatchUp) -> bool {
        wanted.is_foreign(self.epoch) && !planted(Flaw::ResumeBeyondHead)
    }

    /// The same by the numbers of now: from their beginning on, where the position is of others.
    fn within(&self, wanted: CatchUp) -> CatchUp {
        if self.is_foreign(&wanted) { CatchUp { start: Start::After(0), ..wanted } } else { wanted }
    }

    /// The position behind which everything of a topic is still to be sent to a connection that holds patterns, too.
    fn unsent_by_patterns(&self, slot: usize, index: u32) -> Seq {
        let Some((connection, socket)) = self.connections.get(slot).zip(self.table.get(index)) else {
            return 0;
        };
        let unsent = connection.held.iter().filter_map(|held| {
            let pattern = self.table.get(held.socket).filter(|_| held.socket != index)?;
            let from = pattern.log.boundary(pattern.subscribers.get(held.place as usize)?.cursor);
            let own = |mark: &&Mark| mark.topic.as_deref() == Some(socket.filter.as_str());
            pattern.log.messages(from, pattern.log.head()).find(own)?.seq?.checked_sub(1)
        });
        unsent.fold(socket.seq, Seq::min)
    }

    /// Whether what is sent on a subscription waits for acknowledgements.
    pub(super) fn is_accounted(&self, slot: usize, index: u32) -> bool {
        self.connections.get(slot).is_some_and(Connection::acknowledges)
            && self.table.get(index).is_some_and(SubSocket::is_acknowledged)
    }

    /// Says that a subscription begins after this position, and what of what was before will not come.
    pub(super) fn subscribed(
        &mut self,
        slot: usize,
        index: u32,
        id: Option<&Id>,
        seq: Seq,
        missing: Option<Missing>,
        catch_up: Option<CatchUp>,
    ) {
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get(index)) else {
            return;
        };
        if let Some(at) = connection.held.iter().position(|held| held.socket == index)
            && socket.recoverable
            && catch_up.is_some()
        {
            // From this position on everything comes in order, whatever a pattern has sent of it before.
            connection.held[..=at].rotate_right(1);
        }
        let (out, topic) = (&mut connection.outbox, socket.filter.as_str());
        let recovered = missing.map(|missing| matches!(missing, Missing::Nothing));
        event::subscribed(out, id, topic, seq, self.epoch, socket.recoverable, recovered);
        if let Some(Missing::Something(missed)) = missing {
            let (first, last) = missed.sequences.unzip();
            event::gap(out, topic, first, last, GapReason::Expired);
            self.counts.gap(GapReason::Expired);
        }
        if catch_up.is_some_and(|catch_up| catch_up.resumed) {
            self.counts.resumed(if recovered == Some(true) { Resumed::Recovered } else { Resumed::Partial });
        }
        self.owing.push(slot);
    }

    /// Ends a subscription, or one that still waits, and says so.
    pub(super) fn unsubscribe(&mut self, slot: usize, id: Option<&Id>, filter: &Filter) {
        let mut passed_over = None;
        if let Some(index) = self.table.find(filter.as_str()) {
            self.answer_waiting(slot, index);
            passed_over = self.passed_over(slot, index);
            self.end_readings(slot, index);
            self.detach(slot, index);
            self.look_for_overlap(slot);
        }
        if let Some(connection) = self.connections.get_mut(slot) {
            event::unsubscribed(&mut connection.outbox, id, filter.as_str());
            self.owing.push(slot);
        }
        if let (Some(between), Filter::Topic(topic)) = (passed_over, filter) {
            self.tell_gap(slot, topic, Some(between), GapReason::Dropped);
        }
    }

    /// Ends a subscription without a word, since a `resume` names it: it is to go on from where the client says that it
    /// stands. So is what `/ws/sub/{topic}` has subscribed to before the client could speak.
    pub(super) fn let_go(&mut self, slot: usize, filter: &str) {
        if let Some(index) = self.table.find(filter) {
            self.answer_waiting(slot, index);
            self.end_readings(slot, index);
            self.detach(slot, index);
        }
    }

    /// What a topic that is given up has not sent yet, and a pattern that brings the topic from now on has passed over.
    fn passed_over(&self, slot: usize, index: u32) -> Option<(Seq, Seq)> {
        let (connection, socket) = self.connections.get(slot).zip(self.table.get(index))?;
        let Filter::Topic(topic) = &socket.filter else { return None };
        let brings = |held: &Held| {
            let other = self.table.get(held.socket).map(|other| &other.filter);
            matches!(other, Some(Filter::Pattern(pattern)) if pattern.matches(topic))
        };
        let begins = |reading: &Reading| {
            matches!(reading.purpose, Purpose::Subscribe { .. })
                && reading.live.is_some_and(|live| live.index == index)
        };
        let held = connection.held.iter().any(|held| held.socket == index);
        let begins = connection.readings.iter().flat_map(|readings| &readings.list).any(begins);
        if !held || begins || !connection.held.iter().any(brings) {
            return None;
        }
        let (sent, passed) = (self.reached(slot, index), self.unsent_by_patterns(slot, index));
        (sent < passed).then_some((sent + 1, passed))
    }

    /// A subscribe that waits and is taken back is answered too: every command is, exactly once. That of the URL is none.
    fn answer_waiting(&mut self, slot: usize, index: u32) {
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get_mut(index)) else {
            return;
        };
        let own = connection.id(slot);
        for waiting in socket.waiting.extract_if(.., |waiting| waiting.connection == own) {
            connection.waiting -= 1;
            let (out, topic) = (&mut connection.outbox, socket.filter.as_str());
            if connection.topic.take_if(|url| &**url == topic).is_some() {
                continue;
            }
            let (id, recoverable) = (waiting.id.as_ref(), socket.recoverable);
            event::subscribed(out, id, topic, socket.seq, self.epoch, recoverable, None);
        }
    }

    /// Takes a connection out of a sub-socket, without a word. The rest of a half-sent frame stays with the
    /// connection.
    pub(super) fn detach(&mut self, slot: usize, index: u32) {
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get_mut(index)) else {
            return;
        };
        if let Some(at) = connection.held.iter().position(|held| held.socket == index) {
            let held = connection.held.remove(at);
            let (taken, moved) = socket.take(held.place);
            if taken.behind {
                self.counts.lagging_changed(-1);
            }
            if let Some(readings) = &mut connection.readings {
                readings.forget(index);
            }
            connection.ledgers.remove(index);
            if let Some(lag) = &mut connection.lag {
                if lag.current == Some(index) {
                    lag.carry = socket.log.copy(taken.cursor, socket.log.boundary(taken.cursor));
                    lag.current = None;
                }
                lag.forget(index);
            }
            if socket.behind == 0 && socket.job.is_none() {
                socket.log.clear(&mut self.pool);
            }
            self.moved(moved, index, held.place);
        }
        self.release_unused(index);
    }

    /// Tells the connection whose subscriber was moved its new place.
    fn moved(&mut self, connection: Option<u32>, index: u32, place: u32) {
        let connection = connection.and_then(|slot| self.connections.get_mut(slot as usize));
        let held =
            connection.and_then(|connection| connection.held.iter_mut().find(|held| held.socket == index));
        if let Some(held) = held {
            held.place = place;
        }
    }

    /// Releases a sub-socket that nobody wants any more.
    fn release_unused(&mut self, index: u32) {
        if !self.table.get(index).is_some_and(SubSocket::is_unused) {
            return;
        }
        let Some(mut socket) = self.table.remove(index) else { return };
        socket.log.clear(&mut self.pool);
        if socket.job.is_some() {
            self.jobs.retain(|own| *own != index);
        }
        self.registry.leave(socket.filter.shared());
        let change =
            InterestChange { filter: socket.filter, shard: self.shard, ticket: socket.ticket, wanted: false };
        self.tell(change);
    }

    /// Ends the subscriptions for which a new token or policy gives no right.
    pub(super) fn check_rights(&mut self, slot: usize) {
        let Some(connection) = self.connections.get(slot) else { return };
        let filters = connection.held.iter().filter_map(|held| self.table.get(held.socket));
        let lost: Vec<_> = filters
            .map(|socket| socket.filter.clone())
            .filter(|filter| !may_subscribe(&connection.session, filter) && !planted(Flaw::RightOutlived))
            .collect();
        self.end_forbidden_replays(slot);
        for filter in lost {
            let mut asked = None;
            if let Some(index) = self.table.find(filter.as_str()) {
                asked = self.take_subscribe(slot, index);
                self.end_readings(slot, index);
                self.detach(slot, index);
            }
            self.error(slot, asked.as_ref(), ErrorCode::AclDenied, RIGHT_ENDED, Some(filter.as_str()));
        }
        self.look_for_overlap(slot);
    }

    /// Gives up a subscribe that waits for history, unanswered; its id, if it has one.
    fn take_subscribe(&mut self, slot: usize, index: u32) -> Option<Id> {
        let readings = self.connections.get_mut(slot)?.readings.as_mut()?;
        let waits = |reading: &Reading| {
            matches!(reading.purpose, Purpose::Subscribe { .. })
                && reading.live.is_some_and(|live| live.index == index)
        };
        let at = readings.list.iter().position(waits)?;
        let Purpose::Subscribe { id, .. } = readings.list.remove(at).purpose else { return None };
        id
    }

    /// Gives up what is read for a subscription that ends: a command that waits for it is answered all the same.
    pub(super) fn end_readings(&mut self, slot: usize, index: u32) {
        let readings = self.connections.get_mut(slot).and_then(|connection| connection.readings.as_mut());
        let Some(readings) = readings else { return };
        let of_it = |reading: &mut Reading| reading.live.is_some_and(|live| live.index == index);
        let ended: Vec<_> = readings.list.extract_if(.., of_it).collect();
        for Reading { topic, purpose, sent, .. } in ended {
            match purpose {
                Purpose::Subscribe { id, .. } => {
                    let seq = self.table.get(index).map_or(0, |socket| socket.seq);
                    self.subscribed(slot, index, id.as_ref(), seq, None, None);
                }
                Purpose::Replay { id, from, .. } => {
                    self.replayed(slot, id.as_ref(), &topic, (from, sent), false);
                }
                Purpose::Continue | Purpose::Deliver => {}
            }
        }
    }

    fn look_for_overlap(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let filters: Vec<_> = connection
            .held
            .iter()
            .filter_map(|held| self.table.get(held.socket))
            .map(|socket| &socket.filter)
            .collect();
        let any_pattern = filters.iter().any(|filter| matches!(filter, Filter::Pattern(_)));
        connection.overlap = any_pattern && filters.len() > 1;
    }

    /// The slot of a connection that is still the one meant.
    pub(super) fn slot(&self, id: ConnectionId) -> Option<usize> {
        let slot = id.slot as usize;
        let connection = self.connections.get(slot)?;
        (connection.generation == id.generation && connection.is_open()).then_some(slot)
    }
}

/// Whether whoever the client is may read this.
pub(super) fn may_subscribe(session: &Session, filter: &Filter) -> bool {
    session.identity().is_some_and(|identity| identity.grants.may_subscribe(filter))
}
