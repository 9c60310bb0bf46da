//! Reads from the stream: what it is, each topic's newest message, what follows a number.
//!
//! Direct Get may be answered by a copy of the stream that lags behind. So what it has is taken for true, and what it
//! does not have only if the leader (which `STREAM.MSG.GET` and `STREAM.INFO` ask) does not have it either.

use std::sync::Arc;

use serde_json::json;

use super::{
    caution::Caution,
    requests::{Requests, Unanswered},
    sequencer::{Part, Read},
    wire::{Direct, Got, Info, State, Stored},
};
use crate::api::Seq;

/// Subjects asked for at one time; the server answers about 1 024 at most.
pub(crate) const SUBJECTS: usize = 512;
/// Messages read at one time, and bytes of their bodies (one message more may come).
pub(crate) const BATCH: usize = 1_024;
const BATCH_BYTES: usize = 512 * 1024;
/// What the newest messages of several subjects are called among the reads.
const HEADS: &str = "the newest messages";
/// Messages read one by one, where the stream does not allow Direct Get.
const ONE_BY_ONE: usize = 256;

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// No answer.
    #[error("the stream could not be read: {0}; ask again in a moment")]
    Unanswered(#[from] Unanswered),
    /// The server says no.
    #[error("the stream could not be read: the server says {0:?}; ask again in a moment")]
    Refused(String),
}

impl ReadError {
    /// There is no stream, or JetStream is not there at all.
    pub(crate) fn nobody(&self) -> bool {
        matches!(self, Self::Unanswered(Unanswered::Nobody))
    }
}

/// Reads one stream. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) requests: Requests,
    pub(crate) stream: Arc<str>,
    /// When the stream was made, as far as it was seen. One that was made at another time has other messages under the
    /// same numbers: nothing of it is of use before everything begins anew.
    pub(crate) made: Arc<str>,
    /// The stream allows Direct Get.
    pub(crate) direct: bool,
    /// Old messages of a topic go when new ones come, whatever else the stream holds.
    pub(crate) per_subject: bool,
    /// There is one copy of the stream: the leader answers always.
    pub(crate) alone: bool,
    /// What is not to be read by Direct Get all the same.
    pub(crate) caution: Caution,
}

/// The newest messages of several topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Heads {
    /// Subject and number; subjects without any are left out.
    pub(crate) newest: Vec<(String, Seq)>,
    /// Last number of the stream when it was asked.
    pub(crate) through: Seq,
}

/// Messages of one subject, in order.
#[derive(Debug, Default)]
pub(crate) struct Span {
    pub(crate) messages: Vec<Stored>,
    /// How many follow, as far as the one who answered knows; at least 1 if that is unknown.
    pub(crate) pending: u64,
    /// The last one was read at the leader, as the copy did not have it: how many follow it nobody knows.
    pub(crate) ahead: bool,
    /// Between that one and those before it others may have come and gone.
    seam: bool,
}

impl Span {
    /// Without what may have a hole, for who has everything up to this position: up to the hole if there is something
    /// of use before it, else from there on.
    pub(crate) fn mended(mut self, position: Seq) -> Self {
        if let (true, [.., before, _]) = (std::mem::take(&mut self.seam), &self.messages[..]) {
            if before.seq > position {
                self.messages.pop();
            } else {
                self.messages.drain(..self.messages.len() - 1);
            }
        }
        self
    }
}

impl Reader {
    /// What the stream is, or that there is none (`error`).
    pub(crate) async fn info(&self) -> Result<Info, ReadError> {
        let subject = format!("$JS.API.STREAM.INFO.{}", self.stream);
        let answer = self.requests.ask(subject, &json!({})).await?.next().await?;
        serde_json::from_slice(&answer.payload).map_err(|error| ReadError::Refused(error.to_string()))
    }

    /// The newest messages of these subjects (wildcards are allowed), as far as their numbers are at least `from`.
    pub(crate) async fn heads(&self, subjects: &[String], from: Seq) -> Result<Heads, ReadError> {
        let mut heads = Heads { newest: Vec::new(), through: Seq::MAX };
        for subjects in subjects.chunks(SUBJECTS) {
            let through = if self.reads_directly(HEADS) {
                self.caution.heed(HEADS, self.newest(subjects, from, &mut heads.newest).await)?
            } else {
                self.newest_one_by_one(subjects, &mut heads.newest).await?
            };
            heads.through = heads.through.min(through);
        }
        Ok(heads)
    }

    async fn newest(
        &self,
        subjects: &[String],
        from: Seq,
        newest: &mut Vec<(String, Seq)>,
    ) -> Result<Seq, ReadError> {
        let (mut from, mut through, mut before) = (from, None, None);
        loop {
            let question = json!({"multi_last": subjects, "seq": from, "batch": 2 * BATCH});
            let mut answers = self.requests.ask(self.direct_get(), &question).await?;
            let (pending, up_to) = loop {
                match Direct::read(answers.next().await?) {
                    Direct::Message(message) => {
                        // They come by their numbers.
                        from = message.seq + 1;
                        newest.push((message.subject, message.seq));
                    }
                    Direct::End { pending, through } => break (pending, through),
                    Direct::Refused(why) => return Err(ReadError::Refused(why)),
                }
            };
            through = through.or(up_to).or(before);
            if through.is_none() {
                // None of these subjects has a message. Up to which number that holds is to be known before asking.
                before = Some(self.info().await?.state.last_seq);
                continue;
            }
            if pending == 0 {
                return Ok(through.unwrap_or(0));
            }
        }
    }

    async fn newest_one_by_one(
        &self,
        subjects: &[String],
        newest: &mut Vec<(String, Seq)>,
    ) -> Result<Seq, ReadError> {
        let through = self.info().await?.state.last_seq;
        for subject in subjects {
            let found = self.get(&json!({"last_by_subj": subject})).await?;
            newest.extend(found.map(|message| (message.subject, message.seq)));
        }
        Ok(through)
    }

    /// What the sequencer asks for.
    pub(crate) async fn part(&self, subject: &str, read: Read) -> Result<Part<Stored>, ReadError> {
        let mut span = self.span(subject, read.anchor.max(1), BATCH, read.need).await?.mended(read.after);
        let anchored = span.messages.first().is_some_and(|first| first.seq == read.anchor);
        let newest = span.messages.last().map_or(read.after, |newest| newest.seq);
        let found = span.messages.last().map_or(0, |newest| newest.seq);
        let given = found.max(read.after).max(read.need);
        let whole = anchored || self.nothing_gone(read.after, given).await?.whole;
        let through = if span.pending == 0 { Seq::MAX } else { newest };
        span.messages.retain(|message| message.seq > read.after);
        let messages = span.messages.into_iter().map(|message| (message.seq, message)).collect();
        Ok(Part { messages, whole, through })
    }

    /// What the stream holds, if it is the one that was seen and has given this number.
    ///
    /// To be asked behind a read: what was read is of the same stream then.
    pub(crate) async fn state(&self, given: Seq) -> Result<State, ReadError> {
        let info = self.info().await?;
        if info.created != *self.made || info.state.last_seq < given {
            return Err(ReadError::Refused("it was made anew or set back".into()));
        }
        Ok(info.state)
    }

    /// Whether nothing behind this position can be gone, as far as the whole stream tells, which has [given](Self::state)
    /// that number.
    pub(crate) async fn nothing_gone(&self, position: Seq, given: Seq) -> Result<Evidence, ReadError> {
        let state = self.state(given).await?;
        let whole = state.has_all_behind(position) && !self.per_subject;
        Ok(Evidence { whole, last: state.last_seq })
    }

    /// At most `count` messages from this number on. There are none behind them (`pending` is 0) only if that is
    /// certain, or if they reach `need`.
    pub(crate) async fn span(
        &self,
        subject: &str,
        from: Seq,
        count: usize,
        need: Seq,
    ) -> Result<Span, ReadError> {
        if !self.reads_directly(subject) {
            return self.one_by_one(subject, from, count).await;
        }
        self.caution.heed(subject, self.directly(subject, from, count, need).await)
    }

    /// Whether this is read by Direct Get.
    pub(crate) fn reads_directly(&self, name: &str) -> bool {
        self.direct && !self.caution.is_needed(name)
    }

    async fn directly(&self, subject: &str, from: Seq, count: usize, need: Seq) -> Result<Span, ReadError> {
        let question =
            json!({"seq": from, "next_by_subj": subject, "batch": count, "max_bytes": BATCH_BYTES});
        let mut answers = self.requests.ask(self.direct_get(), &question).await?;
        let mut span = Span::default();
        span.pending = loop {
            match Direct::read(answers.next().await?) {
                Direct::Message(message) => span.messages.push(message),
                Direct::End { pending, .. } => break pending,
                Direct::Refused(why) => return Err(ReadError::Refused(why)),
            }
        };
        let newest = span.messages.last().map(|newest| newest.seq);
        if span.pending == 0 && !self.alone && newest.is_none_or(|newest| newest < need) {
            let next = newest.map_or(from, |newest| newest + 1);
            let ahead = self.next_at_the_leader(subject, next).await?;
            let broken = match newest {
                Some(newest) => !self.has(subject, newest).await?,
                None => false,
            };
            if ahead.is_some() || broken {
                // What came behind it may have gone by now: that is to be looked for from there on.
                (span.pending, span.ahead) = (1, true);
                span.seam = broken && ahead.is_some();
                span.messages.extend(ahead);
            }
        }
        Ok(span)
    }

    async fn one_by_one(&self, subject: &str, from: Seq, count: usize) -> Result<Span, ReadError> {
        let mut span = Span { pending: 1, ..Span::default() };
        let mut next = from;
        while span.messages.len() < count.min(ONE_BY_ONE) {
            let Some(message) = self.next_at_the_leader(subject, next).await? else {
                span.pending = 0;
                break;
            };
            next = message.seq + 1;
            span.messages.push(message);
        }
        // What went while they were read may have been between any two of them, or behind the last. If the first is not
        // there any more, the next read begins behind it.
        if let [first, ..] = &span.messages[..]
            && !self.has(subject, first.seq).await?
        {
            span.messages.truncate(1);
            span.pending = 1;
        }
        Ok(span)
    }

    /// Whether this message is still there: then nothing behind it is gone, for the oldest go first, by whatever limit.
    async fn has(&self, subject: &str, seq: Seq) -> Result<bool, ReadError> {
        Ok(self.next_at_the_leader(subject, seq).await?.is_some_and(|there| there.seq == seq))
    }

    async fn next_at_the_leader(&self, subject: &str, from: Seq) -> Result<Option<Stored>, ReadError> {
        self.get(&json!({"seq": from, "next_by_subj": subject})).await
    }

    async fn get(&self, question: &serde_json::Value) -> Result<Option<Stored>, ReadError> {
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", self.stream);
        let answer = self.requests.ask(subject, question).await?.next().await?;
        let got: Got =
            serde_json::from_slice(&answer.payload).map_err(|error| ReadError::Refused(error.to_string()))?;
        match &got.error {
            Some(error) if error.err_code == NO_MESSAGE => Ok(None),
            Some(error) => Err(ReadError::Refused(error.description.clone())),
            None => Ok(got.message()),
        }
    }

    fn direct_get(&self) -> String {
        format!("$JS.API.DIRECT.GET.{}", self.stream)
    }
}

/// `JSNoMessageFoundErr`.
const NO_MESSAGE: u16 = 10037;

/// What the whole stream tells of a position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    /// Nothing behind the position is gone.
    pub(crate) whole: bool,
    /// Last number it has given.
    pub(crate) last: Seq,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_a_hole_is_cut_there_or_begun_behind_it() {
        let message = |seq| {
            let (id, unique_id, published) = (None, None, None);
            Stored { subject: "a".into(), seq, id, unique_id, published, body: bytes::Bytes::new() }
        };
        for (seam, position, expected) in [
            (false, 0, vec![3, 5, 9]),
            (true, 0, vec![3, 5]),
            (true, 4, vec![3, 5]),
            // Whoever has everything up to the hole must be told of it.
            (true, 5, vec![9]),
        ] {
            let messages = [3, 5, 9].map(message).into();
            let span = Span { messages, pending: 1, ahead: true, seam }.mended(position);
            let numbers: Vec<_> = span.messages.iter().map(|message| message.seq).collect();
            assert_eq!((numbers, span.pending), (expected, 1), "{seam} {position}");
        }
    }
}
