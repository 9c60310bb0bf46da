//! One topic's messages in the order of the stream, whatever the way they come. Pure: no I/O, no clock.
//!
//! Messages arrive live, each with its number and that of the message before it on the topic. One that follows what
//! was delivered goes out at once. One that does not is held, together with all that come after it, while what is
//! missing is read from the stream. What the stream does not have any more is said to be lost, with its numbers.
//! So what comes out is the stream's order without a hole or a double, but for what was said to be lost.

use std::collections::VecDeque;

use crate::{
    api::Seq,
    gateway::planted::{Flaw, planted},
};

#[cfg(test)]
mod tests;

/// Messages held during a read. One more, and they are dropped and read from the stream as well.
pub(crate) const HELD: usize = 256;
/// Bytes held during a read, with the same effect.
pub(crate) const HELD_BYTES: usize = 1024 * 1024;
/// Looks for messages that were noticed and are not in the stream yet; the next one, or the next comparison of
/// heads, finds what is stored even later.
pub(crate) const LOOKS: u8 = 5;

/// The state of one topic.
#[derive(Debug)]
pub(crate) struct Sequencer<M> {
    /// Everything up to this number is delivered, lost, or older than the topic's first subscriber.
    last: Seq,
    /// `last` is the number of a message of this topic, or 0 where there is none.
    exact: bool,
    /// Everything up to this number is older than the topic's first subscriber, who came when the stream had no
    /// message of the topic, or none any more.
    begin: Seq,
    /// Up to this number nothing else is missing: the stream's heads were compared.
    settled: Seq,
    held: VecDeque<Held<M>>,
    held_bytes: usize,
    /// The topic is known to have got as far as this.
    target: Seq,
    /// The last read that was asked for before that was known.
    target_since: u32,
    /// Noticed messages that have not been read.
    owed: u32,
    /// Reads in a row that found nothing of what is owed.
    looks: u8,
    reading: bool,
    /// Counts the reads: only the answer to the last one is of use.
    reads: u32,
}

#[derive(Debug)]
struct Held<M> {
    seq: Seq,
    prev: Seq,
    bytes: usize,
    message: M,
    /// The last read that was asked for before it came.
    since: u32,
}

/// What is to be done with a message that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It follows: deliver it, as the one after `prev`.
    Deliver {
        /// Number of the message before it.
        prev: Seq,
    },
    /// It was delivered, or is older than the topic's first subscriber.
    Old,
    /// Something before it is missing: [`Sequencer::hold`] it.
    Early,
}

/// What comes out of held and read messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step<M> {
    /// The next message.
    Message {
        /// Its number.
        seq: Seq,
        /// That of the one before it.
        prev: Seq,
        /// The message.
        message: M,
    },
    /// The stream does not have these any more; both ends included.
    Lost(Seq, Seq),
}

/// A read of the stream that is to be made: one at a time for each topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Read {
    /// What follows this number is wanted.
    pub(crate) after: Seq,
    /// The newest message that was delivered, if its number is known: while it is there, nothing behind it is gone.
    pub(crate) anchor: Seq,
    /// The topic has got as far as this: a reader that sees less looks at an old copy of the stream.
    pub(crate) need: Seq,
    /// How often this was tried in vain: wait a little longer each time.
    pub(crate) looks: u8,
    /// To be given back with the answer.
    pub(crate) number: u32,
}

/// What a read has found.
#[derive(Debug)]
pub(crate) struct Part<M> {
    /// In order.
    pub(crate) messages: Vec<(Seq, M)>,
    /// Between what was asked for and the first message (or `through`) nothing is gone.
    pub(crate) whole: bool,
    /// Up to this number the stream has nothing else of this topic; [`Seq::MAX`] if its end was seen.
    pub(crate) through: Seq,
}

impl<M> Sequencer<M> {
    /// A topic of which everything behind this position is to be delivered. Exact: the position is the number of the
    /// topic's newest message.
    pub(crate) fn at(last: Seq, exact: bool) -> Self {
        Self {
            last,
            exact,
            begin: 0,
            settled: 0,
            held: VecDeque::new(),
            held_bytes: 0,
            target: 0,
            target_since: 0,
            owed: 0,
            looks: 0,
            reading: false,
            reads: 0,
        }
    }

    /// A topic whose position is being asked for: what arrives is held until [`Sequencer::open`].
    pub(crate) fn opening() -> Self {
        Self { reading: true, ..Self::at(0, false) }
    }

    /// The position: what will be delivered has larger numbers, without a hole.
    pub(crate) fn position(&self) -> Seq {
        self.last
    }

    /// What a new subscriber has missed of what is still to come: nothing behind this position. While nothing was
    /// delivered that is no message's number, but as far as the stream was seen to have none: what a client has of
    /// earlier ones, which are gone, is less.
    pub(crate) fn begins_after(&self) -> Seq {
        if self.last == 0 { self.settled } else { self.last }
    }

    /// Whether the position is the number of the topic's newest message that was delivered.
    pub(crate) fn is_exact(&self) -> bool {
        self.exact
    }

    /// The position is known now: the topic's newest message when the stream's last number was `through`.
    pub(crate) fn open(&mut self, head: Seq, through: Seq, out: &mut Vec<Step<M>>) -> Option<Read> {
        (self.last, self.exact, self.reading) = (head.max(self.last), true, false);
        self.settled = through;
        if self.last == 0 {
            self.begin = through;
        }
        self.drain(0, 0, out)
    }

    /// The topic's newest message when the stream's last number was `through`: where nothing was delivered behind the
    /// position, it is exact from now on, if this is not of an earlier time. Answers whether it is.
    pub(crate) fn place(&mut self, head: Seq, through: Seq) -> bool {
        if !self.exact && head <= self.last && self.last <= through {
            (self.begin, self.settled) = (self.begin.max(self.last), self.settled.max(self.last));
            (self.last, self.exact) = (head, true);
        }
        self.exact
    }

    /// Another stream under the same name: everything begins anew. What was read or held of the old one is dropped.
    pub(crate) fn restart(&mut self) -> Read {
        *self = Self { reads: self.reads, exact: true, ..Self::opening() };
        self.asked()
    }

    /// A message has arrived.
    ///
    /// One that does not name the last delivered one as the one before it, but an older one or none, says that the last
    /// one is not in the stream any more. Others may have come and gone with it: that is a matter for a read as well.
    pub(crate) fn judge(&mut self, seq: Seq, prev: Seq) -> Verdict {
        if self.is_old(seq) {
            return Verdict::Old;
        }
        let waits = self.reading || !self.held.is_empty() || self.last < self.target;
        let gap = prev > self.last && !planted(Flaw::AppendBeforeRepair);
        if waits || gap || self.is_broken(seq, prev) {
            return Verdict::Early;
        }
        let prev = self.advance(seq, prev);
        Verdict::Deliver { prev }
    }

    /// Keeps a message that is [`Verdict::Early`].
    pub(crate) fn hold(&mut self, seq: Seq, prev: Seq, bytes: usize, message: M) -> Option<Read> {
        if self.held.len() == HELD || self.held_bytes + bytes > HELD_BYTES {
            let newest = self.held.back().map_or(seq, |held| held.seq.max(seq));
            self.aim(newest);
            self.held.clear();
            self.held_bytes = 0;
        } else if seq > self.target {
            let at = self.held.partition_point(|held| held.seq < seq);
            if self.held.get(at).is_none_or(|held| held.seq != seq) {
                let since = self.reads;
                self.held.insert(at, Held { seq, prev, bytes, message, since });
                self.held_bytes += bytes;
            }
        }
        self.wanting()
    }

    /// The topic's newest message in the stream has this number.
    pub(crate) fn head(&mut self, head: Seq) -> Option<Read> {
        self.aim(head);
        self.wanting()
    }

    /// The stream had nothing newer of this topic than the position when its last number was `through`, and did not begin
    /// before `first` after that: what was stored and is gone again is not taken for never stored.
    pub(crate) fn settle(&mut self, through: Seq, first: Seq) {
        let whole = first <= self.accounted() + 1;
        if whole && !self.reading && self.held.is_empty() && self.last >= self.target {
            self.settled = self.settled.max(through);
        }
    }

    /// A message was published, and is in the stream now or in a moment.
    pub(crate) fn notice(&mut self) -> Option<Read> {
        self.owed = self.owed.saturating_add(1);
        self.looks = 0;
        self.wanting()
    }

    /// The read to be made, if something is missing and none is under way.
    pub(crate) fn wanting(&mut self) -> Option<Read> {
        let missing = !self.held.is_empty() || self.last < self.target || self.owed > 0;
        (missing && !self.reading).then(|| self.asked())
    }

    /// A read has failed; [`Sequencer::wanting`] asks for another.
    pub(crate) fn failed(&mut self, read: Read) {
        if read.number == self.reads {
            self.reading = false;
        }
    }

    /// A read has been answered. What it found goes out, then what was held.
    pub(crate) fn filled(&mut self, read: Read, part: Part<M>, out: &mut Vec<Step<M>>) -> Option<Read> {
        if read.number != self.reads || !self.reading {
            return None;
        }
        self.reading = false;
        let before = self.last;
        let mut whole = part.whole;
        for (seq, message) in part.messages {
            if seq > self.last {
                if !std::mem::replace(&mut whole, true) {
                    self.lose(seq - 1, out);
                }
                let prev = self.advance(seq, self.last);
                self.owed = self.owed.saturating_sub(1);
                out.push(Step::Message { seq, prev, message });
            }
        }
        self.looks = if self.last > before { 0 } else { self.looks + 1 };
        if self.looks >= LOOKS {
            (self.owed, self.looks) = (0, 0);
        }
        // A read can only tell what is gone of what was there before it.
        if part.through >= self.target && self.target_since < read.number {
            self.lose(self.target, out);
        }
        self.drain(read.number, part.through, out)
    }

    /// Delivers what was held as far as it follows, given that this read has found nothing more up to `through`.
    fn drain(&mut self, read: u32, through: Seq, out: &mut Vec<Step<M>>) -> Option<Read> {
        while self.last >= self.target
            && let Some(next) = self.held.pop_front()
        {
            if self.is_old(next.seq) {
                self.held_bytes -= next.bytes;
                continue;
            }
            let broken = self.is_broken(next.seq, next.prev);
            let asked = next.since < read && through >= if broken { next.seq } else { next.prev };
            if !asked && (broken || next.prev > self.last) {
                self.held.push_front(next);
                break;
            }
            let Held { seq, prev, bytes, message, .. } = next;
            self.held_bytes -= bytes;
            // A read made since it came does not have it any more, nor what may have been before it.
            self.lose(if broken { seq - 1 } else { prev }, out);
            let prev = self.advance(seq, prev);
            out.push(Step::Message { seq, prev, message });
        }
        self.wanting()
    }

    /// The last delivered message is not in the stream any more, says one that came behind it: others that came in
    /// between may be gone with it.
    fn is_broken(&self, seq: Seq, prev: Seq) -> bool {
        self.exact && (prev < self.last || prev == 0) && seq > self.accounted() + 1
    }

    fn is_old(&self, seq: Seq) -> bool {
        seq <= self.last.max(self.begin)
    }

    /// Up to this number, nothing can be missing that could still be had.
    pub(crate) fn accounted(&self) -> Seq {
        self.last.max(self.settled)
    }

    /// What is missing up to this number is gone.
    fn lose(&mut self, to: Seq, out: &mut Vec<Step<M>>) {
        let from = self.accounted() + 1;
        if to >= from {
            if !planted(Flaw::LossDropped) {
                out.push(Step::Lost(from, to));
            }
            (self.last, self.exact) = (to, true);
        }
    }

    /// The message is the newest now; answers the number of the one before it.
    fn advance(&mut self, seq: Seq, prev: Seq) -> Seq {
        let prev = if self.exact { self.last } else { prev };
        (self.last, self.exact) = (seq, true);
        prev
    }

    /// The topic has got as far as this.
    fn aim(&mut self, target: Seq) {
        if target > self.target {
            (self.target, self.target_since) = (target, self.reads);
        }
    }

    fn asked(&mut self) -> Read {
        self.reading = true;
        let need = self.held.front().map_or(self.target, |held| self.target.max(held.prev));
        self.reads += 1;
        let after = self.accounted();
        let anchor = if self.exact && self.last > 0 { self.last } else { after };
        Read { after, anchor, need, looks: self.looks, number: self.reads }
    }
}
