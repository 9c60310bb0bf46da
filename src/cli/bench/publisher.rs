//! The thread that publishes: everything when it is due, whatever becomes of what was sent before.

mod gateway;
mod nats;

use std::{
    thread,
    time::{Duration, Instant},
};

pub(super) use gateway::Gateway;
pub(super) use nats::Nats;
pub(in crate::cli) use nats::Options;

use super::{body, histogram::Histogram, readers::Job};
use crate::cli::Failure;

/// Most messages that are written at a time.
const BATCH: u64 = 256;
/// Sleeping is exact enough for less than this; longer waits are used to read.
const EXACT: Duration = Duration::from_millis(3);
/// Longest wait without a look at whether the run is over.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// A way for messages to go.
pub(super) trait Outlet: Send {
    /// Queues a message for a topic, with its number there.
    fn put(&mut self, topic: u64, number: u64, body: &[u8]);

    /// Writes what is queued, however long that takes.
    fn send(&mut self) -> Result<(), Failure>;

    /// Nothing is due for so long: reads what comes meanwhile.
    fn rest(&mut self, wait: Duration) -> Result<(), Failure>;

    /// Everything is sent: waits for what confirms it, and tells what was not confirmed.
    fn finish(&mut self) -> Result<Unconfirmed, Failure>;
}

/// Messages that were sent and are not confirmed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unconfirmed {
    pub(super) refused: u64,
    pub(super) first_refusal: Option<String>,
    pub(super) unanswered: u64,
}

/// What was sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) messages: u64,
    /// Nanoseconds from due to written, of those that were due after the warm-up.
    pub(super) lag: Histogram,
    pub(super) unconfirmed: Unconfirmed,
}

/// Publishes the whole plan. The run's beginning must be known.
pub(super) fn publish(job: Job<'_>, outlet: &mut dyn Outlet) -> Result<Sent, Failure> {
    let Job { plan, run, shared, .. } = job;
    if let Some(begin) = shared.began() {
        thread::sleep(begin.saturating_duration_since(Instant::now()));
    }
    let now = || shared.since_begin(Instant::now());
    let (mut sent, mut lag, mut text) = (0, Histogram::new(7), Vec::new());
    while sent < plan.messages() && !shared.is_stopped() {
        let due = plan.due_by(now());
        if due <= sent {
            pause(plan.due(sent).saturating_sub(now()), outlet)?;
            continue;
        }
        let batch = sent..due.min(sent + BATCH);
        for message in batch.clone() {
            let (topic, number) = plan.address(message);
            text.clear();
            body::write(&mut text, &run, number, plan.due(message), plan.size);
            outlet.put(topic, number, &text);
        }
        outlet.send()?;
        let written = now();
        for due in batch.clone().map(|message| plan.due(message)).filter(|due| *due >= plan.warmup) {
            lag.add(u64::try_from(written.saturating_sub(due).as_nanos()).unwrap_or(u64::MAX));
        }
        sent = batch.end;
        shared.set_sent(sent);
    }
    Ok(Sent { messages: sent, lag, unconfirmed: outlet.finish()? })
}

/// Waits for what is due next.
fn pause(wait: Duration, outlet: &mut dyn Outlet) -> Result<(), Failure> {
    if wait > EXACT {
        // Polls count milliseconds, and may take one more.
        outlet.rest((wait.saturating_sub(EXACT)).min(LONGEST_WAIT))
    } else {
        thread::sleep(wait);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{body::Run, plan::Plan, plan::tests::plan, shared::Shared, socket::Dialer},
        *,
    };
    use crate::cli::client::Connection;

    /// Notes what is sent, and when; each time takes so long.
    struct Notes {
        queue: Vec<(u64, u64)>,
        sent: Vec<(Instant, (u64, u64))>,
        takes: Duration,
    }

    impl Outlet for Notes {
        fn put(&mut self, topic: u64, number: u64, body: &[u8]) {
            assert_eq!(body::read(body, &Run::new(1)).map(|(number, _)| number), Some(number));
            self.queue.push((topic, number));
        }

        fn send(&mut self) -> Result<(), Failure> {
            let now = Instant::now();
            self.sent.extend(self.queue.drain(..).map(|message| (now, message)));
            thread::sleep(self.takes);
            Ok(())
        }

        fn rest(&mut self, wait: Duration) -> Result<(), Failure> {
            thread::sleep(wait);
            Ok(())
        }

        fn finish(&mut self) -> Result<Unconfirmed, Failure> {
            Ok(Unconfirmed { refused: 1, ..Unconfirmed::default() })
        }
    }

    /// Publishes a plan; when it began, what was sent, and the result.
    fn published(plan: &Plan, takes: Duration) -> (Instant, Notes, Sent) {
        let connection =
            Connection { url: "ws://127.0.0.1:1".into(), token: None, token_file: None, ca_file: None };
        let (target, shared) = (connection.target().unwrap(), Shared::default());
        let dialer = Dialer::new(&target.url, &target.tls).unwrap();
        let begin = Instant::now() + Duration::from_millis(20);
        shared.begin(begin);
        let mut notes = Notes { queue: Vec::new(), sent: Vec::new(), takes };
        let job = Job { plan, run: Run::new(1), target: &target, dialer: &dialer, shared: &shared };
        let sent = publish(job, &mut notes).unwrap();
        assert_eq!(shared.sent(), sent.messages);
        (begin, notes, sent)
    }

    #[test]
    fn everything_is_sent_in_order_and_nothing_before_it_is_due() {
        let plan = Plan { topics: 2, burst: 2, rate: 100, duration: Duration::from_millis(100), ..plan() };
        let (begin, notes, sent) = published(&plan, Duration::ZERO);
        let messages: Vec<_> = notes.sent.iter().map(|(_, message)| *message).collect();
        let planned: Vec<_> = (0..10).map(|message| plan.address(message)).collect();
        assert_eq!(messages, planned);
        for (message, (at, _)) in (0..).zip(&notes.sent) {
            assert!(*at >= begin + plan.due(message), "message {message} was early");
        }
        assert_eq!((sent.messages, sent.lag.count(), sent.unconfirmed.refused), (10, 10, 1));
    }

    #[test]
    fn a_way_that_is_too_slow_makes_messages_late_and_none_is_left_out() {
        let plan = Plan { rate: 1_000, duration: Duration::from_millis(50), ..plan() };
        let (_, notes, sent) = published(&plan, Duration::from_millis(30));
        assert_eq!((notes.sent.len(), sent.messages), (50, 50));
        assert!(sent.lag.max() >= 30_000_000, "{} ns", sent.lag.max());
    }

    #[test]
    fn how_late_messages_of_the_warm_up_are_does_not_count() {
        let plan = Plan {
            rate: 100,
            warmup: Duration::from_millis(50),
            duration: Duration::from_millis(50),
            ..plan()
        };
        let (_, _, sent) = published(&plan, Duration::ZERO);
        assert_eq!((sent.messages, sent.lag.count()), (10, 5));
    }
}
