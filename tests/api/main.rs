//! Scenarios with a Kubernetes API server that has no nodes; `tests/run api` starts it. All share it: each makes what
//! it needs in a namespace of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "../support/kubectl.rs"]
mod kubectl;

mod definition;
