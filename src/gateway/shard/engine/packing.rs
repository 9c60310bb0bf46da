//! Compressed frames for those who have agreed on them (permessage-deflate): each made once, for all of them.

use crate::gateway::{
    log::{Log, Pool},
    websocket::Deflate,
};

/// What a shard compresses and inflates with; nothing until the first client has agreed on it.
#[derive(Debug, Default)]
pub(super) struct Packing(Option<Box<Deflate>>);

impl Packing {
    /// For the messages of a client that has agreed.
    pub(super) fn inflating(&mut self, agreed: bool) -> Option<&mut Deflate> {
        agreed.then(|| &mut **self.0.get_or_insert_default())
    }

    /// Makes the compressed variant of a log within `[from, to)`, of messages of at least `least` bytes.
    #[inline(never)]
    pub(super) fn pack(&mut self, least: usize, log: &mut Log, from: u64, to: u64, pool: &mut Pool) {
        let deflate = self.0.get_or_insert_default();
        log.pack(from, to, pool, |frame, out| deflate.pack(frame, least, out));
    }
}
