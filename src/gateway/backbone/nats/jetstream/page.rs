//! A part of a topic's history, read from the stream.
//!
//! Whether something between a position and the first message found is gone cannot be seen from the messages: other
//! topics have numbers of the same stream. So the read begins with the message that *has* the position: if it is
//! there, nothing behind it has been evicted. If it is not there, only a stream that begins before it, and gives up
//! old messages in no other way than from its beginning, still has everything.

use super::{
    reader::{BATCH, ReadError, Reader, Span},
    wire::Stored,
};
use crate::{
    api::{Seq, Topic},
    gateway::{
        history::{Kept, Lost, PAGE_BYTES, PAGE_MESSAGES, Page, Start},
        planted::{Flaw, planted},
    },
};

/// How far before the position a read begins where others are likely to ask for a little more: in numbers of the
/// stream.
pub(crate) const MARGIN: Seq = 256;
/// Messages that a search for the newest ones may find too many.
const SLACK: u64 = 512;
/// Steps of that search.
const PROBES: usize = 48;

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// What was asked for.
    pub(crate) page: Page,
    /// Everything that there is behind this position is in the page, up to its end.
    pub(crate) since: Seq,
    /// The messages before it that were read as well.
    pub(crate) before: Vec<Kept>,
}

/// Where a read goes to.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) topic: Topic,
    pub(crate) subject: String,
    /// The stream is known to have given this number: one that has not is another, whose messages are not what follows
    /// live, until that is known and everything begins anew.
    pub(crate) highest: Seq,
}

impl Reader {
    /// Reads a page.
    pub(crate) async fn page(
        &self,
        place: &Place,
        start: Start,
        until: Option<Seq>,
    ) -> Result<Found, ReadError> {
        match start {
            Start::After(position) => self.after(place, position, until).await,
            Start::Newest(count) => self.newest_ones(place, count.into(), until).await,
        }
    }

    async fn after(&self, place: &Place, position: Seq, until: Option<Seq>) -> Result<Found, ReadError> {
        let (subject, need) = (&place.subject, until.unwrap_or(Seq::MAX));
        let from = position.saturating_sub(MARGIN).max(1);
        let mut span = self.span(subject, from, BATCH, need).await?.mended(position);
        if span.pending > 0 && span.messages.last().is_none_or(|newest| newest.seq <= position) {
            span = self.span(subject, position.max(1), BATCH, need).await?.mended(position);
        }
        let cut = span.messages.partition_point(|message| message.seq <= position);
        let anchored = cut > 0 && span.messages[cut - 1].seq == position;
        let mut lost = None;
        if !anchored {
            let newest = span.messages.last().map_or(0, |newest| newest.seq).max(place.highest);
            let evidence = self.nothing_gone(position, newest).await?;
            if position > evidence.last && !planted(Flaw::ResumeBeyondHead) {
                return self.another_life(place).await;
            }
            if span.messages.len() == cut {
                // What was stored before the evidence is found now, or gone.
                span = self.span(subject, position.saturating_add(1), BATCH, need).await?.mended(position);
            }
            let behind = span.messages.iter().find(|message| message.seq > position);
            let next = behind.map_or(evidence.last + 1, |first| first.seq);
            let end = until.unwrap_or(Seq::MAX).min(next.saturating_sub(1));
            let gone = !evidence.whole && end > position && !planted(Flaw::ResumeBeyondPurge);
            lost = gone.then_some(Lost { between: Some((position.saturating_add(1), end)) });
        }
        let gone = lost.and_then(|lost| lost.between).map_or(0, |(_, last)| last);
        Ok(Found { since: position.max(gone), ..found(&place.topic, position, gone, lost, &span, until) })
    }

    /// The position is none that this stream has ever given.
    async fn another_life(&self, place: &Place) -> Result<Found, ReadError> {
        let heads = self.heads(std::slice::from_ref(&place.subject), 0).await?;
        let after = heads.newest.first().map_or(0, |(_, head)| *head);
        let page = Page { after, lost: Some(Lost::default()), ..Page::default() };
        Ok(Found { page, since: after, before: Vec::new() })
    }

    async fn newest_ones(&self, place: &Place, count: u64, until: Option<Seq>) -> Result<Found, ReadError> {
        let state = self.state(place.highest).await?;
        let last = until.unwrap_or(state.last_seq).min(state.last_seq);
        let direct = self.reads_directly(&place.subject);
        let from = if direct {
            self.where_newest_begin(&place.subject, count, state.first_seq.max(1), last).await?
        } else {
            // Numbers of other topics are in between: these may be fewer.
            last.saturating_sub(count).max(1)
        };
        let behind = if direct { self.count(&place.subject, last + 1).await? } else { 0 };
        let span = self.span(&place.subject, from, BATCH, last).await?.mended(Seq::MAX);
        // Those behind `last` came while the search was on. Rather one too many than the newest one left out.
        let more = if span.ahead { 0 } else { span.pending };
        let there = (span.messages.len() as u64 + more).saturating_sub(behind);
        let skip =
            usize::try_from(there.saturating_sub(count)).unwrap_or(usize::MAX).min(span.messages.len());
        // Where there is none any more, what comes follows the last one that was wanted. And nobody knows which one was
        // before the first that is there.
        let first = span.messages.first().map(|first| first.seq).filter(|first| *first <= last);
        let oldest = first.map_or(last, |first| first - 1);
        let position =
            skip.checked_sub(1).and_then(|at| span.messages.get(at)).map_or(oldest, |before| before.seq);
        Ok(found(&place.topic, position, 0, None, &span, Some(last)))
    }

    /// A number from which on there are more than `count` messages up to `last`, but not many more; `first` if there
    /// are not.
    async fn where_newest_begin(
        &self,
        subject: &str,
        count: u64,
        first: Seq,
        last: Seq,
    ) -> Result<Seq, ReadError> {
        let behind = self.count(subject, last + 1).await?;
        let (mut low, mut high) = (first, last + 1);
        let mut next = last.saturating_sub(count).max(first);
        for probe in 0..PROBES {
            let there = self.count(subject, next).await?.saturating_sub(behind);
            if there > count {
                low = next;
                if there <= count + SLACK {
                    break;
                }
            } else if next == first {
                break;
            } else {
                high = next;
            }
            if high - low <= 1 {
                break;
            }
            // First ever further back, until there are enough; then between the two.
            let back = (last - next.min(last)).saturating_mul(4).max(SLACK);
            next = if low == first && there <= count && probe < 8 {
                last.saturating_sub(back).max(first)
            } else {
                low + (high - low) / 2
            };
        }
        Ok(low)
    }

    /// How many messages there are from this number on.
    async fn count(&self, subject: &str, from: Seq) -> Result<u64, ReadError> {
        let span = self.span(subject, from, 1, 0).await?;
        Ok(span.messages.len() as u64 + span.pending)
    }
}

/// Turns messages into frames: those behind `position` into a page, those before it as well.
fn found(
    topic: &Topic,
    position: Seq,
    gone: Seq,
    lost: Option<Lost>,
    span: &Span,
    until: Option<Seq>,
) -> Found {
    let page = Page { after: position, lost, ..Page::default() };
    let mut found = Found { page, since: position, before: Vec::new() };
    let (mut prev, mut bytes) = (0, 0);
    for message in &span.messages {
        if message.seq > position {
            if until.is_some_and(|until| message.seq > until) {
                return found;
            }
            // The one before it was not read: whoever reads on from the position has it, or there was none.
            let before = if prev == 0 { position } else { prev };
            let kept = kept(topic, before.max(gone), message);
            bytes += kept.frame.len();
            let messages = &mut found.page.messages;
            if messages.len() == PAGE_MESSAGES || (bytes > PAGE_BYTES && !messages.is_empty()) {
                found.page.more = true;
                return found;
            }
            messages.push(kept);
        } else if prev > 0 {
            // Of the first one nobody knows which one was before it.
            found.before.push(kept(topic, prev, message));
        }
        prev = message.seq;
    }
    found.page.more = span.pending > 0 && until.is_none_or(|until| prev < until);
    found
}

/// A message as its frame.
pub(crate) fn kept(topic: &Topic, prev: Seq, message: &Stored) -> Kept {
    message.after(prev).kept(topic).0
}
