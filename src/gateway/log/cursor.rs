//! What happens to a cursor that falls out of its log's window.

use super::Log;
use crate::api::{Seq, SlowConsumer};

/// Messages a subscriber will not get, by number where they have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missed {
    /// First and last.
    pub sequences: Option<(Seq, Seq)>,
}

impl Missed {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Missed) -> Missed {
        let sequences = match (self.sequences, other.sequences) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
        Missed { sequences }
    }
}

/// What the policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Close the connection with 4409.
    Disconnect,
    /// Go on at this position, and say what was missed.
    Jump {
        /// A frame boundary.
        to: u64,
        /// What lies between.
        missed: Missed,
    },
}

/// Decides about a cursor (at a frame boundary) that lies before `cut`, the tail the log is about to get.
pub fn fall_out(log: &Log, cursor: u64, cut: u64, policy: SlowConsumer) -> Verdict {
    let to = match policy {
        SlowConsumer::Disconnect => return Verdict::Disconnect,
        SlowConsumer::DropOldest => cut,
        SlowConsumer::Conflate => log.newest().max(cut),
    };
    Verdict::Jump { to, missed: Missed { sequences: log.sequences(cursor, to) } }
}
