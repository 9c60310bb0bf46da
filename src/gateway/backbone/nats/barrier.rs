//! Proof that the server has processed what was sent: a message to ourselves, behind it. Pure.
//!
//! A server handles the operations of one connection in order, so once the message is back, the subscriptions
//! and publishes before it have been handled. Many waiters share one barrier. A barrier that was crossed by a
//! reconnect proves nothing: the owner fails all waiters when it sees the connection change.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::gateway::backbone::interests::FeedId;

/// How long the server may take.
pub(super) const CONFIRM: Duration = Duration::from_secs(5);
/// Barriers on their way at one time; whoever comes meanwhile shares the next one.
const SENT: usize = 16;

/// Those who wait for a barrier. Bounded by the owner, who asks [`Barriers::waiting`].
#[derive(Debug)]
pub(super) struct Barriers<W> {
    open: Vec<W>,
    sent: VecDeque<Sent<W>>,
    last: u64,
}

#[derive(Debug)]
struct Sent<W> {
    id: u64,
    newest: FeedId,
    deadline: Instant,
    waiters: Vec<W>,
}

impl<W> Default for Barriers<W> {
    fn default() -> Self {
        Self { open: Vec::new(), sent: VecDeque::new(), last: 0 }
    }
}

impl<W> Barriers<W> {
    /// Waits for the next barrier.
    pub(super) fn join(&mut self, waiter: W) {
        self.open.push(waiter);
    }

    /// Whether a barrier is to be sent now.
    pub(super) fn due(&self) -> bool {
        !self.open.is_empty() && self.sent.len() < SENT
    }

    /// Closes the open barrier, behind the start of the feed `newest`; answers what to send to ourselves.
    pub(super) fn send(&mut self, newest: FeedId, now: Instant) -> u64 {
        self.last += 1;
        let waiters = std::mem::take(&mut self.open);
        self.sent.push_back(Sent { id: self.last, newest, deadline: now + CONFIRM, waiters });
        self.last
    }

    /// The barrier is back: answers who waited for it or one before it, and the newest feed that is in force.
    pub(super) fn arrived(&mut self, id: u64) -> (Vec<W>, Option<FeedId>) {
        let (mut waiters, mut newest) = (Vec::new(), None);
        while self.sent.front().is_some_and(|sent| sent.id <= id) {
            if let Some(sent) = self.sent.pop_front() {
                waiters.extend(sent.waiters);
                newest = Some(sent.newest);
            }
        }
        (waiters, newest)
    }

    /// Whether the oldest barrier is overdue; then none behind it can arrive in time either.
    pub(super) fn overdue(&self, now: Instant) -> bool {
        self.sent.front().is_some_and(|sent| sent.deadline <= now)
    }

    /// Everybody who waits, in order; nobody waits any more.
    pub(super) fn take_all(&mut self) -> Vec<W> {
        let sent = self.sent.drain(..).flat_map(|sent| sent.waiters);
        sent.chain(self.open.drain(..)).collect()
    }

    /// Those who wait and are meant; they wait no more.
    pub(super) fn take(&mut self, mut meant: impl FnMut(&W) -> bool) -> Vec<W> {
        let mut taken = Vec::new();
        for waiters in self.sent.iter_mut().map(|sent| &mut sent.waiters).chain([&mut self.open]) {
            taken.extend(waiters.extract_if(.., |waiter| meant(waiter)));
        }
        taken
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.open.len() + self.sent.iter().map(|sent| sent.waiters.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_come_before_it_is_sent_share_one_barrier() {
        let mut barriers = Barriers::default();
        assert!(!barriers.due());
        barriers.join('a');
        barriers.join('b');
        assert!(barriers.due());
        let id = barriers.send(7, Instant::now());
        barriers.join('c');
        assert_eq!(barriers.arrived(id), (vec!['a', 'b'], Some(7)));
        assert_eq!(barriers.waiting(), 1);
    }

    #[test]
    fn a_later_barrier_proves_the_earlier_ones_and_an_old_one_nothing() {
        let mut barriers = Barriers::default();
        barriers.join('a');
        let first = barriers.send(1, Instant::now());
        barriers.join('b');
        let second = barriers.send(2, Instant::now());
        assert_eq!(barriers.arrived(second), (vec!['a', 'b'], Some(2)));
        assert_eq!(barriers.arrived(first), (vec![], None));
    }

    #[test]
    fn nothing_is_sent_beyond_the_bound_until_one_is_back() {
        let mut barriers = Barriers::default();
        for n in 0..SENT {
            barriers.join(n);
            barriers.send(0, Instant::now());
        }
        barriers.join(99);
        assert!(!barriers.due());
        barriers.arrived(1);
        assert!(barriers.due());
    }

    #[test]
    fn a_barrier_is_overdue_after_its_time() {
        let (mut barriers, now) = (Barriers::default(), Instant::now());
        barriers.join('a');
        barriers.send(0, now);
        assert!(!barriers.overdue(now + CONFIRM.mul_f64(0.99)));
        assert!(barriers.overdue(now + CONFIRM));
        assert_eq!(barriers.take_all(), ['a']);
        assert!(!barriers.overdue(now + CONFIRM));
    }

    #[test]
    fn some_can_be_taken_out_wherever_they_wait() {
        let mut barriers = Barriers::default();
        barriers.join(1);
        barriers.join(2);
        let id = barriers.send(0, Instant::now());
        barriers.join(3);
        assert_eq!(barriers.take(|n| n % 2 == 1), [1, 3]);
        assert_eq!(barriers.arrived(id).0, [2]);
    }
}
