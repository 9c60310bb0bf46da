//! The real `nats-server`, as `tests/run` builds it, on free ports.

use std::{env, fs, net::SocketAddr, path::PathBuf, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{NatsClient, get, process::Process, wait_for, wait_until};

/// Pins the version.
const GO_MOD: &str = include_str!("../tools/nats-server/go.mod");

/// A running server.
pub(crate) struct NatsServer {
    process: Process,
    address: SocketAddr,
    monitor: SocketAddr,
    config: PathBuf,
    directory: TempDir,
}

impl NatsServer {
    /// A server that anybody may use.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// A server with more configuration (authorization, TLS).
    #[track_caller]
    pub(crate) fn start_with(config: &str) -> Self {
        Self::start_in(TempDir::new().unwrap(), config)
    }

    /// A server with JetStream, whose streams are kept in files and so over a restart.
    #[track_caller]
    pub(crate) fn with_streams() -> Self {
        let directory = TempDir::new().unwrap();
        let config = format!("jetstream {{ store_dir: \"{}/streams\" }}\n", directory.path().display());
        Self::start_in(directory, &config)
    }

    #[track_caller]
    fn start_in(directory: TempDir, config: &str) -> Self {
        let file = directory.path().join("nats.conf");
        fs::write(&file, config).unwrap();
        let mut process = spawn(&file, &directory, "-1", "-1");
        let (address, monitor) = wait_for("nats-server writes its ports file", || {
            assert!(!process.ended(), "nats-server ended: {}", process.output());
            ports(&directory, process.id())
        });
        Self { process, address, monitor, config: file, directory }
    }

    /// `nats://…`
    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Where it takes WebSocket connections, if its configuration says so.
    pub(crate) fn websocket(&self) -> Option<SocketAddr> {
        let text = fs::read_to_string(ports_file(&self.directory, self.process.id())).ok()?;
        let ports: Value = serde_json::from_str(&text).ok()?;
        ports["websocket"][0].as_str()?.split_once("://")?.1.parse().ok()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where it listens, after a restart too.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client from outside.
    #[track_caller]
    pub(crate) fn client(&self) -> NatsClient {
        NatsClient::connect(self.address, json!({}))
    }

    /// A client from outside that shows these fields in CONNECT.
    #[track_caller]
    pub(crate) fn client_with(&self, credentials: Value) -> NatsClient {
        NatsClient::connect(self.address, credentials)
    }

    /// The subjects that are subscribed to, as the server's own monitoring tells; replies and our own left out.
    #[track_caller]
    pub(crate) fn subscriptions(&self) -> Vec<String> {
        let connections = get(self.monitor, "/connz?subs=1").json();
        let mut subjects: Vec<String> = connections["connections"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|connection| connection["name"] != "outside")
            .flat_map(|connection| connection["subscriptions_list"].as_array().cloned().unwrap_or_default())
            .map(|subject| subject.as_str().unwrap().to_owned())
            .filter(|subject| !subject.starts_with("_INBOX"))
            .collect();
        subjects.sort();
        subjects
    }

    /// The configuration of a stream, as the server's own monitoring tells; where it is there.
    #[track_caller]
    pub(crate) fn stream(&self, name: &str) -> Option<Value> {
        let streams = get(self.monitor, "/jsz?streams=1&config=1").json();
        let accounts = streams["account_details"].as_array().into_iter().flatten();
        let mut streams =
            accounts.flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
        streams.find(|stream| stream["name"] == name).map(|stream| stream["config"].clone())
    }

    /// Waits until exactly these subjects are subscribed to.
    #[track_caller]
    pub(crate) fn wait_for_subscriptions(&self, subjects: &[&str]) {
        wait_until(&format!("the subscriptions on NATS are {subjects:?}"), || {
            self.subscriptions() == subjects
        });
    }

    /// Goes on with another configuration; those whom it does not let in any more are cut off.
    pub(crate) fn configure(&self, config: &str) {
        fs::write(&self.config, config).unwrap();
        self.process.signal("HUP");
    }

    /// Stops answering without closing anything, as a server behind a cut cable does.
    pub(crate) fn freeze(&self) {
        self.process.signal("STOP");
        // The signal is on its way when `kill` returns, and each thread goes on until it has met it.
        let tasks = format!("/proc/{}/task", self.process.id());
        wait_until("nats-server has stopped", || {
            fs::read_dir(&tasks).unwrap().all(|task| {
                let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
            })
        });
    }

    /// Goes on after [`NatsServer::freeze`].
    pub(crate) fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it in good order.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.process.signal("TERM");
        self.process.wait();
    }

    /// Starts it again on the same ports; somebody may hold one for a moment, so it is tried more than once.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        let (port, monitor) = (self.address.port().to_string(), self.monitor.port().to_string());
        wait_until("nats-server starts again on its port", || {
            self.process = spawn(&self.config, &self.directory, &port, &monitor);
            wait_for("nats-server starts or ends", || {
                let up = ports(&self.directory, self.process.id()).is_some();
                (up || self.process.ended()).then_some(up)
            })
        });
    }
}

fn spawn(config: &PathBuf, directory: &TempDir, port: &str, monitor: &str) -> Process {
    let binary = binary();
    assert!(binary.exists(), "{} is not there: `tests/run` builds it", binary.display());
    let mut command = Command::new(binary);
    command.arg("-c").arg(config).args(["-a", "127.0.0.1", "-p", port, "-m", monitor]);
    command.arg("--ports_file_dir").arg(directory.path());
    Process::spawn(&mut command)
}

/// Where `tests/run` puts it.
fn binary() -> PathBuf {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).expect("HOME is set");
    let (_, rest) = GO_MOD.split_once("nats-io/nats-server/v2 v").expect("go.mod names the version");
    let version = rest.split_whitespace().next().unwrap();
    cache.join(format!("topic-gateway/nats-server-{version}/nats-server"))
}

fn ports(directory: &TempDir, process: u32) -> Option<(SocketAddr, SocketAddr)> {
    let text = fs::read_to_string(ports_file(directory, process)).ok()?;
    let ports: Value = serde_json::from_str(&text).ok()?;
    let address = |kind: &str, scheme: &str| ports[kind][0].as_str()?.strip_prefix(scheme)?.parse().ok();
    Some((address("nats", "nats://")?, address("monitoring", "http://")?))
}

fn ports_file(directory: &TempDir, process: u32) -> PathBuf {
    directory.path().join(format!("nats-server_{process}.ports"))
}
