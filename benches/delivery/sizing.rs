//! The formula of `docs/operations.md` against what a gateway really takes, with what the kernel holds for it: a gateway in
//! a control group of its own, as a pod is.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    measure::Figure,
    placing::{SERVER_CORE, pinned},
    support::{Gateway, Issuer, NatsServer, RawSocket, Resource, now},
};

const CONNECTIONS: usize = 6_000;
const TOPICS: usize = 2_000;

const KIB: f64 = 1024.0;
/// The formula's terms, in bytes.
const BASE: f64 = 12.0 * KIB * KIB;
const CONNECTION: f64 = 5.4 * KIB;
const TOKEN: f64 = 0.3 * KIB;
const TOPIC: f64 = 8.5 * KIB;

/// Connections with a token of their own, subscribed to topics on NATS.
pub(crate) fn run(raw: &mut Vec<String>) -> Vec<Figure> {
    let Some(group) = Group::new() else {
        return vec![Figure { text: "not measured: no control group can be made here".into(), good: true }];
    };
    let (nats, tokens) = (NatsServer::start(), Issuer::shared());
    let gateway = group.start(&Resource::with_tokens(&tokens).on(&nats));
    let before = group.bytes();
    let connect = |number: usize| {
        let token = tokens.token(json!({"sub": format!("user-{number}"), "exp": now() + 3_600}));
        let mut socket = RawSocket::open(gateway.address);
        socket.text(&json!({"type": "setup", "token": token}).to_string());
        socket.text(
            &json!({"type": "subscribe", "topic": format!("bench.{:06}", number % TOPICS)}).to_string(),
        );
        while socket.json()["type"] != "subscribed" {}
        socket
    };
    let clients: Vec<RawSocket> = (0..CONNECTIONS).map(connect).collect();
    let after = group.bytes();
    drop(clients);
    let predicted = BASE + CONNECTIONS as f64 * (CONNECTION + TOKEN) + TOPICS as f64 * TOPIC;
    raw.push(format!("{before} bytes with nobody, {after} with all"));
    let ratio = predicted / after as f64;
    let text = format!(
        "memory of {CONNECTIONS} connections with tokens and {TOPICS} topics on NATS, kernel and all: {:.1} MB, the \
         formula says {ratio:.2} x (bar 0.85 to 1.15)",
        after as f64 / 1e6
    );
    vec![Figure { text, good: (0.85..=1.15).contains(&ratio) }]
}

/// A control group, of either version; gone with its last process.
struct Group {
    folder: PathBuf,
}

impl Group {
    fn new() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let roots = own.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            match (fields.next()?, fields.next()?) {
                ("memory", path) => Some(format!("/sys/fs/cgroup/memory{path}")),
                ("", path) => Some(format!("/sys/fs/cgroup{path}")),
                _ => None,
            }
        });
        let mut roots: Vec<PathBuf> = roots.map(PathBuf::from).collect();
        // The one that accounts for memory.
        roots.retain(|root| {
            ["memory.stat", "memory.usage_in_bytes"].iter().any(|file| root.join(file).exists())
        });
        let folder = roots.first()?.join(format!("topic-gateway-{}", process::id()));
        fs::create_dir(&folder).ok()?;
        let own = Self { folder };
        own.total().is_some().then_some(own)
    }

    fn start(&self, resource: &Resource) -> Gateway {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("gateway.yaml");
        fs::write(&file, resource.yaml()).unwrap();
        // The shell joins the group and becomes the gateway: whatever it allocates is charged there.
        let join = format!("echo $$ > '{}/cgroup.procs' && exec \"$@\"", self.folder.display());
        let mut command = pinned(SERVER_CORE, "sh");
        command.args(["-c", &join, "sh", env!("CARGO_BIN_EXE_topic-gateway"), "dev"]);
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "-f"]).arg(file);
        let gateway = Gateway::from(&mut command, directory);
        gateway.wait_for_metric("topicgateway_backbone_connected", &[], 1.0);
        gateway
    }

    fn number(&self, file: &str) -> Option<u64> {
        fs::read_to_string(self.folder.join(file)).ok()?.trim().parse().ok()
    }

    fn total(&self) -> Option<u64> {
        // Version 1 counts the buffers of sockets apart.
        let sockets = self.number("memory.kmem.tcp.usage_in_bytes").unwrap_or(0);
        Some(self.number("memory.current").or_else(|| self.number("memory.usage_in_bytes"))? + sockets)
    }

    /// All but files, which the kernel gives back when it wants to.
    fn bytes(&self) -> u64 {
        let stat = fs::read_to_string(self.folder.join("memory.stat")).unwrap();
        let files = ["file ", "total_cache "].iter().find_map(|name| {
            stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
        });
        self.total().unwrap() - files.unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// A group can be removed once its last process is gone, which may take a moment.
fn remove(folder: &Path) {
    for _ in 0..100 {
        if fs::remove_dir(folder).is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
