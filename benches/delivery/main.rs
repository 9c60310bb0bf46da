//! What a delivery costs, as ratios within one run on this machine; absolute times only beside them.
//!
//! ```text
//!  core 1                                   core 0
//!  this program: publishes by NATS' own ──► nats-server (core 1) ──► topic-gateway ──► 1 000 sockets ─┐
//!  wire protocol, reads every socket  ◄──────────────────────────────────────────────────────────────┤
//!        └─ the same bytes, the same pace ──► floor: a loop of `send` ──► 1 000 sockets ──────────────┘
//! ```
//!
//! `cargo bench --bench delivery`; `-- slow` for one of `singles`, `bursts`, `idle`, `slow` and
//! `feeds`; `-- --quick` for a
//! first look; `-- --load` for 100 000 messages to 1 000 subscribers of three topics, each checked for completeness
//! and order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!({…})` reads best where it is given away")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod feeds;
mod floor;
mod generator;
mod load;
mod measure;
mod readers;

#[path = "../../tests/support/support.rs"]
#[allow(dead_code, unused_imports, reason = "a bench needs a part of what the scenarios need")]
mod support;

use std::{
    env,
    process::{Command, ExitCode},
};

/// Core of what is measured, and core of what measures.
const SERVER_CORE: &str = "0";
const GENERATOR_CORE: &str = "1";
/// Set in the process that is on its core.
const PLACED: &str = "TOPIC_GATEWAY_BENCH_PLACED";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if has("--floor") {
        return floor::serve();
    }
    if env::var_os(PLACED).is_none()
        && let Some(code) = on_its_core(&arguments)
    {
        return code;
    }
    let names: Vec<_> = arguments.iter().map(String::as_str).filter(|name| !name.starts_with("--")).collect();
    let good = if has("--load") { load::run(has("--quick")) } else { measure::run(has("--quick"), &names) };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs this program once more on its core; `None` where there is no `taskset`, and it goes on anywhere.
fn on_its_core(arguments: &[String]) -> Option<ExitCode> {
    let mut again = pinned(GENERATOR_CORE, env::current_exe().ok()?);
    let status = again.args(arguments).env(PLACED, "1").status().ok()?;
    Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A program on one core.
fn pinned(core: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}
