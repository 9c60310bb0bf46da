//! Builds what a scrape is answered with.

use std::collections::BTreeMap;

use prometheus::{
    TextEncoder,
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use super::names::Definition;

/// The samples of one scrape. A series that is added to twice is summed: that is how the shards come together.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    families: BTreeMap<&'static str, (&'static Definition, BTreeMap<Vec<String>, u64>)>,
}

impl Exposition {
    /// Adds to the series of `metric` whose labels have these values (in the order of its definition).
    pub(super) fn add(&mut self, metric: &'static Definition, labels: &[&str], value: u64) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
        let (_, series) = self.families.entry(metric.name).or_insert_with(|| (metric, BTreeMap::new()));
        *series.entry(labels.iter().copied().map(str::to_owned).collect()).or_default() += value;
    }

    /// The text format, version 0.0.4, ordered by name and labels, followed by `more`.
    pub(super) fn text(self, more: Vec<MetricFamily>) -> prometheus::Result<String> {
        let mut families: Vec<MetricFamily> =
            self.families.into_values().map(|(metric, series)| family(metric, series)).collect();
        families.extend(more);
        TextEncoder::new().encode_to_string(&families)
    }
}

fn family(definition: &Definition, series: BTreeMap<Vec<String>, u64>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(definition.name.to_owned());
    family.set_help(definition.help.to_owned());
    family.set_field_type(definition.kind);
    family.set_metric(series.into_iter().map(|(labels, value)| sample(definition, labels, value)).collect());
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
