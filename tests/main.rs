//! Scenarios against the real binary, written as a client that knows only the protocol document would see it.
//!
//! One crate, so that it is linked once. Scenarios that need a real `nats-server` live under `nats`, so that
//! `tests/run` can leave them out, and say so, where none can be built.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!({…})` reads best where it is given away")]

#[path = "support/checker/checker.rs"]
#[allow(dead_code, unused_imports, reason = "scenarios and the simulator need a part each")]
mod checker;
#[path = "support/support.rs"]
#[allow(dead_code, reason = "the runs of faults need more than scenarios do")]
mod support;

mod authentication;
mod authorization;
mod bad_frames;
mod bad_resources;
mod bench;
mod chart;
mod checking;
mod closing;
mod command_line;
mod documents;
mod draining;
mod errors;
mod exit_codes;
mod health;
mod heartbeat;
mod history;
mod layout;
mod limits;
mod metrics;
mod nats;
mod origins;
mod patterns;
mod publishing;
mod publishing_http;
mod reference;
mod reloading;
mod slow_consumers;
mod sse;
mod subscribing;
mod tls;
mod traces;
mod url_topics;
