//! The gateway beside what else one would pick, on the same work in the same run. `benches/compare/run` installs the
//! peers, runs this, and has it write `docs/performance.md`.
//!
//! ```text
//!  core 1                                                   core 0
//!  this program: publishes to NATS ──► nats-server ──► the server that is measured ──► its subscribers ─┐
//!  (or to the peer's own door),                                                                         │
//!  reads all its subscribers  ◄─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! `peers` starts servers and subscribes to them, `feed` publishes, `frames` and `audience` read, `bed` puts these
//! together, `work` says what is done; `figures`, `report` and `plot` make the document of the rows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!({…})` reads best where it is given away")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod audience;
mod bars;
mod bed;
mod feed;
mod figures;
mod frames;
mod peers;
mod plot;
mod report;
mod row;
mod wire;
mod work;

#[path = "../delivery/body.rs"]
mod body;
#[path = "../delivery/floor.rs"]
mod floor;
#[path = "../delivery/placing.rs"]
mod placing;

#[path = "../../tests/support/support.rs"]
#[allow(dead_code, unused_imports, reason = "a bench needs a part of what the scenarios need")]
mod support;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use peers::Kind;
use report::Run;
use work::Size;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if has("--floor") {
        return floor::serve();
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    if has("--report") {
        let raw = fs::read_to_string(docs.join("performance/raw.json")).expect("rows of an earlier run");
        report::write(&serde_json::from_str(&raw).expect("rows of an earlier run"), &docs);
        return ExitCode::SUCCESS;
    }
    if let Some(code) = placing::on_its_core(&arguments) {
        return code;
    }
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let is_peer = |name: &str| Kind::ALL.iter().any(|kind| kind.name() == name);
    if let Some(unknown) = names.iter().find(|name| !is_peer(name) && !work::ALL.contains(name)) {
        eprintln!("there is neither a peer nor work called {unknown}: see benches/compare/run --help");
        return ExitCode::from(64);
    }
    // Each connection is two files on this machine, one of this program and one of the server.
    let files = rlimit::increase_nofile_limit(u64::MAX).expect("a limit of open files");
    assert!(files > work::FILES, "{files} files may be open, {} are needed: ulimit -n", work::FILES);
    let home = PathBuf::from(env::var_os("COMPARE_HOME").expect("benches/compare/run runs this"));
    let (peers, works): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| is_peer(name));
    let wanted = |kind: &Kind| peers.is_empty() || peers.contains(&kind.name());
    let versions: Vec<(Kind, Option<String>)> =
        Kind::ALL.into_iter().map(|kind| (kind, kind.version(&home).filter(|_| wanted(&kind)))).collect();
    let kinds: Vec<Kind> =
        versions.iter().filter_map(|(kind, version)| version.as_ref().map(|_| *kind)).collect();
    let machine = machine(&arguments);
    let rows = work::run(&kinds, &home, Size::of(has("--quick")), &works);
    if names.is_empty() {
        let peers = versions.into_iter().map(|(kind, version)| (kind.name().into(), version)).collect();
        report::write(&Run { machine, peers, rows }, &docs);
        println!("docs/performance.md is written");
    }
    ExitCode::SUCCESS
}

/// What this was measured on.
fn machine(arguments: &[String]) -> Vec<(String, String)> {
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    [
        ("command", ["benches/compare/run", &arguments.join(" ")].join(" ").trim().to_owned()),
        ("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("processor", model.trim_matches([' ', '\t', ':']).to_owned()),
        ("cores", cores.to_string()),
        ("kernel", output("uname", &["-sr"])),
        ("load before (1, 5, 15 min)", load.split(' ').take(3).collect::<Vec<_>>().join(" ")),
        (
            "gateway",
            env::var_os("TOPIC_GATEWAY_BIN")
                .map_or("built here", |_| "given by TOPIC_GATEWAY_BIN")
                .to_owned(),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
