//! Who holds which topics, what is sent when, and how many deliveries that makes: numbers only.
//!
//! Connections take the topics in turn, `topics_per_connection` each, so that topics have as many subscribers as each
//! other, or one more. A burst is one topic's; bursts take the topics in turn.

use std::{ops::Range, time::Duration};

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The work to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) connections: u64,
    pub(super) topics: u64,
    /// At most `topics`.
    pub(super) topics_per_connection: u64,
    /// Topics are called this, a dot, and a number.
    pub(super) prefix: String,
    /// Messages a second, over all topics; at least 1.
    pub(super) rate: u64,
    /// Messages of one topic that are due together; at least 1.
    pub(super) burst: u64,
    /// Bytes of a message's body.
    pub(super) size: usize,
    /// Messages are sent for so long before those that count.
    pub(super) warmup: Duration,
    pub(super) duration: Duration,
    /// Nothing is sent.
    pub(super) idle: bool,
}

impl Plan {
    /// Messages to be sent, in whole bursts; at least one, unless nothing is to be sent.
    pub(super) fn messages(&self) -> u64 {
        if self.idle {
            return 0;
        }
        let nanos = (self.warmup + self.duration).as_nanos();
        let bursts = nanos * u128::from(self.rate) / (NANOS_PER_SECOND * u128::from(self.burst));
        narrow(bursts.max(1)) * self.burst
    }

    /// When the message of this place in the run is due, from the start of the run.
    pub(super) fn due(&self, message: u64) -> Duration {
        let before = u128::from(message / self.burst * self.burst);
        Duration::from_nanos(narrow(before * NANOS_PER_SECOND / u128::from(self.rate)))
    }

    /// Messages that are due so long after the start.
    pub(super) fn due_by(&self, elapsed: Duration) -> u64 {
        let nanos = (elapsed.as_nanos() + 1) * u128::from(self.rate) - 1;
        let bursts = nanos / (NANOS_PER_SECOND * u128::from(self.burst)) + 1;
        narrow(bursts).saturating_mul(self.burst).min(self.messages())
    }

    /// The topic of a message, and its number there, from 0.
    pub(super) fn address(&self, message: u64) -> (u64, u64) {
        let (burst, within) = (message / self.burst, message % self.burst);
        (burst % self.topics, burst / self.topics * self.burst + within)
    }

    /// How many of the first `sent` messages are this topic's.
    fn sent_to(&self, topic: u64, sent: u64) -> u64 {
        let (bursts, rest) = (sent / self.burst, sent % self.burst);
        let turn = bursts % self.topics;
        let whole = bursts / self.topics + u64::from(topic < turn);
        whole * self.burst + if topic == turn { rest } else { 0 }
    }

    /// Connections that hold this topic.
    fn subscribers(&self, topic: u64) -> u64 {
        let held = self.subscriptions();
        held / self.topics + u64::from(topic < held % self.topics)
    }

    /// Subscriptions of all connections.
    pub(super) fn subscriptions(&self) -> u64 {
        self.connections * self.topics_per_connection
    }

    /// Deliveries that the first `sent` messages make.
    pub(super) fn deliveries(&self, sent: u64) -> u64 {
        (0..self.topics).map(|topic| self.sent_to(topic, sent) * self.subscribers(topic)).sum()
    }

    /// The first topic of a connection; it holds those behind it as well, and the first ones again after the last.
    pub(super) fn first_topic(&self, connection: u64) -> u64 {
        connection * self.topics_per_connection % self.topics
    }

    /// The place of a topic among those that a connection holds, if it does.
    pub(super) fn place(&self, first_topic: u64, topic: u64) -> Option<usize> {
        let place = (topic + self.topics).checked_sub(first_topic)? % self.topics;
        if topic < self.topics && place < self.topics_per_connection {
            usize::try_from(place).ok()
        } else {
            None
        }
    }

    /// Names of the topics that a connection holds.
    pub(super) fn topics_of(&self, connection: u64) -> Vec<String> {
        let first = self.first_topic(connection);
        (0..self.topics_per_connection).map(|place| self.topic((first + place) % self.topics)).collect()
    }

    /// The name of a topic.
    pub(super) fn topic(&self, topic: u64) -> String {
        format!("{}.{topic}", self.prefix)
    }

    /// The connections of one of so many threads.
    pub(super) fn share(&self, thread: u64, threads: u64) -> Range<u64> {
        let start = |thread| self.connections * thread / threads;
        start(thread)..start(thread + 1)
    }
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Reads `10s`, `500ms`, `2m` or `1h`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write a time as 500ms, 10s, 2m or 1h".into()),
    };
    let number: u64 = number.parse().map_err(|_| "write a time as 500ms, 10s, 2m or 1h")?;
    let span = number.checked_mul(millis).map(Duration::from_millis);
    span.filter(|span| *span <= LONGEST).ok_or_else(|| format!("at most {} h", LONGEST.as_secs() / 3600))
}

/// Longest time that may be asked for: what is kept over time has its bounds.
const LONGEST: Duration = Duration::from_hours(24);

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One connection, one topic, 10 messages a second for a second.
    pub(in crate::cli::bench) fn plan() -> Plan {
        Plan {
            connections: 1,
            topics: 1,
            topics_per_connection: 1,
            prefix: "bench".into(),
            rate: 10,
            burst: 1,
            size: 100,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(1),
            idle: false,
        }
    }

    #[test]
    fn messages_are_as_many_as_fit_the_time_in_whole_bursts() {
        for (rate, burst, warmup, duration, messages) in [
            (10, 1, 0, 1_000, 10),
            (10, 1, 500, 1_000, 15),
            (10, 4, 0, 1_000, 8),
            (10, 16, 0, 1_000, 16),
            (3, 1, 0, 100, 1),
            (1_000_000, 1, 0, 86_400_000, 86_400_000_000),
        ] {
            let (warmup, duration) = (Duration::from_millis(warmup), Duration::from_millis(duration));
            let plan = Plan { rate, burst, warmup, duration, ..plan() };
            assert_eq!(plan.messages(), messages, "{plan:?}");
        }
        assert_eq!(Plan { idle: true, ..plan() }.messages(), 0);
    }

    #[test]
    fn messages_are_due_at_even_distances_and_those_of_a_burst_together() {
        let millis = |plan: &Plan, messages: Range<u64>| -> Vec<u128> {
            messages.map(|message| plan.due(message).as_millis()).collect()
        };
        assert_eq!(millis(&plan(), 0..4), [0, 100, 200, 300]);
        let bursts = Plan { burst: 3, ..plan() };
        assert_eq!(millis(&bursts, 0..7), [0, 0, 0, 300, 300, 300, 600]);
    }

    #[test]
    fn what_is_due_by_a_time_is_what_has_its_time_before_it() {
        for (rate, burst) in [(10, 1), (3, 1), (7, 2), (1_000, 16), (999_983, 5)] {
            let plan = Plan { rate, burst, duration: Duration::from_mins(1), ..plan() };
            for message in [0, 1, 2, burst, 5 * burst, plan.messages() - 1] {
                let due = plan.due(message);
                assert!(plan.due_by(due) > message, "{message} of {plan:?}");
                let Some(before) = due.checked_sub(Duration::from_nanos(1)) else { continue };
                assert!(plan.due_by(before) <= message, "{message} of {plan:?}");
            }
            assert_eq!(plan.due_by(Duration::from_secs(1_000)), plan.messages());
        }
    }

    #[test]
    fn bursts_take_the_topics_in_turn_and_numbers_have_no_holes() {
        let plan = Plan { topics: 2, burst: 2, ..plan() };
        let addresses: Vec<_> = (0..8).map(|message| plan.address(message)).collect();
        assert_eq!(addresses, [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]);
    }

    #[test]
    fn deliveries_are_counted_as_by_going_through_all_of_them() {
        for (connections, topics, each, burst) in
            [(1, 1, 1, 1), (5, 3, 2, 2), (4, 7, 1, 3), (3, 4, 4, 1), (9, 4, 3, 5), (6, 2, 0, 1)]
        {
            let plan = Plan { connections, topics, topics_per_connection: each, burst, ..plan() };
            for sent in 0..40 {
                let deliveries = (0..sent)
                    .flat_map(|message| (0..connections).map(move |connection| (message, connection)))
                    .filter(|(message, connection)| {
                        let topic = plan.topic(plan.address(*message).0);
                        plan.topics_of(*connection).contains(&topic)
                    })
                    .count();
                assert_eq!(plan.deliveries(sent), deliveries as u64, "{sent} of {plan:?}");
            }
        }
    }

    #[test]
    fn a_topic_has_its_place_on_the_connections_that_hold_it() {
        let plan = Plan { connections: 4, topics: 5, topics_per_connection: 3, ..plan() };
        assert_eq!(plan.topics_of(1), ["bench.3", "bench.4", "bench.0"]);
        let first = plan.first_topic(1);
        let places: Vec<_> = (0..7).map(|topic| plan.place(first, topic)).collect();
        assert_eq!(places, [Some(2), None, None, Some(0), Some(1), None, None]);
    }

    #[test]
    fn threads_share_all_connections_among_them() {
        let plan = Plan { connections: 10, ..plan() };
        let shares: Vec<_> = (0..3).map(|thread| plan.share(thread, 3)).collect();
        assert_eq!(shares, [0..3, 3..6, 6..10]);
    }

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (text, millis) in [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)]
        {
            assert_eq!(span(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "s", "1.5s", "-1s", "10 s", "25h", "99999999999999999999s"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
