//! The engine driven by hand: sockets that take as much as a test lets them, a control plane that is a list.

mod acknowledging;
mod beside_patterns;
mod compressing;
mod gaps;
mod history;
mod keeping_up;
mod lagging;
mod latency;
mod life;
mod random;
mod rights;
mod settings;
mod streams;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io::{self, IoSlice},
    rc::Rc,
    sync::Arc,
};

use super::{Control, Engine, Moment, Socket};
use crate::{
    api::{Filter, Limits, Pattern, Stamp, TopicGatewaySpec},
    gateway::{
        access::{Basis, Grants, Identity},
        backbone::InterestChange,
        history::{Kept, Page, Tail, Window},
        limits::Admission,
        metrics::{Metrics, Transport},
        protocol::{body, event},
        sessions::SessionKeys,
        shard::{Arrival, ConnectionId, Greeting, Request, Settings, ShardEvent},
        topics::Registry,
        websocket::{self, Deflate},
    },
};

/// What the backbone keeps of a topic.
const KEPT: Window = Window { messages: 10_000, bytes: usize::MAX };

/// What a test sees of a socket.
#[derive(Debug, Default)]
struct Wire {
    /// Bytes it still takes.
    room: usize,
    /// Bytes it takes beyond them, and holds back until there is room, as encryption does.
    holds: usize,
    held: Vec<u8>,
    sends: usize,
    received: Vec<u8>,
    finished: bool,
    broken: bool,
}

#[derive(Debug, Clone)]
struct FakeSocket(Rc<RefCell<Wire>>);

impl Socket for FakeSocket {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if wire.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        wire.sends += 1;
        if !wire.flush() {
            return Ok(0);
        }
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let taken = bytes.len().min(wire.room + wire.holds);
        wire.held.extend(&bytes[..taken]);
        wire.flush();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<bool> {
        Ok(self.0.borrow_mut().flush())
    }

    fn make_room(&mut self) {
        self.0.borrow_mut().room += 10_000;
    }

    fn finish(&mut self) {
        let mut wire = self.0.borrow_mut();
        wire.finished = wire.flush();
    }
}

impl Wire {
    /// `true` if nothing is held back any more.
    fn flush(&mut self) -> bool {
        let taken = self.held.len().min(self.room);
        self.received.extend(self.held.drain(..taken));
        self.room -= taken;
        self.held.is_empty()
    }
}

/// What the shard has asked for, and what it sees when it looks at the clock.
#[derive(Debug, Default, Clone)]
struct Asked(Rc<RefCell<(Vec<InterestChange>, Vec<Request>)>>, Rc<Clock>);

#[derive(Debug, Default)]
struct Clock {
    /// Microseconds since 1970.
    micros: Cell<u64>,
    /// How often somebody has looked.
    looks: Cell<u32>,
}

impl Control for Asked {
    fn interest(&mut self, change: InterestChange) -> Result<(), InterestChange> {
        self.0.borrow_mut().0.push(change);
        Ok(())
    }

    fn request(&mut self, request: Request) -> Result<(), Request> {
        self.0.borrow_mut().1.push(request);
        Ok(())
    }

    fn clock(&self) -> Option<Stamp> {
        self.1.looks.set(self.1.looks.get() + 1);
        Stamp::from_micros(self.1.micros.get())
    }
}

/// A frame as the client sees it: JSON text, or the opcode of a control frame and its payload.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Json(serde_json::Value),
    Control(u8, Vec<u8>),
}

struct Client {
    slot: usize,
    wire: Rc<RefCell<Wire>>,
    read: usize,
}

impl Client {
    /// The whole frames that have come since the last look.
    fn frames(&mut self) -> Vec<Seen> {
        let wire = self.wire.borrow();
        let mut seen = Vec::new();
        while let Some((frame, end)) = parse(&wire.received[self.read..]) {
            seen.push(frame);
            self.read += end;
        }
        seen
    }

    /// `type` of each JSON frame since the last look, with `topic` and `data` where there are any.
    fn summary(&mut self) -> Vec<String> {
        let text = |frame: Seen| match frame {
            Seen::Json(json) => {
                let parts = [
                    "type",
                    "topic",
                    "code",
                    "seqNo",
                    "recovered",
                    "fromSeq",
                    "toSeq",
                    "complete",
                    "reason",
                    "data",
                    "status",
                ];
                let parts = parts.iter().filter_map(|part| json.get(part));
                parts
                    .map(|part| part.as_str().map_or(part.to_string(), Into::into))
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            Seen::Control(8, payload) => {
                let (code, reason) = payload.split_at(2);
                let code = u16::from_be_bytes([code[0], code[1]]);
                assert!(code == 1000 || !reason.is_empty(), "a close has a reason");
                format!("close {code}")
            }
            Seen::Control(opcode, _) => format!("control {opcode}"),
        };
        self.frames().into_iter().map(text).collect()
    }

    fn let_through(&self, bytes: usize) {
        self.wire.borrow_mut().room = bytes;
    }
}

fn parse(bytes: &[u8]) -> Option<(Seen, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(second & 0x80, 0, "server frames are not masked");
    assert_eq!(first & 0x30, 0, "no reserved bits but that of compressed messages");
    let (len, start) = match second {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let payload = bytes.get(start..start + len)?;
    let seen = match first {
        0x81 => Seen::Json(serde_json::from_slice(payload).expect("text frames hold JSON")),
        0xc1 => {
            let text = Deflate::default().inflated(payload, 1 << 20).expect("compressed text");
            Seen::Json(serde_json::from_slice(&text).expect("text frames hold JSON"))
        }
        control => Seen::Control(control & 0x0f, payload.to_vec()),
    };
    Some((seen, start + len))
}

fn masked(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        long @ 126..=0xffff => {
            frame.push(0x80 | 0x7e);
            frame.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
        longer => {
            frame.push(0x80 | 0x7f);
            frame.extend((longer as u64).to_be_bytes());
        }
    }
    frame.extend([1, 2, 3, 4]);
    frame.extend(text.bytes().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

struct Bench {
    engine: Engine<FakeSocket, Asked>,
    asked: Asked,
    metrics: Arc<Metrics>,
    admission: Arc<Admission>,
    registry: Arc<Registry>,
    moment: Moment,
    seqs: HashMap<String, u64>,
    /// What the backbone has kept; told to shards only if it is `recoverable`.
    kept: HashMap<String, Tail>,
    /// When the messages that arrive say they were published.
    published: Option<Stamp>,
    recoverable: bool,
    /// Reads wait until the test answers them.
    hold_reads: bool,
    pages: Vec<(ConnectionId, u32, Page)>,
}

fn identity(user: &str, patterns: &[&str]) -> Arc<Identity> {
    let patterns: Vec<Pattern> = patterns.iter().map(|text| text.parse().unwrap()).collect();
    let grants =
        Grants { subscribe: patterns.clone(), publish: patterns, scope: vec![">".parse().unwrap()].into() };
    Arc::new(Identity { user: user.into(), grants: grants.into(), expires_at: None, basis: Basis::default() })
}

impl Bench {
    fn new(spec: &str) -> Self {
        let spec: TopicGatewaySpec = serde_json::from_str(spec).unwrap();
        let (asked, registry) = (Asked::default(), Registry::new());
        let metrics = Metrics::new(1, registry.clone(), &spec.metrics);
        let settings = Arc::new(Settings::new(&spec, &SessionKeys::random()));
        let counts = metrics.shard(0).clone();
        let engine = Engine::new(0, settings, asked.clone(), counts, registry.clone());
        let admission = Admission::new(&Limits { connections_per_user: 2, ..Limits::default() }, 100_000);
        let moment = Moment { ms: 0, unix: 1_000_000 };
        let (seqs, kept, pages) = (HashMap::new(), HashMap::new(), Vec::new());
        let (published, recoverable, hold_reads) = (None, false, false);
        let mut bench = Self {
            engine,
            asked,
            metrics,
            admission,
            registry,
            moment,
            seqs,
            kept,
            published,
            recoverable,
            hold_reads,
            pages,
        };
        bench.engine.at(moment);
        bench
    }

    fn usual() -> Self {
        Self::new(r#"{"backbone":{"memory":{}}}"#)
    }

    /// Without pings.
    fn unhurried() -> Self {
        Self::new(r#"{"backbone":{"memory":{}},"heartbeatSeconds":86400}"#)
    }

    fn greeting(&self, identity: Option<Arc<Identity>>) -> Greeting {
        let seat = self.admission.admit(self.moment.ms).unwrap();
        Greeting {
            transport: Transport::WebSocket,
            early: bytes::Bytes::new(),
            seat,
            identity,
            refused: None,
            close: None,
            topic: None,
            deflate: self.engine.settings.compress_from.is_some(),
            beginning: None,
        }
    }

    fn connect_with(&mut self, greeting: Greeting) -> Client {
        let wire = Rc::new(RefCell::new(Wire { room: usize::MAX / 2, ..Wire::default() }));
        let slot = self.engine.next_slot();
        self.engine.connect(FakeSocket(wire.clone()), greeting);
        Client { slot, wire, read: 0 }
    }

    /// A client that may everything, each a user of its own.
    fn client(&mut self) -> Client {
        let user = format!("user-{}", self.engine.connections());
        let greeting = self.greeting(Some(identity(&user, &[">"])));
        self.connect_with(greeting)
    }

    /// A client that is subscribed and has seen the answer.
    fn subscriber(&mut self, topics: &[&str]) -> Client {
        let mut client = self.client();
        for topic in topics {
            self.send(&client, &format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#));
        }
        self.settle();
        client.frames();
        client
    }

    fn send(&mut self, client: &Client, text: &str) {
        self.engine.received(client.slot, &mut masked(text));
    }

    /// Answers what the shard asks of the backbone, and hands out until nothing is left.
    fn settle(&mut self) {
        loop {
            let changes = std::mem::take(&mut self.asked.0.borrow_mut().0);
            for change in changes.iter().filter(|change| change.wanted) {
                let (filter, ticket) = (change.filter.clone(), change.ticket);
                let tail = self.kept.get(filter.as_str());
                let seq = tail.map_or(0, Tail::head);
                let recoverable = self.recoverable && matches!(filter, Filter::Topic(_));
                self.engine.event(ShardEvent::InForce { filter, ticket, seq, recoverable });
            }
            let reads = if self.hold_reads { 0 } else { self.answer_reads(usize::MAX) };
            let more = self.engine.turn(4);
            let asks = |request: &Request| matches!(request, Request::History { .. });
            let waits = !self.hold_reads && self.asked.0.borrow().1.iter().any(asks);
            if !more && !waits && changes.is_empty() && reads == 0 {
                break;
            }
        }
    }

    /// A message on a topic, for its sub-socket and those of the patterns.
    fn arrive(&mut self, topic: &str, patterns: &[&str], data: &str) {
        let arrivals = self.store(topic, patterns, data);
        self.engine.event(ShardEvent::Deliver(arrivals));
    }

    /// A message that the backbone has, and that is still to arrive.
    fn store(&mut self, topic: &str, patterns: &[&str], data: &str) -> Vec<Arrival> {
        let seq = self.seqs.entry(topic.into()).or_default();
        *seq += 1;
        let body = format!("\"{data}\"");
        let scan = body::scan(body.as_bytes());
        let frame = event::message(topic, Some(*seq), Some(*seq - 1), None, body.as_bytes(), &scan);
        let published = self.published;
        let kept = Kept { seq: *seq, prev: *seq - 1, frame: frame.clone(), published };
        self.kept.entry(topic.into()).or_default().push(kept, KEPT);
        let keys = std::iter::once(&topic).chain(patterns);
        let arrivals = keys.map(|key| Arrival {
            key: (*key).into(),
            topic: topic.into(),
            frame: frame.clone(),
            seq: Some(*seq),
            message: true,
            published,
        });
        arrivals.collect()
    }

    /// Answers as many reads of history; returns how many there were.
    fn answer_reads(&mut self, count: usize) -> usize {
        let mut answered = 0;
        while answered < count {
            let requests = &mut self.asked.0.borrow_mut().1;
            let Some(at) = requests.iter().position(|one| matches!(one, Request::History { .. })) else {
                break;
            };
            let Request::History { connection, ticket, topic, start, until, .. } = requests.remove(at) else {
                break;
            };
            let page = self.kept.entry(topic.as_str().into()).or_default().page(start, until);
            answered += 1;
            self.pages.push((connection, ticket, page));
        }
        for (connection, ticket, page) in std::mem::take(&mut self.pages) {
            self.engine.event(ShardEvent::History { connection, ticket, result: Ok(Arc::new(page)) });
        }
        answered
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 250 {
            self.moment.ms += 250;
            self.moment.unix = 1_000_000 + self.moment.ms / 1000;
            self.engine.at(self.moment);
            for quarter in 0..4 {
                self.engine.tick(quarter);
            }
            self.engine.close_due();
            self.settle();
        }
    }

    fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.asked.0.borrow_mut().1)
    }
}
