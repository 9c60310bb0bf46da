//! What Prometheus is told. Counters live where things happen; a scrape reads and adds them up.

mod counts;
mod exposition;
mod folding;
mod latency;
pub mod names;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

use self::{exposition::Exposition, folding::Folding, names::Definition};
use super::topics::Registry;
use crate::api::MetricsSpec;

pub use self::counts::{Resumed, ShardCounts, Transport};
pub use prometheus::TEXT_FORMAT;

/// All metrics of one gateway.
#[derive(Debug)]
pub struct Metrics {
    shards: Box<[Arc<ShardCounts>]>,
    control: Arc<ShardCounts>,
    topics: Arc<Registry>,
    folding: ArcSwap<Folding>,
    /// Counters of other parts; told once each when the gateway is put together.
    sources: Mutex<Vec<Source>>,
    #[cfg(target_os = "linux")]
    process: prometheus::process_collector::ProcessCollector,
}

/// A value that another part counts.
struct Source {
    metric: &'static Definition,
    labels: Vec<&'static str>,
    read: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Metrics {
    /// Metrics of a gateway with so many shards, which keeps its subscribers in `topics`.
    pub fn new(shards: usize, topics: Arc<Registry>, spec: &MetricsSpec) -> Arc<Self> {
        Arc::new(Self {
            shards: (0..shards).map(|_| Arc::default()).collect(),
            control: Arc::default(),
            topics,
            folding: ArcSwap::from_pointee(Folding::new(spec)),
            sources: Mutex::default(),
            #[cfg(target_os = "linux")]
            process: prometheus::process_collector::ProcessCollector::for_self(),
        })
    }

    /// Topics are folded like this from the next scrape on.
    pub fn fold(&self, spec: &MetricsSpec) {
        self.folding.store(Arc::new(Folding::new(spec)));
    }

    /// The counters of a shard; `shard` is its index, below the number given to [`Metrics::new`].
    pub fn shard(&self, shard: usize) -> &Arc<ShardCounts> {
        &self.shards[shard]
    }

    /// The counters of the control plane: clients turned away before they reach a shard.
    pub fn control(&self) -> &Arc<ShardCounts> {
        &self.control
    }

    /// The sub-sockets whose subscribers are shown.
    pub fn topics(&self) -> &Arc<Registry> {
        &self.topics
    }

    /// Shows a value that another part counts as the series of `metric` with these label values, which stand in the
    /// order of the definition. `read` is called at every scrape. What is told twice, or counted by shards as well,
    /// is summed.
    pub fn source(
        &self,
        metric: &'static Definition,
        labels: &[&'static str],
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let source = Source { metric, labels: labels.to_vec(), read: Box::new(read) };
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// Everything in Prometheus's text format, to be sent as [`TEXT_FORMAT`]. Takes milliseconds with many topics
    /// and reads `/proc`: call it where blocking is allowed.
    pub fn scrape(&self) -> prometheus::Result<String> {
        let mut page = Exposition::default();
        page.add(&names::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1);
        for counts in self.shards.iter().chain([&self.control]) {
            counts.show(&mut page);
        }
        for source in self.sources.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            page.add(source.metric, &source.labels, (source.read)());
        }
        self.show_topics(&mut page);
        page.text(self.process())
    }

    /// One walk for all that is said of topics, so that the sums agree within a scrape.
    fn show_topics(&self, page: &mut Exposition) {
        let (mut topics, mut subscriptions) = (0, 0);
        let folding = self.folding.load_full();
        let mut tally = folding.tally();
        self.topics.walk(|topic, subscribers| {
            topics += 1;
            subscriptions += u64::from(subscribers);
            tally.add(topic, subscribers);
        });
        let found = tally.finish();
        page.add(&names::TOPICS, &[], topics);
        page.add(&names::SUBSCRIPTIONS, &[], subscriptions);
        page.add(&names::TOPIC_SERIES, &["exported"], found.exported);
        page.add(&names::TOPIC_SERIES, &["folded"], found.folded);
        for (label, subscribers) in &found.series {
            page.add(&names::TOPIC_SUBSCRIBERS, &[label], *subscribers);
        }
    }

    #[cfg(target_os = "linux")]
    fn process(&self) -> Vec<prometheus::proto::MetricFamily> {
        prometheus::core::Collector::collect(&self.process)
    }

    #[cfg(not(target_os = "linux"))]
    fn process(&self) -> Vec<prometheus::proto::MetricFamily> {
        Vec::new()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("metric", &self.metric.name)
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
