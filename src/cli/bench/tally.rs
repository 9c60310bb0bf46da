//! What arrives, checked and counted: every message once, in order, and how long after it was due.

use std::{collections::BTreeMap, time::Duration};

use super::{body::Run, histogram::Histogram, link::Ending, message::Reading, plan::Plan};
use crate::cli::client::Frame;

/// Parts of the run of which each has its latencies of its own.
const SLOTS: u32 = 100;
/// The shortest such part.
const SHORTEST_SLOT: Duration = Duration::from_millis(100);
/// Bits of a latency that count: below 1 % over the whole run, 6 % in a part of it.
const PRECISION: u32 = 7;
const SLOT_PRECISION: u32 = 4;

/// How far a connection is on one of its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Position {
    /// The number that is to come next.
    next: u64,
    /// `seqNo` of the last message; 0 where it is not known.
    last_seq: u64,
}

/// What the connections of one thread, or of all of them, have received.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// Messages of this run, each counted once.
    pub(super) delivered: u64,
    /// Messages of this run that came after a later one, or once more.
    pub(super) late: u64,
    /// Messages of somebody else.
    pub(super) foreign: u64,
    /// Messages that carried `seqNo` and `prevSeqNo`.
    pub(super) numbered: u64,
    /// Those of them whose `prevSeqNo` was not the `seqNo` before.
    pub(super) broken: u64,
    /// `gap` frames.
    pub(super) gaps: u64,
    /// `draining` frames.
    pub(super) draining: u64,
    /// `error` frames, and the first of them.
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    /// Closes by code, each with the first reason.
    pub(super) closes: BTreeMap<u16, (u64, String)>,
    /// Nanoseconds from due to received, of messages that were due after the warm-up.
    pub(super) latency: Histogram,
    /// The same by the time they were due.
    pub(super) slots: Vec<Histogram>,
    reading: Reading,
    plan: Plan,
    /// Nanoseconds of a part; never 0.
    slot: u64,
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new(plan: Plan, run: Run) -> Self {
        let slot = slot(plan.duration);
        let slots = if plan.idle { 0 } else { SLOTS as usize };
        Self {
            delivered: 0,
            late: 0,
            foreign: 0,
            numbered: 0,
            broken: 0,
            gaps: 0,
            draining: 0,
            errors: 0,
            first_error: None,
            closes: BTreeMap::new(),
            latency: Histogram::new(PRECISION),
            slots: vec![Histogram::new(SLOT_PRECISION); slots],
            reading: Reading::new(&plan, run),
            plan,
            slot,
        }
    }

    /// A text frame came, so long after the run began, on a connection with these topics from `first_topic` on.
    pub(super) fn hear(&mut self, text: &[u8], first_topic: u64, positions: &mut [Position], at: Duration) {
        let Some(message) = self.reading.message(text) else {
            self.other(text, first_topic, positions);
            return;
        };
        let position = self.plan.place(first_topic, message.topic).and_then(|place| positions.get_mut(place));
        let Some(position) = position else {
            self.foreign += 1;
            return;
        };
        if let (Some(seq), Some(prev)) = (message.seq, message.prev_seq) {
            self.numbered += 1;
            self.broken += u64::from(position.last_seq != 0 && position.last_seq != prev);
            position.last_seq = seq;
        }
        let Some((number, due)) = message.body else {
            self.foreign += 1;
            return;
        };
        if number < position.next {
            self.late += 1;
            return;
        }
        position.next = number + 1;
        self.delivered += 1;
        self.time(due, at);
    }

    /// A message that was due so many nanoseconds after the run began.
    fn time(&mut self, due: u64, at: Duration) {
        let Some(measured) = due.checked_sub(nanos(self.plan.warmup)) else { return };
        let latency = nanos(at).saturating_sub(due);
        self.latency.add(latency);
        let slot = usize::try_from(measured / self.slot).unwrap_or(usize::MAX);
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.add(latency);
        }
    }

    /// Anything but a message.
    fn other(&mut self, text: &[u8], first_topic: u64, positions: &mut [Position]) {
        let Ok(frame) = serde_json::from_slice::<Frame>(text) else {
            self.foreign += 1;
            return;
        };
        match frame.kind.as_str() {
            "message" => self.foreign += 1,
            "gap" => {
                self.gaps += 1;
                let topic = frame.topic.as_deref().and_then(|topic| self.reading.topic(topic));
                let place = topic.and_then(|topic| self.plan.place(first_topic, topic));
                // What follows begins anew: a gap is not told twice.
                if let Some(position) = place.and_then(|place| positions.get_mut(place)) {
                    position.last_seq = 0;
                }
            }
            "draining" => self.draining += 1,
            "error" => {
                self.errors += 1;
                self.first_error.get_or_insert_with(|| frame.failure().message);
            }
            _ => {}
        }
    }

    /// A connection ended.
    pub(super) fn ended(&mut self, ending: &Ending) {
        let (count, _) = self.closes.entry(ending.code).or_insert_with(|| (0, ending.reason.clone()));
        *count += 1;
    }

    /// Counts what another thread has counted.
    pub(super) fn merge(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.late += other.late;
        self.foreign += other.foreign;
        self.numbered += other.numbered;
        self.broken += other.broken;
        self.gaps += other.gaps;
        self.draining += other.draining;
        self.errors += other.errors;
        if self.first_error.is_none() {
            self.first_error = other.first_error;
        }
        for (code, (more, reason)) in other.closes {
            self.closes.entry(code).or_insert((0, reason)).0 += more;
        }
        self.latency.merge(&other.latency);
        for (own, more) in self.slots.iter_mut().zip(&other.slots) {
            own.merge(more);
        }
    }

    /// The parts of the run that have latencies, each with its beginning after the warm-up.
    pub(super) fn over_time(&self) -> impl Iterator<Item = (Duration, &Histogram)> {
        let times = (0..).map(|slot| Duration::from_nanos(self.slot * slot));
        times.zip(&self.slots).filter(|(_, slot)| slot.count() > 0)
    }
}

/// Nanoseconds of a part of a run of this length.
fn slot(duration: Duration) -> u64 {
    nanos((duration / SLOTS).max(SHORTEST_SLOT))
}

/// Enough for 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
