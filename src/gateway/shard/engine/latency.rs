//! From publish to socket: what is counted when a send has taken messages.
//!
//! Subscribers of a topic are sent the very same bytes one after the other. So such sends are only counted, and looked
//! at together: the messages among the bytes, the time, and how long each message took until then.

use super::Control;
use crate::{
    api::Stamp,
    gateway::{log::Log, metrics::ShardCounts},
};

/// Most sends that are looked at together: about a quarter of a millisecond, by which the first of them may seem to have
/// come later than it did.
const SENDS: u32 = 64;

/// Sends that took the same bytes of one log.
#[derive(Debug, Default)]
pub(super) struct Run {
    from: u64,
    to: u64,
    sends: u32,
    /// Bytes that compression has saved in them together.
    saved: u64,
}

impl Run {
    /// A send took the log's bytes from `from` up to `to`.
    pub(super) fn took(
        &mut self,
        (from, to): (u64, u64),
        log: &Log,
        counts: &ShardCounts,
        control: &impl Control,
    ) {
        if (self.from, self.to) != (from, to) || self.sends == SENDS {
            self.count(log, counts, control);
            (self.from, self.to) = (from, to);
        }
        self.sends += 1;
    }

    /// A send took the compressed variant of the log from `from` up to `to`, which has so many bytes.
    pub(super) fn took_as(
        &mut self,
        (from, to): (u64, u64),
        bytes: u64,
        log: &Log,
        counts: &ShardCounts,
        control: &impl Control,
    ) {
        self.took((from, to), log, counts, control);
        self.saved += (to - from).saturating_sub(bytes);
    }

    /// Counts the sends so far. To be called before the log lets go of what they took.
    pub(super) fn count(&mut self, log: &Log, counts: &ShardCounts, control: &impl Control) {
        let times = u64::from(std::mem::take(&mut self.sends));
        if times == 0 {
            return;
        }
        let (mut messages, mut now) = (0, None);
        for mark in log.messages(self.from, self.to) {
            messages += 1;
            if let Some(published) = mark.published {
                // Read once, and not at all where nobody says when messages were published.
                let now = *now.get_or_insert_with(|| control.clock());
                latency(counts, published, now, times);
            }
        }
        let bytes = ((self.to - self.from) * times).saturating_sub(std::mem::take(&mut self.saved));
        counts.delivered(messages * times, bytes);
    }
}

/// Counts deliveries of one message that were made now.
pub(super) fn latency(counts: &ShardCounts, published: Stamp, now: Option<Stamp>, times: u64) {
    if let Some(now) = now {
        counts.latency(published.age(now), times);
    }
}
