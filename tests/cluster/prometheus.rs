//! The real Prometheus, scraping what a `PodMonitor` says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use crate::{cluster::wait_for, namespace::Namespace, support};

/// Where Prometheus looks for its targets.
const TARGETS: &str = "targets.json";

/// A server of its own on a free port.
///
/// What the Prometheus operator does in a cluster is done here: it reads the `PodMonitor` and makes a scrape
/// configuration of it. The pods are listed by the object's selector, since not every build of Prometheus can ask the
/// API server itself.
pub(crate) struct Prometheus<'a> {
    namespace: &'a Namespace,
    monitor: Value,
    server: support::Prometheus,
}

impl<'a> Prometheus<'a> {
    /// Scrapes what this `PodMonitor` selects.
    #[track_caller]
    pub(crate) fn start(namespace: &'a Namespace, monitor: &str) -> Self {
        Self::start_on(namespace, monitor, Ipv4Addr::LOCALHOST.into())
    }

    /// The same on an address of this machine.
    #[track_caller]
    pub(crate) fn start_on(namespace: &'a Namespace, monitor: &str, own: IpAddr) -> Self {
        let monitor = namespace.get(&format!("podmonitor/{monitor}"));
        let path = monitor["spec"]["podMetricsEndpoints"][0]["path"].as_str().unwrap_or("/metrics");
        let job =
            json!({"job_name": "pods", "metrics_path": path, "file_sd_configs": [{"files": [TARGETS]}]});
        let config = json!({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]});
        let server = support::Prometheus::start_on(own, &config, &[]);
        let server = Self { namespace, monitor, server };
        server.find_pods();
        server
    }

    /// Looks for the pods that the `PodMonitor` selects now.
    #[track_caller]
    pub(crate) fn find_pods(&self) {
        let labels = self.monitor["spec"]["selector"]["matchLabels"].as_object().expect("labels");
        let selector: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
        let endpoint = &self.monitor["spec"]["podMetricsEndpoints"][0];
        let pods = self.namespace.list("pods", &selector.join(","));
        let targets: Vec<_> = pods.iter().filter_map(|pod| target(pod, &endpoint["port"])).collect();
        self.scrape(targets);
    }

    /// Loses all pods from sight.
    pub(crate) fn lose_pods(&self) {
        self.scrape(Vec::new());
    }

    fn scrape(&self, targets: Vec<Value>) {
        self.server.replace(TARGETS, &Value::Array(targets).to_string());
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Waits until a query gives one sample of this value.
    #[track_caller]
    pub(crate) fn wait_for_value(&self, query: &str, expected: f64) {
        wait_for(&format!("{query} is {expected}"), || {
            let samples = self.server.query(query);
            match &samples[..] {
                [(_, value)] if (value - expected).abs() < 1e-9 => Ok(()),
                _ => Err(format!("{samples:?}")),
            }
        });
    }
}

/// A pod's address, once it has one, as Prometheus takes it from a file; with the labels that the operator gives it.
fn target(pod: &Value, port: &Value) -> Option<Value> {
    let containers = pod["spec"]["containers"].as_array().unwrap();
    let mut ports = containers.iter().flat_map(|container| container["ports"].as_array().unwrap());
    let found = ports.find(|found| found["name"] == *port).unwrap_or_else(|| panic!("no port {port}"));
    let address = format!("{}:{}", pod["status"]["podIP"].as_str()?, found["containerPort"]);
    let labels = json!({"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"]});
    Some(json!({"targets": [address], "labels": labels}))
}
