//! A publisher straight to the stream, by the NATS protocol written by hand: with `Nats-Msg-Id` and retries under it,
//! or without any header.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{interval, sleep},
};

use super::publisher::{Draft, Publisher};
use crate::checker::{Body, Nanos, Outcome, Publish, Recorder};

/// How long the stream may take to confirm.
const CONFIRMING: Duration = Duration::from_secs(3);
const PENDING: usize = 512;
const TICK: Duration = Duration::from_millis(20);
/// One in so many messages without headers is not JSON.
const NOT_JSON: u64 = 50;

/// Everything that such a publisher is made of.
pub(crate) struct Direct {
    pub(crate) own: Publisher<Sent>,
    pub(crate) address: SocketAddr,
    pub(crate) recorder: Recorder,
    /// Whether its messages have an id under which they count once.
    pub(crate) with_id: bool,
}

/// A message that is not confirmed.
pub(crate) struct Sent {
    topic: String,
    body: String,
    /// When it was sent on this connection, by both clocks.
    asked: Option<(Nanos, Instant)>,
    /// How often it was sent.
    attempts: u32,
}

/// What the server says.
enum Said {
    Ping,
    /// A message: its subject and body.
    Message(String, Vec<u8>),
}

impl Direct {
    /// Publishes until the work is over and everything is confirmed or given up.
    pub(crate) async fn run(mut self) {
        while !self.own.is_done() {
            if let Some((said, writer)) = self.connect().await {
                self.live(said, writer).await;
                self.lost();
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn connect(&self) -> Option<(UnboundedReceiver<Said>, OwnedWriteHalf)> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (reader, mut writer) = stream.into_split();
        let options =
            r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"name":"outside"}"#;
        let begin = format!("CONNECT {options}\r\nSUB _INBOX.{}.* 1\r\n", self.own.name);
        writer.write_all(begin.as_bytes()).await.ok()?;
        let (sender, said) = unbounded_channel();
        // Ends with the connection.
        tokio::spawn(listen(BufReader::new(reader), sender));
        Some((said, writer))
    }

    async fn live(&mut self, mut said: UnboundedReceiver<Said>, mut writer: OwnedWriteHalf) {
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                said = said.recv() => match said {
                    None => return,
                    Some(Said::Ping) => {
                        if writer.write_all(b"PONG\r\n").await.is_err() {
                            return;
                        }
                    }
                    Some(Said::Message(subject, body)) => self.answered(&subject, &body),
                },
                _ = ticks.tick() => {
                    self.write_more();
                    self.expire();
                    let bytes = self.unsent();
                    if writer.write_all(&bytes).await.is_err() || self.own.is_done() {
                        return;
                    }
                }
            }
        }
    }

    fn write_more(&mut self) {
        let with_id = self.with_id;
        self.own.write_more(PENDING, |Draft { name, number, topic, pad }| {
            let body = match (with_id, number % NOT_JSON) {
                (true, _) => format!(r#"{{"messageId": "{name}-{number}", "n": {number}, "pad": "{pad}"}}"#),
                (false, 0) => format!("{name} {number} is not JSON"),
                (false, _) => format!(r#"{{"w": "{name}", "n": {number}, "pad": "{pad}"}}"#),
            };
            Sent { topic, body, asked: None, attempts: 0 }
        });
    }

    /// The bytes that publish what is due.
    fn unsent(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (Publisher { name, clock, pending, .. }, with_id) = (&mut self.own, self.with_id);
        for (number, message) in pending.iter_mut().filter(|(_, message)| message.asked.is_none()) {
            message.asked = Some((clock.now(), Instant::now()));
            message.attempts += 1;
            let Sent { topic, body, attempts, .. } = message;
            let head = if with_id {
                format!("NATS/1.0\r\nNats-Msg-Id: {name}-{number}\r\n\r\n")
            } else {
                String::new()
            };
            let (kind, sizes) = match head.len() {
                0 => ("PUB", body.len().to_string()),
                length => ("HPUB", format!("{length} {}", length + body.len())),
            };
            let line =
                format!("{kind} {topic} _INBOX.{name}.{number}-{attempts} {sizes}\r\n{head}{body}\r\n");
            bytes.extend_from_slice(line.as_bytes());
        }
        bytes
    }

    /// The stream has answered, or nobody was there to do so.
    fn answered(&mut self, subject: &str, body: &[u8]) {
        let words = subject.rsplit('.').next().and_then(|last| last.split_once('-'));
        let Some((Ok(number), Ok(attempt))) =
            words.map(|(number, attempt)| (number.parse::<u64>(), attempt.parse::<u32>()))
        else {
            return;
        };
        // What was said too late of an attempt before is not known of this one.
        if self.own.pending.get(&number).is_none_or(|message| message.attempts != attempt) {
            return;
        }
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let outcome = match (answer["seq"].as_u64(), answer["duplicate"] == true) {
            (Some(seq), false) => Outcome::Ok(Some(seq)),
            (Some(seq), true) => Outcome::Duplicate(Some(seq)),
            (None, _) => Outcome::Unknown,
        };
        self.own.tally.count(match outcome {
            Outcome::Ok(_) => "direct ok",
            Outcome::Duplicate(_) => "direct duplicate",
            _ => "direct without an answer",
        });
        self.ended(number, outcome);
    }

    /// An attempt has ended; one that is not known to have succeeded is repeated, if it counts once.
    fn ended(&mut self, number: u64, outcome: Outcome) {
        let Some(message) = self.own.pending.get_mut(&number) else { return };
        let Some((began, _)) = message.asked.take() else { return };
        if let Outcome::Ok(Some(seq)) = outcome {
            self.own.work.stored(&message.topic, seq);
        }
        let again = self.with_id && outcome == Outcome::Unknown;
        self.recorder.publish(Publish {
            who: self.own.name.clone(),
            user: self.with_id.then(|| self.own.name.clone()),
            topic: message.topic.clone(),
            id: self.with_id.then(|| format!("{}-{number}", self.own.name)),
            body: Body::Text(message.body.clone()),
            began,
            ended: self.own.clock.now(),
            outcome,
        });
        if !again {
            self.own.pending.remove(&number);
        }
    }

    fn expire(&mut self) {
        let late = |message: &Sent| message.asked.is_some_and(|(_, asked)| asked.elapsed() > CONFIRMING);
        let late: Vec<_> =
            self.own.pending.iter().filter(|(_, message)| late(message)).map(|(number, _)| *number).collect();
        for number in late {
            self.own.tally.count("direct without an answer");
            self.ended(number, Outcome::Unknown);
        }
    }

    /// The connection is gone, and with it the answers.
    fn lost(&mut self) {
        self.own.tally.count("direct connections lost");
        let all: Vec<_> = self.own.pending.keys().copied().collect();
        for number in all {
            self.ended(number, Outcome::Unknown);
        }
    }
}

/// Reads what the server says, until it says nothing more.
async fn listen(mut reader: BufReader<OwnedReadHalf>, said: UnboundedSender<Said>) {
    let mut line = String::new();
    while reader.read_line(&mut line).await.is_ok_and(|count| count > 0) {
        let words: Vec<_> = line.split_whitespace().collect();
        let next = match words[..] {
            ["PING"] => Some(Said::Ping),
            [kind @ ("MSG" | "HMSG"), subject, .., sizes] => {
                let Ok(length) = sizes.parse::<usize>() else { return };
                let head = match (kind, words.len()) {
                    ("HMSG", count) => words[count - 2].parse().unwrap_or(0),
                    _ => 0,
                };
                let subject = subject.to_owned();
                let mut body = vec![0; length + 2];
                if reader.read_exact(&mut body).await.is_err() {
                    return;
                }
                Some(Said::Message(subject, body[head..length].to_vec()))
            }
            _ => None,
        };
        if next.is_some_and(|next| said.send(next).is_err()) {
            return;
        }
        line.clear();
    }
}
