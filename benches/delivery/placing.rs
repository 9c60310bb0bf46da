//! Who runs on which core, and what a process has used.

use std::{
    env, fs,
    process::{Command, ExitCode},
    time::Duration,
};

/// Core of what is measured, and core of what measures.
pub(crate) const SERVER_CORE: &str = "0";
pub(crate) const GENERATOR_CORE: &str = "1";
/// Set in the process that is on its core.
const PLACED: &str = "TOPIC_GATEWAY_BENCH_PLACED";

/// Runs this program once more on its core, unless this is that run or there is no `taskset`: then `None`, and it
/// goes on here.
pub(crate) fn on_its_core(arguments: &[String]) -> Option<ExitCode> {
    if env::var_os(PLACED).is_some() {
        return None;
    }
    let mut again = pinned(GENERATOR_CORE, env::current_exe().ok()?);
    let status = again.args(arguments).env(PLACED, "1").status().ok()?;
    Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A program on one core.
pub(crate) fn pinned(core: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

/// CPU time of a process, all threads, from the scheduler's own account (nanoseconds, not ticks).
pub(crate) fn cpu(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanos = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
