//! What is not to be read by Direct Get, for the connection was lost over it.
//!
//! An answer to Direct Get has the headers that the publisher wrote. The server lets through what the client library
//! cannot read (no UTF-8, a line without a colon, a carriage return within a value): the library drops the connection
//! then, or ends, and would do so each time. So what was lost twice in a row is asked of the leader, which answers in
//! JSON, and tried again after a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{reader::ReadError, requests::Unanswered};

/// Losses in a row after which a read is taken to be their cause.
const LOSSES: u8 = 2;
/// Reads that go to the leader before one is tried again.
const READS: u8 = 100;
/// Reads that are remembered; when there are more, all are forgotten.
const REMEMBERED: usize = 1_024;

/// The reads over which the connection was lost lately, by name. Cheap to clone, and shared by all clones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caution(Arc<Mutex<HashMap<String, Record>>>);

#[derive(Debug, Default)]
struct Record {
    losses: u8,
    reads: u8,
}

impl Caution {
    /// Whether this is to be asked of the leader.
    pub(crate) fn is_needed(&self, name: &str) -> bool {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = records.get_mut(name).filter(|record| record.losses >= LOSSES) else {
            return false;
        };
        record.reads += 1;
        if record.reads >= READS {
            *record = Record { losses: LOSSES - 1, reads: 0 };
        }
        true
    }

    /// Takes in what became of a read.
    pub(crate) fn heed<T>(&self, name: &str, result: Result<T, ReadError>) -> Result<T, ReadError> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Err(ReadError::Unanswered(Unanswered::Lost)) => {
                if records.len() >= REMEMBERED {
                    records.clear();
                }
                let record = records.entry(name.to_owned()).or_default();
                record.losses = record.losses.saturating_add(1);
                if record.losses == LOSSES {
                    tracing::warn!(
                        read = name,
                        "the connection to NATS was lost twice over a read, which goes to the stream's leader now: \
                         look for a message whose headers are malformed"
                    );
                }
            }
            _ => drop(records.remove(name)),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: Result<(), ReadError> = Err(ReadError::Unanswered(Unanswered::Lost));

    #[test]
    fn what_was_lost_twice_in_a_row_goes_to_the_leader_and_is_tried_again_after_a_while() {
        let caution = Caution::default();
        for result in [LOST, Ok(()), LOST] {
            let _ = caution.heed("a", result);
            assert!(!caution.is_needed("a"));
        }
        let _ = caution.heed("a", LOST);
        assert!((0..READS).all(|_| caution.is_needed("a")) && !caution.is_needed("b"));
        assert!(!caution.is_needed("a"));
        let _ = caution.heed("a", LOST);
        assert!(caution.is_needed("a"), "once more is enough");
    }

    #[test]
    fn no_more_is_remembered_than_has_room() {
        let caution = Caution::default();
        for n in 0..3 * REMEMBERED {
            let _ = caution.heed(&n.to_string(), LOST);
            assert!(caution.0.lock().unwrap().len() <= REMEMBERED);
        }
    }
}
