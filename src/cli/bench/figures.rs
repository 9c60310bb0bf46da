//! What a run is worth knowing for: the result as it is written to a file, from what was counted.

use std::time::Duration;

use serde::Serialize;

use super::{
    histogram::Histogram,
    plan::Plan,
    publisher::Sent,
    tally::Tally,
    usage::{Cpu, Usage},
};

/// Percentiles of the curve, in parts of 100 000.
const CURVE: [u64; 13] =
    [0, 10_000, 25_000, 50_000, 75_000, 90_000, 95_000, 99_000, 99_500, 99_900, 99_950, 99_990, 100_000];

/// What was counted.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    pub(super) plan: &'a Plan,
    pub(super) url: &'a str,
    /// Whether messages went straight to NATS.
    pub(super) nats: bool,
    /// How long it took to set all connections up.
    pub(super) ramp: Duration,
    pub(super) tally: &'a Tally,
    pub(super) sent: Option<&'a Sent>,
    /// From the end of the warm-up to the last delivery.
    pub(super) span: Duration,
    /// What this program's threads used in this span.
    pub(super) generator: Vec<(String, Cpu)>,
    pub(super) server: Option<Watched>,
}

/// A server process at the moments that count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    pub(super) process: u32,
    /// Before any connection.
    pub(super) before: Usage,
    /// With all connections.
    pub(super) connected: Usage,
    /// At the end of the warm-up.
    pub(super) began: Usage,
    /// After the last delivery.
    pub(super) ended: Usage,
}

/// The result, with every unit in a name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    pub(super) work: Work,
    pub(super) connected: Connected,
    /// Absent where nothing was to be sent, as are `delivery` and `latency`.
    pub(super) sent: Option<Sending>,
    pub(super) delivery: Option<Delivery>,
    pub(super) latency: Option<Latency>,
    /// Connections that the gateway closed, or that broke.
    pub(super) closes: Vec<Closed>,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    /// Connections that were told that the gateway goes away.
    pub(super) draining: u64,
    pub(super) generator: Vec<Busy>,
    pub(super) server: Option<Server>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Work {
    pub(super) url: String,
    pub(super) published_over: &'static str,
    pub(super) connections: u64,
    pub(super) topics: u64,
    pub(super) topics_per_connection: u64,
    pub(super) messages_per_second: u64,
    pub(super) burst: u64,
    pub(super) message_bytes: u64,
    pub(super) warmup_seconds: f64,
    pub(super) seconds: f64,
    pub(super) idle: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connected {
    pub(super) connections: u64,
    pub(super) subscriptions: u64,
    pub(super) seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sending {
    /// With the warm-up, as all counts of messages.
    pub(super) messages: u64,
    pub(super) messages_per_second: f64,
    pub(super) lag_p99_ms: f64,
    pub(super) lag_max_ms: f64,
    pub(super) refused: u64,
    pub(super) first_refusal: Option<String>,
    pub(super) unanswered: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delivery {
    pub(super) expected: u64,
    pub(super) delivered: u64,
    pub(super) percent: f64,
    pub(super) missing: u64,
    /// After a later one, or once more.
    pub(super) late: u64,
    /// Deliveries with `seqNo` and `prevSeqNo`, and those of them that did not follow the one before.
    pub(super) numbered: u64,
    pub(super) broken_numbers: u64,
    /// `gap` frames.
    pub(super) gaps: u64,
    pub(super) foreign: u64,
    /// After the warm-up.
    pub(super) measured: u64,
    pub(super) deliveries_per_second: f64,
}

/// Milliseconds from when a message was due to when it was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Latency {
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) max_ms: f64,
    pub(super) percentiles: Vec<Point>,
    pub(super) over_time: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Point {
    pub(super) percent: f64,
    pub(super) ms: f64,
}

/// Messages that were due from `seconds` after the warm-up on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    pub(super) seconds: f64,
    pub(super) deliveries: u64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Closed {
    pub(super) code: u16,
    pub(super) count: u64,
    pub(super) first_reason: String,
}

/// A thread of this program, in shares of the span measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Busy {
    pub(super) thread: String,
    pub(super) running: f64,
    /// It had work and no core.
    pub(super) waiting: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Server {
    pub(super) process: u32,
    /// Of all threads together, over the span measured.
    pub(super) cores: f64,
    pub(super) cpu_nanos_per_delivery: Option<f64>,
    pub(super) cpu_micros_per_connect: f64,
    /// Where nothing is sent: of a connection, in a second.
    pub(super) cpu_micros_per_idle_second: Option<f64>,
    pub(super) resident_bytes: u64,
    /// Without files.
    pub(super) own_bytes: u64,
    /// By which its own memory grew while the connections were set up.
    pub(super) bytes_per_connection: u64,
}

impl Figures {
    pub(super) fn of(counted: &Counted<'_>) -> Self {
        let Counted { plan, tally, .. } = *counted;
        let closes = tally.closes.iter().map(|(code, (count, reason))| Closed {
            code: *code,
            count: *count,
            first_reason: reason.clone(),
        });
        Self {
            work: work(counted),
            connected: Connected {
                connections: plan.connections,
                subscriptions: plan.subscriptions(),
                seconds: seconds(counted.ramp),
            },
            sent: counted.sent.map(|sent| sending(plan, sent)),
            delivery: counted.sent.map(|sent| delivery(counted, sent)),
            latency: counted.sent.map(|_| latency(tally)),
            closes: closes.collect(),
            errors: tally.errors,
            first_error: tally.first_error.clone(),
            draining: tally.draining,
            generator: counted.generator.iter().map(|(name, cpu)| busy(name, *cpu, counted.span)).collect(),
            server: counted.server.as_ref().map(|watched| server(counted, watched)),
        }
    }
}

fn work(counted: &Counted<'_>) -> Work {
    let plan = counted.plan;
    Work {
        url: counted.url.into(),
        published_over: match (plan.idle, counted.nats) {
            (true, _) => "nothing",
            (false, true) => "nats",
            (false, false) => "websocket",
        },
        connections: plan.connections,
        topics: plan.topics,
        topics_per_connection: plan.topics_per_connection,
        messages_per_second: if plan.idle { 0 } else { plan.rate },
        burst: plan.burst,
        message_bytes: plan.size as u64,
        warmup_seconds: seconds(plan.warmup),
        seconds: seconds(plan.duration),
        idle: plan.idle,
    }
}

fn sending(plan: &Plan, sent: &Sent) -> Sending {
    Sending {
        messages: sent.messages,
        messages_per_second: per_second(sent.lag.count(), plan.duration),
        lag_p99_ms: ms(sent.lag.percentile(Histogram::P99)),
        lag_max_ms: ms(sent.lag.max()),
        refused: sent.unconfirmed.refused,
        first_refusal: sent.unconfirmed.first_refusal.clone(),
        unanswered: sent.unconfirmed.unanswered,
    }
}

fn delivery(counted: &Counted<'_>, sent: &Sent) -> Delivery {
    let tally = counted.tally;
    let expected = counted.plan.deliveries(sent.messages);
    Delivery {
        expected,
        delivered: tally.delivered,
        percent: round(ratio(tally.delivered, expected) * 100.0),
        missing: expected.saturating_sub(tally.delivered),
        late: tally.late,
        numbered: tally.numbered,
        broken_numbers: tally.broken,
        gaps: tally.gaps,
        foreign: tally.foreign,
        measured: tally.latency.count(),
        deliveries_per_second: per_second(tally.latency.count(), counted.span),
    }
}

fn latency(tally: &Tally) -> Latency {
    let all = &tally.latency;
    let at = |of_100_000| ms(all.percentile(of_100_000));
    let parts = tally.over_time().map(|(begin, part)| Part {
        seconds: seconds(begin),
        deliveries: part.count(),
        p50_ms: ms(part.percentile(Histogram::P50)),
        p99_ms: ms(part.percentile(Histogram::P99)),
        max_ms: ms(part.max()),
    });
    Latency {
        p50_ms: at(Histogram::P50),
        p90_ms: at(Histogram::P90),
        p99_ms: at(Histogram::P99),
        p999_ms: at(Histogram::P999),
        max_ms: ms(all.max()),
        percentiles: CURVE.map(|part| Point { percent: round(ratio(part, 1000)), ms: at(part) }).into(),
        over_time: parts.collect(),
    }
}

fn busy(name: &str, cpu: Cpu, span: Duration) -> Busy {
    let share = |time: Duration| round(time.as_secs_f64() / span.as_secs_f64().max(f64::MIN_POSITIVE));
    Busy { thread: name.into(), running: share(cpu.ran), waiting: share(cpu.waited) }
}

fn server(counted: &Counted<'_>, watched: &Watched) -> Server {
    let Watched { process, before, connected, began, ended } = *watched;
    let (plan, measured) = (counted.plan, counted.tally.latency.count());
    let cpu = ended.cpu.since(began.cpu).ran;
    let connecting = connected.cpu.since(before.cpu).ran;
    let each = |time: Duration, count: u64| time.as_secs_f64() * ratio(1, count);
    // Memory of an idle test is looked at last, when all is settled; else before messages come.
    let settled = if plan.idle { ended } else { connected };
    Server {
        process,
        cores: busy("", ended.cpu.since(began.cpu), counted.span).running,
        cpu_nanos_per_delivery: (measured > 0).then(|| round(each(cpu, measured) * 1e9)),
        cpu_micros_per_connect: round(each(connecting, plan.connections) * 1e6),
        cpu_micros_per_idle_second: plan
            .idle
            .then(|| round(each(cpu, plan.connections) * 1e6 / counted.span.as_secs_f64().max(0.001))),
        resident_bytes: ended.memory.resident,
        own_bytes: ended.memory.own,
        bytes_per_connection: settled.memory.own.saturating_sub(before.memory.own) / plan.connections.max(1),
    }
}

/// 0 of nothing is 0. Exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn per_second(count: u64, span: Duration) -> f64 {
    round(ratio(count, 1) / span.as_secs_f64().max(0.001))
}

/// Milliseconds, down to the microsecond.
fn ms(nanos: u64) -> f64 {
    round(Duration::from_nanos(nanos).as_secs_f64() * 1e3)
}

fn seconds(time: Duration) -> f64 {
    round(time.as_secs_f64())
}

/// To three digits behind the point.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
pub(super) mod tests {
    use super::{
        super::{body::Run, plan::tests::plan, publisher::Unconfirmed, usage::Memory},
        *,
    };

    /// Ten messages to one connection, all of which came, in 1 to 10 ms.
    pub(in crate::cli::bench) fn good() -> Figures {
        let (tally, sent) = (tally(), sent());
        Figures::of(&counted(&plan(), &tally, Some(&sent)))
    }

    fn tally() -> Tally {
        let mut tally = Tally::new(plan(), Run::new(1));
        for number in 1..=10 {
            tally.delivered += 1;
            tally.numbered += 1;
            tally.latency.add(number * 1_000_000);
        }
        tally.slots[0].add(1_000_000);
        tally
    }

    fn sent() -> Sent {
        let mut lag = Histogram::new(7);
        (0..10).for_each(|_| lag.add(500_000));
        Sent { messages: 10, lag, unconfirmed: Unconfirmed::default() }
    }

    fn counted<'a>(plan: &'a Plan, tally: &'a Tally, sent: Option<&'a Sent>) -> Counted<'a> {
        let cpu = |millis, waited| Cpu {
            ran: Duration::from_millis(millis),
            waited: Duration::from_millis(waited),
        };
        let usage = |millis, own| Usage { cpu: cpu(millis, 0), memory: Memory { resident: own + 100, own } };
        Counted {
            plan,
            url: "ws://gw/ws",
            nats: false,
            ramp: Duration::from_millis(1_500),
            tally,
            sent,
            span: Duration::from_secs(2),
            generator: vec![("reader 0".into(), cpu(500, 100))],
            server: Some(Watched {
                process: 7,
                before: usage(0, 1_000),
                connected: usage(3, 1_400),
                began: usage(10, 1_500),
                ended: usage(50, 1_600),
            }),
        }
    }

    #[test]
    fn figures_are_what_was_counted() {
        let figures = good();
        let delivery = figures.delivery.unwrap();
        assert_eq!(
            (delivery.expected, delivery.delivered, delivery.missing, delivery.measured),
            (10, 10, 0, 10)
        );
        let exact =
            |value: f64, expected: f64| assert!((value - expected).abs() < 0.001, "{value}, not {expected}");
        exact(delivery.percent, 100.0);
        exact(delivery.deliveries_per_second, 5.0);
        let latency = figures.latency.unwrap();
        // Known to one part in 128, and never above the highest.
        assert!(
            (5.0..5.04).contains(&latency.p50_ms) && (10.0..10.001).contains(&latency.p99_ms),
            "{latency:?}"
        );
        exact(latency.max_ms, 10.0);
        assert_eq!((latency.percentiles.len(), latency.over_time.len()), (CURVE.len(), 1));
        let sent = figures.sent.unwrap();
        exact(sent.lag_p99_ms, 0.5);
        exact(figures.connected.seconds, 1.5);
        exact(figures.generator[0].running, 0.25);
        exact(figures.generator[0].waiting, 0.05);
    }

    #[test]
    fn a_server_is_told_by_what_it_used_between_the_moments_that_count() {
        let server = good().server.unwrap();
        let exact =
            |value: f64, expected: f64| assert!((value - expected).abs() < 0.001, "{value}, not {expected}");
        exact(server.cpu_nanos_per_delivery.unwrap(), 4_000_000.0);
        exact(server.cpu_micros_per_connect, 3_000.0);
        exact(server.cores, 0.02);
        assert_eq!(
            (server.bytes_per_connection, server.own_bytes, server.resident_bytes),
            (400, 1_600, 1_700)
        );
        assert_eq!(server.cpu_micros_per_idle_second, None);
    }

    #[test]
    fn an_idle_test_has_neither_deliveries_nor_latencies() {
        let idle = Plan { idle: true, ..plan() };
        let tally = Tally::new(idle.clone(), Run::new(1));
        let figures = Figures::of(&counted(&idle, &tally, None));
        assert_eq!((&figures.sent, &figures.delivery, &figures.latency), (&None, &None, &None));
        let server = figures.server.unwrap();
        assert_eq!((server.bytes_per_connection, server.cpu_nanos_per_delivery), (600, None));
        assert!((server.cpu_micros_per_idle_second.unwrap() - 20_000.0).abs() < 0.001, "{server:?}");
    }

    #[test]
    fn names_in_the_file_hold_their_units() {
        let json = serde_json::to_value(good()).unwrap();
        for name in [
            "/work/messageBytes",
            "/latency/p999Ms",
            "/latency/overTime/0/p99Ms",
            "/server/cpuNanosPerDelivery",
        ] {
            assert!(json.pointer(name).is_some(), "{name}: {json}");
        }
    }
}
