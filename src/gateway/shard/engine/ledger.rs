//! At least once: what a subscriber has been sent and has not acknowledged. Pure.
//!
//! ```text
//!        acknowledged      sent, some acknowledged     not sent yet
//!   ───────────────────┬───────────────────────────┬────────────────►
//!                    acked                        sent
//! ```
//!
//! When too much time passes without an acknowledgement of a message the cursor goes back before it, and the message is
//! sent again. What lies behind and was acknowledged for itself is not, nor what still has time. Each message has a time
//! of its own, which begins anew when everything before some number is acknowledged: whoever gets on has it for what is
//! still to come, and a message that is left out does not wait for ever while others are acknowledged.

use std::{
    collections::{BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    ops::{Deref, DerefMut},
};

use crate::{
    api::Seq,
    gateway::planted::{Flaw, planted},
};

/// Messages that one subscription may be sent without acknowledging any.
pub(super) const UNACKNOWLEDGED: usize = 256;
/// Messages that one subscription may acknowledge one by one while an earlier one is not acknowledged.
const APART: usize = 1024;

/// One subscription's acknowledgements. Bounded by [`UNACKNOWLEDGED`] and [`APART`].
#[derive(Debug)]
pub(super) struct Ledger {
    /// The sub-socket.
    pub(super) index: u32,
    acked: Seq,
    sent: Seq,
    /// The largest number ever sent: nothing beyond it can be acknowledged.
    highest: Seq,
    /// The newest number when the subscription began: what has a larger one is live.
    newest: Seq,
    /// Acknowledged beyond `acked`.
    apart: BTreeSet<Seq>,
    /// Sent and not acknowledged, in order.
    flying: VecDeque<Flying>,
}

/// The ledgers of one connection: a pointer where there are none, as nearly everywhere. At most as many as subscriptions.
#[derive(Debug, Default)]
#[allow(clippy::box_collection, reason = "a vector in place has three words, and connections are many")]
pub(super) struct Ledgers(Option<Box<Vec<Ledger>>>);

impl Ledgers {
    pub(super) fn push(&mut self, ledger: Ledger) {
        self.0.get_or_insert_default().push(ledger);
    }

    /// Ends the ledger of a sub-socket.
    pub(super) fn remove(&mut self, index: u32) {
        if let Some(ledgers) = &mut self.0 {
            ledgers.retain(|ledger| ledger.index != index);
        }
        self.0.take_if(|ledgers| ledgers.is_empty());
    }
}

impl Deref for Ledgers {
    type Target = [Ledger];

    fn deref(&self) -> &[Ledger] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl DerefMut for Ledgers {
    fn deref_mut(&mut self) -> &mut [Ledger] {
        self.0.as_deref_mut().map_or(&mut [], Vec::as_mut_slice)
    }
}

/// A message that was sent and is not acknowledged.
#[derive(Debug, Clone, Copy)]
struct Flying {
    seq: Seq,
    /// What its `messageId` hashes to.
    id: u64,
    /// Millisecond by which it must be acknowledged.
    due: u64,
}

impl Ledger {
    /// Of a subscription that begins after this position, while the topic's newest message has the number `newest`.
    pub(super) fn new(index: u32, position: Seq, newest: Seq) -> Self {
        let (acked, sent, highest) = (position, position, position);
        Self { index, acked, sent, highest, newest, apart: BTreeSet::new(), flying: VecDeque::new() }
    }

    /// Whether a message is live and was not sent before, so that its latency counts.
    pub(super) fn is_first(&self, seq: Seq) -> bool {
        seq > self.newest.max(self.highest)
    }

    /// Position behind which the next message is to be sent.
    pub(super) fn sent(&self) -> Seq {
        self.sent
    }

    /// Position up to which every message has been sent, or skipped.
    pub(super) fn highest(&self) -> Seq {
        self.highest.max(self.sent)
    }

    /// Whether another message may be sent before an acknowledgement comes. What is sent again has its room.
    pub(super) fn has_room(&self) -> bool {
        self.sent < self.highest || (self.flying.len() < UNACKNOWLEDGED && self.apart.len() < APART)
    }

    /// The next message; `false`: it is acknowledged already or still has time, and is not sent.
    pub(super) fn send(&mut self, seq: Seq, message_id: Option<&str>, due: u64) -> bool {
        self.sent = self.sent.max(seq);
        self.highest = self.highest.max(seq);
        let at = self.flying.partition_point(|flying| flying.seq < seq);
        let has_time = self.flying.get(at).is_some_and(|flying| flying.seq == seq);
        if seq <= self.acked || has_time {
            return false;
        }
        if self.apart.contains(&seq) {
            if at == 0 {
                // Nothing before it is on its way any more.
                self.pass(seq);
            }
            return false;
        }
        self.flying.insert(at, Flying { seq, id: message_id.map_or(0, hash), due });
        true
    }

    /// Everything up to this number has been processed.
    pub(super) fn acknowledge_up_to(&mut self, seq: Seq, due: u64) {
        let seq = seq.min(self.highest);
        if seq > self.acked {
            self.pass(seq);
            self.begin_time(due);
        }
    }

    /// The message with this id has been processed.
    pub(super) fn acknowledge(&mut self, message_id: &str, due: u64) {
        let id = hash(message_id);
        let Some(at) = self.flying.iter().position(|flying| flying.id == id) else { return };
        if let Some(Flying { seq, .. }) = self.flying.remove(at) {
            self.apart.insert(seq);
        }
        // Whatever was sent before the oldest one that is still on its way is acknowledged.
        let oldest = self.flying.front().map_or(self.sent, |oldest| oldest.seq - 1);
        let before = self.acked;
        self.pass(oldest.min(self.sent));
        if self.acked > before {
            self.begin_time(due);
        }
    }

    /// Up to this number there is nothing else to be sent.
    pub(super) fn reached(&mut self, seq: Seq) {
        self.sent = self.sent.max(seq);
    }

    /// These messages will not come: nobody waits for them.
    pub(super) fn skip_to(&mut self, seq: Seq) {
        self.highest = self.highest.max(seq);
        self.pass(seq);
    }

    /// Numbers begin anew after this position.
    pub(super) fn begin_anew(&mut self, position: Seq) {
        *self = Self::new(self.index, position, position);
    }

    /// Goes back to the first message that is not acknowledged in time, if there is one; returns how many will be sent
    /// again.
    pub(super) fn go_back(&mut self, now: u64) -> Option<usize> {
        let first = self.flying.iter().find(|flying| flying.due <= now)?.seq;
        let before = self.flying.len();
        self.flying.retain(|flying| flying.due > now);
        self.sent = self.sent.min(first - 1);
        Some(before - self.flying.len())
    }

    fn begin_time(&mut self, due: u64) {
        self.flying.iter_mut().for_each(|flying| flying.due = due);
    }

    fn pass(&mut self, seq: Seq) {
        self.acked = self.acked.max(seq);
        self.sent = self.sent.max(self.acked);
        self.flying.retain(|flying| flying.seq > self.acked && !planted(Flaw::RedeliveryForgotten));
        self.apart = self.apart.split_off(&(self.acked + 1));
    }
}

fn hash(message_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    message_id.hash(&mut hasher);
    // 0 stands for a message without an id.
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(numbers: &[Seq]) -> Ledger {
        let mut ledger = Ledger::new(0, 0, 0);
        for n in numbers {
            assert!(ledger.send(*n, Some(&n.to_string()), 100));
        }
        ledger
    }

    /// What is sent after going back, of what was sent.
    fn again(ledger: &mut Ledger, numbers: &[Seq]) -> Vec<Seq> {
        assert!(ledger.go_back(u64::MAX).is_some());
        let from = ledger.sent();
        let later = numbers.iter().copied().filter(|n| *n > from);
        later.filter(|n| ledger.send(*n, Some(&n.to_string()), 200)).collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again() {
        let mut ledger = sent(&[1, 3, 4, 9]);
        ledger.acknowledge_up_to(3, 100);
        assert_eq!(again(&mut ledger, &[1, 3, 4, 9]), [4, 9]);
    }

    #[test]
    fn what_is_acknowledged_for_itself_is_not_sent_again() {
        let mut ledger = sent(&[1, 3, 4, 9]);
        ledger.acknowledge("4", 100);
        assert_eq!(again(&mut ledger, &[1, 3, 4, 9]), [1, 3, 9]);
        ledger.acknowledge("1", 100);
        ledger.acknowledge("3", 100);
        assert_eq!(again(&mut ledger, &[1, 3, 4, 9]), [9]);
        assert!(ledger.apart.is_empty(), "4 is behind everything that is acknowledged");
    }

    #[test]
    fn time_begins_anew_with_progress_and_stands_still_with_nothing_on_its_way() {
        let mut ledger = sent(&[1, 2]);
        assert_eq!(ledger.go_back(99), None);
        ledger.acknowledge_up_to(1, 150);
        assert_eq!((ledger.go_back(149), ledger.go_back(150)), (None, Some(1)));
        ledger.acknowledge_up_to(2, 150);
        assert_eq!(ledger.go_back(u64::MAX), None);
    }

    #[test]
    fn a_message_that_is_left_out_comes_again_while_later_ones_are_acknowledged() {
        let mut ledger = sent(&[1]);
        for n in 2..=9 {
            assert!(ledger.send(n, Some(&n.to_string()), 100 + n));
            ledger.acknowledge(&n.to_string(), 200 + n);
        }
        assert_eq!((ledger.go_back(99), ledger.go_back(100)), (None, Some(1)));
        let later: Vec<_> = (1..=9).filter(|n| ledger.send(*n, Some(&n.to_string()), 300)).collect();
        assert_eq!(later, [1]);
    }

    #[test]
    fn what_still_has_time_is_not_sent_again_with_what_has_none() {
        let mut ledger = Ledger::new(0, 0, 0);
        for (n, due) in [(1, 100), (2, 150), (3, 100), (4, 150)] {
            assert!(ledger.send(n, None, due));
        }
        assert_eq!(ledger.go_back(100), Some(2));
        assert_eq!(ledger.sent(), 0);
        let again: Vec<_> = (1..=4).filter(|n| ledger.send(*n, None, 200)).collect();
        assert_eq!(again, [1, 3]);
        assert_eq!((ledger.go_back(149), ledger.go_back(150), ledger.sent()), (None, Some(2), 1));
        let again: Vec<_> = (2..=4).filter(|n| ledger.send(*n, None, 250)).collect();
        assert_eq!(again, [2, 4]);
    }

    #[test]
    fn what_is_acknowledged_one_by_one_behind_a_message_left_out_is_bounded() {
        let mut ledger = sent(&[1]);
        let mut n = 1;
        while ledger.has_room() {
            n += 1;
            ledger.send(n, Some(&n.to_string()), 100);
            ledger.acknowledge(&n.to_string(), 100);
        }
        assert_eq!(ledger.apart.len(), APART);
        assert!(
            ledger.go_back(100).is_some() && ledger.has_room(),
            "the one left out is sent again all the same"
        );
        assert!(ledger.send(1, Some("1"), 200));
        ledger.acknowledge("1", 200);
        (2..=n).for_each(|n| assert!(!ledger.send(n, Some(&n.to_string()), 200)));
        assert!(ledger.has_room() && ledger.send(n + 1, None, 300));
        assert!(ledger.apart.is_empty());
    }

    #[test]
    fn nothing_that_was_not_sent_can_be_acknowledged() {
        let mut ledger = sent(&[1, 2]);
        ledger.acknowledge("7", 100);
        ledger.acknowledge_up_to(99, 100);
        assert_eq!(ledger.sent(), 2);
        assert!(ledger.send(3, None, 100));
    }

    #[test]
    fn a_subscription_waits_when_too_much_is_on_its_way() {
        let mut ledger = sent(&(1..=UNACKNOWLEDGED as u64).collect::<Vec<_>>());
        assert!(!ledger.has_room());
        ledger.acknowledge_up_to(1, 100);
        assert!(ledger.has_room());
    }

    #[test]
    fn only_what_is_live_and_sent_for_the_first_time_is_first() {
        let mut ledger = Ledger::new(0, 1, 3);
        assert_eq!([2, 3, 4].map(|seq| ledger.is_first(seq)), [false, false, true]);
        (2..=5).for_each(|seq| assert!(ledger.send(seq, None, 100)));
        assert!(ledger.go_back(u64::MAX).is_some());
        assert_eq!([4, 5, 6].map(|seq| ledger.is_first(seq)), [false, false, true]);
        ledger.begin_anew(0);
        assert!(ledger.is_first(1));
    }

    #[test]
    fn numbers_that_begin_anew_leave_nothing_of_before() {
        let mut ledger = sent(&[500, 501]);
        ledger.begin_anew(3);
        assert_eq!((ledger.sent(), ledger.go_back(u64::MAX)), (3, None));
    }
}
