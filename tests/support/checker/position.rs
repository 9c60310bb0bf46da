//! Where a client is on one topic: order, the chain of `prevSeqNo`, and what it is owed.

use std::{collections::HashSet, ops::Range};

use super::{
    answers::Wrong,
    gaps::{Gap, Told},
    history::{Nanos, Seq},
    report::Rule,
    truth::Key,
};

/// A stretch, over any number of connections, within which nothing may be missing.
#[derive(Debug)]
pub(super) struct Span {
    /// What follows this position is owed.
    pub(super) start: Seq,
    /// What was published later than this is owed in any case.
    pub(super) began: Nanos,
    /// The life of the stream at the start, as far as known.
    pub(super) epoch: Option<u32>,
    /// Whether the topic can be recovered at all.
    pub(super) recoverable: bool,
    /// What came, in the order in which it did.
    pub(super) seen: Vec<Key>,
    /// The gaps that were told meanwhile, as indices: one told in another stretch excuses nothing in this one.
    pub(super) gaps: Range<usize>,
    /// It lasted until the end of the run.
    pub(super) to_end: bool,
    /// The largest position that the client could name.
    position: Seq,
    open: bool,
}

/// A `subscribed` frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subscribed {
    pub(super) seq: Seq,
    pub(super) recoverable: bool,
    pub(super) recovered: Option<bool>,
    pub(super) at: Nanos,
}

/// One client on one topic.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// The last number of this connection, once there is one.
    last: Option<Seq>,
    /// `last` is a message's, not only a position.
    last_is_message: bool,
    epoch: Option<u32>,
    top: Key,
    /// Something is gone, and a gap has to say so before the next message.
    gap_due: Option<&'static str>,
    told: bool,
    /// Numbers have begun again, and no message has come since.
    begun_again: bool,
    /// Numbers of which a second copy may come: they were live and replayed at once.
    twice: HashSet<Seq>,
    pub(super) gaps: Vec<Gap>,
    pub(super) spans: Vec<Span>,
}

impl Position {
    /// A new connection: nothing is subscribed.
    pub(super) fn disconnected(&mut self) {
        (self.last, self.told) = (None, false);
        self.twice.clear();
    }

    /// No longer subscribed; `others` still hold it through a pattern.
    pub(super) fn unsubscribed(&mut self, others: bool) {
        self.end_span();
        if !others {
            self.last = None;
        }
    }

    /// Whether a live message may have this number.
    pub(super) fn is_new(&self, seq: Seq) -> bool {
        self.last.is_none_or(|last| seq > last)
    }

    /// Whether a gap since the last message says that this number will not come by itself.
    pub(super) fn given_up(&self, seq: Seq) -> bool {
        self.open_gaps().any(|gap| gap.includes(seq))
    }

    fn open_gaps(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().rev().take_while(|gap| gap.open)
    }

    fn close_gaps(&mut self, before: Option<Key>) {
        for gap in self.gaps.iter_mut().rev().take_while(|gap| gap.pending) {
            (gap.before, gap.pending, gap.open) = (before, false, false);
        }
    }

    pub(super) fn last(&self) -> Option<Seq> {
        self.last
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch.unwrap_or(self.top.0)
    }

    /// `subscribed` again, for what is held; `true` if numbers begin again.
    pub(super) fn confirmed(&mut self, subscribed: Subscribed) -> bool {
        let position = self.last.max(self.span().map(|span| span.position));
        let again = subscribed.recovered == Some(false) || Some(subscribed.seq) < position;
        if again {
            self.begin_again(subscribed.seq);
        }
        again
    }

    /// `subscribed` without a wish for what was before; `others` hold the topic through a pattern.
    pub(super) fn fresh(&mut self, subscribed: Subscribed, others: bool) {
        self.end_span();
        if !(others && self.last.is_some()) {
            self.last = (subscribed.recoverable || subscribed.seq > 0).then_some(subscribed.seq);
            self.last_is_message = false;
        }
        (self.epoch, self.gap_due, self.begun_again) = (None, None, false);
        self.begin_span(subscribed.seq, subscribed);
    }

    /// `subscribed` for one who has everything up to `asked`.
    pub(super) fn resumed(&mut self, asked: Seq, subscribed: Subscribed) {
        let goes_on = self.span().is_some_and(|span| asked <= span.position);
        // What is behind the position named is to come now, whatever was given up before.
        self.gaps.iter_mut().rev().take_while(|gap| gap.open).for_each(|gap| gap.open = false);
        if !goes_on {
            self.end_span();
            self.epoch = None;
            self.begin_span(asked.min(subscribed.seq), subscribed);
        }
        (self.last, self.last_is_message) = (Some(subscribed.seq), false);
        if subscribed.seq < asked {
            self.begin_again(subscribed.seq);
        } else if subscribed.recovered == Some(false) {
            self.gap_due = Some("`recovered` is false");
        }
    }

    fn begin_again(&mut self, seq: Seq) {
        (self.last, self.last_is_message, self.epoch) = (Some(seq), false, None);
        (self.gap_due, self.begun_again) = (Some("numbers begin again"), true);
        if let Some(span) = self.span() {
            span.position = seq;
        }
    }

    fn begin_span(&mut self, start: Seq, subscribed: Subscribed) {
        self.top = (self.top.0, start);
        self.spans.push(Span {
            start,
            began: subscribed.at,
            epoch: None,
            recoverable: subscribed.recoverable,
            seen: Vec::new(),
            gaps: self.gaps.len()..self.gaps.len(),
            to_end: false,
            position: start.max(subscribed.seq),
            open: true,
        });
    }

    fn end_span(&mut self) {
        self.close_gaps(None);
        if let Some(span) = self.spans.last_mut() {
            span.open = false;
        }
    }

    fn span(&mut self) -> Option<&mut Span> {
        self.spans.last_mut().filter(|span| span.open)
    }

    /// The run is over and the topic is held: what was published last is owed too.
    pub(super) fn lasts_to_the_end(&mut self, held: bool) -> Option<Wrong> {
        if held && let Some(span) = self.span() {
            span.to_end = true;
        }
        self.untold().filter(|_| held)
    }

    /// A gap came.
    pub(super) fn gap(&mut self, told: Told) {
        // A resume may have gone back to an earlier position, and what followed it comes again.
        let back = self.last.filter(|_| !self.begun_again).map_or(self.top.1, |last| last.min(self.top.1));
        let after = (self.top.0, back);
        self.gaps.push(Gap { told, after, before: None, pending: true, open: true });
        (self.told, self.gap_due) = (true, None);
        let count = self.gaps.len();
        if let Some(span) = self.span() {
            span.gaps.end = count;
            span.position = span.position.max(told.to.unwrap_or(0));
        }
    }

    /// A live message with a new number.
    pub(super) fn live(&mut self, key: Key, prev: Option<Seq>) -> Vec<Wrong> {
        let (epoch, seq) = key;
        let mut wrong: Vec<_> = self.untold().into_iter().collect();
        let own = self.epoch.filter(|own| *own < epoch && !self.told);
        // The server does not say with a message which life it is of: one that names the last one before it cannot be
        // told from its successor, and counts as nothing. The next one that does not fit must come behind the gap.
        let alike = own.filter(|_| prev.is_some() && prev == self.last);
        if own.is_some() && alike.is_none() {
            let what = "it is of a later life of the stream, and no gap says so";
            wrong.push((Rule::NotTold, Some(seq), what.into()));
        }
        wrong.extend(self.chain(seq, prev));
        let key = (alike.unwrap_or(epoch), seq);
        self.close_gaps(Some(key));
        if alike.is_none() {
            self.saw(key);
        } else if let Some(span) = self.span() {
            span.position = span.position.max(seq);
        }
        (self.last, self.last_is_message, self.epoch) = (Some(seq), true, Some(key.0));
        (self.told, self.begun_again) = (false, false);
        (self.gap_due, self.top) = (None, self.top.max(key));
        wrong
    }

    /// A message that came for a `replay`; `live` as well if it may be the live one.
    pub(super) fn replayed(&mut self, key: Key, live: bool) {
        if live {
            self.twice.insert(key.1);
        }
        self.saw(key);
    }

    /// Whether a second copy was to be expected.
    pub(super) fn expected_twice(&mut self, seq: Seq) -> bool {
        self.twice.remove(&seq)
    }

    fn saw(&mut self, key: Key) {
        if let Some(span) = self.span() {
            span.epoch.get_or_insert(key.0);
            span.position = span.position.max(key.1);
            span.seen.push(key);
        }
    }

    fn untold(&self) -> Option<Wrong> {
        self.gap_due.map(|why| (Rule::NotTold, self.last, format!("{why}, and no gap says what is gone")))
    }

    /// `prevSeqNo` is the number before, or a gap names it.
    fn chain(&self, seq: Seq, prev: Option<Seq>) -> Option<Wrong> {
        let (prev, last) = (prev?, self.last?);
        let what = if prev > last && !self.given_up(prev) {
            format!("prevSeqNo is {prev}, the number before was {last}, and no gap names {prev}")
        } else if prev < last && self.last_is_message {
            format!("prevSeqNo is {prev}, but the number before was {last}")
        } else {
            return None;
        };
        Some((Rule::Chain, Some(seq), what))
    }
}
