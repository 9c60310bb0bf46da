//! What many resources cost the controller: from nothing to all of them reconciled, at rest, and when a Secret that all
//! of them refer to is another. Fails beyond the bounds below. `tests/run scale` gives it an API server of its own, which
//! shares the machine.
//!
//! `-- 5000 50`: so many resources, with every byte between controller and API server so many milliseconds late.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!({…})` reads best where it is given away")]

mod controller;
mod delay;
#[path = "../../tests/support/kubectl.rs"]
mod kubectl;
#[path = "../../tests/support/support.rs"]
#[allow(dead_code, unused_imports, reason = "a bench needs a part of what the scenarios need")]
mod support;

use std::{
    env,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use controller::Controller;
use delay::delayed;
use kubectl::kubectl;

/// Longest time until 1 000 are reconciled, two cores shared with API server and etcd; for more it is longer in
/// proportion.
const COLD: Duration = Duration::from_mins(2);
/// How long it is looked at while at rest.
const REST: Duration = Duration::from_mins(1);
/// Largest share of a core at rest, of 1 000.
const LARGEST_SHARE: f64 = 0.01;
/// Most memory, in bytes: whatever there is, and of each resource.
const MOST_MEMORY: (f64, f64) = (40e6, 60e3);
/// Writes of one resource when a Secret that it refers to is another: its copy for the pods, and its status.
const ROTATION_WRITES: f64 = 2.0;

fn main() {
    let mut numbers = env::args().filter_map(|argument| argument.parse::<u32>().ok());
    let (resources, milliseconds) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(0));
    let mut kubeconfig: PathBuf =
        env::var_os("KUBECONFIG").expect("KUBECONFIG leads to an API server").into();
    if milliseconds > 0 {
        kubeconfig = delayed(&kubeconfig, Duration::from_millis(milliseconds.into()));
    }
    declare(resources);
    let controller = Controller::start(&kubeconfig);
    become_known(&controller, resources);
    at_rest(&controller, resources);
    rotate(&controller, resources);
    at_rest(&controller, resources);
}

/// The definition, the Secret that all refer to, and the resources.
fn declare(resources: u32) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    kubectl(&["apply", "--server-side", "-f", folder], "");
    kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", folder], "");
    secret(1);
    let resource = |number: u32| {
        json!({
            "apiVersion": "topicgateway.io/v1alpha1", "kind": "TopicGateway",
            "metadata": {"name": format!("gateway-{number}"), "namespace": "default"},
            "spec": {
                "replicas": 2, "backbone": {"nats": {"servers": ["nats://nats:4222"]}},
                "authentication": {"jwt": [{
                    "issuer": "https://id.example.com", "audiences": ["all"], "algorithms": ["HS256"],
                    "secretRef": {"name": "shared", "key": "secret"},
                }]},
            },
        })
    };
    let all: Vec<_> = (0..resources).map(resource).collect();
    kubectl(&["create", "-f", "-"], &json!({"apiVersion": "v1", "kind": "List", "items": all}).to_string());
}

/// The Secret that all refer to, in one of its versions.
fn secret(version: u32) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shared", "namespace": "default"},
        "stringData": {"secret": format!("{version:032}")},
    });
    kubectl(&["apply", "--server-side", "-f", "-"], &secret.to_string());
}

/// From nothing to an opinion on every resource.
fn become_known(controller: &Controller, resources: u32) {
    let (began, longest) = (Instant::now(), COLD * resources.div_ceil(1_000));
    while controller.told() < f64::from(resources) {
        let told = controller.told();
        assert!(began.elapsed() < longest, "only {told} of {resources} within {longest:?}");
        thread::sleep(Duration::from_millis(100));
    }
    println!(
        "{resources} resources reconciled after {:.1} s with {:.0} writes and {:.1} s CPU",
        began.elapsed().as_secs_f64(),
        controller.writes(),
        controller.cpu()
    );
    settle(controller);
}

/// Waits until what was done has brought about all that it does; returns how many writes there were by then.
fn settle(controller: &Controller) -> f64 {
    loop {
        let before = controller.writes();
        thread::sleep(Duration::from_secs(5));
        if controller.writes() - before < 0.5 {
            return before;
        }
    }
}

fn at_rest(controller: &Controller, resources: u32) {
    let (writes, cpu) = (controller.writes(), controller.cpu());
    thread::sleep(REST);
    let share = (controller.cpu() - cpu) / REST.as_secs_f64();
    let (written, memory) = (controller.writes() - writes, controller.memory());
    println!("at rest: {:.2} % of a core, {written:.0} writes, {:.0} MB", 100.0 * share, memory / 1e6);
    assert!(written < 0.5, "it writes while nothing changes");
    let thousands = f64::from(resources.div_ceil(1_000));
    assert!(share <= LARGEST_SHARE * thousands, "more than {LARGEST_SHARE} of a core for each thousand");
    let most = MOST_MEMORY.0 + MOST_MEMORY.1 * f64::from(resources);
    assert!(memory <= most, "more than {most} bytes");
}

/// The Secret that all refer to is another one.
fn rotate(controller: &Controller, resources: u32) {
    let (began, writes, cpu) = (Instant::now(), controller.writes(), controller.cpu());
    secret(2);
    let longest = COLD * resources.div_ceil(1_000);
    while controller.writes() - writes < f64::from(resources) {
        assert!(began.elapsed() < longest, "{} writes within {longest:?}", controller.writes() - writes);
        thread::sleep(Duration::from_millis(100));
    }
    let (took, written) = (began.elapsed(), settle(controller) - writes);
    println!(
        "another Secret for all: {:.1} s, {written:.0} writes and {:.1} s CPU",
        took.as_secs_f64(),
        controller.cpu() - cpu
    );
    assert!(
        written <= ROTATION_WRITES * f64::from(resources),
        "more than {ROTATION_WRITES} for each resource"
    );
}
