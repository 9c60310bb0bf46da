//! The stream: what the server says of it, and what the gateway makes of that.

mod faults;
mod feeds;
mod headers;
mod history;
mod malformed;
mod managing;
mod proxy;
mod publishing;
mod stamps;

use std::time::Instant;

use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Rig, Server, spec};
use crate::{
    api::{JetStream, NatsBackbone},
    gateway::{
        backbone::shards::{PATIENCE, json},
        shard::{Arrival, ShardEvent},
    },
};

/// A server with the stream `S`, and somebody who publishes to it.
struct Stream {
    server: Server,
    client: Client,
}

/// As the gateway's controller would make it, but for topics `a.…` and `b`.
fn config() -> Value {
    json!({
        "name": "S", "subjects": ["a.>", "b"], "storage": "file", "allow_direct": true,
        "duplicate_window": 60_000_000_000_u64, "republish": {"src": ">", "dest": "_tg.S.>"},
    })
}

/// The same for a stream in place of one that was deleted: nats-server 2.15 removes the files of the old one while the
/// new one may already write its own there.
fn anew() -> Value {
    with(&json!({"storage": "memory"}))
}

/// The stream with these changes.
fn with(changes: &Value) -> Value {
    let mut config = config();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

impl Stream {
    /// A server without any stream.
    async fn none() -> Self {
        let dir = TempDir::new().unwrap();
        let config = format!("jetstream {{ store_dir: {:?} }}", dir.path().join("store"));
        let server = Server::with(&config, dir).await;
        let client = server.client().await;
        Self { server, client }
    }

    async fn new(config: &Value) -> Self {
        let stream = Self::none().await;
        stream.create(config).await;
        stream
    }

    async fn plain() -> Self {
        Self::new(&config()).await
    }

    /// Asks the JetStream API something.
    async fn api(&self, what: &str, body: &Value) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.client.request(format!("$JS.API.{what}"), body.to_string().into()).await;
            match answer {
                Ok(answer) => return serde_json::from_slice(&answer.payload).unwrap(),
                // The server may have been started a moment ago.
                Err(error) => assert!(Instant::now() < end, "{what}: {error}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    async fn must(&self, what: &str, body: &Value) -> Value {
        let answer = self.api(what, body).await;
        assert!(answer["error"].is_null(), "{what}: {answer}");
        answer
    }

    async fn create(&self, config: &Value) {
        self.must("STREAM.CREATE.S", config).await;
    }

    async fn update(&self, changes: &Value) {
        self.must("STREAM.UPDATE.S", &with(changes)).await;
    }

    /// Publishes, without the gateway: answers the number.
    async fn store(&self, subject: &str, body: impl Into<Bytes>) -> u64 {
        let end = Instant::now() + PATIENCE;
        let body = body.into();
        loop {
            let answer = self.client.request(subject.to_owned(), body.clone()).await;
            if let Ok(answer) = answer {
                let ack: Value = serde_json::from_slice(&answer.payload).unwrap();
                assert!(ack["error"].is_null(), "{ack}");
                return ack["seq"].as_u64().unwrap();
            }
            assert!(Instant::now() < end, "{answer:?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Publishes these numbers to a topic, one message for each, and something else in between.
    async fn store_all(&self, subject: &str, numbers: std::ops::RangeInclusive<u64>) -> Vec<u64> {
        let mut stored = Vec::new();
        for n in numbers {
            stored.push(self.store(subject, n.to_string()).await);
            self.store("b", "0").await;
        }
        stored
    }

    /// A gateway of this stream.
    async fn gateway(&self) -> Rig {
        Rig::connected(&on(&self.server.url())).await
    }
}

/// A backbone with the stream `S`.
fn on(url: &str) -> NatsBackbone {
    let stream: JetStream = serde_json::from_value(json!({"stream": "S"})).unwrap();
    NatsBackbone { jet_stream: Some(stream), ..spec(&[url.to_owned()]) }
}

fn header(name: &str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, value);
    headers
}

/// What a shard was told: of a message its number, the one before and its body; of a gap what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Message(u64, u64, String),
    Gap(Option<u64>, Option<u64>, String),
}

fn told(arrival: &Arrival) -> Told {
    let frame = json(arrival);
    let number = |key: &str| frame[key].as_u64();
    if arrival.message {
        assert_eq!(number("seqNo"), arrival.seq, "{frame}");
        Told::Message(number("seqNo").unwrap(), number("prevSeqNo").unwrap(), frame["data"].to_string())
    } else {
        Told::Gap(number("fromSeq"), number("toSeq"), frame["reason"].as_str().unwrap().into())
    }
}

impl Rig {
    /// The next arrivals of a shard on this key, until there are so many.
    async fn arrive(&mut self, shard: usize, key: &str, count: usize) -> Vec<Arrival> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.shards.next(shard).await {
                ShardEvent::Deliver(arrivals) => {
                    all.extend(arrivals.into_iter().filter(|arrival| &*arrival.key == key));
                }
                // Said again, for another position.
                ShardEvent::InForce { .. } => {}
                other => panic!("{other:?} came instead of messages"),
            }
        }
        assert_eq!(all.len(), count, "{all:?}");
        all
    }

    async fn told(&mut self, shard: usize, key: &str, count: usize) -> Vec<Told> {
        self.arrive(shard, key, count).await.iter().map(told).collect()
    }

    /// Until so many messages have come; with whatever gaps were announced in between.
    async fn until(&mut self, shard: usize, key: &str, last: u64) -> Vec<Told> {
        let mut all: Vec<Told> = Vec::new();
        while !all.iter().any(|told| matches!(told, Told::Message(seq, ..) if *seq == last)) {
            all.extend(self.told_now(shard, key).await);
        }
        all
    }

    async fn told_now(&mut self, shard: usize, key: &str) -> Vec<Told> {
        match self.shards.next(shard).await {
            ShardEvent::Deliver(arrivals) => {
                arrivals.iter().filter(|arrival| &*arrival.key == key).map(told).collect()
            }
            ShardEvent::InForce { .. } => Vec::new(),
            other => panic!("{other:?} came instead of messages"),
        }
    }

    /// Waits until the trouble with the stream is said in these words, or there is none.
    async fn trouble(&mut self, words: Option<&str>) {
        let said = |trouble: Option<&str>| match (trouble, words) {
            (Some(trouble), Some(words)) => trouble.contains(words),
            (trouble, words) => trouble.is_none() && words.is_none(),
        };
        let wait = self.handle.status.wait_for(|status| said(status.trouble.as_deref()));
        tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap();
    }
}

/// Whether these messages are a chain: each names the one before it.
fn is_chain(told: &[Told], from: u64) -> bool {
    let mut last = from;
    told.iter().all(|told| match told {
        Told::Message(seq, prev, _) => *prev == std::mem::replace(&mut last, *seq),
        Told::Gap(..) => false,
    })
}
