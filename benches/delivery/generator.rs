//! The gateway under test with its NATS server, and the pace at which it is fed.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    body::body,
    placing::{SERVER_CORE, cpu, pinned},
    readers::{Look, Readers, Shape},
    support::{DEADLINE, Gateway, NatsClient, NatsServer, RawSocket, Resource, wait_until},
};

/// A gateway on the server's core, fed by a NATS server on the generator's.
pub(crate) struct Bed {
    /// The gateway.
    pub(crate) gateway: Gateway,
    /// The server.
    pub(crate) nats: NatsServer,
    /// Publishes.
    pub(crate) outside: NatsClient,
}

/// Publishes with the time of it, so that the gateway measures what it delivers.
pub(crate) fn stamped(outside: &mut NatsClient, topic: &str, body: &str) {
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    outside.publish_with_headers(topic, &[("Nats-Time-Stamp", &now)], body);
}

impl Bed {
    /// Starts both.
    pub(crate) fn start() -> Self {
        Self::on(SERVER_CORE)
    }

    /// The same on these cores, and so with as many shards.
    pub(crate) fn on(cores: &str) -> Self {
        let nats = NatsServer::start();
        let resource = Resource::open().on(&nats);
        Self::run(nats, resource, cores)
    }

    /// The same for very many topics: all of them come by one subscription, and one connection may have 65 536.
    pub(crate) fn for_many_topics() -> Self {
        let nats = NatsServer::start();
        let backbone =
            json!({"nats": {"servers": [nats.url()], "subscription": "Wildcard", "subjects": ["bench.>"]}});
        let resource = Resource::open()
            .set("backbone", backbone)
            .set("limits", json!({"topicsPerConnection": 65_536, "subscribePerSecond": 0}));
        Self::run(nats, resource, SERVER_CORE)
    }

    /// The same with a stream behind the topics below `bench`, whose numbers all have the same length.
    pub(crate) fn with_stream() -> Self {
        let nats = NatsServer::with_streams();
        let stream = json!({
            "name": "BENCH", "subjects": ["bench.>"], "storage": "memory", "first_seq": 1_000_000_000,
            "max_msgs": 10_000, "allow_direct": true, "republish": {"src": "bench.>", "dest": "stored.bench.>"},
        });
        let mut outside = nats.client();
        outside.publish("$JS.API.STREAM.CREATE.BENCH", stream.to_string());
        outside.flush();
        wait_until("the stream is there", || nats.stream("BENCH").is_some());
        let backbone = json!({"nats": {
            "servers": [nats.url()], "subjects": ["bench.>"], "jetStream": {"stream": "BENCH"},
        }});
        let resource = Resource::open().set("backbone", backbone);
        Self::run(nats, resource, SERVER_CORE)
    }

    /// The same with this resource.
    pub(crate) fn run(nats: NatsServer, resource: Resource, cores: &str) -> Self {
        // The longest pause between pings: they are not what is measured.
        let resource = resource.set("heartbeatSeconds", json!(3600));
        // Whoever is slow stays, and stays slow.
        let resource = resource.add("topics", json!({"pattern": ">", "slowConsumer": "DropOldest"}));
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("gateway.yaml");
        fs::write(&file, resource.yaml()).unwrap();
        let mut command = pinned(cores, env!("CARGO_BIN_EXE_topic-gateway"));
        command.args(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "-f"]).arg(file);
        let gateway = Gateway::from(&mut command, directory);
        gateway.wait_for_metric("topicgateway_backbone_connected", &[], 1.0);
        let outside = nats.client();
        Self { gateway, nats, outside }
    }

    /// A socket that is subscribed.
    pub(crate) fn subscriber(&self, topic: &str) -> RawSocket {
        subscribed(RawSocket::open(self.gateway.address), topic)
    }

    /// The same with the smallest receive buffer, so that the gateway soon knows that it does not read.
    pub(crate) fn slow_subscriber(&self, topic: &str) -> RawSocket {
        subscribed(RawSocket::open_small(self.gateway.address), topic)
    }

    /// What a frame of this topic looks like.
    pub(crate) fn shape(&mut self, topic: &str) -> Shape {
        let mut socket = self.subscriber(topic);
        self.outside.publish(topic, body(0, Duration::ZERO));
        self.outside.flush();
        let (_, payload) = socket.read().unwrap();
        Shape::of(&payload)
    }

    /// Readers of these topics, `count` in all, spread evenly.
    pub(crate) fn readers(&mut self, topics: &[&str], count: usize, look: Look) -> Readers {
        let shapes = topics.iter().map(|topic| self.shape(topic)).collect();
        let mut readers = Readers::new(shapes, look);
        for n in 0..count {
            let topic = n % topics.len();
            readers.add(self.subscriber(topics[topic]).socket, topic);
        }
        readers
    }

    /// Nanoseconds of the gateway's CPU time per delivery to so many subscribers of a topic, over about a second.
    pub(crate) fn cost(&mut self, readers: &mut Readers, topic: &str, burst: u8, subscribers: usize) -> f64 {
        let (times, every) = if burst == 1 { (50, 20) } else { (20, 50) };
        let deliveries = u64::from(times) * u64::from(burst) * subscribers as u64;
        let before = self.cpu();
        drive(readers, times, Duration::from_millis(every), deliveries, |at| {
            for _ in 0..burst {
                stamped(&mut self.outside, topic, &body(0, at));
            }
            self.outside.send();
        });
        self.cpu().saturating_sub(before).as_nanos() as f64 / deliveries as f64
    }

    /// CPU time of the gateway, all threads.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(self.gateway.process.id())
    }

    /// Bytes of memory that the gateway has written to itself (no files, no kernel memory).
    pub(crate) fn memory(&self) -> u64 {
        self.status("RssAnon:")
    }

    /// A field of the gateway's `/proc/<process>/status`, in bytes.
    pub(crate) fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.gateway.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

fn subscribed(mut socket: RawSocket, topic: &str) -> RawSocket {
    socket.text(&json!({"type": "subscribe", "topic": topic}).to_string());
    assert_eq!(socket.json()["type"], "subscribed");
    socket
}

/// Calls `send` so many times at this pace, whatever becomes of it (an open loop), while everything that arrives is
/// read; ends when `expected` messages have arrived.
pub(crate) fn drive(
    readers: &mut Readers,
    times: u32,
    every: Duration,
    expected: u64,
    mut send: impl FnMut(Duration),
) {
    let began = readers.now();
    let wanted = readers.messages() + expected;
    let mut done = 0;
    let mut end = Instant::now() + DEADLINE;
    while readers.messages() < wanted {
        let due = began + every * done;
        let mut wait = Duration::from_millis(100);
        if done < times {
            let now = readers.now();
            if now >= due {
                send(due);
                done += 1;
                end = Instant::now() + DEADLINE;
                continue;
            }
            wait = due.saturating_sub(now);
        }
        readers.read(wait);
        assert_eq!(readers.ended, 0, "subscribers were closed");
        assert!(Instant::now() < end, "{} of {wanted} messages arrived: the run is void", readers.messages());
    }
    assert_eq!(readers.messages(), wanted, "more messages than were sent");
}
