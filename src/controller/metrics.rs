//! What Prometheus is told of the controller. Its loop is counted under the names of Kubernetes' controller-runtime,
//! so that dashboards made for that work; `docs/metrics.md` lists them all.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector, proto::MetricFamily,
};

use super::reason::Reason;

/// Value of the label `controller` (and `name`): the resource, as controller-runtime names its controllers.
const CONTROLLER: &str = "topicgateway";

/// The reasons of problems.
const PROBLEMS: [Reason; 12] = [
    Reason::InvalidSpec,
    Reason::SecretNotFound,
    Reason::KeyMissing,
    Reason::InvalidKey,
    Reason::InvalidCertificate,
    Reason::Conflict,
    Reason::Forbidden,
    Reason::ApplyFailed,
    Reason::Rejected,
    Reason::ApiUnavailable,
    Reason::DeadlineExceeded,
    Reason::Panicked,
];

/// How a pass ended, as controller-runtime calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing is left to do.
    Success,
    /// It looks again after a while.
    RequeueAfter,
    /// It failed and is tried again.
    Error,
}

/// All metrics of one controller.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    passes: IntCounterVec,
    errors: IntCounterVec,
    panics: IntCounterVec,
    seconds: HistogramVec,
    active: IntGaugeVec,
    depth: IntGaugeVec,
    leader: IntGaugeVec,
    /// Requests to the API server.
    pub(crate) requests: IntCounterVec,
    problems: IntCounterVec,
    resources: IntGaugeVec,
    unreadable: IntGauge,
}

impl Metrics {
    /// Metrics of a controller with so many workers and this Lease. Errors where a name is given twice.
    pub(crate) fn new(concurrency: usize, lease: &str) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counter =
            |name, help, labels| registered(&registry, IntCounterVec::new(Opts::new(name, help), labels));
        let gauge =
            |name, help, labels| registered(&registry, IntGaugeVec::new(Opts::new(name, help), labels));
        let metrics = Self {
            passes: counter(
                "controller_runtime_reconcile_total",
                "Passes, by result.",
                &["controller", "result"],
            )?,
            errors: counter(
                "controller_runtime_reconcile_errors_total",
                "Passes that failed.",
                &["controller"],
            )?,
            panics: counter(
                "controller_runtime_reconcile_panics_total",
                "Passes that panicked.",
                &["controller"],
            )?,
            seconds: registered(&registry, HistogramVec::new(duration(), &["controller"]))?,
            active: gauge("controller_runtime_active_workers", "Passes under way.", &["controller"])?,
            depth: gauge("workqueue_depth", "Resources that are due and wait.", &["name"])?,
            leader: gauge(
                "leader_election_master_status",
                "1 in the controller that works, else 0.",
                &["name"],
            )?,
            requests: counter(
                "rest_client_requests_total",
                "Requests to the API server, by method and status (<error> without an answer).",
                &["method", "code"],
            )?,
            problems: counter(
                "topicgateway_problems_total",
                "What kept passes from making a resource as it should be, by reason.",
                &["reason"],
            )?,
            resources: gauge(
                "topicgateway_resources",
                "TopicGateways, by their condition Ready.",
                &["ready"],
            )?,
            unreadable: registered(
                &registry,
                IntGauge::new("topicgateway_unreadable_resources", "TopicGateways that could not be read."),
            )?,
            registry: registry.clone(),
        };
        let most =
            gauge("controller_runtime_max_concurrent_reconciles", "Most passes at a time.", &["controller"])?;
        most.with_label_values(&[CONTROLLER]).set(i64::try_from(concurrency).unwrap_or(i64::MAX));
        let build = gauge("topicgateway_build_info", "The version that runs; always 1.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        metrics.leader.with_label_values(&[lease]).set(0);
        metrics.begin();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// Series that alerts and dashboards expect are there from the start, at 0.
    fn begin(&self) {
        for ended in [Ended::Success, Ended::RequeueAfter, Ended::Error] {
            self.passes.with_label_values(&[CONTROLLER, ended.as_str()]).inc_by(0);
        }
        for reason in PROBLEMS {
            self.problems.with_label_values(&[reason.as_str()]).inc_by(0);
        }
        self.errors.with_label_values(&[CONTROLLER]).inc_by(0);
        self.panics.with_label_values(&[CONTROLLER]).inc_by(0);
        self.active.with_label_values(&[CONTROLLER]).set(0);
        self.seconds.with_label_values(&[CONTROLLER]);
        self.show_depth(0);
        self.show_resources([0; 3], 0);
    }

    /// A pass begins.
    pub(crate) fn pass_began(&self) {
        self.active.with_label_values(&[CONTROLLER]).inc();
    }

    /// A pass has ended, after so long.
    pub(crate) fn pass_ended(&self, ended: Ended, after: Duration) {
        self.active.with_label_values(&[CONTROLLER]).dec();
        self.passes.with_label_values(&[CONTROLLER, ended.as_str()]).inc();
        self.seconds.with_label_values(&[CONTROLLER]).observe(after.as_secs_f64());
        if ended == Ended::Error {
            self.errors.with_label_values(&[CONTROLLER]).inc();
        }
    }

    /// A pass has panicked.
    pub(crate) fn pass_panicked(&self) {
        self.panics.with_label_values(&[CONTROLLER]).inc();
    }

    /// Something kept a pass from its goal.
    pub(crate) fn problem(&self, reason: Reason) {
        self.problems.with_label_values(&[reason.as_str()]).inc();
    }

    /// So many resources wait.
    pub(crate) fn show_depth(&self, depth: usize) {
        self.depth.with_label_values(&[CONTROLLER]).set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// Whether this controller works, by the Lease of this name.
    pub(crate) fn show_leading(&self, lease: &str, leads: bool) {
        self.leader.with_label_values(&[lease]).set(leads.into());
    }

    /// Whether it works, as shown last.
    pub(crate) fn leads(&self, lease: &str) -> bool {
        self.leader.with_label_values(&[lease]).get() == 1
    }

    /// Resources by `Ready` (True, False, Unknown), and those that could not be read.
    pub(crate) fn show_resources(&self, ready: [i64; 3], unreadable: i64) {
        for (value, count) in ["True", "False", "Unknown"].into_iter().zip(ready) {
            self.resources.with_label_values(&[value]).set(count);
        }
        self.unreadable.set(unreadable);
    }

    /// Everything in Prometheus's text format. Reads `/proc`: call it where blocking is allowed.
    pub(crate) fn scrape(&self) -> prometheus::Result<String> {
        let families: Vec<MetricFamily> = self.registry.gather();
        TextEncoder::new().encode_to_string(&families)
    }
}

impl Ended {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::RequeueAfter => "requeue_after",
            Self::Error => "error",
        }
    }
}

/// From a pass that finds nothing to do to one that runs into its deadline.
fn duration() -> HistogramOpts {
    HistogramOpts::new("controller_runtime_reconcile_time_seconds", "How long passes took.")
        .buckets(vec![0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0])
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: prometheus::Result<C>,
) -> prometheus::Result<C> {
    let collector = collector?;
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
