//! Watching the stream: is it there, is it the same, and has anything been stored that did not come?

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Done, Jet, Layout, Place,
    reader::{Heads, ReadError},
    sequencer::Sequencer,
    wire::Info,
};
use crate::{
    api::{Filter, Seq},
    gateway::{
        backbone::nats::router::Router,
        history::{Epoch, Tail},
        shard::ShardEvent,
    },
};

/// How often the stream is asked what it is, and what is newest in it.
const PERIOD: Duration = Duration::from_secs(5);
/// `JSStreamNotFoundErr`.
const NO_STREAM: u16 = 10059;

/// What is being watched.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Highest number that was ever seen on this stream.
    pub(crate) highest: Seq,
    /// Up to this number the newest messages of everything that is followed are known.
    checked: Seq,
    /// What has begun since they were asked for is known up to this number only.
    begun: Seq,
    /// Asking the stream what it is.
    info: Errand,
    /// When it was asked last.
    asked: Option<Instant>,
    /// Reading heads. Wanted: what is missing is not on its way, the connection was another one in between.
    heads: Errand,
    /// Some pattern matches more topics than the server tells of at one time.
    pub(crate) patterns_too_wide: bool,
    /// Counts the streams: an answer of an earlier one is of no use.
    pub(crate) life: u32,
}

/// A question, one at a time.
#[derive(Debug, Default)]
struct Errand {
    under_way: bool,
    /// To be asked soon, whatever the time.
    wanted: bool,
}

impl Watch {
    /// Something came that does not fit: perhaps the stream is another.
    pub(crate) fn suspect(&mut self) {
        self.info.wanted = true;
    }

    /// Something begins to be followed, of which the newest messages are known up to this number.
    pub(crate) fn begins(&mut self, through: Seq) {
        (self.checked, self.begun) = (self.checked.min(through), self.begun.min(through));
    }
}

/// What has become of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The same, or nothing new is known.
    Same,
    /// What was waiting for it can go on.
    First,
    /// It captures other subjects, or publishes again elsewhere.
    Moved,
}

impl Jet {
    /// Does what is due, about once a second.
    pub(crate) fn tick(&mut self) {
        self.acks.expire(std::time::Instant::now());
        self.read_again();
        self.ask_positions_again();
        self.expect();
        let due = self.watch.asked.is_none_or(|asked| asked.elapsed() >= PERIOD);
        // While the stream is not there, somebody may be waiting for it.
        if due || self.watch.info.wanted || self.absent.is_some() || self.known.is_none() {
            self.ask();
        }
    }

    /// Asks what the stream is.
    pub(crate) fn ask(&mut self) {
        if !std::mem::replace(&mut self.watch.info.under_way, true) {
            self.watch.info.wanted = false;
            self.watch.asked = Some(Instant::now());
            let (reader, highest) = (self.reader.clone(), self.watch.highest);
            self.work.spawn(async move { Done::Info(highest, reader.info().await) });
        }
    }

    /// The connection is another: what was under way on it failed, and messages may have been missed.
    pub(crate) fn reconnected(&mut self, reason: &'static str) {
        self.requests.fail_all();
        self.acks.fail_all(reason);
        self.watch.info.wanted = true;
    }

    /// Compares with the stream: whatever is missing is not on its way any more.
    pub(crate) fn check_now(&mut self, router: &Router) {
        self.watch.heads.wanted = true;
        self.ask();
        self.check(router);
    }

    /// The stream was seen, or not.
    pub(crate) fn info(&mut self, router: &mut Router, highest: Seq, info: Result<Info, ReadError>) -> Seen {
        self.watch.info.under_way = false;
        let info = match info {
            Ok(info) => info,
            Err(ReadError::Refused(why)) => {
                return self.unusable(format!("the stream cannot be used: {why}"));
            }
            Err(error) => return self.unanswered(&error),
        };
        let stream = &self.reader.stream;
        if let Some(error) = &info.error {
            return self.unusable(if error.err_code == NO_STREAM && self.managed {
                format!("the stream {stream:?} is not there yet: it is about to be made")
            } else if error.err_code == NO_STREAM {
                format!(
                    "the stream {stream:?} does not exist: create it, or set backbone.nats.jetStream.manage"
                )
            } else {
                format!("the stream {stream:?} cannot be used: {}", error.description)
            });
        }
        if info.config.renames() {
            return self.unusable(format!(
                "the stream {stream:?} stores messages under other subjects than they come on, so that no topic has \
                 what was published to it: take its subject_transform out, or name another stream"
            ));
        }
        self.seen(router, highest, &info)
    }

    fn seen(&mut self, router: &mut Router, highest: Seq, info: &Info) -> Seen {
        let layout = Layout::new(&info.config, &self.prefix);
        self.reader.direct = info.config.allow_direct;
        self.reader.per_subject = info.config.max_msgs_per_subject > 0;
        self.reader.alone = info.config.num_replicas <= 1;
        self.absent = None;
        self.slow = (!info.config.allow_direct).then(|| {
            let stream = &self.reader.stream;
            format!("the stream {stream:?} does not allow Direct Get, reads are slow: set allow_direct")
                .into()
        });
        let before = self.known.replace(layout);
        let another = *self.reader.made != *info.created;
        if another {
            self.reader.made = info.created.as_str().into();
            let epoch = Epoch::of_stream(&self.reader.stream, &info.created);
            router.deliveries.tell_all(|| ShardEvent::Epoch(Some(epoch)));
        }
        let Some(before) = before else {
            (self.watch.highest, self.watch.checked) = (info.state.last_seq, info.state.last_seq);
            return Seen::First;
        };
        if another || info.state.last_seq < highest {
            self.begin_anew(router);
        }
        self.watch.highest = self.watch.highest.max(info.state.last_seq);
        if info.state.last_seq > self.watch.checked || self.watch.heads.wanted {
            self.check(router);
        }
        if self.known.as_ref() != Some(&before) {
            return Seen::Moved;
        }
        // Those who came while there was no stream.
        if self.unplaced.is_empty() && self.unsent.is_empty() { Seen::Same } else { Seen::First }
    }

    /// It is another stream: everything it has is new, and nobody knows what was lost of the old one.
    fn begin_anew(&mut self, router: &mut Router) {
        tracing::warn!(
            stream = &*self.reader.stream,
            "the stream was made anew or set back; subscribers are told, and go on with what is in it now"
        );
        (self.watch.highest, self.watch.checked) = (0, 0);
        self.watch.life += 1;
        self.bases.values_mut().for_each(|base| *base = 0);
        self.histories.begin_anew();
        let mut reads = Vec::new();
        // In the order of their names: what happens can be repeated.
        let mut topics: Vec<_> = self.topics.values_mut().collect();
        topics.sort_unstable_by(|a, b| a.topic.as_str().cmp(b.topic.as_str()));
        for live in topics {
            live.tail = Tail::at(0);
            live.expected = 0;
            if live.opening {
                // What it holds is of the stream before.
                live.order = Sequencer::opening();
            } else {
                router.gone(&live.topic, None, 0);
                reads.push((live.topic.clone(), live.order.restart()));
            }
        }
        for (topic, read) in reads {
            self.read(&topic, Some(read));
        }
    }

    fn unusable(&mut self, text: String) -> Seen {
        if self.absent.as_deref() != Some(text.as_str()) {
            tracing::warn!("{text}");
        }
        self.absent = Some(Arc::from(text));
        Seen::First
    }

    fn unanswered(&mut self, error: &ReadError) -> Seen {
        if self.known.is_some() && !error.nobody() {
            tracing::debug!(%error, "the stream could not be asked what it is");
            return Seen::Same;
        }
        self.unusable(
            "JetStream does not answer: enable it on the NATS server, and let the gateway's NATS user publish to \
             $JS.API.>"
                .into(),
        )
    }

    /// Why nothing can be had from the stream now.
    pub(crate) fn absent(&self) -> Option<&str> {
        self.absent.as_deref()
    }

    /// What is wrong with the stream.
    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        self.absent.clone().or_else(|| self.slow.clone())
    }

    /// Reads the newest messages of everything that is followed, as far as they are newer than at the last time.
    fn check(&mut self, router: &Router) {
        let Some(layout) = self.known.as_ref().filter(|_| !self.watch.heads.under_way) else { return };
        let mut subjects: Vec<_> = self.topics.keys().map(|topic| self.subject(topic)).collect();
        if !self.watch.patterns_too_wide {
            let patterns = router.interests.wanted(None).filter(|(filter, _)| {
                matches!(filter, Filter::Pattern(_))
                    && matches!(layout.place(filter), Place::Inside | Place::Both)
            });
            subjects.extend(patterns.map(|(filter, _)| self.subject(filter.as_str())));
        }
        if subjects.is_empty() {
            self.watch.checked = self.watch.highest;
            return;
        }
        self.topics.values_mut().for_each(|live| live.compared = true);
        (self.watch.heads.under_way, self.watch.begun) = (true, Seq::MAX);
        let urgent = std::mem::take(&mut self.watch.heads.wanted);
        let (reader, from, life) = (self.reader.clone(), self.watch.checked + 1, self.watch.life);
        let highest = self.watch.highest;
        self.work.spawn(async move {
            let heads = async {
                let heads = reader.heads(&subjects, from).await?;
                // Asked behind it, so that nothing that went in between is missed.
                let first = reader.state(highest).await?.first_seq;
                Ok((heads, first))
            };
            Done::Checked(life, urgent, heads.await)
        });
    }

    /// The newest messages are known.
    pub(crate) fn checked(
        &mut self,
        router: &mut Router,
        life: u32,
        urgent: bool,
        heads: Result<(Heads, Seq), ReadError>,
    ) {
        self.watch.heads.under_way = false;
        if life != self.watch.life {
            self.watch.heads.wanted |= urgent;
            return;
        }
        let (heads, first) = match heads {
            Ok(heads) => heads,
            Err(error) => {
                // The server tells of about 1 024 subjects at most.
                if matches!(&error, ReadError::Refused(why) if why.starts_with("413")) {
                    self.watch.patterns_too_wide = true;
                }
                tracing::debug!(%error, "the newest messages could not be compared");
                self.watch.heads.wanted |= urgent;
                self.watch.info.wanted = true;
                return;
            }
        };
        for (subject, head) in &heads.newest {
            let Some(topic) = subject.strip_prefix(&self.prefix) else { continue };
            let base = router.interests.feed_of(topic).and_then(|feed| self.bases.get(&feed).copied());
            if !router.aim(None, topic) || !self.follows(router, topic, base.unwrap_or(*head)) {
                continue;
            }
            if let Some(live) = self.topics.get_mut(topic) {
                live.expected = live.expected.max(*head);
            }
        }
        for live in self.topics.values_mut() {
            if std::mem::take(&mut live.compared) && live.expected <= live.order.position() {
                live.order.settle(heads.through, first);
            }
        }
        self.watch.checked = self.watch.checked.max(heads.through.min(self.watch.begun));
        if urgent {
            self.expect();
        }
    }

    /// Reads what the stream had when it was asked, and what has not come since.
    fn expect(&mut self) {
        let mut reads = Vec::new();
        for live in self.topics.values_mut().filter(|live| live.expected > live.order.position()) {
            let read = live.order.head(std::mem::take(&mut live.expected));
            reads.extend(read.map(|read| (live.topic.clone(), read)));
        }
        for (topic, read) in reads {
            self.read(&topic, Some(read));
        }
    }
}
