//! The servers that are compared: how each is started, and how one subscribes to it.

use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use rustls::ClientConfig;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use crate::{
    audience::Audience,
    body::body,
    feed::Feed,
    floor::Floor,
    frames::{Packing, Shape},
    placing::{SERVER_CORE, cpu, pinned},
    support::{
        Authority, DEADLINE, Gateway, Issuer, NatsServer, Process, RawSocket, Resource, frame, now, wait_for,
    },
    wire::Wire,
};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Floor,
    TopicGateway,
    Bun,
    Node,
    Centrifuge,
    NatsServer,
    Nchan,
}

/// Seconds for which tokens are good: longer than any run.
const TOKEN_SECONDS: u64 = 24 * 3600;

impl Kind {
    /// All, in the order of the document.
    pub(crate) const ALL: [Self; 7] = [
        Self::Floor,
        Self::TopicGateway,
        Self::Bun,
        Self::Node,
        Self::Centrifuge,
        Self::NatsServer,
        Self::Nchan,
    ];

    /// What it is called in arguments and rows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::TopicGateway => "topic-gateway",
            Self::Bun => "bun",
            Self::Node => "node-ws",
            Self::Centrifuge => "centrifuge",
            Self::NatsServer => "nats-server",
            Self::Nchan => "nchan",
        }
    }

    /// Which version is measured; `None` if it is not installed in this folder.
    pub(crate) fn version(self, home: &Path) -> Option<String> {
        let home = |name: &str| home.join(name);
        match self {
            Self::Floor => Some("a loop of `send`".into()),
            Self::TopicGateway => said(Command::new(gateway()).arg("--version")),
            Self::Bun => {
                said(Command::new(home("bun")).arg("--version")).map(|version| format!("Bun {version}"))
            }
            Self::Node => {
                let package = fs::read_to_string(home("node_modules/ws/package.json")).ok()?;
                let package: serde_json::Value = serde_json::from_str(&package).ok()?;
                let node = said(Command::new("node").arg("--version"))?;
                Some(format!("ws {} on Node {node}", package["version"].as_str()?))
            }
            Self::Centrifuge => {
                home("centrifuge").exists().then_some(())?;
                let go_mod = include_str!("peers/centrifuge/go.mod");
                let (_, rest) = go_mod.split_once("centrifugal/centrifuge v")?;
                Some(format!("Centrifuge library {}", rest.split_whitespace().next()?))
            }
            Self::NatsServer => said(Command::new(home("nats-server")).arg("--version")),
            Self::Nchan => fs::read_to_string(home("nginx/version")).ok().map(|text| text.trim().into()),
        }
    }

    /// Whether it is measured within TLS, too: who is fed through the port that clients use is not.
    pub(crate) fn speaks_tls(self) -> bool {
        !matches!(self, Self::Floor | Self::Nchan)
    }

    fn packing(self) -> Packing {
        match self {
            Self::Centrifuge => Packing::Lines,
            Self::NatsServer => Packing::Nats,
            _ => Packing::Single,
        }
    }
}

/// A certificate and its key, in files that servers read when they start.
struct Files {
    folder: TempDir,
}

impl Files {
    fn of(authority: &Authority) -> Self {
        let folder = TempDir::new().unwrap();
        let pair = authority.pair(1);
        for name in ["tls.crt", "tls.key"] {
            fs::write(folder.path().join(name), pair[name].as_str().unwrap()).unwrap();
        }
        Self { folder }
    }

    /// Certificate, and key.
    fn both(&self) -> [PathBuf; 2] {
        ["tls.crt", "tls.key"].map(|name| self.folder.path().join(name))
    }

    fn for_nats(&self) -> String {
        let [certificate, key] = self.both();
        format!("tls {{ cert_file: \"{}\", key_file: \"{}\" }}", certificate.display(), key.display())
    }
}

/// The first line that a program says.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

/// The gateway under test.
fn gateway() -> PathBuf {
    env::var_os("TOPIC_GATEWAY_BIN").map_or_else(|| env!("CARGO_BIN_EXE_topic-gateway").into(), PathBuf::from)
}

/// A server on its core, ready to be subscribed to and fed.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) feed: Feed,
    address: SocketAddr,
    /// What clients are set up with where it speaks TLS.
    tls: Option<Arc<ClientConfig>>,
    /// The server with its children.
    processes: Vec<u32>,
    tokens: Issuer,
    /// The NATS server that feeds it, on the generator's core.
    pub(crate) nats: Option<NatsServer>,
    /// Ends when it is dropped.
    server: Server,
}

#[allow(dead_code, reason = "held, and dropped at the end")]
enum Server {
    Gateway(Gateway),
    Nats(NatsServer),
    Process(Process, TempDir),
    Floor,
}

impl Peer {
    /// Starts it for so many subscribers, of one topic or of one each; with a certificate of this authority, if any.
    pub(crate) fn start(
        kind: Kind,
        home: &Path,
        topics: &[String],
        subscribers: usize,
        authority: Option<&Authority>,
    ) -> Self {
        let tokens = Issuer::shared();
        let certificate = authority.map(Files::of);
        let from_nats = !matches!(kind, Kind::Floor | Kind::NatsServer | Kind::Nchan);
        let nats = from_nats.then(NatsServer::start);
        let url = nats.as_ref().map(NatsServer::url).unwrap_or_default();
        let script = |program: &str, file: &str| {
            let mut command = pinned(SERVER_CORE, program);
            command.arg(home.join(file)).arg(&url).args(certificate.iter().flat_map(Files::both));
            command
        };
        let in_home = |program: &str| home.join(program).to_str().expect("a path in UTF-8").to_owned();
        let (address, process, server) = match kind {
            Kind::Floor => return Self::floor(topics, subscribers),
            Kind::TopicGateway => {
                let gateway = start_gateway(&tokens, nats.as_ref().unwrap(), authority);
                (gateway.address, gateway.process.id(), Server::Gateway(gateway))
            }
            Kind::Bun => listening(&mut script(&in_home("bun"), "bun.js")),
            Kind::Node => listening(&mut script("node", "node.js")),
            Kind::Centrifuge => listening(
                pinned(SERVER_CORE, in_home("centrifuge"))
                    .arg(&url)
                    .args(certificate.iter().flat_map(Files::both)),
            ),
            Kind::NatsServer => {
                let tls = certificate.as_ref().map_or_else(|| "no_tls: true".into(), Files::for_nats);
                let nats =
                    NatsServer::start_with(&format!("websocket {{ listen: \"127.0.0.1:-1\", {tls} }}"));
                let address = nats.websocket().expect("it listens for WebSockets");
                let moved = Command::new("taskset")
                    .args(["-a", "-c", "-p", SERVER_CORE, &nats.id().to_string()])
                    .output();
                assert!(moved.unwrap().status.success(), "nats-server could not be moved to its core");
                (address, nats.id(), Server::Nats(nats))
            }
            Kind::Nchan => start_nginx(home),
        };
        let feed = match (&nats, &server) {
            (Some(nats), _) | (_, Server::Nats(nats)) => {
                Feed::Nats { client: nats.client(), stamped: kind == Kind::TopicGateway }
            }
            _ => Feed::http(address),
        };
        let tls = authority.map(Authority::client);
        Self { kind, feed, address, tls, processes: family(process), tokens, nats, server }
    }

    fn floor(topics: &[String], subscribers: usize) -> Self {
        let payload = floor_payload(&topics[0]);
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let floor = Floor::start(&[&[0x81, 126], &length[..], &payload].concat(), subscribers);
        Self {
            kind: Kind::Floor,
            address: floor.address,
            tls: None,
            processes: vec![floor.process.id()],
            feed: Feed::Floor { floor, messages: 0, in_turn: topics.len() > 1 },
            tokens: Issuer::shared(),
            nats: None,
            server: Server::Floor,
        }
    }

    /// An audience that nobody is in yet: what messages of this topic, and all of the same length, look like is tried.
    pub(crate) fn audience(&mut self, topic: &str) -> Audience {
        if self.kind == Kind::Floor {
            return Audience::new(Shape::of(&floor_payload(topic), Packing::Single));
        }
        let mut socket = RawSocket { socket: self.subscribe(topic, 0, false) };
        self.feed.publish(topic, &body(0, Duration::ZERO));
        self.feed.send();
        loop {
            let (_, payload) = socket.read().expect("a message");
            if payload.windows(5).any(|window| window == b"\"t\":\"") {
                return Audience::new(Shape::of(&payload, self.kind.packing()));
            }
        }
    }

    /// Waits until those who have connected are served, where that is not told to each.
    pub(crate) fn ready(&mut self) {
        if let Feed::Floor { floor, .. } = &mut self.feed {
            floor.ready();
        }
    }

    /// A connection that is subscribed, of user number `user`; with the smallest receive buffer if it is to be slow.
    pub(crate) fn subscribe(&self, topic: &str, user: usize, slow: bool) -> Wire<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if slow {
            socket.set_recv_buffer_size(4096).unwrap();
        }
        socket.connect(&self.address.into()).unwrap();
        let socket = TcpStream::from(socket);
        if self.kind == Kind::Floor {
            return Wire::Plain(socket);
        }
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut socket = Wire::over(socket, self.tls.as_ref());
        let (path, header) = match self.kind {
            Kind::TopicGateway => ("/ws".into(), format!("Authorization: Bearer {}\r\n", self.token(user))),
            Kind::Nchan => (format!("/sub/{topic}"), String::new()),
            _ => ("/".into(), String::new()),
        };
        upgrade(&mut socket, &path, &header);
        let (head, text, answer) = match self.kind {
            Kind::Nchan => return socket,
            Kind::NatsServer => {
                let options = r#"{"verbose":false,"pedantic":false,"headers":true}"#;
                (0x82, format!("CONNECT {options}\r\nSUB {topic} 1\r\nPING\r\n"), "PONG")
            }
            Kind::Centrifuge => {
                let subscribe = json!({"id": 2, "subscribe": {"channel": topic}});
                (0x81, format!("{{\"id\":1,\"connect\":{{}}}}\n{subscribe}"), r#""id":2"#)
            }
            _ => (0x81, json!({"type": "subscribe", "topic": topic}).to_string(), r#""subscribed""#),
        };
        let mut socket = RawSocket { socket };
        socket.write(&frame(head, text.as_bytes()));
        loop {
            let (_, payload) = socket.read().expect("an answer to the subscription");
            let payload = String::from_utf8_lossy(&payload);
            assert!(!payload.contains("error") && !payload.contains("-ERR"), "{payload}");
            if payload.contains(answer) {
                return socket.socket;
            }
        }
    }

    /// Everybody has a token of their own.
    fn token(&self, user: usize) -> String {
        self.tokens.token(json!({"sub": format!("user-{user}"), "exp": now() + TOKEN_SECONDS}))
    }

    /// CPU time of the server, all its processes.
    pub(crate) fn cpu(&self) -> Duration {
        self.processes.iter().map(|process| cpu(*process)).sum()
    }

    /// Bytes of memory that it has written to itself: no files, no kernel memory; what processes share counts once.
    pub(crate) fn memory(&self) -> u64 {
        let status = |process| fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let all: Vec<_> = self.processes.iter().map(status).collect();
        let own: u64 = all.iter().map(|status| bytes(status, "RssAnon:")).sum();
        own + all.iter().map(|status| bytes(status, "RssShmem:")).max().unwrap_or(0)
    }
}

/// A field of `/proc/<process>/status`.
fn bytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// What the gateway, Bun and Node send, so that the floor sends as many bytes.
fn floor_payload(topic: &str) -> Vec<u8> {
    format!(r#"{{"type":"message","topic":"{topic}","data":{}}}"#, body(0, Duration::ZERO)).into_bytes()
}

impl Drop for Peer {
    /// nginx alone has children, which it ends when it is told to end and not when it is killed.
    fn drop(&mut self) {
        if let (Kind::Nchan, Server::Process(process, _)) = (self.kind, &mut self.server) {
            process.signal("TERM");
            process.wait();
        }
    }
}

/// Everything is on: a token from each client, limits, metrics, heartbeats.
fn start_gateway(tokens: &Issuer, nats: &NatsServer, authority: Option<&Authority>) -> Gateway {
    let resource = Resource::with_tokens(tokens).on(nats);
    let resource = authority.into_iter().fold(resource, |resource, authority| authority.on(resource));
    // Whoever is slow stays, as with the others.
    let resource = resource.add("topics", json!({"pattern": ">", "slowConsumer": "DropOldest"}));
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.yaml");
    fs::write(&file, resource.yaml()).unwrap();
    let mut command = pinned(SERVER_CORE, gateway());
    command.args(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "-f"]).arg(file);
    let gateway = Gateway::from(&mut command, directory);
    gateway.wait_for_metric("topicgateway_backbone_connected", &[], 1.0);
    gateway
}

/// A server that prints `listening ADDRESS`.
fn listening(command: &mut Command) -> (SocketAddr, u32, Server) {
    let mut process = Process::spawn(command);
    let address = process.find("the server prints its address", |text| {
        let (line, _) = text.split_once("listening ")?.1.split_once('\n')?;
        line.trim().parse().ok()
    });
    (address, process.id(), Server::Process(process, TempDir::new().unwrap()))
}

fn start_nginx(home: &Path) -> (SocketAddr, u32, Server) {
    let directory = TempDir::new().unwrap();
    // nginx wants to be told its port: one that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let module = home.join("nginx/usr/lib/nginx/modules/ngx_nchan_module.so");
    let config = include_str!("peers/nginx.conf")
        .replace("MODULE", module.to_str().unwrap())
        .replace("FOLDER", directory.path().to_str().unwrap())
        .replace("PORT", &address.port().to_string());
    let file = directory.path().join("nginx.conf");
    fs::write(&file, config).unwrap();
    let mut command = pinned(SERVER_CORE, home.join("nginx/usr/sbin/nginx"));
    command.arg("-p").arg(directory.path()).arg("-c").arg(&file).args(["-e", "stderr"]);
    let mut process = Process::spawn(&mut command);
    wait_for("nginx has a worker", || {
        assert!(!process.ended(), "nginx ended: {}", process.output());
        (family(process.id()).len() > 1).then_some(())
    });
    (address, process.id(), Server::Process(process, directory))
}

/// A process and its children.
fn family(process: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let children = children.split_whitespace().map(|child| child.parse().unwrap());
    std::iter::once(process).chain(children).collect()
}

/// The handshake of RFC 6455 §4.1; nothing behind the answer is read.
fn upgrade(socket: &mut Wire<TcpStream>, path: &str, header: &str) {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{header}\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") && socket.read(&mut byte).is_ok_and(|count| count == 1) {
        answer.push(byte[0]);
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 101"), "no WebSocket: {answer}");
}
