//! Which shard a new connection lives on.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::gateway::shard::{Hello, Inbox, ShardEvent};

/// Shards whose counts differ by less than this are alike: the counts are a turn old, and all that comes within
/// a turn must not go to one shard.
const ALIKE: u64 = 16;

/// Hands connections to the shards, each to one that has fewest.
pub struct Placement {
    /// One per shard.
    inboxes: Vec<Arc<Inbox>>,
    load: Box<dyn Fn(usize) -> u64 + Send + Sync>,
    turn: AtomicUsize,
}

impl Placement {
    /// Places among the shards of these inboxes; `load` tells how many connections a shard has.
    pub fn new(inboxes: Vec<Arc<Inbox>>, load: impl Fn(usize) -> u64 + Send + Sync + 'static) -> Self {
        Self { inboxes, load: Box::new(load), turn: AtomicUsize::new(0) }
    }

    /// Gives the connection to its shard. Without shards it is closed.
    pub(super) fn place(&self, hello: Hello) {
        let loads: Vec<_> = (0..self.inboxes.len()).map(|shard| (self.load)(shard)).collect();
        let shard = choose(&loads, self.turn.fetch_add(1, Ordering::Relaxed));
        if let Some(inbox) = shard.and_then(|shard| self.inboxes.get(shard)) {
            inbox.push(ShardEvent::Connect(Box::new(hello)));
        }
    }
}

/// The emptiest, by turns where several are about as empty.
fn choose(loads: &[u64], turn: usize) -> Option<usize> {
    let least = *loads.iter().min()?;
    let alike = |shard: &usize| loads[*shard] - least < ALIKE;
    let count = (0..loads.len()).filter(alike).count();
    (0..loads.len()).filter(alike).nth(turn % count)
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placement").field("shards", &self.inboxes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_emptiest_shard_is_chosen() {
        for turn in 0..4 {
            assert_eq!(choose(&[100, 40, 90], turn), Some(1));
        }
    }

    #[test]
    fn shards_about_as_empty_take_turns() {
        let chosen: Vec<_> = (0..4).filter_map(|turn| choose(&[40, 45, 90], turn)).collect();
        assert_eq!(chosen, [0, 1, 0, 1]);
    }

    #[test]
    fn without_shards_there_is_no_place() {
        assert_eq!(choose(&[], 3), None);
    }
}
