//! A shard without a thread: sockets that take everything, and a control plane that always has room.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    rc::Rc,
    sync::Arc,
    time::SystemTime,
};

use topic_gateway::{
    api::{Seq, Stamp, TopicGatewaySpec},
    gateway::{
        access::{Basis, Grants, Identity},
        backbone::InterestChange,
        limits::Admission,
        metrics::{Metrics, Transport},
        protocol::{body, event},
        sessions::SessionKeys,
        shard::{
            Arrival, Greeting, Request, Settings, ShardEvent,
            engine::{Control, Engine, Moment, Socket},
        },
        topics::Registry,
    },
};

const BODY: &[u8; 216] = &{
    let mut body = [b'x'; 216];
    (body[0], body[215]) = (b'"', b'"');
    body
};

/// Takes everything.
struct Sink;

impl Socket for Sink {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn make_room(&mut self) {}

    fn finish(&mut self) {}
}

/// Keeps what is wanted of the backbone.
#[derive(Clone, Default)]
struct Wanted(Rc<RefCell<Vec<InterestChange>>>);

impl Control for Wanted {
    fn interest(&mut self, change: InterestChange) -> Result<(), InterestChange> {
        self.0.borrow_mut().push(change);
        Ok(())
    }

    fn request(&mut self, _: Request) -> Result<(), Request> {
        Ok(())
    }

    fn clock(&self) -> Option<Stamp> {
        Stamp::at(SystemTime::now())
    }
}

/// Topics with subscribers, evenly.
pub(crate) struct Shard {
    engine: Engine<Sink, Wanted>,
    topics: Vec<Arc<str>>,
    /// Messages sent so far.
    sent: Seq,
}

impl Shard {
    pub(crate) fn new(topics: u64, subscribers: u64) -> Self {
        let spec: TopicGatewaySpec = serde_json::from_str(r#"{"backbone": {"memory": {}}}"#).expect("a spec");
        let (wanted, registry) = (Wanted::default(), Registry::new());
        let metrics = Metrics::new(1, registry.clone(), &spec.metrics);
        let settings = Arc::new(Settings::new(&spec, &SessionKeys::random()));
        let mut engine = Engine::new(0, settings, wanted.clone(), metrics.shard(0).clone(), registry);
        engine.at(Moment { ms: 1_000, unix: 1_800_000_000 });
        let topics: Vec<Arc<str>> = (0..topics).map(|n| format!("prices.t{n}").into()).collect();
        let admission = Admission::new(&spec.limits, u64::MAX);
        let grants = Arc::new(Grants {
            subscribe: vec![">".parse().expect("a pattern")],
            publish: Vec::new(),
            scope: [">".parse().expect("a pattern")].into(),
        });
        for n in 0..subscribers {
            let user = format!("user-{n}").into();
            let identity =
                Identity { user, grants: grants.clone(), expires_at: None, basis: Basis::default() };
            let seat = admission.admit(n / 100).expect("a seat");
            let slot = engine.next_slot();
            engine.connect(Sink, greeting(seat, identity.into()));
            let topic = &topics[usize::try_from(n).expect("few") % topics.len()];
            engine
                .received(slot, &mut masked(&format!(r#"{{"type":"subscribe","id":1,"topic":"{topic}"}}"#)));
            for InterestChange { filter, ticket, .. } in wanted.0.take() {
                engine.event(ShardEvent::InForce { filter, ticket, seq: 0, recoverable: false });
            }
            while engine.turn(256) {}
        }
        Self { engine, topics, sent: 0 }
    }

    /// One turn with so many messages, to topics in turn.
    pub(crate) fn deliver(&mut self, messages: u64) {
        let arrivals = (0..messages).map(|_| self.arrival()).collect();
        self.engine.event(ShardEvent::Deliver(arrivals));
        while self.engine.turn(256) {}
    }

    fn arrival(&mut self) -> Arrival {
        let topic = self.topics[usize::try_from(self.sent).expect("few") % self.topics.len()].clone();
        self.sent += 1;
        let (seq, scan) = (Some(self.sent), body::scan(BODY));
        let frame = event::message(&topic, seq, Some(self.sent - 1), None, BODY, &scan);
        let published = Stamp::at(SystemTime::now());
        Arrival { key: topic.clone(), topic, frame, seq, message: true, published }
    }
}

fn greeting(seat: topic_gateway::gateway::limits::Seat, identity: Arc<Identity>) -> Greeting {
    Greeting {
        transport: Transport::WebSocket,
        early: bytes::Bytes::new(),
        seat,
        identity: Some(identity),
        refused: None,
        close: None,
        topic: None,
        deflate: false,
        beginning: None,
    }
}

/// A text frame as a client sends it (RFC 6455 § 5.2), masked with zeros.
fn masked(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126).expect("a short text");
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}
