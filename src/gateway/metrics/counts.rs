//! Counters of one shard: plain atomics that only this shard writes, on cache lines of their own.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::{exposition::Exposition, latency::Latencies, names};
use crate::{
    api::SlowConsumer,
    gateway::protocol::{ErrorCode, GapReason},
};

/// Values of the label `policy`, in the order of [`SlowConsumer`].
const POLICIES: [&str; 3] = ["Disconnect", "DropOldest", "Conflate"];
/// Close codes with a series of their own: the protocol's, and what RFC 6455 § 7.4.1 calls a close without a code
/// (1005) and without a close frame (1006). Clients may send any code: the rest is `other`.
const CLOSE_CODES: [(u16, &str); 15] = [
    (1000, "1000"),
    (1001, "1001"),
    (1002, "1002"),
    (1003, "1003"),
    (1005, "1005"),
    (1006, "1006"),
    (1007, "1007"),
    (1009, "1009"),
    (1012, "1012"),
    (1013, "1013"),
    (4401, "4401"),
    (4403, "4403"),
    (4408, "4408"),
    (4409, "4409"),
    (4429, "4429"),
];
/// Label of a close code that is not in the table.
const OTHER: &str = "other";

/// What one shard (or the control plane) counts. A shard adds up its turn first and calls these once.
///
/// Aligned to two cache lines, which processors fetch in pairs, so that no two shards write to the same one.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ShardCounts {
    connections: [AtomicI64; Transport::ALL.len()],
    delivered: AtomicU64,
    delivered_bytes: AtomicU64,
    log_bytes: AtomicI64,
    lagging: AtomicI64,
    slow_consumers: [AtomicU64; POLICIES.len()],
    gaps: [AtomicU64; GapReason::ALL.len()],
    closed: [AtomicU64; CLOSE_CODES.len() + 1],
    errors: [AtomicU64; ErrorCode::ALL.len()],
    resumes: [AtomicU64; Resumed::ALL.len()],
    redelivered: AtomicU64,
    latencies: Latencies,
}

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Frames on a socket of its own.
    WebSocket,
    /// Server-Sent Events: an HTTP answer without end.
    Sse,
}

impl Transport {
    const ALL: [(Self, &str); 2] = [(Self::WebSocket, "websocket"), (Self::Sse, "sse")];
}

/// How a resume ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// A topic goes on without a hole.
    Recovered,
    /// A topic goes on, and the client was told that messages are gone.
    Partial,
    /// The session was refused.
    Expired,
}

impl Resumed {
    const ALL: [(Self, &str); 3] =
        [(Self::Recovered, "recovered"), (Self::Partial, "partial"), (Self::Expired, "expired")];
}

impl ShardCounts {
    /// A connection begins to be served.
    pub fn connection_opened(&self, transport: Transport) {
        self.connections[transport as usize].fetch_add(1, Relaxed);
    }

    /// Connections that are open.
    pub fn connections(&self) -> u64 {
        self.connections.iter().map(gauge).sum()
    }

    /// Subscribers that are behind.
    #[cfg(test)]
    pub(crate) fn lagging(&self) -> u64 {
        gauge(&self.lagging)
    }

    /// A connection that was opened has ended with this WebSocket close code.
    pub fn connection_closed(&self, transport: Transport, code: u16) {
        self.connections[transport as usize].fetch_sub(1, Relaxed);
        self.closed(code);
    }

    /// A client was turned away with this close code before its connection was counted as open.
    pub fn closed(&self, code: u16) {
        let index = CLOSE_CODES.iter().position(|(known, _)| *known == code).unwrap_or(CLOSE_CODES.len());
        self.closed[index].fetch_add(1, Relaxed);
    }

    /// How many connections have ended with this code.
    #[cfg(test)]
    pub fn closes(&self, code: u16) -> u64 {
        let index = CLOSE_CODES.iter().position(|(known, _)| *known == code).unwrap_or(CLOSE_CODES.len());
        self.closed[index].load(Relaxed)
    }

    /// Messages were written to sockets: so many, of so many bytes.
    pub fn delivered(&self, messages: u64, bytes: u64) {
        self.delivered.fetch_add(messages, Relaxed);
        self.delivered_bytes.fetch_add(bytes, Relaxed);
    }

    /// Messages that were written to sockets up to now.
    pub fn messages_delivered(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    /// A message was delivered so many microseconds after its publish, so many times.
    pub fn latency(&self, micros: u64, times: u64) {
        self.latencies.add(micros, times);
    }

    /// The logs of this shard's topics hold so many bytes now.
    pub fn set_log_bytes(&self, bytes: i64) {
        self.log_bytes.store(bytes, Relaxed);
    }

    /// So many more (or, negative, fewer) subscribers are behind.
    pub fn lagging_changed(&self, delta: i64) {
        self.lagging.fetch_add(delta, Relaxed);
    }

    /// A subscriber fell out of its topic's window.
    pub fn slow_consumer(&self, policy: SlowConsumer) {
        let index = match policy {
            SlowConsumer::Disconnect => 0,
            SlowConsumer::DropOldest => 1,
            SlowConsumer::Conflate => 2,
        };
        self.slow_consumers[index].fetch_add(1, Relaxed);
    }

    /// A gap was announced.
    pub fn gap(&self, reason: GapReason) {
        self.gaps[reason as usize].fetch_add(1, Relaxed);
    }

    /// Messages that were not acknowledged in time are sent again.
    pub fn redelivered(&self, messages: u64) {
        self.redelivered.fetch_add(messages, Relaxed);
    }

    /// A topic was resumed, or a session not.
    pub fn resumed(&self, result: Resumed) {
        self.resumes[result as usize].fetch_add(1, Relaxed);
    }

    /// An error was answered.
    pub fn error(&self, code: ErrorCode) {
        self.errors[code as usize].fetch_add(1, Relaxed);
    }

    /// Adds these counts to what is shown. Known labels are shown from 0 on, so that a rate sees the first event.
    pub(super) fn show(&self, page: &mut Exposition) {
        for ((_, label), count) in Transport::ALL.iter().zip(&self.connections) {
            page.add(&names::CONNECTIONS, &[label], gauge(count));
        }
        page.add(&names::MESSAGES_DELIVERED, &[], self.delivered.load(Relaxed));
        page.add(&names::MESSAGES_DELIVERED_BYTES, &[], self.delivered_bytes.load(Relaxed));
        self.latencies.show(page);
        page.add(&names::LOG_BYTES, &[], gauge(&self.log_bytes));
        page.add(&names::LAGGING_SUBSCRIBERS, &[], gauge(&self.lagging));
        for (label, count) in POLICIES.iter().zip(&self.slow_consumers) {
            page.add(&names::SLOW_CONSUMER, &[label], count.load(Relaxed));
        }
        page.add(&names::REDELIVERED, &[], self.redelivered.load(Relaxed));
        for ((_, label), count) in Resumed::ALL.iter().zip(&self.resumes) {
            page.add(&names::RESUMES, &[label], count.load(Relaxed));
        }
        for (reason, count) in GapReason::ALL.iter().zip(&self.gaps) {
            page.add(&names::GAPS, &[reason.as_str()], count.load(Relaxed));
        }
        for (label, count) in CLOSE_CODES.iter().map(|(_, label)| *label).chain([OTHER]).zip(&self.closed) {
            page.add(&names::CLOSED, &[label], count.load(Relaxed));
        }
        for (code, count) in ErrorCode::ALL.iter().zip(&self.errors) {
            page.add(&names::ERRORS, &[code.as_str()], count.load(Relaxed));
        }
    }
}

/// A scrape may see a decrement on its way before its increment: never below 0.
fn gauge(value: &AtomicI64) -> u64 {
    u64::try_from(value.load(Relaxed)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::protocol::CloseCode;

    fn shown(counts: &ShardCounts) -> String {
        let mut page = Exposition::default();
        counts.show(&mut page);
        page.text(Vec::new()).unwrap()
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|l| l == line), "no line {line:?} in\n{text}");
    }

    #[test]
    fn each_event_moves_its_own_series() {
        let counts = ShardCounts::default();
        counts.connection_opened(Transport::WebSocket);
        counts.connection_opened(Transport::WebSocket);
        counts.connection_opened(Transport::Sse);
        counts.connection_closed(Transport::WebSocket, 4409);
        counts.closed(4403);
        counts.delivered(3, 300);
        counts.set_log_bytes(77);
        counts.lagging_changed(5);
        counts.lagging_changed(-1);
        counts.slow_consumer(SlowConsumer::Disconnect);
        counts.slow_consumer(SlowConsumer::Conflate);
        counts.slow_consumer(SlowConsumer::Conflate);
        counts.gap(GapReason::Dropped);
        counts.gap(GapReason::Dropped);
        counts.error(ErrorCode::AclDenied);
        let text = shown(&counts);
        for line in [
            "topicgateway_connections{transport=\"websocket\"} 1",
            "topicgateway_connections{transport=\"sse\"} 1",
            "topicgateway_closed_total{code=\"4409\"} 1",
            "topicgateway_closed_total{code=\"4403\"} 1",
            "topicgateway_closed_total{code=\"1000\"} 0",
            "topicgateway_messages_delivered_total 3",
            "topicgateway_messages_delivered_bytes_total 300",
            "topicgateway_log_bytes 77",
            "topicgateway_lagging_subscribers 4",
            "topicgateway_slow_consumer_total{policy=\"Disconnect\"} 1",
            "topicgateway_slow_consumer_total{policy=\"DropOldest\"} 0",
            "topicgateway_slow_consumer_total{policy=\"Conflate\"} 2",
            "topicgateway_gaps_total{reason=\"dropped\"} 2",
            "topicgateway_gaps_total{reason=\"expired\"} 0",
            "topicgateway_errors_total{code=\"ACL_DENIED\"} 1",
        ] {
            has(&text, line);
        }
    }

    #[test]
    fn every_error_and_gap_of_the_protocol_has_a_series_under_its_own_name() {
        for code in ErrorCode::ALL {
            let counts = ShardCounts::default();
            counts.error(code);
            has(&shown(&counts), &format!("topicgateway_errors_total{{code=\"{}\"}} 1", code.as_str()));
        }
        for reason in GapReason::ALL {
            let counts = ShardCounts::default();
            counts.gap(reason);
            has(&shown(&counts), &format!("topicgateway_gaps_total{{reason=\"{}\"}} 1", reason.as_str()));
        }
    }

    #[test]
    fn every_close_code_of_the_protocol_has_a_series_and_the_others_share_one() {
        for code in CloseCode::ALL {
            let counts = ShardCounts::default();
            counts.closed(code.code());
            has(&shown(&counts), &format!("topicgateway_closed_total{{code=\"{}\"}} 1", code.code()));
        }
        let counts = ShardCounts::default();
        counts.closed(3999);
        counts.closed(4000);
        has(&shown(&counts), "topicgateway_closed_total{code=\"other\"} 2");
    }

    #[test]
    fn two_shards_never_share_a_cache_line() {
        assert_eq!(align_of::<ShardCounts>(), 128);
    }
}
