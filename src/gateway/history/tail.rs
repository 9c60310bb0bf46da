//! The newest messages of one topic, for whoever comes back soon.

use std::collections::VecDeque;

use super::{Kept, Lost, PAGE_BYTES, PAGE_MESSAGES, Page, Start};
use crate::api::Seq;

/// How much a tail keeps: whichever bound is met first. The newest message is always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Messages.
    pub messages: usize,
    /// Bytes of frames.
    pub bytes: usize,
}

/// A chain of messages without a hole: each one's `prev` is the number of the one before it here.
#[derive(Debug, Default)]
pub struct Tail {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// Position behind the newest message, kept or not; 0: none yet.
    head: Seq,
}

impl Tail {
    /// An empty tail of a topic whose newest message has this number (0: none yet).
    pub fn at(head: Seq) -> Self {
        Self { head, ..Self::default() }
    }

    /// Number of the newest message; 0: none yet.
    pub fn head(&self) -> Seq {
        self.head
    }

    /// The position that the kept messages begin after.
    pub fn start(&self) -> Seq {
        self.kept.front().map_or(self.head, |oldest| oldest.prev)
    }

    /// Messages kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether no message is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Bytes of frames kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the newest message and forgets the oldest ones beyond the window. A message that does not follow the one
    /// before it leaves a hole: everything before it is forgotten.
    pub fn push(&mut self, message: Kept, window: Window) {
        if message.prev != self.head {
            self.clear();
        }
        self.head = message.seq;
        self.bytes += message.frame.len();
        self.kept.push_back(message);
        while self.kept.len() > 1 && (self.kept.len() > window.messages || self.bytes > window.bytes) {
            self.forget_oldest();
        }
    }

    /// Puts messages before those kept, as far as they join them; the oldest of them may not fit the window.
    pub fn extend_back(&mut self, older: &[Kept], window: Window) {
        let from = older.partition_point(|message| message.seq <= self.start());
        let mut next = self.start();
        for message in older[..from].iter().rev() {
            let bytes = self.bytes + message.frame.len();
            if message.seq != next || self.kept.len() >= window.messages || bytes > window.bytes {
                break;
            }
            next = message.prev;
            self.bytes = bytes;
            self.kept.push_front(message.clone());
        }
    }

    /// Forgets all messages; the head stays.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }

    /// Forgets the oldest message; returns its bytes.
    pub fn forget_oldest(&mut self) -> usize {
        let bytes = self.kept.pop_front().map_or(0, |oldest| oldest.frame.len());
        self.bytes -= bytes;
        bytes
    }

    /// Whether everything behind this position is kept.
    pub fn reaches(&self, start: Start) -> bool {
        match start {
            Start::After(position) => (self.start()..=self.head).contains(&position),
            Start::Newest(count) => self.start() == 0 || self.kept.len() >= count as usize,
        }
    }

    /// Reads up to `until` (the head if absent), taking what is not kept for gone.
    pub fn page(&self, start: Start, until: Option<Seq>) -> Page {
        let position = match start {
            Start::After(position) if position > self.head => {
                let lost = Some(Lost::default());
                return Page { after: self.head, lost, ..Page::default() };
            }
            Start::After(position) => position,
            Start::Newest(count) => {
                let first = self.kept.len().saturating_sub(count as usize);
                self.kept.get(first).map_or(self.head, |message| message.prev)
            }
        };
        let lost = (position < self.start()).then(|| Lost { between: Some((position + 1, self.start())) });
        let first = self.kept.partition_point(|message| message.seq <= position);
        let (messages, more) = cut(self.kept.iter().skip(first), until);
        Page { after: position, lost, messages, more }
    }
}

/// As many of these messages as fit a page, up to `until`; and whether there are more of them.
fn cut<'a>(messages: impl Iterator<Item = &'a Kept>, until: Option<Seq>) -> (Vec<Kept>, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for message in messages.take_while(|message| until.is_none_or(|until| message.seq <= until)) {
        bytes += message.frame.len();
        if page.len() == PAGE_MESSAGES || (bytes > PAGE_BYTES && !page.is_empty()) {
            return (page, true);
        }
        page.push(message.clone());
    }
    (page, false)
}
