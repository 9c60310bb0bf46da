//! What a delivery costs, as ratios within one run on this machine; absolute times only beside them.
//!
//! ```text
//!  core 1                                   core 0
//!  this program: publishes by NATS' own ──► nats-server (core 1) ──► topic-gateway ──► 1 000 sockets ─┐
//!  wire protocol, reads every socket  ◄──────────────────────────────────────────────────────────────┤
//!        └─ the same bytes, the same pace ──► floor: a loop of `send` ──► 1 000 sockets ──────────────┘
//! ```
//!
//! `cargo bench --bench delivery`; `-- slow` for one of `singles`, `bursts`, `idle`, `arrivals`, `slow`, `feeds`, `cores`,
//! `topics`, `receive`, `fairness`, `sizing` and `start`; `-- --quick` for a first look; `-- --figures=FILE` writes
//! them as JSON, too; `-- --load` for 100 000 messages to 1 000 subscribers of three topics, each checked for completeness
//! and order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!({…})` reads best where it is given away")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod arrivals;
mod body;
mod cores;
mod feeds;
#[allow(dead_code, reason = "the comparison needs more of it")]
mod floor;
mod generator;
mod load;
mod many;
mod measure;
mod moments;
mod placing;
mod readers;
mod sizing;

#[path = "../../tests/support/support.rs"]
#[allow(dead_code, unused_imports, reason = "a bench needs a part of what the scenarios need")]
mod support;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if has("--floor") {
        return floor::serve();
    }
    if let Some(code) = placing::on_its_core(&arguments) {
        return code;
    }
    let names: Vec<_> = arguments.iter().map(String::as_str).filter(|name| !name.starts_with("--")).collect();
    let file = arguments.iter().find_map(|argument| argument.strip_prefix("--figures="));
    let good =
        if has("--load") { load::run(has("--quick")) } else { measure::run(has("--quick"), &names, file) };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
