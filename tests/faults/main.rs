//! Nothing is lost, whatever breaks: real gateways behind one address, a real `nats-server`, many clients, and a
//! random schedule of faults, judged by the checker. Clients come over WebSocket and Server-Sent Events, follow topics
//! and patterns, and acknowledge what is delivered at least once by different habits.
//!
//! A short run with a fixed seed unless `TOPIC_GATEWAY_FAULTS` says `SECONDS SEED CLIENTS`; `tests/run faults` does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!({…})` reads best where it is given away")]

#[path = "../support/audience/audience.rs"]
#[allow(dead_code, unused_imports, reason = "scenarios in a cluster need a part more")]
mod audience;
#[path = "../support/checker/checker.rs"]
#[allow(dead_code, unused_imports, reason = "scenarios and the simulator need a part each")]
mod checker;
#[path = "../support/support.rs"]
#[allow(dead_code, unused_imports, reason = "scenarios and benches need a part each")]
mod support;

mod gateways;
mod plan;
mod run;
mod storm;
