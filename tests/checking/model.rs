//! A perfect gateway in a few lines: makes long good histories from a seed, with everything that may happen.

use std::collections::BTreeMap;

use serde_json::json;

use crate::checker::{Body, ClientLog, History, Limits, Mark, Outcome, Publish, Recorder};

const SECOND: u64 = 1_000_000_000;
const TOPICS: [&str; 3] = ["prices.a", "prices.b", "sure.a"];
const CLIENTS: usize = 4;
const ACK_TIMEOUT: u64 = 5 * SECOND;

/// Numbers that look random (`SplitMix64`), the same for the same seed.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

/// A stored message.
#[derive(Debug, Clone)]
struct Stored {
    seq: u64,
    prev: u64,
    id: String,
}

#[derive(Debug, Default)]
struct Topic {
    stored: Vec<Stored>,
    /// Up to here history is gone.
    purged: u64,
}

impl Topic {
    fn newest(&self) -> u64 {
        self.stored.last().map_or(0, |stored| stored.seq)
    }

    fn after(&self, seq: u64) -> impl Iterator<Item = &Stored> {
        self.stored.iter().filter(move |stored| stored.seq > seq)
    }
}

struct Client {
    log: ClientLog,
    connected: bool,
    ids: u32,
    life: u32,
    /// Topics held, with the position up to which all is sent.
    held: BTreeMap<usize, u64>,
    /// What it had when its connection ended.
    left: BTreeMap<usize, u64>,
    /// Sent and not acknowledged, with the time.
    unacknowledged: BTreeMap<u64, u64>,
}

pub(super) struct Model {
    recorder: Recorder,
    random: Random,
    now: u64,
    seq: u64,
    published: u32,
    life: u32,
    topics: Vec<Topic>,
    clients: Vec<Client>,
}

/// The history of `steps` things that happened.
pub(super) fn history(seed: u64, steps: usize) -> History {
    let limits = Limits {
        settle: 2 * SECOND,
        ack_timeout: ACK_TIMEOUT,
        ack_tolerance: 2 * SECOND,
        at_least_once: vec!["sure.*".into()],
        ..Limits::default()
    };
    let recorder = Recorder::new(limits);
    let client = |n: usize| Client {
        log: recorder.client(&format!("client-{n}"), &format!("user-{n}"), &["prices.*", "sure.a"]),
        connected: false,
        ids: 0,
        life: 0,
        held: BTreeMap::new(),
        left: BTreeMap::new(),
        unacknowledged: BTreeMap::new(),
    };
    let clients = (0..CLIENTS).map(client).collect();
    let topics = TOPICS.iter().map(|_| Topic::default()).collect();
    let random = Random(seed);
    let mut model = Model { recorder, random, now: SECOND, seq: 0, published: 0, life: 0, topics, clients };
    for _ in 0..steps {
        model.step();
    }
    model.finish()
}

impl Model {
    fn step(&mut self) {
        self.now += 1 + self.random.below(20_000_000) as u64;
        self.send_again();
        let (n, topic) = (self.random.below(CLIENTS), self.random.below(TOPICS.len()));
        match self.random.below(100) {
            _ if !self.clients[n].connected => self.connect(n),
            0..25 => self.publish(n, topic),
            25..32 => self.publish_directly(topic),
            32..70 => self.deliver(n, topic),
            70..78 => self.subscribe(n, topic),
            78..81 => self.unsubscribe(n, topic),
            81..85 => self.drop_some(n, topic),
            85..90 => self.replay(n, topic),
            90..95 => self.acknowledge(n),
            95..97 => self.end(n),
            97 => self.purge(topic),
            98 if self.random.below(4) == 0 => self.reset(),
            99 if self.random.below(2) == 0 => self.pass(),
            _ => self.ping(n),
        }
    }

    fn finish(mut self) -> History {
        for n in 0..CLIENTS {
            self.acknowledge(n);
            for topic in 0..TOPICS.len() {
                while self.next(n, topic).is_some() {
                    self.deliver(n, topic);
                }
            }
            self.acknowledge(n);
            self.ping(n);
        }
        self.clients.clear();
        self.recorder.finish(self.now + 60 * SECOND)
    }

    fn send(&mut self, n: usize, command: serde_json::Value) {
        self.clients[n].log.sent(self.now, &command.to_string());
    }

    fn receive(&mut self, n: usize, frame: serde_json::Value) {
        self.clients[n].log.received(self.now, &frame.to_string());
    }

    fn id(&mut self, n: usize) -> u32 {
        self.clients[n].ids += 1;
        self.clients[n].ids
    }

    fn message(&mut self, n: usize, topic: usize, stored: &Stored) {
        let Stored { seq, prev, id } = stored;
        let text = format!(
            r#"{{"type":"message","topic":"{}","seqNo":{seq},"prevSeqNo":{prev},"messageId":"{id}","data":{{"of": "{id}"}}}}"#,
            TOPICS[topic]
        );
        self.clients[n].log.received(self.now, &text);
    }

    fn store(&mut self, topic: usize) -> Stored {
        self.seq += 1;
        self.published += 1;
        let prev = self.topics[topic].newest();
        let stored = Stored { seq: self.seq, prev, id: format!("m{}", self.published) };
        self.topics[topic].stored.push(stored.clone());
        stored
    }

    /// A publish by a client: confirmed, left open and confirmed as a duplicate, or refused.
    fn publish(&mut self, n: usize, topic: usize) {
        let (id, how) = (self.id(n), self.random.below(8));
        let message = format!("m{}", self.published + 1);
        let command = |id: u32| {
            format!(
                r#"{{"type":"publish","id":{id},"topic":"{}","messageId":"{message}","payload":{{"of": "{message}"}}}}"#,
                TOPICS[topic]
            )
        };
        self.clients[n].log.sent(self.now, &command(id));
        if how == 0 {
            self.published += 1;
            self.receive(n, json!({"type": "error", "id": id, "code": "LIMIT_EXCEEDED", "message": "…"}));
            return;
        }
        let seq = self.store(topic).seq;
        self.now += 1_000;
        if how == 1 {
            self.receive(
                n,
                json!({"type": "error", "id": id, "code": "BACKBONE_UNAVAILABLE", "message": "…"}),
            );
            let id = self.id(n);
            self.clients[n].log.sent(self.now, &command(id));
            self.receive(
                n,
                json!({"type": "ack", "id": id, "messageId": message, "status": "duplicate", "seqNo": seq}),
            );
            return;
        }
        self.receive(n, json!({"type": "ack", "id": id, "messageId": message, "status": "ok", "seqNo": seq}));
    }

    fn publish_directly(&mut self, topic: usize) {
        let began = self.now;
        let Stored { seq, id, .. } = self.store(topic);
        self.now += 1_000;
        self.recorder.publish(Publish {
            who: "direct".into(),
            user: (self.random.below(2) == 0).then(|| "http".into()),
            topic: TOPICS[topic].into(),
            body: Body::Text(format!(r#"{{"of": "{id}"}}"#)),
            id: Some(id),
            began,
            ended: self.now,
            outcome: Outcome::Ok(Some(seq)),
        });
    }

    fn next(&self, n: usize, topic: usize) -> Option<Stored> {
        let sent = *self.clients[n].held.get(&topic)?;
        self.topics[topic].after(sent).next().cloned()
    }

    fn deliver(&mut self, n: usize, topic: usize) {
        let Some(stored) = self.next(n, topic) else { return };
        self.message(n, topic, &stored);
        let now = self.now;
        let client = &mut self.clients[n];
        client.held.insert(topic, stored.seq);
        if TOPICS[topic].starts_with("sure.") {
            client.unacknowledged.insert(stored.seq, now);
        }
    }

    /// Sends again what is due on the topic that asks for it.
    fn send_again(&mut self) {
        for n in 0..CLIENTS {
            let due = |(seq, sent): (&u64, &u64)| (self.now >= sent + ACK_TIMEOUT).then_some(*seq);
            let due: Vec<u64> = self.clients[n].unacknowledged.iter().filter_map(due).collect();
            for seq in due {
                let stored = self.topics[2].stored.iter().find(|stored| stored.seq == seq).cloned().unwrap();
                self.message(n, 2, &stored);
                self.clients[n].unacknowledged.insert(seq, self.now);
            }
        }
    }

    fn acknowledge(&mut self, n: usize) {
        let Some((seq, _)) = self.clients[n].unacknowledged.pop_last() else { return };
        self.send(n, json!({"type": "ack", "topic": "sure.a", "seqNo": seq}));
        self.clients[n].unacknowledged.clear();
    }

    /// Time in which nothing else happens.
    fn pass(&mut self) {
        for _ in 0..12 {
            self.now += SECOND;
            self.send_again();
        }
    }

    fn ping(&mut self, n: usize) {
        if self.clients[n].connected {
            let id = self.id(n);
            self.send(n, json!({"type": "ping", "id": id}));
            self.receive(n, json!({"type": "pong", "id": id}));
        }
    }

    fn connect(&mut self, n: usize) {
        let now = self.now;
        self.clients[n].log.connected(now, &format!("pod-{n}"));
        (self.clients[n].connected, self.clients[n].ids) = (true, 0);
        let left = std::mem::take(&mut self.clients[n].left);
        let id = self.id(n);
        if left.is_empty() {
            self.send(n, json!({"type": "setup", "id": id, "token": "t"}));
            self.receive(n, json!({"type": "ready", "id": id, "sessionId": "s", "resumed": false}));
            return;
        }
        let positions: serde_json::Map<_, _> =
            left.iter().map(|(topic, seq)| (TOPICS[*topic].into(), json!(seq))).collect();
        self.send(n, json!({"type": "resume", "id": id, "sessionId": "s", "lastSeqPerTopic": positions}));
        self.receive(n, json!({"type": "ready", "id": id, "sessionId": "s", "resumed": true}));
        for (topic, seq) in left {
            self.attach(n, topic, Some(seq), None);
        }
        self.clients[n].life = self.life;
    }

    /// `subscribed`, after a position that may be of an earlier life or no longer kept.
    fn attach(&mut self, n: usize, topic: usize, after: Option<u64>, id: Option<u32>) {
        let (newest, purged) = (self.topics[topic].newest(), self.topics[topic].purged);
        let foreign = self.clients[n].life < self.life;
        let start = after.filter(|_| !foreign).unwrap_or(newest);
        let lost = after.is_some() && (foreign || start < purged);
        let mut frame =
            json!({"type": "subscribed", "topic": TOPICS[topic], "seqNo": start, "recoverable": true});
        if after.is_some() {
            frame["recovered"] = json!(!lost);
        }
        if let Some(id) = id {
            frame["id"] = json!(id);
        }
        self.receive(n, frame);
        if lost {
            let mut gap = json!({"type": "gap", "topic": TOPICS[topic], "reason": "expired"});
            if !foreign {
                (gap["fromSeq"], gap["toSeq"]) = (json!(start + 1), json!(purged));
            }
            self.receive(n, gap);
        }
        self.clients[n].held.insert(topic, if foreign { start } else { start.max(purged) });
    }

    fn subscribe(&mut self, n: usize, topic: usize) {
        if self.clients[n].held.contains_key(&topic) {
            return;
        }
        self.clients[n].life = self.life;
        let (id, history) = (self.id(n), self.random.below(2) == 0);
        let mut command = json!({"type": "subscribe", "id": id, "topic": TOPICS[topic]});
        if history {
            command["fromSeq"] = json!(1);
        }
        self.send(n, command);
        self.now += 1_000;
        self.attach(n, topic, history.then_some(0), Some(id));
    }

    fn unsubscribe(&mut self, n: usize, topic: usize) {
        if self.clients[n].held.remove(&topic).is_some() {
            let id = self.id(n);
            self.send(n, json!({"type": "unsubscribe", "id": id, "topic": TOPICS[topic]}));
            self.receive(n, json!({"type": "unsubscribed", "id": id, "topic": TOPICS[topic]}));
            if topic == 2 {
                self.clients[n].unacknowledged.clear();
            }
        }
    }

    /// The client is too slow: what waits for it is dropped.
    fn drop_some(&mut self, n: usize, topic: usize) {
        let Some(sent) = self.clients[n].held.get(&topic).copied() else { return };
        let newest = self.topics[topic].newest();
        if newest == sent {
            return;
        }
        let mut gap = json!({"type": "gap", "topic": TOPICS[topic], "reason": "dropped"});
        if self.random.below(2) == 0 {
            (gap["fromSeq"], gap["toSeq"]) = (json!(sent + 1), json!(newest));
        }
        self.receive(n, gap);
        self.clients[n].held.insert(topic, newest);
    }

    fn replay(&mut self, n: usize, topic: usize) {
        let (purged, newest) = (self.topics[topic].purged, self.topics[topic].newest());
        // What has not been sent yet is not replayed: it will come.
        let sent = self.clients[n].held.get(&topic).copied().unwrap_or(newest);
        let from = 1 + self.random.below(usize::try_from(sent + 1).unwrap()) as u64;
        let id = self.id(n);
        let topic_name = TOPICS[topic];
        self.send(
            n,
            json!({"type": "replay", "id": id, "topic": topic_name, "fromSeq": from, "toSeq": sent}),
        );
        let messages: Vec<_> = self.topics[topic].after(purged.max(from - 1)).cloned().collect();
        for stored in messages.iter().filter(|stored| stored.seq <= sent) {
            self.message(n, topic, stored);
        }
        let complete = from > purged;
        self.receive(
            n,
            json!({"type": "replayed", "id": id, "topic": topic_name, "fromSeq": from, "toSeq": sent, "complete": complete}),
        );
    }

    /// The connection ends, in one of the ways in which it may.
    fn end(&mut self, n: usize) {
        let (now, way) = (self.now, self.random.below(4));
        let client = &mut self.clients[n];
        let code = match way {
            0 => 1000,
            1 => {
                client.log.received(now, r#"{"type":"draining","reconnectAfterMs":5}"#);
                1012
            }
            2 => {
                client.log.cut(now);
                1006
            }
            _ => {
                self.recorder.mark(now, Mark::GatewayKilled(format!("pod-{n}")));
                1006
            }
        };
        client.log.closed(now, code);
        client.connected = false;
        client.unacknowledged.clear();
        client.left = std::mem::take(&mut client.held);
    }

    fn purge(&mut self, topic: usize) {
        // Nobody is in the middle of reading what goes.
        let read = self.clients.iter().filter_map(|client| client.held.get(&topic)).min();
        self.topics[topic].purged = read.copied().unwrap_or(self.topics[topic].newest());
    }

    /// The stream is deleted and made anew.
    fn reset(&mut self) {
        self.recorder.mark(self.now, Mark::StreamReset);
        self.now += 1_000;
        (self.life, self.seq) = (self.life + 1, 0);
        self.topics = TOPICS.iter().map(|_| Topic::default()).collect();
        for n in 0..CLIENTS {
            self.clients[n].unacknowledged.clear();
            let held = std::mem::take(&mut self.clients[n].held);
            for (topic, sent) in held {
                if sent == 0 {
                    // It had nothing of the earlier life, but may have been owed something.
                    self.receive(n, json!({"type": "gap", "topic": TOPICS[topic], "reason": "expired"}));
                    self.clients[n].held.insert(topic, 0);
                } else {
                    self.attach(n, topic, Some(sent), None);
                }
            }
            if self.clients[n].connected {
                self.clients[n].life = self.life;
            }
        }
    }
}
