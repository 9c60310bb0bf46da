//! Scenarios in a Kubernetes cluster; `tests/run cluster` brings one up. What each gets by its environment is told in
//! `tests/cluster/tier.sh`.
//!
//! All share the cluster and one controller that serves all of it, the Helm release `topic-gateway/topic-gateway`.
//! Each makes what it needs in a namespace of its own, and most run side by side. Those that install or remove the
//! controller, or take a node or the API server away, have the cluster alone while they do: see `cluster`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!({…})` reads best where it is given away")]

#[path = "../support/audience/audience.rs"]
#[allow(dead_code, unused_imports, reason = "what else breaks is the faults' own")]
mod audience;
#[path = "../support/checker/checker.rs"]
#[allow(dead_code, unused_imports, reason = "scenarios and the simulator need a part each")]
mod checker;
#[path = "../support/kubectl.rs"]
mod kubectl;
#[allow(dead_code, unused_imports, reason = "these scenarios use a part of what the others are written with")]
#[path = "../support/support.rs"]
mod support;

mod cluster;
mod crowd;
mod gateway;
mod namespace;
mod prometheus;
mod watched;

mod admission;
mod autoscaling;
mod full_example;
mod image;
mod keda;
mod machines;
mod nothing_lost;
mod references;
mod rotation;
mod route;
mod story;
