//! The real Prometheus, on a free port.

use std::{
    env,
    fmt::Write as _,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{get, process::Process, try_get, wait_for, wait_until};

/// A running server, with a folder of its own.
pub(crate) struct Prometheus {
    process: Process,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    directory: TempDir,
}

impl Prometheus {
    /// Starts it with this configuration, which may name these files.
    #[track_caller]
    pub(crate) fn start(config: &Value, files: &[(&str, &str)]) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), config, files)
    }

    /// The same on this address of the machine.
    #[track_caller]
    pub(crate) fn start_on(own: IpAddr, config: &Value, files: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        for (name, text) in files {
            put(&directory, name, text);
        }
        put(&directory, "prometheus.yml", &config.to_string());
        let mut process = spawn(&directory, own);
        let address = wait_for("Prometheus tells its address", || {
            assert!(!process.ended(), "Prometheus ended: {}", process.output());
            address(&process.stderr())
        });
        let server = Self { process, address, directory };
        wait_until("Prometheus is ready", || {
            try_get(server.address, "/-/ready").is_some_and(|answer| answer.status == 200)
        });
        server
    }

    /// Puts this text in the place of a file that the configuration names.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        put(&self.directory, name, text);
    }

    /// The samples that a query gives now: labels and value.
    #[track_caller]
    pub(crate) fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let mut encoded = String::new();
        for byte in query.bytes() {
            write!(encoded, "%{byte:02x}").unwrap();
        }
        let answer = get(self.address, &format!("/api/v1/query?query={encoded}"));
        let result = answer.json()["data"]["result"].take();
        let samples = result.as_array().unwrap_or_else(|| panic!("{query}: {answer:?}"));
        let value = |sample: &Value| sample["value"][1].as_str().unwrap().parse().unwrap();
        samples.iter().map(|sample| (sample["metric"].clone(), value(sample))).collect()
    }

    /// The alerts that fire, as it would tell them to an Alertmanager.
    #[track_caller]
    pub(crate) fn firing(&self) -> Vec<Value> {
        let mut alerts = get(self.address, "/api/v1/alerts").json()["data"]["alerts"].take();
        let alerts = alerts.as_array_mut().expect("alerts");
        alerts.drain(..).filter(|alert| alert["state"] == "firing").collect()
    }
}

/// Prometheus looks for a new file, not for a new text in an old one.
fn put(directory: &TempDir, name: &str, text: &str) {
    let part = directory.path().join("part");
    fs::write(&part, text).unwrap();
    fs::rename(part, directory.path().join(name)).unwrap();
}

fn spawn(directory: &TempDir, own: IpAddr) -> Process {
    let option = |name: &str, path: PathBuf| format!("--{name}={}", path.display());
    let mut command = Command::new(program());
    command
        .arg(option("config.file", directory.path().join("prometheus.yml")))
        .arg(option("storage.tsdb.path", directory.path().join("data")))
        .arg(format!("--web.listen-address={}", SocketAddr::new(own, 0)));
    Process::spawn(&mut command)
}

/// Beside the promtool that `PROMTOOL` names, or in `PATH`.
fn program() -> PathBuf {
    env::var_os("PROMTOOL")
        .map_or_else(|| "prometheus".into(), |promtool| Path::new(&promtool).with_file_name("prometheus"))
}

fn address(log: &str) -> Option<SocketAddr> {
    let mut listens = log.lines().filter(|line| line.contains("Listening on"));
    listens.find_map(|line| line.split("address=").nth(1)?.trim().parse().ok())
}
