//! From an interest whose feed is in force to a position: what is delivered from now on has larger numbers.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Done, Jet, Place,
    live::Live,
    reader::{Heads, ReadError, Reader},
};
use crate::{
    api::{Filter, Seq},
    gateway::{
        backbone::{
            InterestChange, PublishRequest,
            interests::{FeedId, Wanted},
            nats::router::Router,
        },
        history::Tail,
    },
};

/// Interests whose positions are asked for at one time.
const BATCH: usize = super::reader::SUBJECTS;

/// What an interest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It is in force, after this position.
    At(Seq, bool),
    /// It waits.
    Later,
}

/// What has become of those who waited for a position.
#[derive(Debug)]
pub(crate) enum Opened {
    /// They begin, as of this last number of the stream.
    Begun(Vec<Begun>, Seq),
    /// They cannot begin.
    Failed(Vec<InterestChange>, ReadError),
}

/// An interest whose position is asked for.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) change: InterestChange,
    /// It was in force before: its subscribers wait for nothing, and are not to be refused what they have.
    again: bool,
}

/// An interest whose position is known.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) change: InterestChange,
    /// The topic's newest message; 0 where it has none.
    head: Seq,
    /// What is delivered follows this. Where the topic has no message that is the last number of the stream: it may
    /// have had some, and whoever has seen them misses those that are gone.
    pub(crate) position: Seq,
}

impl Jet {
    /// The feed of this interest is in force.
    ///
    /// `again`: it was so before, and is to be told where it goes on.
    pub(crate) fn begin(&mut self, change: &InterestChange, again: bool) -> Begin {
        let place = self.layout().map_or(Place::Outside, |layout| layout.place(&change.filter));
        if matches!(place, Place::Outside | Place::Reserved) {
            return Begin::At(0, false);
        }
        if let Filter::Topic(topic) = &change.filter {
            let live =
                self.topics.entry(topic.shared().clone()).or_insert_with(|| Live::opening(topic.clone()));
            if !live.opening && live.order.is_exact() {
                return Begin::At(live.order.begins_after(), true);
            }
        }
        self.opening.push(Asking { change: change.clone(), again });
        self.ask_positions();
        Begin::Later
    }

    /// Keeps an interest until it is known what the stream captures.
    pub(crate) fn keep(&mut self, change: InterestChange) {
        self.unplaced.push(change);
        self.ask();
    }

    /// Keeps a publish until then.
    pub(crate) fn keep_publish(&mut self, request: PublishRequest) {
        self.unsent.push(request);
        self.ask();
    }

    /// Nobody knows yet whether there is a stream.
    pub(crate) fn is_new(&self) -> bool {
        self.known.is_none() && self.absent.is_none()
    }

    /// What was kept, once the stream was seen, or is known not to be there.
    pub(crate) fn take_kept(&mut self) -> (Vec<InterestChange>, Vec<PublishRequest>) {
        (std::mem::take(&mut self.unplaced), std::mem::take(&mut self.unsent))
    }

    /// Asks for the positions of those who wait for them: one question at a time, for as many as there are.
    fn ask_positions(&mut self) {
        if !self.asked_for.is_empty() || self.opening.is_empty() {
            return;
        }
        let some = self.opening.len().min(BATCH);
        self.asked_for.extend(self.opening.drain(..some));
        let filters = self.asked_for.iter().map(|asking| &asking.change.filter);
        let topics = filters.filter(|filter| matches!(filter, Filter::Topic(_)));
        let mut subjects: Vec<_> = topics.map(|filter| self.subject(filter.as_str())).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let (reader, life, highest) = (self.reader.clone(), self.watch.life, self.watch.highest);
        self.work.spawn(async move { Done::Opened(life, positions(&reader, &subjects, highest).await) });
    }

    /// Asks again for the positions that could not be asked for, or are not known yet.
    pub(crate) fn ask_positions_again(&mut self) {
        self.opening.append(&mut self.unsettled);
        self.ask_positions();
    }

    /// The positions are known, or not.
    pub(crate) fn opened(&mut self, router: &Router, life: u32, heads: Result<Heads, ReadError>) -> Opened {
        let changes = std::mem::take(&mut self.asked_for);
        if life != self.watch.life {
            self.opening.extend(changes);
            self.ask_positions();
            return Opened::Begun(Vec::new(), 0);
        }
        let heads = match heads {
            Ok(heads) => heads,
            Err(error) => {
                self.ask_positions();
                self.watch.suspect();
                let (again, new): (Vec<_>, Vec<_>) = changes.into_iter().partition(|asking| asking.again);
                self.unsettled.extend(again.into_iter().filter(|Asking { change, .. }| {
                    let InterestChange { filter, shard, ticket, .. } = change;
                    router.interests.stands(filter, Wanted { shard: *shard, ticket: *ticket })
                }));
                return Opened::Failed(new.into_iter().map(|asking| asking.change).collect(), error);
            }
        };
        let newest: HashMap<&str, Seq> =
            heads.newest.iter().map(|(subject, head)| (subject.as_str(), *head)).collect();
        let (mut begun, mut reads) = (Vec::with_capacity(changes.len()), Vec::new());
        for asking in changes {
            let (mut head, mut position) = (0, 0);
            if let Filter::Topic(topic) = &asking.change.filter {
                head = newest.get(self.subject(topic.as_str()).as_str()).copied().unwrap_or(0);
                position = if head == 0 { heads.through } else { head };
                if let Some(live) = self.topics.get_mut(topic.as_str()).filter(|live| !live.opening) {
                    if !live.order.place(head, heads.through) {
                        // A pattern brought it, and its newest message is still on its way: which one was before that
                        // nobody knows, and a client that has that one would miss a link. Asked again once it is there.
                        reads.extend(live.order.head(head).map(|read| (live.topic.clone(), read)));
                        self.unsettled.push(asking);
                        continue;
                    }
                    position = live.order.begins_after();
                }
            } else if let Some(feed) = router.interests.cover(&asking.change.filter) {
                self.bases.entry(feed).or_insert(heads.through);
            }
            begun.push(Begun { change: asking.change, head, position });
        }
        self.watch.begins(heads.through);
        for (topic, read) in reads {
            self.read(&topic, Some(read));
        }
        self.mark_begun(&begun);
        self.ask_positions();
        Opened::Begun(begun, heads.through)
    }

    /// Whoever is told its position now is in force: where it has been asked for once more, it is so again.
    fn mark_begun(&mut self, begun: &[Begun]) {
        if self.opening.is_empty() && self.unsettled.is_empty() {
            return;
        }
        let name = |change: &InterestChange| (change.filter.shared().clone(), change.shard, change.ticket);
        let begun: HashSet<_> = begun.iter().map(|begun| name(&begun.change)).collect();
        for asking in self.opening.iter_mut().chain(&mut self.unsettled) {
            asking.again |= begun.contains(&name(&asking.change));
        }
    }

    /// What has come meanwhile follows: to be called when everybody was told where it begins.
    pub(crate) fn open(&mut self, router: &mut Router, begun: &[Begun], through: Seq) {
        let mut steps = std::mem::take(&mut self.steps);
        for Begun { change, head, position } in begun {
            let Some(live) = self.topics.get_mut(change.filter.as_str()).filter(|live| live.opening) else {
                continue;
            };
            live.opening = false;
            live.tail = Tail::at(*position);
            let read = live.order.open(*head, through, &mut steps);
            live.follow(router, &mut steps);
            let (topic, grown) = (live.topic.clone(), (0, live.tail.bytes()));
            self.kept(topic.as_str(), grown);
            self.read(&topic, read);
        }
        self.steps = steps;
    }

    /// A shard wants something no more, and these feeds have ended.
    pub(crate) fn released(&mut self, router: &mut Router, filter: &Filter, ended: &[FeedId]) {
        for feed in ended {
            self.bases.remove(feed);
        }
        match filter {
            Filter::Topic(topic) if !router.aim(None, topic.as_str()) => self.forget(topic.as_str()),
            // Nobody asks for its position any more: it is followed anew, as patterns want it.
            Filter::Topic(topic) if !router.interests.names(topic.as_str()) => {
                if self.topics.get(topic.as_str()).is_some_and(|live| live.opening) {
                    self.forget(topic.as_str());
                }
            }
            Filter::Topic(_) => {}
            Filter::Pattern(pattern) => {
                let own = |topic: &&Arc<str>| pattern.matches_str(topic);
                let matched: Vec<_> = self.topics.keys().filter(own).cloned().collect();
                for topic in matched {
                    if !router.aim(None, &topic) {
                        self.forget(&topic);
                    }
                }
            }
        }
    }

    /// Whether nothing of this can have been missed without being found again, given that the feed goes on.
    pub(crate) fn keeps(&self, router: &Router, filter: &Filter) -> bool {
        let inside = self.layout().is_some_and(|layout| layout.place(filter) == Place::Inside);
        inside
            && match filter {
                Filter::Topic(topic) => self.topics.get(topic.as_str()).is_some_and(|live| !live.opening),
                Filter::Pattern(_) => {
                    let cover = router.interests.cover(filter);
                    !self.watch.patterns_too_wide && cover.is_some_and(|feed| self.bases.contains_key(&feed))
                }
            }
    }
}

/// The newest messages of these subjects, and the last number of the stream, which has got as far as `highest`.
async fn positions(reader: &Reader, subjects: &[String], highest: Seq) -> Result<Heads, ReadError> {
    let heads = if subjects.is_empty() { None } else { Some(reader.heads(subjects, 0).await?) };
    let state = reader.state(highest).await?;
    Ok(heads.unwrap_or(Heads { newest: Vec::new(), through: state.last_seq }))
}
