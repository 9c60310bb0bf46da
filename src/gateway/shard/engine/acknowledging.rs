//! Topics that are delivered at least once: each subscriber is sent what its ledger says, out of history.
//!
//! What is live only wakes the subscribers; the messages themselves are read as history is. So the first attempt, the
//! next one and what a `resume` brings are one and the same way.

use super::{
    Control, Engine, Socket,
    connection::Turn,
    ledger::Ledger,
    reading::{Live, Purpose},
};
use crate::{
    api::{Filter, Seq},
    gateway::{history::Start, protocol::session::Acknowledged},
};

impl<S: Socket, C: Control> Engine<S, C> {
    /// Keeps account of a subscription from this position on.
    pub(super) fn begin_ledger(&mut self, slot: usize, index: u32, position: Seq) {
        let newest = self.table.get(index).map_or(position, |socket| socket.seq);
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.ledgers.push(Ledger::new(index, position, newest));
        }
        self.pump(slot, index);
    }

    /// Reads what is to be sent next, unless that is under way.
    pub(super) fn pump(&mut self, slot: usize, index: u32) {
        let Some((connection, socket)) = self.connections.get_mut(slot).zip(self.table.get(index)) else {
            return;
        };
        let Filter::Topic(topic) = &socket.filter else { return };
        let Some(ledger) = connection.ledger(index) else { return };
        let (sent, newest) = (ledger.sent(), socket.seq);
        if !ledger.has_room() || sent >= newest {
            return;
        }
        let under_way = connection.readings.as_mut().is_some_and(|readings| readings.live(index).is_some());
        if under_way {
            return;
        }
        let live = Live { index, reached: sent, splice: newest };
        let topic = topic.clone();
        self.read(slot, topic, Purpose::Deliver, Some(live), Start::After(sent));
    }

    /// A client has processed something.
    pub(super) fn acknowledge(&mut self, slot: usize, acknowledged: &Acknowledged) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let mut touched = Vec::new();
        for ledger in connection.ledgers.iter_mut() {
            let Some(socket) = self.table.get(ledger.index) else { continue };
            let due = self.now.ms + ack_within(socket.ack_seconds);
            let is_meant = |topic: &str| topic == socket.filter.as_str();
            match acknowledged {
                Acknowledged::Message { id, topic } if topic.as_deref().is_none_or(is_meant) => {
                    ledger.acknowledge(id, due);
                }
                Acknowledged::UpTo { topic, seq } if is_meant(topic) => ledger.acknowledge_up_to(*seq, due),
                _ => continue,
            }
            touched.push(ledger.index);
        }
        for index in touched {
            self.go_on_sending(slot, index);
        }
    }

    /// There may be room again for what has been read, or for more.
    fn go_on_sending(&mut self, slot: usize, index: u32) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let ready = connection.readings.as_mut().and_then(|readings| readings.sending(index));
        match ready {
            Some(ticket) => {
                connection.lag().wait_for(Turn::History(ticket));
                self.writable(slot);
            }
            None => self.pump(slot, index),
        }
    }

    /// Sends again what has not been acknowledged in time, and asks again for what could not be read.
    pub(super) fn look_after_ledgers(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let mut indices = Vec::with_capacity(connection.ledgers.len());
        for ledger in connection.ledgers.iter_mut() {
            indices.push(ledger.index);
            if let Some(again) = ledger.go_back(self.now.ms) {
                self.counts.redelivered(again as u64);
                if let Some(readings) = &mut connection.readings {
                    readings.forget_deliveries(ledger.index);
                }
            }
        }
        for index in indices {
            self.pump(slot, index);
        }
    }
}

/// Milliseconds that an acknowledgement may take.
pub(super) fn ack_within(seconds: Option<u32>) -> u64 {
    u64::from(seconds.unwrap_or(0)) * 1000
}
