//! The controller against a real API server: the real binary, looked at with `kubectl` only.

mod alone;
mod children;
mod conflict;
mod drift;
mod forbidden;
mod hindered;
mod idle;
mod leading;
mod paused;
mod pods;
mod references;
mod refused;
mod rights;
mod streams;
mod traces;
mod watched;

use std::{
    net::SocketAddr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    definition::define,
    kubectl::{kubectl, try_kubectl},
    support::{Answer, Metrics, Process, get, wait_for, wait_until},
};

/// How long something may take that the controller itself looks for only now and then.
const SLOW: Duration = Duration::from_secs(90);

/// Waits until `probe` gives something, for what takes long; panics with what there was instead.
#[track_caller]
fn wait_long<T>(what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + SLOW;
    loop {
        match probe() {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < end, "{what}: not within {SLOW:?}: {instead}"),
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// A namespace of one test, which goes with it.
struct Namespace(String);

impl Namespace {
    /// A new one. Its name begins with that of the test.
    fn new(test: &str) -> Self {
        define();
        let name = format!("{test}-{}", std::process::id());
        kubectl(&["create", "namespace", &name], "");
        Self(name)
    }

    /// `kubectl` in the namespace, which must succeed.
    #[track_caller]
    fn kubectl(&self, args: &[&str]) -> String {
        kubectl(&[&["--namespace", &self.0], args].concat(), "")
    }

    /// Applies an object.
    #[track_caller]
    fn apply(&self, object: &Value) {
        kubectl(&["--namespace", &self.0, "apply", "-f", "-"], &object.to_string());
    }

    /// An object, as `deployment/market`, where it is there.
    fn find(&self, object: &str) -> Option<Value> {
        let text = try_kubectl(&["--namespace", &self.0, "get", object, "--output=json"], "").ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    /// Waits until an object is there and is so.
    #[track_caller]
    fn wait(&self, object: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.wait_long(Duration::from_secs(20), object, is_so)
    }

    /// The same for what takes long.
    #[track_caller]
    fn wait_long(&self, at_most: Duration, object: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + at_most;
        loop {
            let found = self.find(object);
            if let Some(found) = found.clone().filter(&is_so) {
                return found;
            }
            assert!(Instant::now() < end, "{object} in {}: not within {at_most:?}: {found:?}", self.0);
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until an object is gone.
    #[track_caller]
    fn wait_gone(&self, object: &str) {
        wait_until(&format!("{object} is gone"), || self.find(object).is_none());
    }

    /// Waits until a condition of the gateway `m` has this status and reason; its message.
    #[track_caller]
    fn wait_condition(&self, condition: &str, status: &str, reason: &str) -> String {
        self.wait_condition_long(Duration::from_secs(20), condition, status, reason)
    }

    /// The same for what takes long.
    #[track_caller]
    fn wait_condition_long(&self, at_most: Duration, condition: &str, status: &str, reason: &str) -> String {
        let is_so = |found: &Value| {
            let condition = condition_of(found, condition);
            (&condition["status"], &condition["reason"]) == (&json!(status), &json!(reason))
        };
        let found = self.wait_long(at_most, "tgw/m", is_so);
        condition_of(&found, condition)["message"].as_str().unwrap().to_owned()
    }

    /// Waits for an Event of this reason whose note contains the text.
    #[track_caller]
    fn wait_event(&self, reason: &str, text: &str) -> Value {
        wait_for(&format!("an Event {reason} with {text:?}"), || {
            self.events(reason).into_iter().find(|event| event["note"].as_str().unwrap().contains(text))
        })
    }

    /// The Events of a reason.
    fn events(&self, reason: &str) -> Vec<Value> {
        let all = self.kubectl(&["get", "events.events.k8s.io", "--output=json"]);
        let all: Value = serde_json::from_str(&all).unwrap();
        let items = all["items"].as_array().unwrap().iter();
        items.filter(|event| event["reason"] == reason).cloned().collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = try_kubectl(&["delete", "namespace", &self.0, "--wait=false"], "");
    }
}

/// The gateway `m` with topics in memory, but for what is changed in its spec.
fn gateway(changes: Value) -> Value {
    named("m", changes)
}

/// The same with another name.
fn named(name: &str, changes: Value) -> Value {
    let mut spec = json!({ "backbone": { "nats": { "servers": ["nats://n:4222"] } } });
    for (field, value) in changes.as_object().unwrap() {
        spec[field] = value.clone();
    }
    json!({
        "apiVersion": "topicgateway.io/v1alpha1", "kind": "TopicGateway",
        "metadata": { "name": name }, "spec": spec,
    })
}

fn condition_of(gateway: &Value, condition: &str) -> Value {
    let conditions = gateway["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().find(|it| it["type"] == condition).cloned().unwrap_or_default()
}

/// A running controller.
struct Controller {
    process: Process,
    admin: SocketAddr,
}

impl Controller {
    /// Of one namespace, without others.
    #[track_caller]
    fn start(namespace: &Namespace) -> Self {
        Self::start_with(namespace, &["--leader-elect", "false"])
    }

    /// Of one namespace, with more arguments.
    #[track_caller]
    fn start_with(namespace: &Namespace, more: &[&str]) -> Self {
        let mut command = Self::command();
        command.args(["--namespace", &namespace.0, "--lease-namespace", &namespace.0]).args(more);
        Self::spawn(&mut command)
    }

    /// The program with an admin port of its own.
    fn command() -> Command {
        let mut command = crate::support::command(["controller", "--admin", "127.0.0.1:0"]);
        command.env_remove("POD_NAME").env("RUST_LOG", "info,topic_gateway=debug");
        command
    }

    /// Starts it and waits for its admin port.
    #[track_caller]
    fn spawn(command: &mut Command) -> Self {
        let process = Process::spawn(command);
        let admin = wait_for("the controller listens", || {
            let text = process.stderr();
            let (_, rest) = text.split_once("\"admin\":\"")?;
            rest.split_once('"')?.0.parse().ok()
        });
        Self { process, admin }
    }

    /// The answer of `/readyz`.
    fn ready(&self) -> Answer {
        get(self.admin, "/readyz")
    }

    /// Waits until it is ready.
    #[track_caller]
    fn wait_ready(&self) {
        wait_until("the controller is ready", || self.ready().status == 200);
    }

    /// What it counts.
    fn metrics(&self) -> Metrics {
        Metrics::parse(&get(self.admin, "/metrics").body)
    }

    /// A sum of what it counts.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().sum(name, labels)
    }

    /// Passes so far.
    fn passes(&self) -> f64 {
        self.sum("controller_runtime_reconcile_total", &[])
    }

    /// Requests so far that ask for a change.
    fn writes(&self) -> f64 {
        let metrics = self.metrics();
        ["POST", "PUT", "PATCH", "DELETE"]
            .into_iter()
            .map(|method| metrics.sum("rest_client_requests_total", &[("method", method)]))
            .sum()
    }

    /// Whether it leads.
    fn leads(&self) -> bool {
        self.sum("leader_election_master_status", &[]) > 0.5
    }

    /// Waits until no pass is due or under way, and none has been for a while.
    #[track_caller]
    fn wait_settled(&self) {
        let mut last = (self.passes(), Instant::now());
        wait_until("the controller has nothing to do", || {
            let passes = self.passes();
            if passes.to_bits() != last.0.to_bits() {
                last = (passes, Instant::now());
            }
            // Longer than changes wait for others.
            passes > 0.5 && last.1.elapsed() > Duration::from_secs(1)
        });
    }
}
