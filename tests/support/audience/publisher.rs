//! What every publisher is made of, whichever way it publishes.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    tally::Tally,
    wire::Clock,
    work::{Pace, Work},
};

/// A publisher, and its messages that are not confirmed.
pub(crate) struct Publisher<T> {
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) work: Arc<Work>,
    pub(crate) tally: Tally,
    pace: Pace,
    /// By the number of the message.
    pub(crate) pending: BTreeMap<u64, T>,
}

/// What is to be made up.
pub(crate) struct Draft<'a> {
    /// The publisher.
    pub(crate) name: &'a str,
    /// The number of the message.
    pub(crate) number: u64,
    pub(crate) topic: String,
    /// What fills it.
    pub(crate) pad: &'a str,
}

impl<T> Publisher<T> {
    /// One that has published nothing.
    pub(crate) fn new(name: String, clock: Clock, work: Arc<Work>, tally: Tally, pace: Pace) -> Self {
        Self { name, clock, work, tally, pace, pending: BTreeMap::new() }
    }

    /// Nothing new is to be published, and everything is confirmed or given up.
    pub(crate) fn is_done(&self) -> bool {
        self.work.is_over() && self.pending.is_empty()
    }

    /// Makes up the messages that are due, as far as no more than `most` are not confirmed.
    pub(crate) fn write_more(&mut self, most: usize, write: impl Fn(Draft<'_>) -> T) {
        let due = if self.work.is_over() { 0 } else { self.pace.due() };
        for _ in 0..due {
            if self.pending.len() >= most {
                return;
            }
            let (number, topic) = self.pace.next(&self.work);
            let pad = self.work.padding(&topic);
            let message = write(Draft { name: &self.name, number, pad, topic });
            self.pending.insert(number, message);
        }
    }
}
