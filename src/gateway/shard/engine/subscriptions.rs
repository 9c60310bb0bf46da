//! Subscriptions: wanted of the backbone with the first subscriber, released with the last.

use super::{
    Control, Engine, Socket, UNTOLD,
    connection::Held,
    table::{SubSocket, Waiting},
};
use crate::{
    api::{Filter, Seq},
    gateway::{
        backbone::InterestChange,
        protocol::{ErrorCode, command::Id, event, session::Session},
        shard::inbox::ConnectionId,
    },
};

impl<S: Socket, C: Control> Engine<S, C> {
    /// Subscribes a connection that may. Answered at once where the topic is in force here or held already,
    /// else when the backbone says so.
    pub(super) fn subscribe(&mut self, slot: usize, id: Option<Id>, filter: Filter) {
        let Some(index) = self.table.find(filter.as_str()) else {
            self.subscribe_first(slot, id, filter);
            return;
        };
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get_mut(index)) else {
            return;
        };
        if socket.in_force {
            self.attach(slot, index, id.as_ref());
        } else {
            connection.waiting += 1;
            socket.waiting.push(Waiting { connection: connection.id(slot), id });
        }
    }

    fn subscribe_first(&mut self, slot: usize, id: Option<Id>, filter: Filter) {
        if self.untold.len() >= UNTOLD {
            let reason = "the gateway is busy with other subscribes: try again";
            self.error(slot, id.as_ref(), ErrorCode::BackboneUnavailable, reason, Some(filter.as_str()));
            return;
        }
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.waiting += 1;
        self.epoch = self.epoch.wrapping_add(1);
        let waiting = vec![Waiting { connection: connection.id(slot), id }];
        let count = self.registry.enter(filter.shared());
        let policy = self.settings.policy(&filter);
        self.table.insert(SubSocket::new(filter.clone(), policy, waiting, self.epoch, count));
        self.tell(InterestChange { filter, shard: self.shard, epoch: self.epoch, wanted: true });
    }

    /// The backbone delivers from now on: everybody who waits begins here.
    pub(super) fn in_force(&mut self, filter: &Filter, epoch: u32, seq: Seq) {
        let Some((index, waiting)) = self.answered(filter, epoch) else { return };
        if let Some(socket) = self.table.get_mut(index) {
            socket.in_force = true;
            socket.seq = socket.seq.max(seq);
        }
        for Waiting { connection, id } in waiting {
            if let Some(slot) = self.slot(connection) {
                self.attach(slot, index, id.as_ref());
            }
        }
        self.release_unused(index);
    }

    /// The backbone cannot deliver: everybody who waits is told.
    pub(super) fn refused(&mut self, filter: &Filter, epoch: u32, reason: &str) {
        let Some((index, waiting)) = self.answered(filter, epoch) else { return };
        for Waiting { connection, id } in waiting {
            if let Some(slot) = self.slot(connection) {
                self.error(slot, id.as_ref(), ErrorCode::BackboneUnavailable, reason, Some(filter.as_str()));
            }
        }
        // The backbone has forgotten the interest itself.
        if self.table.remove(index).is_some() {
            self.registry.leave(filter.shared());
        }
    }

    /// Takes out who waits for the answer with this epoch; an answer to an earlier request is nobody's.
    fn answered(&mut self, filter: &Filter, epoch: u32) -> Option<(u32, Vec<Waiting>)> {
        let index = self.table.find(filter.as_str())?;
        let socket = self.table.get_mut(index)?;
        if socket.in_force || socket.epoch != epoch {
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

    /// Makes the connection a subscriber, if it is not, and says so.
    fn attach(&mut self, slot: usize, index: u32, id: Option<&Id>) {
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get_mut(index)) else {
            return;
        };
        if !connection.is_open() {
            return;
        }
        if !connection.held.iter().any(|held| held.socket == index) {
            let place = socket.add(u32::try_from(slot).unwrap_or(u32::MAX));
            connection.held.push(Held { socket: index, place });
        }
        if connection.topic.as_deref() == Some(socket.filter.as_str()) {
            connection.topic = None;
        }
        event::subscribed(&mut connection.outbox, id, socket.filter.as_str(), socket.seq, false);
        self.owing.push(slot);
        self.look_for_overlap(slot);
    }

    /// Ends a subscription, or one that still waits, and says so.
    pub(super) fn unsubscribe(&mut self, slot: usize, id: Option<&Id>, filter: &Filter) {
        if let Some(index) = self.table.find(filter.as_str()) {
            self.answer_waiting(slot, index);
            self.detach(slot, index);
            self.look_for_overlap(slot);
        }
        if let Some(connection) = self.connections.get_mut(slot) {
            event::unsubscribed(&mut connection.outbox, id, filter.as_str());
            self.owing.push(slot);
        }
    }

    /// A subscribe that waits and is taken back is answered too: every command is, exactly once.
    fn answer_waiting(&mut self, slot: usize, index: u32) {
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get_mut(index)) else {
            return;
        };
        let own = connection.id(slot);
        for waiting in socket.waiting.extract_if(.., |waiting| waiting.connection == own) {
            connection.waiting -= 1;
            event::subscribed(
                &mut connection.outbox,
                waiting.id.as_ref(),
                socket.filter.as_str(),
                socket.seq,
                false,
            );
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
            InterestChange { filter: socket.filter, shard: self.shard, epoch: socket.epoch, wanted: false };
        self.tell(change);
    }

    /// Ends the subscriptions for which a new token or policy gives no right.
    pub(super) fn check_rights(&mut self, slot: usize) {
        let Some(connection) = self.connections.get(slot) else { return };
        let filters = connection.held.iter().filter_map(|held| self.table.get(held.socket));
        let lost: Vec<_> = filters
            .map(|socket| socket.filter.clone())
            .filter(|filter| !may_subscribe(&connection.session, filter))
            .collect();
        for filter in lost {
            if let Some(index) = self.table.find(filter.as_str()) {
                self.detach(slot, index);
            }
            let reason = "the right to this topic has ended";
            self.error(slot, None, ErrorCode::AclDenied, reason, Some(filter.as_str()));
        }
        self.look_for_overlap(slot);
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

fn may_subscribe(session: &Session, filter: &Filter) -> bool {
    session.identity().is_some_and(|identity| identity.grants.may_subscribe(filter))
}
