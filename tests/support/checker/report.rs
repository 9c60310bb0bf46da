//! What the checker found.

use std::{collections::BTreeMap, fmt};

use super::history::{History, Nanos, Seq};

/// Violations of one rule that are told in full; more are counted.
const TOLD: usize = 20;

/// The rules, each named after what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rule {
    /// A message never came and no gap names it.
    Missing,
    /// A gap names a message, but nothing that was done can be the cause.
    Unexplained,
    /// A message came twice, or after a later one.
    Order,
    /// `prevSeqNo` is not the number before, and no gap names what lies between.
    Chain,
    /// Something is gone, or numbers began again, and no gap says so.
    NotTold,
    /// A message came before `subscribed`.
    NotSubscribed,
    /// A message came after `unsubscribed`, or after the right to it had ended.
    AfterUnsubscribed,
    /// A replay left out something, or held what was not asked for.
    Replay,
    /// A command was not answered.
    Unanswered,
    /// An answer to nothing, a second one, or one of the wrong type.
    WrongAnswer,
    /// A frame that is not in the protocol.
    Malformed,
    /// I1: a frame on a topic without the right to it.
    NoRight,
    /// I2: one key was published twice.
    PublishedTwice,
    /// I2: `duplicate` without a first one, or with another number.
    WrongDuplicate,
    /// A publish was confirmed with another number than its message has, or without one.
    WrongNumber,
    /// Two messages have one number, or numbers do not follow the time of publishing.
    Numbering,
    /// I4: an unacknowledged message was not sent again in time.
    NotRedelivered,
    /// I4: a message was sent again too early, or after its acknowledgement.
    Redelivered,
    /// I7: `data` is not what was published.
    Content,
    /// Nobody published this message, or only with a publish that was refused.
    NeverPublished,
    /// A connection ended without a close frame, or with a code that is not in the protocol.
    Closed,
    /// 1012 without `draining` before it.
    NotDraining,
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which.
    pub(crate) rule: Rule,
    /// Whose: a client or publisher.
    pub(crate) who: String,
    /// The topic, where there is one.
    pub(crate) topic: String,
    /// The message's number, where there is one.
    pub(crate) seq: Option<Seq>,
    /// When it was seen.
    pub(crate) at: Nanos,
    /// What was wrong.
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.at / 1_000_000_000, self.at % 1_000_000_000);
        write!(f, "{:?}: {}", self.rule, self.who)?;
        if !self.topic.is_empty() {
            write!(f, ", {}", self.topic)?;
        }
        if let Some(seq) = self.seq {
            write!(f, ", message {seq}")?;
        }
        write!(f, ", at {seconds}.{nanos:09} s: {}", self.what)
    }
}

/// The outcome, with figures that show how much was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Report {
    /// At most 20 of each rule.
    pub(crate) violations: Vec<Violation>,
    /// How often each rule was broken.
    pub(crate) broken: BTreeMap<Rule, usize>,
    /// Clients.
    pub(crate) clients: usize,
    /// Connections of them all.
    pub(crate) connections: usize,
    /// Messages received, all counted.
    pub(crate) received: usize,
    /// Publishes, whatever became of them.
    pub(crate) published: usize,
    /// Messages that somebody had to receive: required and received or named by a gap.
    pub(crate) owed: usize,
    /// Of those, how many only a gap names.
    pub(crate) told: usize,
}

impl Report {
    pub(super) fn new(history: &History) -> Self {
        Self { clients: history.tracks.len(), ..Self::default() }
    }

    pub(super) fn add(&mut self, violation: Violation) {
        let count = self.broken.entry(violation.rule).or_default();
        *count += 1;
        if *count <= TOLD {
            self.violations.push(violation);
        }
    }

    /// Fails the test unless every rule held.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        assert!(self.violations.is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clients, connections, received, published, owed, told, .. } = self;
        write!(
            f,
            "{clients} clients, {connections} connections, {published} publishes, {received} messages; "
        )?;
        write!(f, "{owed} owed, {told} of them only told by a gap; ")?;
        writeln!(f, "{} violations", self.broken.values().sum::<usize>())?;
        for violation in &self.violations {
            writeln!(f, "  {violation}")?;
        }
        for (rule, count) in self.broken.iter().filter(|(_, count)| **count > TOLD) {
            writeln!(f, "  {rule:?}: {} more", count - TOLD)?;
        }
        Ok(())
    }
}
