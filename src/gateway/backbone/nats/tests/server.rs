//! A nats-server of its own for each test.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::gateway::backbone::shards::PATIENCE;

/// Names the version.
const GO_MOD: &str = include_str!("../../../../../tests/tools/nats-server/go.mod");

/// A server on ports that were free; killed when dropped.
pub(super) struct Server {
    child: Child,
    dir: TempDir,
    port: u16,
    monitoring: u16,
}

/// The binary, where `tests/run` puts it. A test that needs it fails without it: `tests/run` leaves such tests out,
/// and says so, where it cannot be had.
fn binary() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).unwrap();
    let (_, rest) = GO_MOD.split_once("nats-io/nats-server/v2 v").unwrap();
    let version = rest.split_whitespace().next().unwrap();
    let path = cache.join(format!("topic-gateway/nats-server-{version}/nats-server"));
    assert!(path.exists(), "{} is not there: `tests/run unit` builds it", path.display());
    path
}

impl Server {
    /// A server with this configuration; files named in it may lie in `dir`.
    pub(super) async fn with(config: &str, dir: TempDir) -> Self {
        std::fs::write(dir.path().join("nats.conf"), config).unwrap();
        let (child, port, monitoring) = launch(&binary(), &dir, "-1").await;
        Self { child, dir, port, monitoring }
    }

    /// A server that lets everybody in.
    pub(super) async fn plain() -> Self {
        Self::with("", TempDir::new().unwrap()).await
    }

    /// Halts the process, with its connections open; done when every thread of it stands still.
    pub(super) fn pause(&self) {
        self.signal("STOP");
        let stopped = |thread: std::io::Result<std::fs::DirEntry>| {
            let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap_or_default();
            status.is_empty() || status.contains("State:\tT")
        };
        let end = Instant::now() + PATIENCE;
        while !std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().all(stopped) {
            assert!(Instant::now() < end, "nats-server does not stop");
            std::thread::yield_now();
        }
    }

    pub(super) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    pub(super) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(super) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same server again, on the same port.
    pub(super) async fn again(&mut self) {
        (self.child, self.port, self.monitoring) = launch(&binary(), &self.dir, &self.port.to_string()).await;
    }

    /// A client that is not the gateway.
    pub(super) async fn client(&self) -> async_nats::Client {
        async_nats::connect(self.url()).await.unwrap()
    }

    /// The gateway's subscriptions as the server sees them, without the one of the barriers.
    pub(super) async fn subscriptions(&self) -> Vec<String> {
        let gateway = self.gateway().await;
        let list =
            gateway.and_then(|gateway| gateway["subscriptions_list"].as_array().cloned()).unwrap_or_default();
        let mut list: Vec<_> = list.iter().map(|subject| subject.as_str().unwrap().to_string()).collect();
        list.retain(|subject| !subject.starts_with("_INBOX."));
        list.sort();
        list
    }

    /// Waits until the server sees these subscriptions of the gateway.
    pub(super) async fn sees(&self, expected: &[&str]) {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.subscriptions().await;
            if seen == expected {
                return;
            }
            assert!(Instant::now() < end, "the server sees {seen:?}, not {expected:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the server has sent so many messages to the gateway.
    pub(super) async fn has_sent(&self, messages: u64) {
        self.gets_there("out_msgs", |sent| sent >= messages).await;
    }

    /// Waits until nothing for the gateway is left in the server.
    pub(super) async fn has_nothing_to_send(&self) {
        self.gets_there("pending_bytes", |bytes| bytes == 0).await;
    }

    /// Waits for a number that the server tells of its connection to the gateway, for as long as it changes: how long
    /// a flood takes says how busy the machine is.
    async fn gets_there(&self, name: &str, there: impl Fn(u64) -> bool) {
        let (mut last, mut end) = (None, Instant::now() + PATIENCE);
        loop {
            let number = self.gateway().await.and_then(|gateway| gateway[name].as_u64());
            if number.is_some_and(&there) {
                return;
            }
            if number != last {
                (last, end) = (number, Instant::now() + PATIENCE);
            }
            assert!(Instant::now() < end, "{name} stays at {last:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn gateway(&self) -> Option<serde_json::Value> {
        let connections = self.monitor("/connz?subs=1").await;
        connections["connections"].as_array().unwrap().iter().find(|c| c["name"] == "topic-gateway").cloned()
    }

    async fn monitor(&self, path: &str) -> serde_json::Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.monitoring)).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn launch(binary: &PathBuf, dir: &TempDir, port: &str) -> (Child, u16, u16) {
    let mut child = Command::new(binary)
        .args(["-a", "127.0.0.1", "-p", port, "-m", "-1", "--ports_file_dir"])
        .arg(dir.path())
        .args(["-c", "nats.conf", "-l", "nats.log"])
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let file = dir.path().join(format!("nats-server_{}.ports", child.id()));
    let end = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read(&file).unwrap_or_default();
        if let Ok(ports) = serde_json::from_slice::<serde_json::Value>(&text) {
            let number =
                |url: &serde_json::Value| url.as_str().unwrap().rsplit_once(':').unwrap().1.parse().unwrap();
            return (child, number(&ports["nats"][0]), number(&ports["monitoring"][0]));
        }
        let log = || std::fs::read_to_string(dir.path().join("nats.log"));
        assert!(child.try_wait().unwrap().is_none(), "nats-server has ended: {:?}", log());
        assert!(Instant::now() < end, "nats-server does not come up: {:?}", log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
