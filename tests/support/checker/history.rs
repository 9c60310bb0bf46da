//! What happened in a run, as its clients and publishers saw it: appended by each while it runs, merged at the end.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::frames::Incoming;

/// Nanoseconds on the one monotonic clock of a run, real or simulated.
pub(crate) type Nanos = u64;
/// A message's number in its topic.
pub(crate) type Seq = u64;

/// Stands for a number that a frame does not have.
const ABSENT: Seq = Seq::MAX;
const SECOND: Nanos = 1_000_000_000;

/// How much time the checker allows for what cannot be at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// A message confirmed this long before the end must have arrived everywhere by then.
    pub(crate) settle: Nanos,
    /// A frame may arrive this long after the right to it has gone.
    pub(crate) rights: Nanos,
    /// A frame may arrive this long after the reason for it has gone.
    pub(crate) grace: Nanos,
    /// A command sent this long before its connection's end must have been answered.
    pub(crate) answer: Nanos,
    /// The resource's `ackTimeoutSeconds`.
    pub(crate) ack_timeout: Nanos,
    /// How much earlier or later than after `ack_timeout` a message may be sent again.
    pub(crate) ack_tolerance: Nanos,
    /// How long a `messageId` counts as used.
    pub(crate) duplicate_window: Nanos,
    /// Patterns of the topics with `delivery: AtLeastOnce`.
    pub(crate) at_least_once: Vec<String>,
    /// Every loss must have a cause that is written down: a gap excuses `expired` only after a purge, `dropped` only
    /// for a client that did not read, or in a flood, and `backbone` never, since the stream still has what did not arrive.
    pub(crate) explained: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            settle: 5 * SECOND,
            rights: SECOND,
            grace: SECOND,
            answer: 15 * SECOND,
            ack_timeout: 30 * SECOND,
            ack_tolerance: 2 * SECOND,
            duplicate_window: 3_600 * SECOND,
            at_least_once: Vec::new(),
            explained: false,
        }
    }
}

/// What a right is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum May {
    /// Subscribe, replay, resume.
    Subscribe,
    /// Publish.
    Publish,
}

/// Something that the run did to the parts, not to one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mark {
    /// A gateway was killed: its connections end without a close frame.
    GatewayKilled(String),
    /// The backbone was cut off or started anew.
    BackboneDown(String),
    /// The stream was deleted and made anew: numbers begin again. Noted between the two.
    StreamReset,
    /// Messages were deleted from the stream: none but those of topics that the pattern matches, up to this number.
    /// The time is that before it.
    Purged {
        /// Their topics.
        pattern: String,
        /// No larger number was deleted.
        upto: Seq,
    },
    /// Messages of these topics are so large for some seconds that a window holds few of them: whoever is late for a
    /// moment is too slow.
    Flooded(String),
}

/// What one client did or saw. A record has 40 bytes for a message, since a long run has millions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    /// The upgrade succeeded, on this gateway; empty where it is not known.
    Connected(Box<str>),
    /// The text of a command.
    Sent(Box<str>),
    /// A `message` frame.
    Message(Message),
    /// The text of any other frame.
    Received(Box<str>),
    /// The connection ended with this code; 1006 without a close frame.
    Closed(u16),
    /// The run itself cut this connection, or the client left without a close.
    Cut,
    /// The client reads nothing from now on, or reads again.
    Stalled(bool),
    /// A right was given or taken. A grant is noted before it is put in force, an end after.
    Right(Box<(May, String, bool)>),
}

/// A received message: what it says is kept once for all who received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Index into the history's contents.
    pub(crate) content: u32,
    seq: Seq,
    prev: Seq,
}

impl Message {
    /// `seqNo`.
    pub(crate) fn seq(self) -> Option<Seq> {
        (self.seq != ABSENT).then_some(self.seq)
    }

    /// `prevSeqNo`.
    pub(crate) fn prev(self) -> Option<Seq> {
        (self.prev != ABSENT).then_some(self.prev)
    }

    /// The same with other numbers.
    pub(crate) fn numbered(self, seq: Seq, prev: Seq) -> Self {
        Self { seq, prev, ..self }
    }
}

/// What a message says, its numbers apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) topic: String,
    pub(crate) id: Option<String>,
    /// The bytes between the colon behind `data` and what ends the value.
    pub(crate) data: String,
    pub(crate) base64: bool,
}

/// A [`What`] and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When.
    pub(crate) at: Nanos,
    /// What.
    pub(crate) what: What,
}

/// One client's records, in order, over all its connections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Track {
    pub(crate) client: String,
    pub(crate) user: String,
    pub(crate) records: Vec<Record>,
}

/// A published body.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Body {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// What became of a publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Confirmed, with its number where the answer has one.
    Ok(Option<Seq>),
    /// Confirmed as published before.
    Duplicate(Option<Seq>),
    /// Refused: it must not be delivered.
    Refused(String),
    /// Not known: no answer, or one that leaves it open. It may be delivered.
    Unknown,
}

/// A publish that was not a client's command: over HTTP, or straight to NATS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Publish {
    /// The publisher.
    pub(crate) who: String,
    /// Its user; `None` for one that publishes straight to NATS, where nothing looks for duplicates.
    pub(crate) user: Option<String>,
    /// Where to.
    pub(crate) topic: String,
    /// `Idempotency-Key`, or the `messageId` in the body.
    pub(crate) id: Option<String>,
    /// What.
    pub(crate) body: Body,
    /// When it was sent.
    pub(crate) began: Nanos,
    /// When the outcome was known.
    pub(crate) ended: Nanos,
    /// The outcome.
    pub(crate) outcome: Outcome,
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct History {
    /// What the checker allows.
    pub(crate) limits: Limits,
    pub(crate) contents: Vec<Arc<Content>>,
    /// The clients, by name.
    pub(crate) tracks: Vec<Track>,
    /// Publishes that are not in the clients' commands.
    pub(crate) publishes: Vec<Publish>,
    /// What was done to the parts, by time.
    pub(crate) marks: Vec<(Nanos, Mark)>,
    /// When the run was over.
    pub(crate) end: Nanos,
}

#[derive(Default)]
struct Shared {
    history: History,
    known: HashMap<Arc<Content>, u32>,
    open: usize,
}

/// Collects a run's history. Cheap to clone; every clone writes to the same one.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Shared>>);

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    /// An empty history.
    pub(crate) fn new(limits: Limits) -> Self {
        let recorder = Self::default();
        recorder.with(|shared| shared.history.limits = limits);
        recorder
    }

    /// A client's log, with the patterns that it may subscribe and publish to from the start. It joins the history
    /// when it is dropped.
    pub(crate) fn client(&self, client: &str, user: &str, rights: &[&str]) -> ClientLog {
        self.with(|shared| shared.open += 1);
        let track = Track { client: client.into(), user: user.into(), records: Vec::new() };
        let mut log = ClientLog { track, recorder: self.clone() };
        for pattern in rights {
            log.right(0, May::Subscribe, pattern, true);
            log.right(0, May::Publish, pattern, true);
        }
        log
    }

    /// A publish that is no client's command.
    pub(crate) fn publish(&self, publish: Publish) {
        self.with(|shared| shared.history.publishes.push(publish));
    }

    /// Something was done to the parts.
    pub(crate) fn mark(&self, at: Nanos, mark: Mark) {
        self.with(|shared| shared.history.marks.push((at, mark)));
    }

    /// How many logs are still written to.
    pub(crate) fn open(&self) -> usize {
        self.with(|shared| shared.open)
    }

    /// The history, once every log has been dropped: one that is still written to would be missing in silence.
    pub(crate) fn finish(&self, end: Nanos) -> History {
        self.with(|shared| {
            assert_eq!(shared.open, 0, "logs of clients that are still written to");
            let mut history = std::mem::take(&mut shared.history);
            history.tracks.sort_by(|a, b| a.client.cmp(&b.client));
            history.marks.sort_by_key(|(at, _)| *at);
            history.end = end;
            history
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Shared) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn content(&self, content: Content) -> u32 {
        self.with(|shared| {
            if let Some(index) = shared.known.get(&content) {
                return *index;
            }
            let index = u32::try_from(shared.history.contents.len()).expect("fewer than 2³² contents");
            let content = Arc::new(content);
            shared.history.contents.push(content.clone());
            shared.known.insert(content, index);
            index
        })
    }
}

/// One client's part of the history, owned by the task that drives the client.
#[derive(Debug)]
pub(crate) struct ClientLog {
    track: Track,
    recorder: Recorder,
}

impl ClientLog {
    /// The upgrade succeeded; `gateway` may be empty where it is not known.
    pub(crate) fn connected(&mut self, at: Nanos, gateway: &str) {
        self.push(at, What::Connected(gateway.into()));
    }

    /// A command is about to be sent.
    pub(crate) fn sent(&mut self, at: Nanos, text: &str) {
        self.push(at, What::Sent(text.into()));
    }

    /// A text frame came.
    pub(crate) fn received(&mut self, at: Nanos, text: &str) {
        let what = match Incoming::message(text) {
            Some((content, seq, prev)) => What::Message(Message {
                content: self.recorder.content(content),
                seq: seq.unwrap_or(ABSENT),
                prev: prev.unwrap_or(ABSENT),
            }),
            None => What::Received(text.into()),
        };
        self.push(at, what);
    }

    /// The connection ended; 1006 without a close frame.
    pub(crate) fn closed(&mut self, at: Nanos, code: u16) {
        self.push(at, What::Closed(code));
    }

    /// The run is about to cut this connection.
    pub(crate) fn cut(&mut self, at: Nanos) {
        self.push(at, What::Cut);
    }

    /// The client is about to read nothing, or to read again.
    pub(crate) fn stalled(&mut self, at: Nanos, stalled: bool) {
        self.push(at, What::Stalled(stalled));
    }

    /// A right is about to be given, or has been taken.
    pub(crate) fn right(&mut self, at: Nanos, may: May, pattern: &str, granted: bool) {
        self.push(at, What::Right(Box::new((may, pattern.into(), granted))));
    }

    fn push(&mut self, at: Nanos, what: What) {
        self.track.records.push(Record { at, what });
    }
}

impl Drop for ClientLog {
    fn drop(&mut self) {
        let track = std::mem::take(&mut self.track);
        self.recorder.with(|shared| {
            shared.history.tracks.push(track);
            shared.open -= 1;
        });
    }
}
