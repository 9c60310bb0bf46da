//! A peer with its audience, and what it takes to send it something.

use std::{
    path::Path,
    process,
    time::{Duration, Instant},
};

use crate::{
    audience::Audience,
    body::body,
    peers::{Kind, Peer},
    placing::cpu,
    row::Row,
    support::Authority,
};

/// Nothing has arrived for so long: what is missing is lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of a core: whoever uses as much had no time left.
const BUSY: f64 = 0.9;

/// A peer with its audience.
pub(crate) struct Bed {
    pub(crate) peer: Peer,
    pub(crate) audience: Audience,
    topics: Vec<String>,
    /// Messages sent, which go to the topics in turn.
    sent: usize,
}

/// Messages at a pace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) times: u32,
    pub(crate) every: Duration,
    /// Messages each time.
    pub(crate) messages: usize,
}

/// CPU time at a moment.
struct Start {
    at: Instant,
    server: Duration,
    generator: Duration,
    received: u64,
}

impl Bed {
    /// A peer that is to have so many subscribers, and has none yet.
    pub(crate) fn new(kind: Kind, home: &Path, topics: Vec<String>, subscribers: usize) -> Self {
        Self::of(Peer::start(kind, home, &topics, subscribers, None), topics)
    }

    fn of(mut peer: Peer, topics: Vec<String>) -> Self {
        let audience = peer.audience(&topics[0]);
        Self { peer, audience, topics, sent: 0 }
    }

    /// A peer with subscribers of one topic, who connect within TLS.
    pub(crate) fn within_tls(kind: Kind, home: &Path, topic: &str, subscribers: usize) -> Self {
        let topics = vec![topic.to_owned()];
        let peer = Peer::start(kind, home, &topics, subscribers, Some(&Authority::new()));
        let mut bed = Self::of(peer, topics);
        bed.join(subscribers);
        bed.audience.settle();
        bed
    }

    /// The same with its subscribers, who take the topics in turn.
    pub(crate) fn with(kind: Kind, home: &Path, topics: Vec<String>, subscribers: usize) -> Self {
        let mut bed = Self::new(kind, home, topics, subscribers);
        bed.join(subscribers);
        bed.peer.ready();
        bed.audience.settle();
        bed
    }

    /// Reads what has come while something else was done; pings are answered so that nobody is closed.
    pub(crate) fn keep_alive(&mut self) {
        self.audience.read(Duration::ZERO);
        self.peer.feed.keep_alive();
    }

    /// So many subscribers more.
    pub(crate) fn join(&mut self, subscribers: usize) {
        for done in 0..subscribers {
            if done % 1_000 == 0 {
                self.keep_alive();
            }
            let user = self.audience.len() as usize;
            self.audience.add(self.peer.subscribe(&self.topics[user % self.topics.len()], user, false));
        }
    }

    /// Sends at this pace, whatever becomes of it (an open loop), and reads until all has arrived, or nothing comes any
    /// more, or three times the time has gone by.
    pub(crate) fn pace(&mut self, pace: Pace) -> Row {
        self.audience.latencies.clear();
        let start = self.start();
        let each = if self.topics.len() > 1 { 1 } else { self.audience.len() };
        let expected = u64::from(pace.times) * pace.messages as u64 * each;
        let wanted = self.audience.received + expected;
        let (began, mut done) = (self.audience.now(), 0);
        let longest = began + pace.every * pace.times * 3 + PATIENCE;
        let mut alive = (self.audience.received, Instant::now());
        while self.audience.received < wanted {
            let due = began + pace.every * done;
            let now = self.audience.now();
            // Past the longest nothing more is sent, however far behind the peer has held the sending up.
            if done < pace.times && now >= due && now < longest {
                self.send(pace.messages, due);
                done += 1;
                alive.1 = Instant::now();
                continue;
            }
            self.audience
                .read(due.saturating_sub(now).min(Duration::from_millis(100)).max(Duration::from_micros(1)));
            if self.audience.received > alive.0 {
                alive = (self.audience.received, Instant::now());
            }
            if alive.1.elapsed() > PATIENCE || self.audience.now() > longest {
                break;
            }
        }
        let mut row = self.row(&start, expected);
        if row.generator_cores > BUSY {
            row.invalid.push(format!("the generator used {:.2} of its core", row.generator_cores));
        }
        row
    }

    /// Sends as fast as the peer delivers, for so long: at most `ahead` messages are on their way.
    pub(crate) fn flood(&mut self, time: Duration, ahead: u64, batch: usize) -> Row {
        let subscribers = self.audience.len();
        let first = self.audience.received;
        let (mut sent, mut measured): (u64, Option<Start>) = (0, None);
        let began = Instant::now();
        while measured.as_ref().is_none_or(|start| start.at.elapsed() < time) {
            // A quarter of the time more before that, until all buffers are as full as they get.
            if measured.is_none() && began.elapsed() >= time / 4 {
                self.audience.latencies.clear();
                measured = Some(self.start());
            }
            let depth = (self.audience.received - first) / subscribers;
            let room = sent + batch as u64 <= depth + ahead;
            if room {
                let now = self.audience.now();
                self.send(batch, now);
                sent += batch as u64;
            }
            self.audience.read(if room { Duration::ZERO } else { Duration::from_millis(1) });
        }
        let start = measured.expect("it has begun");
        let mut row = self.row(&start, 0);
        row.deliveries_per_second = Some(row.delivered as f64 / start.at.elapsed().as_secs_f64());
        if row.server_cores < BUSY {
            row.invalid.push(format!(
                "the server used only {:.2} of its core, the generator {:.2}: it can do more",
                row.server_cores, row.generator_cores
            ));
        }
        self.wait_for(first + sent * subscribers);
        let (got, all) = (self.audience.received - first, sent * subscribers);
        if got != all {
            let ended = self.audience.ended;
            row.invalid.push(format!("{got} of {all} messages arrived, {ended} connections ended"));
        }
        row
    }

    fn wait_for(&mut self, received: u64) {
        let mut alive = Instant::now();
        while self.audience.received < received && alive.elapsed() < PATIENCE {
            let before = self.audience.received;
            self.audience.read(Duration::from_millis(100));
            if self.audience.received > before {
                alive = Instant::now();
            }
        }
    }

    fn send(&mut self, messages: usize, at: Duration) {
        for _ in 0..messages {
            let text = body(self.sent as u64, at);
            self.peer.feed.publish(&self.topics[self.sent % self.topics.len()], &text);
            self.sent += 1;
        }
        self.peer.feed.send();
    }

    fn start(&self) -> Start {
        let (server, generator) = (self.peer.cpu(), self.generator());
        Start { at: Instant::now(), server, generator, received: self.audience.received }
    }

    /// CPU time of this program and the NATS server beside it.
    fn generator(&self) -> Duration {
        cpu(process::id()) + self.peer.nats.as_ref().map_or(Duration::ZERO, |nats| cpu(nats.id()))
    }

    fn row(&mut self, start: &Start, expected: u64) -> Row {
        let (server, generator) =
            (self.peer.cpu().saturating_sub(start.server), self.generator().saturating_sub(start.generator));
        let (seconds, delivered) =
            (start.at.elapsed().as_secs_f64(), self.audience.received - start.received);
        let mut invalid = Vec::new();
        if expected > 0 && delivered != expected {
            invalid.push(format!("{delivered} of {expected} messages arrived"));
        }
        if self.audience.ended > 0 {
            invalid.push(format!("{} connections ended", self.audience.ended));
        }
        // Its messages were made before, and their times with them.
        let timed = self.peer.kind != Kind::Floor;
        Row {
            invalid,
            delivered,
            expected,
            server_cores: server.as_secs_f64() / seconds,
            generator_cores: generator.as_secs_f64() / seconds,
            nanos_per_delivery: (delivered > 0).then(|| server.as_nanos() as f64 / delivered as f64),
            p50_ms: self.audience.percentile(50).filter(|_| timed),
            p99_ms: self.audience.percentile(99).filter(|_| timed),
            ..Row::default()
        }
    }
}
