//! What 1 000 resources cost the controller: from nothing to all of them reconciled, and then at rest. Fails beyond
//! the bounds below. `tests/run scale` gives it an API server of its own, which shares the machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!({…})` reads best where it is given away")]

#[path = "../../tests/support/kubectl.rs"]
mod kubectl;
#[path = "../../tests/support/support.rs"]
#[allow(dead_code, unused_imports, reason = "a bench needs a part of what the scenarios need")]
mod support;

use std::{
    fs,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use kubectl::kubectl;
use support::{Metrics, Process, command, get, wait_for};

/// Resources.
const RESOURCES: u32 = 1_000;
/// Longest time until all are reconciled, two cores shared with API server and etcd.
const COLD: Duration = Duration::from_mins(2);
/// How long it is looked at while at rest.
const REST: Duration = Duration::from_mins(1);
/// Largest share of a core at rest.
const LARGEST_SHARE: f64 = 0.01;
/// Most memory, in bytes.
const MOST_MEMORY: f64 = 100e6;

struct Controller {
    process: Process,
    admin: SocketAddr,
}

impl Controller {
    fn start() -> Self {
        let mut command = command(["controller", "--admin", "127.0.0.1:0", "--leader-elect", "false"]);
        let process = Process::spawn(&mut command);
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

    /// Requests that ask for a change.
    fn writes(&self) -> f64 {
        let metrics = self.metrics();
        let of = |method| metrics.sum("rest_client_requests_total", &[("method", method)]);
        ["POST", "PUT", "PATCH", "DELETE"].into_iter().map(of).sum()
    }

    /// CPU time in seconds, by the hundredth.
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // utime and stime, in ticks (proc(5)): a hundred a second on Linux.
        fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    fn memory(&self) -> f64 {
        self.metrics().sum("process_resident_memory_bytes", &[])
    }
}

fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    kubectl(&["apply", "--server-side", "-f", folder], "");
    kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", folder], "");
    let resource = |number: u32| {
        json!({
            "apiVersion": "topicgateway.io/v1alpha1", "kind": "TopicGateway",
            "metadata": {"name": format!("gateway-{number}"), "namespace": "default"},
            "spec": {"replicas": 2, "backbone": {"nats": {"servers": ["nats://nats:4222"]}}},
        })
    };
    let all: Vec<_> = (0..RESOURCES).map(resource).collect();
    kubectl(&["create", "-f", "-"], &json!({"apiVersion": "v1", "kind": "List", "items": all}).to_string());

    let began = Instant::now();
    let controller = Controller::start();
    let told = |metrics: &Metrics| {
        ["True", "False"]
            .map(|ready| metrics.sum("topicgateway_resources", &[("ready", ready)]))
            .iter()
            .sum::<f64>()
    };
    while told(&controller.metrics()) < f64::from(RESOURCES) {
        assert!(
            began.elapsed() < COLD,
            "only {} of {RESOURCES} within {COLD:?}",
            told(&controller.metrics())
        );
        thread::sleep(Duration::from_millis(100));
    }
    let cold = began.elapsed();
    println!(
        "{RESOURCES} resources reconciled after {:.1} s with {:.0} writes and {:.1} s CPU",
        cold.as_secs_f64(),
        controller.writes(),
        controller.cpu()
    );

    // What their own events bring about is over.
    thread::sleep(Duration::from_secs(5));
    let (writes, cpu) = (controller.writes(), controller.cpu());
    thread::sleep(REST);
    let share = (controller.cpu() - cpu) / REST.as_secs_f64();
    let (written, memory) = (controller.writes() - writes, controller.memory());
    println!("at rest: {:.2} % of a core, {written:.0} writes, {:.0} MB", 100.0 * share, memory / 1e6);
    assert!(written < 0.5, "it writes while nothing changes");
    assert!(share <= LARGEST_SHARE, "more than {LARGEST_SHARE} of a core");
    assert!(memory <= MOST_MEMORY, "more than {MOST_MEMORY} bytes");
}
