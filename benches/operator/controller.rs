//! The controller under measurement.

use std::{fs, net::SocketAddr, path::Path};

use crate::support::{Metrics, Process, command, get, wait_for};

pub(crate) struct Controller {
    process: Process,
    admin: SocketAddr,
}

impl Controller {
    /// Starts one that reaches the API server by this file.
    pub(crate) fn start(kubeconfig: &Path) -> Self {
        let mut command = command(["controller", "--admin", "127.0.0.1:0", "--leader-elect", "false"]);
        let process = Process::spawn(command.env("KUBECONFIG", kubeconfig));
        let admin = wait_for("the controller listens", || {
            let text = process.stderr();
            let (_, rest) = text.split_once("\"admin\":\"")?;
            rest.split_once('"')?.0.parse().ok()
        });
        Self { process, admin }
    }

    fn metrics(&self) -> Metrics {
        Metrics::parse(&get(self.admin, "/metrics").body)
    }

    /// Resources it has an opinion on.
    pub(crate) fn told(&self) -> f64 {
        let metrics = self.metrics();
        let of = |ready| metrics.sum("topicgateway_resources", &[("ready", ready)]);
        ["True", "False"].into_iter().map(of).sum()
    }

    /// Requests that ask for a change.
    pub(crate) fn writes(&self) -> f64 {
        let metrics = self.metrics();
        let of = |method| metrics.sum("rest_client_requests_total", &[("method", method)]);
        ["POST", "PUT", "PATCH", "DELETE"].into_iter().map(of).sum()
    }

    /// CPU time in seconds, by the hundredth.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // utime and stime, in ticks (proc(5)): a hundred a second on Linux.
        fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    /// In bytes.
    pub(crate) fn memory(&self) -> f64 {
        self.metrics().sum("process_resident_memory_bytes", &[])
    }
}
