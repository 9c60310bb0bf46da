//! Alerts on how fast the budget of an SLO is spent, over several windows at once.
//!
//! The budget is the share of deliveries that may be late: 0.1 % where 99.9 % are promised, over 30 days. Spent at a
//! rate of 1 it lasts exactly so long. Each alert looks at a long window, so that a short disturbance raises none, and at
//! a short one, so that it ends soon after the disturbance (Google's SRE workbook, "Alerting on SLOs", the sixth way).

use super::Alert;
use crate::api::Slo;

/// How fast the budget is spent, and what is to be done of it.
struct Burn {
    name: &'static str,
    /// Times as fast as it lasts for 30 days, in tenths.
    tenths: u32,
    long: &'static str,
    short: &'static str,
    lasts: &'static str,
    severity: &'static str,
    description: &'static str,
}

const BURNS: [Burn; 3] = [
    Burn {
        name: "TopicGatewayLatencyBudgetBurnsFast",
        tenths: 144,
        long: "1h",
        short: "5m",
        lasts: "2m",
        severity: "critical",
        description: "In an hour 2 % of the late deliveries that 30 days may have were used up; so all will be in two days.",
    },
    Burn {
        name: "TopicGatewayLatencyBudgetBurns",
        tenths: 60,
        long: "6h",
        short: "30m",
        lasts: "15m",
        severity: "critical",
        description: "In six hours 5 % of the late deliveries that 30 days may have were used up; so all will be in five days.",
    },
    Burn {
        name: "TopicGatewayLatencyBudgetBurnsSlowly",
        tenths: 10,
        long: "3d",
        short: "6h",
        lasts: "1h",
        severity: "warning",
        description: "In three days 10 % of the late deliveries that 30 days may have were used up: none is left for a bad day.",
    },
];

const RUNBOOK: &str = "Compare topicgateway_lagging_subscribers and the pods' CPU: some slow clients or a short CPU make \
                       deliveries late here (add replicas, raise spec.pod.resources, let topics be conflated by \
                       spec.topics[].slowConsumer). If all pods are late alike, messages come late: look at NATS, its \
                       streams' replicas, and the clocks of publishers. If the promise was too bold, change spec.slo.";

/// The alerts of this SLO, fastest first. Those that could not fire though everything were late are left out: a slower
/// one tells of it.
pub(super) fn alerts<'a>(slo: &'a Slo, pods: &'a str, gateway: &'a str) -> impl Iterator<Item = Alert> + 'a {
    let budget = budget(&slo.objective);
    let can_fire = move |burn: &&Burn| burn.tenths * budget < 10 * WHOLE;
    BURNS.iter().filter(can_fire).map(move |burn| {
        let limit = format!("{} * {}", decimal(burn.tenths, 1), decimal(budget, 5));
        let late = |window| format!("{} > {limit}", late(slo.latency_milliseconds, pods, window));
        Alert {
            name: burn.name,
            expression: format!("{} and {}", late(burn.long), late(burn.short)),
            lasts: burn.lasts,
            severity: burn.severity,
            summary: format!(
                "{{{{ $value | humanizePercentage }}}} of the deliveries of TopicGateway {gateway} took longer than {} \
                 ms in {}; {} % are promised not to.",
                slo.latency_milliseconds, burn.long, slo.objective
            ),
            description: burn.description,
            runbook: RUNBOOK,
        }
    })
}

/// 100 %, in thousandths of a percent.
const WHOLE: u32 = 100_000;

/// The share that may be late, in thousandths of a percent, of an objective like `99.95`.
fn budget(objective: &str) -> u32 {
    let (percent, decimals) = objective.split_once('.').unwrap_or((objective, ""));
    let thousandths = format!("{percent}{decimals:0<3}").parse().unwrap_or(WHOLE);
    WHOLE.saturating_sub(thousandths)
}

/// A number of which the last `places` digits are behind the point, without zeros at the end.
fn decimal(number: u32, places: u32) -> String {
    let scale = 10_u32.pow(places);
    let width = places as usize;
    let text = format!("{}.{:0width$}", number / scale, number % scale);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The share of the deliveries in a window that were late; nothing where there was none.
fn late(milliseconds: i32, pods: &str, window: &str) -> String {
    let metric = "topicgateway_delivery_latency_seconds";
    let in_time = format!("sum(rate({metric}_bucket{{{pods},{}}}[{window}]))", up_to(milliseconds));
    let all = format!("sum(rate({metric}_count{{{pods}}}[{window}]))");
    format!("1 - {in_time} / {all}")
}

/// The bucket of what took no longer. Prometheus 3 knows that of a whole second as `1.0`, where 2 has `1` as the gateway
/// writes it.
fn up_to(milliseconds: i32) -> String {
    let text = decimal(milliseconds.unsigned_abs(), 3);
    if text.contains('.') { format!("le=\"{text}\"") } else { format!("le=~\"{text}(\\\\.0)?\"") }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::{
        api::MetricsSpec,
        gateway::{metrics::Metrics, topics::Registry},
    };

    fn slo(latency_milliseconds: i32, objective: &str) -> Slo {
        Slo { latency_milliseconds, objective: objective.into() }
    }

    #[test]
    fn the_budget_is_what_the_objective_leaves() {
        for (objective, expected) in
            [("99.9", "0.001"), ("99.95", "0.0005"), ("99.999", "0.00001"), ("99", "0.01"), ("50", "0.5")]
        {
            assert_eq!(decimal(budget(objective), 5), expected, "{objective}");
        }
    }

    #[test]
    fn an_alert_asks_for_the_share_of_late_deliveries_in_a_long_and_a_short_window() {
        let slo = slo(50, "99.9");
        let first = alerts(&slo, "pod=\"p\"", "n/g").next().unwrap();
        let metric = "topicgateway_delivery_latency_seconds";
        let late = |window: &str| {
            format!(
                "1 - sum(rate({metric}_bucket{{pod=\"p\",le=\"0.05\"}}[{window}])) \
                 / sum(rate({metric}_count{{pod=\"p\"}}[{window}])) > 14.4 * 0.001"
            )
        };
        assert_eq!(first.expression, format!("{} and {}", late("1h"), late("5m")));
    }

    #[test]
    fn what_could_never_fire_is_left_out() {
        let names = |objective: &str| {
            alerts(&slo(50, objective), "", "").map(|alert| alert.lasts).collect::<Vec<_>>()
        };
        assert_eq!(names("99.999"), ["2m", "15m", "1h"]);
        assert_eq!(names("93.1"), ["2m", "15m", "1h"]);
        assert_eq!(names("93"), ["15m", "1h"]);
        assert_eq!(names("50"), ["1h"]);
    }

    #[test]
    fn every_threshold_has_a_bucket_whichever_prometheus_reads_it() {
        let scraped = Metrics::new(1, Registry::new(), &MetricsSpec::default()).scrape().unwrap();
        let bounds: Vec<_> =
            scraped.lines().filter_map(|line| line.split("le=\"").nth(1)?.split('"').next()).collect();
        for threshold in Slo::THRESHOLDS {
            let asked = up_to(threshold);
            let value = asked
                .trim_start_matches("le=")
                .trim_start_matches('~')
                .trim_matches('"')
                .replace(r"\\", r"\");
            let matches = |bound: &str| {
                if asked.starts_with("le=~") {
                    Regex::new(&format!("^(?:{value})$")).unwrap().is_match(bound)
                } else {
                    value == bound
                }
            };
            assert_eq!(bounds.iter().filter(|bound| matches(bound)).count(), 1, "{asked} in {bounds:?}");
            // The form of Prometheus 3.
            let float = format!("{:?}", f64::from(threshold) / 1000.0);
            assert!(matches(&float), "{asked} and {float}");
        }
    }
}
