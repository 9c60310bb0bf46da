//! Whether a result counts. A figure that is wrong in silence is worse than none.

use std::time::Duration;

use super::figures::{Busy, Delivery, Figures, Sending};

/// Share of a core from which on a thread of this program may have been what limited the result.
const FULL: f64 = 0.9;

/// Why the result does not count; empty if it does. `max_lag`: how late messages may be sent, at p99.
pub(super) fn reasons(figures: &Figures, max_lag: Duration) -> Vec<String> {
    let mut reasons = Vec::new();
    if figures.connected.subscriptions == 0 {
        reasons.push("no connection holds a subscription, and what is not subscribed costs nothing".into());
    }
    if let Some(sent) = &figures.sent {
        reasons.extend(sending(sent, max_lag));
    }
    if let Some(delivery) = &figures.delivery {
        reasons.extend(deliveries(delivery));
    }
    for closed in &figures.closes {
        reasons.push(format!(
            "{} connections ended during the run ({}: {})",
            closed.count, closed.code, closed.first_reason
        ));
    }
    reasons.extend(figures.generator.iter().filter_map(busy));
    reasons
}

fn sending(sent: &Sending, max_lag: Duration) -> Vec<String> {
    let mut reasons = Vec::new();
    let most = max_lag.as_secs_f64() * 1e3;
    if sent.lag_p99_ms > most {
        reasons.push(format!(
            "messages were sent up to {:.1} ms late at p99 (more than {most:.1} ms, --max-lag): this program, or what \
             takes the messages, is too slow for the rate",
            sent.lag_p99_ms
        ));
    }
    if sent.refused > 0 {
        reasons.push(format!(
            "{} publishes were refused: {}",
            sent.refused,
            sent.first_refusal.as_deref().unwrap_or("without a reason")
        ));
    }
    if sent.unanswered > 0 {
        reasons.push(format!("{} publishes were not confirmed", sent.unanswered));
    }
    reasons
}

fn deliveries(delivery: &Delivery) -> Vec<String> {
    let mut reasons = Vec::new();
    if delivery.missing > 0 {
        reasons.push(format!(
            "{} of {} deliveries are missing ({:.3} % arrived)",
            delivery.missing, delivery.expected, delivery.percent
        ));
    }
    if delivery.late > 0 {
        reasons.push(format!("{} deliveries came after a later one, or twice", delivery.late));
    }
    if delivery.broken_numbers > 0 {
        reasons.push(format!(
            "{} deliveries have a prevSeqNo that is not the seqNo before them",
            delivery.broken_numbers
        ));
    }
    if delivery.measured == 0 {
        reasons
            .push("no delivery falls into the time that is measured: make it longer with --duration".into());
    }
    reasons
}

fn busy(thread: &Busy) -> Option<String> {
    let Busy { thread, running, waiting } = thread;
    let used = running + waiting;
    (used >= FULL).then(|| {
        format!(
            "this program's thread {thread} was at its limit ({:.0} % running, {:.0} % waiting for a core): use more \
             --threads, a machine of its own, or less load",
            running * 100.0,
            waiting * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::figures::{Closed, tests::good},
        *,
    };

    const LAG: Duration = Duration::from_millis(10);

    /// What is said of a good result that was changed.
    fn judged(change: impl FnOnce(&mut Figures)) -> Vec<String> {
        let mut figures = good();
        change(&mut figures);
        reasons(&figures, LAG)
    }

    #[track_caller]
    fn assert_one(reasons: &[String], word: &str) {
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(reasons[0].contains(word), "{reasons:?}");
    }

    #[test]
    fn a_result_with_everything_in_order_counts() {
        assert_eq!(judged(|_| ()), [""; 0]);
    }

    #[test]
    fn each_fault_is_a_reason() {
        assert_one(&judged(|figures| figures.connected.subscriptions = 0), "subscription");
        let delivery =
            |change: fn(&mut Delivery)| judged(|figures| change(figures.delivery.as_mut().unwrap()));
        assert_one(&delivery(|delivery| delivery.missing = 1), "missing");
        assert_one(&delivery(|delivery| delivery.late = 1), "later one");
        assert_one(&delivery(|delivery| delivery.broken_numbers = 1), "prevSeqNo");
        assert_one(&delivery(|delivery| delivery.measured = 0), "--duration");
        let sending = |change: fn(&mut Sending)| judged(|figures| change(figures.sent.as_mut().unwrap()));
        assert_one(&sending(|sent| sent.lag_p99_ms = 10.1), "--max-lag");
        assert_one(&sending(|sent| sent.refused = 1), "refused");
        assert_one(&sending(|sent| sent.unanswered = 1), "not confirmed");
        let closed = Closed { code: 4409, count: 2, first_reason: "slow consumer".into() };
        assert_one(&judged(|figures| figures.closes.push(closed)), "4409: slow consumer");
    }

    #[test]
    fn a_thread_near_a_whole_core_or_kept_from_it_is_the_limit() {
        for (running, waiting, full) in
            [(0.89, 0.0, false), (0.9, 0.0, true), (0.3, 0.7, true), (0.3, 0.3, false)]
        {
            let reasons = judged(|figures| {
                figures.generator = vec![Busy { thread: "reader 0".into(), running, waiting }];
            });
            assert_eq!(!reasons.is_empty(), full, "{running} {waiting}: {reasons:?}");
            assert!(!full || reasons[0].contains("reader 0"), "{reasons:?}");
        }
    }

    #[test]
    fn an_idle_test_counts_where_there_are_subscriptions_and_all_stay() {
        let idle = |figures: &mut Figures| {
            (figures.sent, figures.delivery, figures.latency) = (None, None, None);
        };
        assert_eq!(judged(idle), [""; 0]);
        let without = |figures: &mut Figures| {
            idle(figures);
            figures.connected.subscriptions = 0;
        };
        assert_one(&judged(without), "subscription");
    }
}
