//! Scenarios in a Kubernetes cluster; `tests/run cluster` brings one up. What each gets by its environment is told in
//! `tests/cluster/tier.sh`. All share the cluster: each makes what it needs in a namespace of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "../support/kubectl.rs"]
mod kubectl;

mod image;
