//! The stream behind the topics: messages come in its order without a hole, and history is read from it.
//!
//! ```text
//!  published again by the stream ─► sequencer of the topic ─► router ─► shards
//!  (or noticed as it is sent)         │ missing ▲                │
//!                                     ▼         │                ▼
//!                                  Direct Get ──┘              tail ◄─── history: tail, else Direct Get
//! ```
//!
//! The server holds nothing for a gateway but plain subscriptions: no consumer. Everything that waits for an answer is
//! a future in `work`; what it finds comes back to the task, which alone holds the state.

mod acks;
mod arrivals;
mod caution;
mod history;
mod layout;
mod live;
mod opening;
mod page;
mod reader;
mod requests;
mod sequencer;
mod watch;
mod wire;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::pending,
    sync::Arc,
    time::Duration,
};

use async_nats::Message;
use tokio::task::JoinSet;

pub(super) use self::{
    acks::Acks,
    layout::{Channel, Layout, Place},
    opening::{Asking, Begin, Begun, Opened},
    requests::{Line, Requests},
    watch::Seen,
    wire::Config,
};
use self::{
    caution::Caution,
    history::{Ask, Histories},
    live::Live,
    page::Found,
    reader::{Heads, ReadError, Reader},
    sequencer::{Part, Read, Step},
    wire::{Info, Stored},
};
use crate::{
    api::{JetStream, Seq, Topic},
    gateway::backbone::{
        Feed, InterestChange, PublishRequest,
        interests::{FeedId, Source},
        nats::router::Router,
    },
};

/// Topics that are followed: those that somebody wants by name, and those that came by a pattern. Where more come by
/// patterns, those of patterns are forgotten, and followed anew from then on.
const TOPICS: usize = 100_000;
/// Reads of missing messages under way at one time; more wait.
const PARTS: usize = 256;

/// What is known of the stream, and under way. Owned by the task of the connection.
#[derive(Debug)]
pub(super) struct Jet {
    pub(super) requests: Requests,
    pub(super) acks: Acks,
    reader: Reader,
    /// Before every topic, with its dot, or empty.
    prefix: String,
    /// Somebody makes the stream where it is missing.
    managed: bool,
    /// How the stream is laid out; nothing is known before it was seen for the first time.
    known: Option<Layout>,
    /// Why the stream cannot be used now.
    absent: Option<Arc<str>>,
    /// Why it can be used, but not well.
    slow: Option<Arc<str>>,
    /// By topic; at most [`TOPICS`].
    topics: HashMap<Arc<str>, Live>,
    /// Last number of the stream when the feed of a pattern was in force.
    bases: HashMap<FeedId, Seq>,
    /// Interests that wait until it is known what the stream captures.
    unplaced: Vec<InterestChange>,
    /// Publishes that wait for the same.
    unsent: Vec<PublishRequest>,
    /// Interests in force whose position is asked for with the next read of heads.
    opening: Vec<Asking>,
    /// Those whose position is being asked for.
    asked_for: Vec<Asking>,
    /// Those that were in force before and whose position could not be asked for, and those of topics of which it is not
    /// known yet: asked again with the next tick, or when something has come.
    unsettled: Vec<Asking>,
    histories: Histories,
    watch: watch::Watch,
    /// Reads of missing messages that wait for a place, or for another try.
    due: VecDeque<(Topic, Read)>,
    again: HashSet<Topic>,
    /// Reads of missing messages under way, at most [`PARTS`].
    parts: usize,
    /// Everything that waits for an answer. Ends with this.
    work: JoinSet<Done>,
    /// Memory that is used again.
    steps: Vec<Step<Stored>>,
}

/// An answer; the number that some have is that of the stream it is of, see [`watch::Watch::life`].
#[derive(Debug)]
pub(super) enum Done {
    /// What the stream is; the highest number that was known when it was asked.
    Info(Seq, Result<Info, ReadError>),
    /// The positions of what was asked for (that of the stream, for patterns).
    Opened(u32, Result<Heads, ReadError>),
    /// The newest messages of everything that is followed, and where the stream begins. The flag: the missing ones are
    /// not on their way.
    Checked(u32, bool, Result<(Heads, Seq), ReadError>),
    /// Missing messages.
    Part(Topic, Read, Result<Part<Stored>, ReadError>),
    /// History.
    Found(Topic, Ask, Result<Found, ReadError>),
}

impl Jet {
    /// Answers come on subjects below `inbox`: `<inbox>.r.<id>` for questions, `<inbox>.p.<id>` for publishes.
    pub(super) fn new(spec: &JetStream, line: Line, inbox: &str, prefix: &str) -> Self {
        let requests = Requests::new(line, format!("{inbox}.r"));
        let reader = Reader {
            requests: requests.clone(),
            stream: spec.stream.as_str().into(),
            made: "".into(),
            direct: false,
            per_subject: false,
            alone: false,
            caution: Caution::default(),
        };
        Self {
            acks: Acks::new(&spec.stream),
            requests,
            reader,
            prefix: prefix.into(),
            managed: spec.manage,
            known: None,
            absent: None,
            slow: None,
            topics: HashMap::new(),
            bases: HashMap::new(),
            unplaced: Vec::new(),
            unsent: Vec::new(),
            opening: Vec::new(),
            asked_for: Vec::new(),
            unsettled: Vec::new(),
            histories: Histories::default(),
            watch: watch::Watch::default(),
            due: VecDeque::new(),
            again: HashSet::new(),
            parts: 0,
            work: JoinSet::new(),
            steps: Vec::new(),
        }
    }

    /// What is asked from now on goes another way. What was asked before fails with [`Jet::reconnected`].
    pub(super) fn ask_over(&mut self, line: Line) {
        self.requests = self.requests.over(line);
        self.reader.requests = self.requests.clone();
    }

    /// How the stream is laid out, once it was seen.
    pub(super) fn layout(&self) -> Option<&Layout> {
        self.known.as_ref()
    }

    /// How many interests, publishes and reads wait here.
    pub(super) fn waiting(&self) -> usize {
        self.unplaced.len()
            + self.unsent.len()
            + self.opening.len()
            + self.asked_for.len()
            + self.unsettled.len()
            + self.acks.waiting()
            + self.histories.waiting()
    }

    /// The next answer. Never, where nothing was asked.
    pub(super) async fn done(&mut self) -> Done {
        loop {
            match self.work.join_next().await {
                Some(Ok(done)) => return done,
                // Ended before its time: never, but for a failure in it.
                Some(Err(_)) => {}
                None => pending().await,
            }
        }
    }

    /// A message on one of the subscriptions.
    pub(super) fn message(
        &mut self,
        router: &mut Router,
        (feed, channel): (FeedId, Channel),
        source: Source,
        message: &Message,
    ) {
        if channel == Channel::Stored {
            return self.stored(router, feed, source, message);
        }
        let Some(layout) = self.layout() else { return };
        if layout.reserved(&message.subject) {
            return;
        }
        if !layout.captures(&message.subject) {
            router.message(source, message);
        } else if layout.feed() == Feed::Notice
            && let Some(topic) = message.subject.strip_prefix(self.prefix.as_str())
        {
            self.noticed(router, feed, source, topic);
        }
    }

    /// Topics come on other subjects: those that the stream does not have any more are not followed.
    pub(super) fn moved(&mut self) {
        self.bases.clear();
        let layout = self.known.as_ref();
        let captured = |topic: &Arc<str>| {
            layout.is_some_and(|layout| layout.captures(&format!("{}{topic}", self.prefix)))
        };
        let gone: Vec<_> = self.topics.keys().filter(|topic| !captured(topic)).cloned().collect();
        for topic in gone {
            self.forget(&topic);
        }
    }

    /// Ends everything but the publishes under way; answers the interests that were not answered.
    pub(super) fn stop(&mut self) -> Vec<InterestChange> {
        self.work.abort_all();
        self.topics.clear();
        self.histories = Histories::default();
        let mut all = std::mem::take(&mut self.unplaced);
        let asking = self.opening.drain(..).chain(self.asked_for.drain(..)).chain(self.unsettled.drain(..));
        all.extend(asking.map(|asking| asking.change));
        all
    }

    /// The NATS subject of a topic or pattern.
    fn subject(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// Reads what a topic misses, in its turn.
    fn read(&mut self, topic: &Topic, read: Option<Read>) {
        if let Some(read) = read {
            self.due.push_back((topic.clone(), read));
            self.pump();
        }
    }

    fn pump(&mut self) {
        while self.parts < PARTS
            && let Some((topic, read)) = self.due.pop_front()
        {
            self.parts += 1;
            let (reader, subject) = (self.reader.clone(), self.subject(topic.as_str()));
            self.work.spawn(async move {
                if read.looks > 0 {
                    tokio::time::sleep(FIRST_LOOK * 4_u32.pow(u32::from(read.looks) - 1)).await;
                }
                let part = reader.part(&subject, read).await;
                Done::Part(topic, read, part)
            });
        }
    }
}

/// How long to wait before looking again for a message that was noticed and is not in the stream; four times as long
/// before each further look.
const FIRST_LOOK: Duration = Duration::from_millis(5);
