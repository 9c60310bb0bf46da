//! The real Prometheus, scraping what a `PodMonitor` says.

use std::{
    fmt::Write as _,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cluster::wait_for,
    namespace::Namespace,
    support::{Process, get, try_get},
};

/// A server of its own on a free port.
///
/// What the Prometheus operator does in a cluster is done here: it reads the `PodMonitor` and makes a scrape
/// configuration of it. The pods are listed by the object's selector, since not every build of Prometheus can ask the
/// API server itself.
pub(crate) struct Prometheus<'a> {
    namespace: &'a Namespace,
    monitor: Value,
    process: Process,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    directory: TempDir,
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
        let directory = TempDir::new().unwrap();
        let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
        let path = endpoint["path"].as_str().unwrap_or("/metrics");
        let job = json!({
            "job_name": "pods",
            "metrics_path": path,
            "file_sd_configs": [{"files": [directory.path().join("targets.json")]}],
        });
        let config = json!({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]});
        fs::write(directory.path().join("prometheus.yml"), config.to_string()).unwrap();
        let (process, address) = spawn(&directory, own);
        let server = Self { namespace, monitor, process, address, directory };
        server.find_pods();
        wait_for("Prometheus is ready", || {
            let ready = try_get(server.address, "/-/ready").is_some_and(|answer| answer.status == 200);
            if ready { Ok(()) } else { Err(server.process.stderr()) }
        });
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
        // Prometheus looks for a new file, not for a new text in an old one.
        let part = self.directory.path().join("targets.part");
        fs::write(&part, Value::Array(targets).to_string()).unwrap();
        fs::rename(part, self.directory.path().join("targets.json")).unwrap();
    }

    /// The samples that a query gives now: labels and value.
    #[track_caller]
    pub(crate) fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let mut encoded = String::new();
        for byte in query.bytes() {
            write!(encoded, "%{byte:02x}").unwrap();
        }
        let answer = get(self.address, &format!("/api/v1/query?query={encoded}"));
        let result = answer.json()["data"]["result"].take();
        let samples = result.as_array().unwrap_or_else(|| panic!("{query}: {answer:?}"));
        let value = |sample: &Value| sample["value"][1].as_str().unwrap().parse().unwrap();
        samples.iter().map(|sample| (sample["metric"].clone(), value(sample))).collect()
    }

    /// Waits until a query gives one sample of this value.
    #[track_caller]
    pub(crate) fn wait_for_value(&self, query: &str, expected: f64) {
        wait_for(&format!("{query} is {expected}"), || {
            let samples = self.query(query);
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

fn spawn(directory: &TempDir, own: IpAddr) -> (Process, SocketAddr) {
    let option = |name: &str, path: PathBuf| format!("--{name}={}", path.display());
    let mut command = Command::new("prometheus");
    command
        .arg(option("config.file", directory.path().join("prometheus.yml")))
        .arg(option("storage.tsdb.path", directory.path().join("data")))
        .arg(format!("--web.listen-address={}", SocketAddr::new(own, 0)));
    let process = Process::spawn(&mut command);
    let address = wait_for("Prometheus tells its address", || {
        let text = process.stderr();
        let mut listens = text.lines().filter(|line| line.contains("Listening on"));
        let address = listens.find_map(|line| line.split("address=").nth(1)?.trim().parse().ok());
        address.ok_or(text)
    });
    (process, address)
}
