//! Builds what a scrape is answered with.

use std::collections::BTreeMap;

use prometheus::{
    TextEncoder,
    proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType},
};

use super::names::Definition;

/// The samples of one scrape. A series that is added to twice is summed: that is how the shards come together.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    families: BTreeMap<&'static str, (&'static Definition, BTreeMap<Vec<String>, u64>)>,
    times: BTreeMap<&'static str, (&'static Definition, Times)>,
}

/// One histogram of times.
#[derive(Debug, Default)]
struct Times {
    /// Bound in microseconds and what lies between it and the one before.
    buckets: BTreeMap<u64, u64>,
    /// What lies beyond the last bound.
    beyond: u64,
    /// Microseconds.
    sum: u64,
}

impl Exposition {
    /// Adds to the series of `metric` whose labels have these values (in the order of its definition).
    pub(super) fn add(&mut self, metric: &'static Definition, labels: &[&str], value: u64) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
        let (_, series) = self.families.entry(metric.name).or_insert_with(|| (metric, BTreeMap::new()));
        *series.entry(labels.iter().copied().map(str::to_owned).collect()).or_default() += value;
    }

    /// Adds to a histogram of times without labels: how many lie up to each bound and above the one before, how many
    /// beyond the last, and the sum of all. Bounds and sum are in microseconds, and shown in seconds.
    pub(super) fn add_times(
        &mut self,
        metric: &'static Definition,
        bounds: &[u64],
        counts: &[u64],
        sum: u64,
    ) {
        let (_, times) = self.times.entry(metric.name).or_insert_with(|| (metric, Times::default()));
        for (bound, count) in bounds.iter().zip(counts) {
            *times.buckets.entry(*bound).or_default() += count;
        }
        times.beyond += counts[bounds.len()..].iter().sum::<u64>();
        times.sum += sum;
    }

    /// The text format, version 0.0.4, ordered by name and labels, followed by `more`.
    pub(super) fn text(self, more: Vec<MetricFamily>) -> prometheus::Result<String> {
        let counted = self.families.into_values().map(|(metric, series)| {
            let samples = series.into_iter().map(|(labels, value)| sample(metric, labels, value));
            family(metric, samples.collect())
        });
        let timed = self.times.into_values().map(|(metric, times)| family(metric, vec![times.sample()]));
        let mut families: Vec<MetricFamily> = counted.chain(timed).collect();
        families.sort_by(|a, b| a.name().cmp(b.name()));
        families.extend(more);
        TextEncoder::new().encode_to_string(&families)
    }
}

// Prometheus knows only doubles: exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

impl Times {
    fn sample(self) -> Metric {
        let (mut histogram, mut cumulative) = (Histogram::default(), 0);
        let bucket = |(bound, count)| {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(seconds(bound));
            bucket.set_cumulative_count(cumulative);
            bucket
        };
        let buckets = self.buckets.into_iter().map(bucket).collect();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(cumulative + self.beyond);
        histogram.set_sample_sum(seconds(self.sum));
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        metric
    }
}

fn family(definition: &Definition, samples: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(definition.name.to_owned());
    family.set_help(definition.help.to_owned());
    family.set_field_type(definition.kind);
    family.set_metric(samples);
    family
}

// Prometheus knows only doubles: exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn sample(definition: &Definition, labels: Vec<String>, value: u64) -> Metric {
    let pairs = definition.labels.iter().zip(labels).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value);
        pair
    });
    let mut metric = Metric::from_label(pairs.collect());
    if definition.kind == MetricType::GAUGE {
        let mut gauge = Gauge::default();
        gauge.set_value(value as f64);
        metric.set_gauge(gauge);
    } else {
        let mut counter = Counter::default();
        counter.set_value(value as f64);
        metric.set_counter(counter);
    }
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::metrics::names;

    #[test]
    fn a_series_added_to_twice_is_summed_and_labels_are_escaped() {
        let mut page = Exposition::default();
        page.add(&names::ERRORS, &["a\"b"], 1);
        page.add(&names::ERRORS, &["a\"b"], 2);
        page.add(&names::TOPICS, &[], 9);
        assert_eq!(
            page.text(Vec::new()).unwrap(),
            "# HELP topicgateway_errors_total Errors answered to clients, by error code.\n\
             # TYPE topicgateway_errors_total counter\n\
             topicgateway_errors_total{code=\"a\\\"b\"} 3\n\
             # HELP topicgateway_topics Topics and patterns with at least one subscriber.\n\
             # TYPE topicgateway_topics gauge\n\
             topicgateway_topics 9\n"
        );
    }
}
