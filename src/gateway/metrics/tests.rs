use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

use super::*;
use crate::gateway::protocol::{ErrorCode, GapReason};

/// Metrics with every source told, as the gateway is put together.
fn assembled() -> Arc<Metrics> {
    let metrics = Metrics::new(2, Registry::new(), &MetricsSpec::default());
    metrics.source(&names::PUBLISH, &["ok"], || 1);
    metrics.source(&names::TLS_HANDSHAKE_FAILURES, &["closed"], || 1);
    for metric in [
        &names::ACCEPT_ERRORS,
        &names::TLS_CERTIFICATE_NOT_AFTER,
        &names::MESSAGES_RECEIVED,
        &names::MESSAGES_RECEIVED_BYTES,
        &names::MESSAGES_NOT_JSON,
        &names::MESSAGES_IGNORED,
        &names::BACKBONE_CONNECTED,
        &names::BACKBONE_RECONNECTS,
        &names::REPAIRED,
        &names::HISTORY_READS,
        &names::BACKBONE_DROPPED,
        &names::BACKBONE_ERRORS,
        &names::CONFIG_GENERATION,
        &names::CONFIG_REJECTED,
    ] {
        metrics.source(metric, &[], || 1);
    }
    metrics.topics().enter(&"a".into()).store(3, Ordering::Relaxed);
    metrics
}

/// Name and type of every family in the text.
fn families(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

fn kind(definition: &Definition) -> &'static str {
    match definition.kind {
        prometheus::proto::MetricType::GAUGE => "gauge",
        prometheus::proto::MetricType::HISTOGRAM => "histogram",
        _ => "counter",
    }
}

#[test]
fn a_scrape_shows_every_metric_that_is_defined_and_the_process() {
    let text = assembled().scrape().unwrap();
    let shown = families(&text);
    for definition in names::ALL {
        assert_eq!(shown.get(definition.name), Some(&kind(definition)), "{}", definition.name);
    }
    let unknown: Vec<_> = shown
        .keys()
        .filter(|name| !name.starts_with("process_") && names::ALL.iter().all(|d| d.name != **name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(shown.contains_key("process_resident_memory_bytes"), cfg!(target_os = "linux"));
}

#[test]
fn the_documentation_lists_exactly_these_metrics_with_their_types_and_labels() {
    let rows: BTreeSet<String> = include_str!("../../../docs/metrics.md")
        .lines()
        .take_while(|line| *line != "## Metrics of the controller")
        .filter(|line| line.starts_with("| `topicgateway_"))
        .map(|line| line.split('|').take(4).map(str::trim).collect::<Vec<_>>().join(" | "))
        .collect();
    let expected: BTreeSet<String> = names::ALL
        .iter()
        .map(|d| {
            let labels: Vec<_> = d.labels.iter().map(|label| format!("`{label}`")).collect();
            format!(" | `{}` | {} | {}", d.name, kind(d), labels.join(", "))
        })
        .map(|row| row.trim_end().to_owned())
        .collect();
    let rows: BTreeSet<String> = rows.iter().map(|row| row.trim_end().to_owned()).collect();
    assert_eq!(rows, expected);
}

#[test]
#[cfg(target_os = "linux")]
fn the_documentation_lists_exactly_the_metrics_of_the_process() {
    let text = assembled().scrape().unwrap();
    let shown: BTreeSet<&str> =
        families(&text).into_keys().filter(|name| name.starts_with("process_")).collect();
    let documented: BTreeSet<&str> = include_str!("../../../docs/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `process_").map(|_| line.split('`').nth(1).unwrap()))
        .collect();
    assert_eq!(documented, shown);
}

#[test]
fn shards_control_plane_and_sources_are_summed() {
    let metrics = assembled();
    metrics.shard(0).delivered(1, 10);
    metrics.shard(1).delivered(2, 20);
    metrics.shard(0).latency(500_000, 1);
    metrics.shard(1).latency(20_000_000, 2);
    metrics.shard(0).gap(GapReason::Backbone);
    metrics.source(&names::GAPS, &["backbone"], || 4);
    metrics.shard(1).error(ErrorCode::AclDenied);
    metrics.control().error(ErrorCode::AclDenied);
    let text = metrics.scrape().unwrap();
    for line in [
        "topicgateway_messages_delivered_total 3",
        "topicgateway_messages_delivered_bytes_total 30",
        "topicgateway_delivery_latency_seconds_count 3",
        "topicgateway_delivery_latency_seconds_sum 40.5",
        "topicgateway_delivery_latency_seconds_bucket{le=\"0.5\"} 1",
        "topicgateway_delivery_latency_seconds_bucket{le=\"10\"} 1",
        "topicgateway_delivery_latency_seconds_bucket{le=\"30\"} 3",
        "topicgateway_gaps_total{reason=\"backbone\"} 5",
        "topicgateway_errors_total{code=\"ACL_DENIED\"} 2",
    ] {
        assert!(text.lines().any(|l| l == line), "no line {line:?} in\n{text}");
    }
}

#[test]
fn a_source_is_read_at_every_scrape() {
    let metrics = Metrics::new(1, Registry::new(), &MetricsSpec::default());
    let value = Arc::new(AtomicU64::new(1));
    let read = value.clone();
    metrics.source(&names::CONFIG_GENERATION, &[], move || read.load(Ordering::Relaxed));
    assert!(metrics.scrape().unwrap().contains("\ntopicgateway_config_generation 1\n"));
    value.store(2, Ordering::Relaxed);
    assert!(metrics.scrape().unwrap().contains("\ntopicgateway_config_generation 2\n"));
}

#[test]
fn topics_are_folded_as_was_said_last() {
    let metrics = Metrics::new(1, Registry::new(), &MetricsSpec::default());
    metrics.topics().enter(&"a".into()).store(2, Ordering::Relaxed);
    assert!(metrics.scrape().unwrap().contains("\ntopicgateway_topic_subscribers{topic=\"a\"} 2\n"));
    metrics.fold(&MetricsSpec { max_topic_series: 0, ..MetricsSpec::default() });
    let text = metrics.scrape().unwrap();
    assert!(text.contains("\ntopicgateway_topic_subscribers{topic=\"__other__\"} 2\n"), "{text}");
}

#[test]
fn the_series_of_a_topic_goes_with_its_last_subscriber() {
    let metrics = Metrics::new(1, Registry::new(), &MetricsSpec::default());
    let topic: Arc<str> = "prices.btc".into();
    metrics.topics().enter(&topic).store(2, Ordering::Relaxed);
    let text = metrics.scrape().unwrap();
    assert!(text.contains("\ntopicgateway_topic_subscribers{topic=\"prices.btc\"} 2\n"), "{text}");
    assert!(text.contains("\ntopicgateway_subscriptions 2\n"), "{text}");
    metrics.topics().leave(&topic);
    let text = metrics.scrape().unwrap();
    assert!(!text.contains("prices.btc"), "{text}");
    assert!(text.contains("\ntopicgateway_topics 0\n"), "{text}");
}
