//! What the backbone counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the start; only ever added to, so that they can be exported as they stand.
#[derive(Debug, Default)]
pub struct Counts {
    /// Messages that came from the backbone, wanted by somebody or not.
    pub messages_received: AtomicU64,
    /// Bytes of their bodies.
    pub bytes_received: AtomicU64,
    /// Delivered messages whose body is not JSON and travels as base64.
    pub not_json: AtomicU64,
    /// Messages somebody's pattern matches, but whose subject is not a valid topic: not delivered.
    pub ignored_subjects: AtomicU64,
    /// Gaps with reason `backbone` that were announced, one per topic or pattern.
    pub gaps: AtomicU64,
    /// Gaps with reason `expired` that were announced, one per topic: the stream did not have the messages any more.
    pub expired: AtomicU64,
    /// Messages that did not come on their way to the gateway and were read from the stream.
    pub repaired: AtomicU64,
    /// Reads of history from the stream, each for one topic.
    pub history_reads: AtomicU64,
    /// Messages the NATS client is known to have dropped because the gateway did not take them in time.
    pub dropped: AtomicU64,
    /// Errors the server sent, permission violations above all.
    pub server_errors: AtomicU64,
}

impl Counts {
    /// Adds to one of the counts.
    pub(crate) fn add(count: &AtomicU64, by: u64) {
        count.fetch_add(by, Ordering::Relaxed);
    }
}
