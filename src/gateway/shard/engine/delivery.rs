//! Topics whose `delivery` changes while they are subscribed to.

use super::{Control, Engine, Socket, connection::Connection, reading::Purpose};
use crate::{
    api::Seq,
    gateway::{history::Start, protocol::session::CatchUp},
};

impl<S: Socket, C: Control> Engine<S, C> {
    /// Has the subscriptions that were begun under another `delivery` begin anew, each behind what it has been sent: the
    /// client is told `subscribed` with that position, and misses nothing.
    pub(super) fn follow_delivery(&mut self) {
        let mut others = Vec::new();
        for (slot, connection) in &self.connections {
            for held in &connection.held {
                let accounted = connection.ledgers.iter().any(|ledger| ledger.index == held.socket);
                if accounted != self.is_accounted(slot, held.socket) && !is_beginning(connection, held.socket)
                {
                    others.push((slot, held.socket));
                }
            }
        }
        for (slot, index) in others {
            self.begin_anew_behind(slot, index);
        }
    }

    fn begin_anew_behind(&mut self, slot: usize, index: u32) {
        let position = self.all_sent_up_to(slot, index);
        let Some(filter) = self.table.get(index).map(|socket| socket.filter.clone()) else { return };
        self.end_readings(slot, index);
        self.detach(slot, index);
        let wanted = CatchUp { start: Start::After(position), resumed: true, epoch: self.epoch };
        self.subscribe(slot, None, filter, Some(wanted));
        self.owing.push(slot);
    }

    /// The position up to which a subscription has been sent everything at least once.
    fn all_sent_up_to(&self, slot: usize, index: u32) -> Seq {
        let Some(connection) = self.connections.get(slot) else { return 0 };
        if let Some(ledger) = connection.ledgers.iter().find(|ledger| ledger.index == index) {
            return ledger.highest();
        }
        // What was missed and not told yet is in the stream.
        let missed = connection.lag.as_ref().and_then(|lag| lag.missed_from(index));
        self.reached(slot, index).min(missed.map_or(Seq::MAX, |first| first.saturating_sub(1)))
    }
}

/// Whether a subscription has not begun yet: it does so as its topic is then.
fn is_beginning<S>(connection: &Connection<S>, index: u32) -> bool {
    let mut readings = connection.readings.iter().flat_map(|readings| &readings.list);
    readings.any(|reading| {
        matches!(reading.purpose, Purpose::Subscribe { .. })
            && reading.live.is_some_and(|live| live.index == index)
    })
}
