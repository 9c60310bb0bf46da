//! Scenarios with a Kubernetes API server that has no nodes; `tests/run api` starts it. All share it: each makes what
//! it needs in a namespace of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!({…})` reads best where it is given away")]

#[path = "../support/kubectl.rs"]
mod kubectl;

#[path = "../support/support.rs"]
#[allow(dead_code, unused_imports, reason = "a controller needs a part of what gateways need")]
mod support;

mod definition;
mod operator;
