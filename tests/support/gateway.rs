//! The real binary, serving on free ports.

use std::{env, fs, net::SocketAddr, path::Path, process::Command};

use tempfile::TempDir;

use super::{Answer, Client, Metrics, Resource, get, http::try_get, process::Process, wait_until};

/// A running `topic-gateway dev`.
pub(crate) struct Gateway {
    /// The process.
    pub(crate) process: Process,
    /// The public address.
    pub(crate) address: SocketAddr,
    /// The admin address.
    pub(crate) admin: SocketAddr,
    _directory: TempDir,
}

/// The binary, not yet started; with `ONE_CORE` in the environment on one core.
pub(crate) fn command<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    command_on(env::var_os("ONE_CORE").is_some(), arguments)
}

/// The same on one core, or on all: with one a gateway has a single shard, which lives beside its backbone.
pub(crate) fn command_on<A: AsRef<std::ffi::OsStr>>(
    one_core: bool,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    const BINARY: &str = env!("CARGO_BIN_EXE_topic-gateway");
    let mut command = Command::new(if one_core { "taskset" } else { BINARY });
    if one_core {
        command.args(["-c", "0", BINARY]);
    }
    command.args(arguments).env("NO_COLOR", "1").env_remove("RUST_LOG");
    command
}

impl Gateway {
    /// Serves a resource and waits until it listens.
    #[track_caller]
    pub(crate) fn start(resource: &Resource) -> Self {
        Self::start_yaml(&resource.yaml())
    }

    /// Serves what a file of this text declares.
    #[track_caller]
    pub(crate) fn start_yaml(yaml: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("gateway.yaml");
        fs::write(&file, yaml).unwrap();
        Self::serve(directory, Some(&file))
    }

    /// `dev` without a file.
    #[track_caller]
    pub(crate) fn built_in() -> Self {
        Self::serve(TempDir::new().unwrap(), None)
    }

    #[track_caller]
    fn serve(directory: TempDir, file: Option<&Path>) -> Self {
        let mut command = command(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        if let Some(file) = file {
            command.arg("-f").arg(file);
        }
        Self::from(&mut command, directory)
    }

    /// Whatever serves and prints its addresses; the directory stays as long as it does.
    #[track_caller]
    pub(crate) fn from(command: &mut Command, directory: TempDir) -> Self {
        let mut process = Process::spawn(command);
        let address = process.find("the gateway prints its address", |text| printed(text, "gateway"));
        let admin = process.find("the gateway prints its admin address", |text| printed(text, "admin"));
        Self { process, address, admin, _directory: directory }
    }

    /// A WebSocket URL of the public port.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// A client on `/ws`.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.url("/ws")).await
    }

    /// A client on `/ws` that holds these topics.
    pub(crate) async fn subscriber(&self, topics: &[&str]) -> Client {
        let mut client = self.client().await;
        for topic in topics {
            client.subscribe(topic).await;
        }
        client
    }

    /// A scrape.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = get(self.admin, "/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        Metrics::parse(&answer.body)
    }

    /// Waits until the series of this name and labels add up to `value`.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        wait_until(&format!("{name}{labels:?} is {value}"), || {
            (self.metrics().sum(name, labels) - value).abs() < 1e-9
        });
    }

    /// The status of `/readyz`.
    pub(crate) fn ready(&self) -> bool {
        try_get(self.admin, "/readyz").is_some_and(|answer| answer.status == 200)
    }

    /// An answer of the admin port.
    #[track_caller]
    pub(crate) fn admin(&self, path: &str) -> Answer {
        get(self.admin, path)
    }

    /// An answer of the public port.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        get(self.address, path)
    }
}

/// The address on the line that begins with `name`.
fn printed(text: &str, name: &str) -> Option<SocketAddr> {
    let whole = &text[..=text.rfind('\n')?];
    let line = whole.lines().find(|line| line.trim_start().to_lowercase().starts_with(name))?;
    let (_, rest) = line.split_once("://")?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
    rest[..end].parse().ok()
}
