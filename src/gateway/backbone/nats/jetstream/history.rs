//! History: from the tails of what is live, else from the stream. Whoever asks for the same topic at the same time
//! shares one read, and what was read is put into the tail, so that those who come after find it there.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
};

use super::{
    Done, Jet,
    live::{KEPT, Live},
    page::{self, Found},
    reader::ReadError,
};
use crate::{
    api::{Seq, Topic},
    gateway::{
        backbone::{Counts, HistoryRequest},
        history::{HistoryError, Kept, Lost, Page, Start},
    },
};

/// Reads under way at one time, each for another topic.
const READS: usize = 64;
/// What all tails together keep, in bytes of frames.
const TAILS: usize = 64 * 1024 * 1024;

/// A read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    start: Start,
    until: Option<Seq>,
}

/// Who waits for history, and how much is kept.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    /// Bounded by the owner, who asks [`Histories::waiting`].
    by_topic: HashMap<Topic, Asked>,
    /// Topics that somebody waits for and that are not being read.
    turn: VecDeque<Topic>,
    /// Topics being read, at most [`READS`].
    reading: usize,
    waiting: usize,
    /// Bytes in all tails.
    bytes: usize,
    /// Topics that have something in their tail, and perhaps some that have not.
    full: VecDeque<Arc<str>>,
}

#[derive(Debug, Default)]
struct Asked {
    requests: Vec<HistoryRequest>,
    reading: bool,
    /// So many of them were there when the read began; what was stored before the others came it may not have seen.
    early: usize,
}

impl Histories {
    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// What was kept is of another stream.
    pub(crate) fn begin_anew(&mut self) {
        self.bytes = 0;
        self.full.clear();
    }
}

impl Jet {
    /// Somebody wants history.
    pub(crate) fn history(&mut self, request: HistoryRequest, counts: &Counts) {
        let refusal = match (self.absent(), self.layout()) {
            (Some(why), _) => Some(HistoryError::Unavailable(format!("{why}; ask again in a moment"))),
            (None, None) => {
                Some(HistoryError::Unavailable("the stream was not seen yet: ask again in a moment".into()))
            }
            (None, Some(layout)) if !layout.captures(&self.subject(request.topic.as_str())) => {
                let (topic, stream) = (&request.topic, &self.reader.stream);
                Some(HistoryError::None(format!(
                    "the stream {stream:?} does not keep {topic}: subscribe without `fromSeq` and `last`"
                )))
            }
            _ => None,
        };
        if let Some(error) = refusal {
            // Nobody waits any more.
            let _ = request.reply.send(Err(error));
            return;
        }
        let Some(request) = self.out_of_tail(request) else { return };
        let topic = request.topic.clone();
        let asked = self.histories.by_topic.entry(topic.clone()).or_default();
        asked.requests.push(request);
        self.histories.waiting += 1;
        if asked.requests.len() == 1 && !asked.reading {
            self.histories.turn.push_back(topic);
        }
        self.pump_histories(counts);
    }

    /// Answers out of the tail, if everything is there: what is wanted up to no number, or up to one that has not come
    /// here yet, may be in the stream.
    fn out_of_tail(&self, request: HistoryRequest) -> Option<HistoryRequest> {
        let here = |live: &&Live| {
            let come = request.until.is_some_and(|until| until <= live.order.accounted());
            come && !live.opening && live.tail.reaches(request.start)
        };
        let Some(live) = self.topics.get(request.topic.as_str()).filter(here) else { return Some(request) };
        let _ = request.reply.send(Ok(Arc::new(live.tail.page(request.start, request.until))));
        None
    }

    fn pump_histories(&mut self, counts: &Counts) {
        while self.histories.reading < READS
            && let Some(topic) = self.histories.turn.pop_front()
        {
            let Some(asked) = self.histories.by_topic.get_mut(&topic) else { continue };
            let Some(ask) = widest(&asked.requests) else { continue };
            (asked.reading, asked.early) = (true, asked.requests.len());
            self.histories.reading += 1;
            counts.history_reads.fetch_add(1, Ordering::Relaxed);
            let (reader, subject) = (self.reader.clone(), self.subject(topic.as_str()));
            let place = page::Place { topic: topic.clone(), subject, highest: self.watch.highest };
            self.work.spawn(async move {
                let found = reader.page(&place, ask.start, ask.until).await;
                Done::Found(topic, ask, found)
            });
        }
    }

    /// History was read, or not.
    pub(crate) fn found(
        &mut self,
        topic: &Topic,
        ask: Ask,
        found: Result<Found, ReadError>,
        counts: &Counts,
    ) {
        self.histories.reading -= 1;
        let Some(mut asked) = self.histories.by_topic.remove(topic) else { return };
        asked.reading = false;
        let waiting = asked.requests.len();
        match found {
            Ok(found) => {
                self.keep_read(topic, &found);
                let page = Arc::new(found.page);
                for (n, request) in std::mem::take(&mut asked.requests).into_iter().enumerate() {
                    let late = n >= asked.early;
                    let Some(request) = answer(ask, &page, request, late) else { continue };
                    asked.requests.extend(self.out_of_tail(request));
                }
            }
            Err(error) => {
                self.watch.suspect();
                for request in asked.requests.drain(..) {
                    let _ = request.reply.send(Err(HistoryError::Unavailable(error.to_string())));
                }
            }
        }
        self.histories.waiting -= waiting - asked.requests.len();
        if !asked.requests.is_empty() {
            self.histories.by_topic.insert(topic.clone(), asked);
            self.histories.turn.push_back(topic.clone());
        }
        self.pump_histories(counts);
    }

    /// Puts what was read into the tail of its topic, if it joins what is there.
    fn keep_read(&mut self, topic: &Topic, found: &Found) {
        let Some(live) = self.topics.get_mut(topic.as_str()).filter(|live| !live.opening) else { return };
        let before = live.tail.bytes();
        live.tail.extend_back(&found.page.messages, found.since, KEPT);
        if found.page.lost.is_none()
            && let Some(oldest) = found.before.first()
        {
            live.tail.extend_back(&found.before, oldest.prev, KEPT);
        }
        let grown = (before, live.tail.bytes());
        self.kept(topic.as_str(), grown);
    }

    /// A tail has changed its size: where all together keep too much, the oldest messages of one topic after the
    /// other go.
    pub(crate) fn kept(&mut self, topic: &str, (before, after): (usize, usize)) {
        let Self { histories, topics, .. } = self;
        histories.bytes = (histories.bytes + after).saturating_sub(before);
        if before == 0
            && after > 0
            && let Some(live) = topics.get(topic)
        {
            histories.full.push_back(live.topic.shared().clone());
        }
        if histories.full.len() > 2 * topics.len() + READS {
            let mut seen = HashSet::new();
            let kept = |topic: &Arc<str>| topics.get(topic).is_some_and(|live| !live.tail.is_empty());
            histories.full.retain(|topic| kept(topic) && seen.insert(topic.clone()));
        }
        while histories.bytes > TAILS
            && let Some(topic) = histories.full.pop_front()
        {
            let Some(live) = topics.get_mut(&topic) else { continue };
            histories.bytes = histories.bytes.saturating_sub(live.tail.forget_oldest());
            if !live.tail.is_empty() {
                histories.full.push_back(topic);
            }
        }
    }
}

/// One read that gives as many of them as possible what they want.
fn widest(requests: &[HistoryRequest]) -> Option<Ask> {
    let until = requests.iter().map(|request| request.until.unwrap_or(Seq::MAX)).max()?;
    let position = |request: &HistoryRequest| match request.start {
        Start::After(position) => Some(position),
        Start::Newest(_) => None,
    };
    if let Some(position) = requests.iter().filter_map(position).min() {
        return Some(Ask { start: Start::After(position), until: (until < Seq::MAX).then_some(until) });
    }
    let first = requests.first()?;
    let count = |request: &HistoryRequest| match request.start {
        Start::Newest(count) if request.until == first.until => Some(count),
        _ => None,
    };
    let count = requests.iter().filter_map(count).max()?;
    Some(Ask { start: Start::Newest(count), until: first.until })
}

/// Answers a request out of what was read for all; gives it back where that does not have it. `late`: it came when the
/// read had begun.
fn answer(ask: Ask, page: &Arc<Page>, request: HistoryRequest, late: bool) -> Option<HistoryRequest> {
    if !late && ask == (Ask { start: request.start, until: request.until }) {
        let _ = request.reply.send(Ok(page.clone()));
        return None;
    }
    let Some(part) = part(ask, page, (request.start, request.until), late) else { return Some(request) };
    let _ = request.reply.send(Ok(Arc::new(part)));
    None
}

/// What a page has of another request. `late`: the read may not have seen what was there when it came.
fn part(ask: Ask, page: &Page, (start, until): (Start, Option<Seq>), late: bool) -> Option<Page> {
    let open = late && ask.until.is_none();
    let newest = page.messages.last().map_or(page.after, |newest| newest.seq);
    let first = match (ask.start, start) {
        // No such position had ever been given, and so had no larger one.
        (Start::After(asked), Start::After(position))
            if page.after != asked && position >= asked && !late =>
        {
            return Some(page.clone());
        }
        (Start::After(asked), Start::After(position))
            if (asked..newest + u64::from(!page.more)).contains(&position) =>
        {
            page.messages.partition_point(|message| message.seq <= position)
        }
        (Start::Newest(_), Start::Newest(count)) if ask.until == until && !page.more && !open => {
            page.messages.len().saturating_sub(count as usize)
        }
        _ => return None,
    };
    let position = match start {
        Start::After(position) => position,
        Start::Newest(_) => page.messages.get(first).map_or(page.after, |message| message.prev),
    };
    let lost = page.lost.and_then(|lost| match lost.between {
        None => Some(lost),
        Some((from, to)) => (to > position).then(|| Lost { between: Some((from.max(position + 1), to)) }),
    });
    let wanted = |message: &&Kept| until.is_none_or(|until| message.seq <= until);
    let messages: Vec<_> = page.messages.iter().skip(first).take_while(wanted).cloned().collect();
    let all = messages.len() == page.messages.len() - first;
    // What is behind the end of the read nobody has looked for.
    let behind = ask.until.is_some_and(|read| until.is_none_or(|until| until > read));
    let more = (page.more || behind || open) && all && until.is_none_or(|until| newest < until);
    Some(Page { after: position, lost, messages, more })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page that was read for all: everything behind `after` up to `until`.
    fn read(after: Seq, numbers: &[Seq], until: Option<Seq>) -> (Ask, Page) {
        let mut prev = after;
        let messages = numbers.iter().map(|seq| Kept {
            seq: *seq,
            prev: std::mem::replace(&mut prev, *seq),
            published: None,
            frame: bytes::Bytes::new(),
        });
        let page = Page { after, messages: messages.collect(), ..Page::default() };
        (Ask { start: Start::After(after), until }, page)
    }

    fn of(read: &(Ask, Page), after: Seq, until: Option<Seq>) -> Option<(Vec<Seq>, bool)> {
        let page = part(read.0, &read.1, (Start::After(after), until), false)?;
        Some((page.messages.iter().map(|message| message.seq).collect(), page.more))
    }

    #[test]
    fn whoever_wants_no_more_than_was_read_has_it_all() {
        let read = read(2, &[4, 7, 9], Some(9));
        assert_eq!(of(&read, 2, Some(9)), Some((vec![4, 7, 9], false)));
        assert_eq!(of(&read, 4, Some(8)), Some((vec![7], false)));
        assert_eq!(of(&read, 1, Some(9)), None, "what is before was not read");
    }

    #[test]
    fn whoever_wants_more_than_was_read_reads_on() {
        let read = read(2, &[4, 7], Some(8));
        assert_eq!(of(&read, 2, Some(20)), Some((vec![4, 7], true)));
        assert_eq!(of(&read, 4, None), Some((vec![7], true)));
        assert_eq!(of(&read, 7, Some(20)), Some((vec![], true)), "nothing of it was read");
    }

    #[test]
    fn whoever_asks_during_a_read_is_not_told_that_nothing_newer_is_there() {
        let (ask, page) = read(2, &[4, 7], None);
        for (until, expected) in [(None, true), (Some(9), true), (Some(7), false), (Some(4), false)] {
            let more = |late| part(ask, &page, (Start::After(2), until), late).unwrap().more;
            assert_eq!((more(true), more(false)), (expected, false), "up to {until:?}");
        }
        let newest = Ask { start: Start::Newest(2), until: None };
        assert!(part(newest, &page, (Start::Newest(1), None), false).is_some());
        assert_eq!(part(newest, &page, (Start::Newest(1), None), true), None);
    }

    #[test]
    fn a_read_for_one_answers_another_as_far_as_it_goes() {
        for (until, start, wanted, expected) in [
            (None, 4, None, Some((vec![5, 7], false))),
            (None, 2, Some(6), Some((vec![3, 5], false))),
            (Some(8), 2, Some(7), Some((vec![3, 5, 7], false))),
            // Message 9 may be there as well.
            (Some(8), 2, Some(9), Some((vec![3, 5, 7], true))),
            (Some(8), 2, None, Some((vec![3, 5, 7], true))),
            (Some(8), 7, Some(9), Some((vec![], true))),
            (Some(8), 1, Some(8), None),
        ] {
            let found = of(&read(2, &[3, 5, 7], until), start, wanted);
            assert_eq!(found, expected, "read up to {until:?}, wanted after {start} up to {wanted:?}");
        }
    }
}
