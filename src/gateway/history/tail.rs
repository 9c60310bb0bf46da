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

/// Everything that there was on a topic behind some position.
#[derive(Debug, Default)]
pub struct Tail {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// Position behind the newest message, kept or not; 0: none yet.
    head: Seq,
    /// Everything behind this position is kept. It cannot be told from the messages: before the oldest one there may
    /// have been others that are gone.
    start: Seq,
}

impl Tail {
    /// An empty tail of a topic that has nothing behind this position yet.
    pub fn at(head: Seq) -> Self {
        Self { head, start: head, ..Self::default() }
    }

    /// Number of the newest message; 0: none yet.
    pub fn head(&self) -> Seq {
        self.head
    }

    /// The position that the kept messages begin after.
    pub fn start(&self) -> Seq {
        self.start
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

    /// Adds the newest message and forgets the oldest ones beyond the window. A message that follows a later one than
    /// the newest here leaves a hole: everything before it is forgotten. One that follows an earlier one leaves none:
    /// what was between is gone from the stream, not from here.
    pub fn push(&mut self, message: Kept, window: Window) {
        if message.prev > self.head {
            self.clear();
            self.start = message.prev;
        }
        self.head = message.seq;
        self.bytes += message.frame.len();
        self.kept.push_back(message);
        while self.kept.len() > 1 && (self.kept.len() > window.messages || self.bytes > window.bytes) {
            self.forget_oldest();
        }
    }

    /// Puts messages before those kept, as far as they join them: all that there are behind `since`, up to the newest
    /// of them. The oldest may not fit the window.
    pub fn extend_back(&mut self, older: &[Kept], since: Seq, window: Window) {
        let from = older.partition_point(|message| message.seq <= self.start);
        for (at, message) in older[..from].iter().enumerate().rev() {
            let bytes = self.bytes + message.frame.len();
            if message.seq != self.start || self.kept.len() >= window.messages || bytes > window.bytes {
                break;
            }
            self.start = at.checked_sub(1).map_or(since, |before| older[before].seq);
            self.bytes = bytes;
            self.kept.push_front(message.clone());
        }
    }

    /// Forgets all messages; the head stays.
    pub fn clear(&mut self) {
        self.kept.clear();
        (self.bytes, self.start) = (0, self.head);
    }

    /// Forgets the oldest message; returns its bytes.
    pub fn forget_oldest(&mut self) -> usize {
        let Some(Kept { seq, frame, .. }) = self.kept.pop_front() else { return 0 };
        self.start = seq;
        self.bytes -= frame.len();
        frame.len()
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
                let end =
                    until.map_or(self.kept.len(), |last| self.kept.partition_point(|it| it.seq <= last));
                let first = end.saturating_sub(count as usize);
                match self.kept.range(first..end).next() {
                    Some(message) => message.prev,
                    None => end.checked_sub(1).map_or(self.start(), |last| self.kept[last].seq),
                }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LARGE: Window = Window { messages: 1_000, bytes: 1_000_000 };

    fn message(seq: Seq, prev: Seq) -> Kept {
        Kept { seq, prev, frame: vec![0; 10].into(), published: None }
    }

    /// A topic whose messages have these numbers.
    fn tail(numbers: &[Seq], window: Window) -> Tail {
        let mut tail = Tail::default();
        for seq in numbers {
            tail.push(message(*seq, tail.head()), window);
        }
        tail
    }

    fn numbers(page: &Page) -> Vec<Seq> {
        page.messages.iter().map(|message| message.seq).collect()
    }

    #[test]
    fn a_page_begins_after_the_position_and_ends_where_it_is_told_to() {
        let tail = tail(&[2, 5, 9], LARGE);
        for (after, until, expected) in [
            (0, None, vec![2, 5, 9]),
            (2, None, vec![5, 9]),
            (3, Some(8), vec![5]),
            (9, None, vec![]),
            (5, Some(5), vec![]),
        ] {
            let page = tail.page(Start::After(after), until);
            assert_eq!((numbers(&page), page.after, page.lost), (expected, after, None), "{after} {until:?}");
        }
    }

    #[test]
    fn the_newest_are_counted_from_the_last_one_wanted() {
        let tail = tail(&[2, 5, 9], LARGE);
        for (count, until, after, expected) in [
            (1, None, 5, vec![9]),
            (2, Some(8), 0, vec![2, 5]),
            (9, None, 0, vec![2, 5, 9]),
            (0, None, 9, vec![]),
            (0, Some(5), 5, vec![]),
            (3, Some(1), 0, vec![]),
        ] {
            let page = tail.page(Start::Newest(count), until);
            assert_eq!((numbers(&page), page.after, page.lost), (expected, after, None), "{count} {until:?}");
        }
    }

    #[test]
    fn what_the_window_has_no_room_for_is_lost_by_its_numbers() {
        let tail = tail(&[2, 5, 9], Window { messages: 2, bytes: 1_000 });
        let page = tail.page(Start::After(1), None);
        assert_eq!((numbers(&page), page.lost), (vec![5, 9], Some(Lost { between: Some((2, 2)) })));
        assert!(tail.reaches(Start::After(2)) && !tail.reaches(Start::After(1)));
        assert!(tail.reaches(Start::Newest(2)) && !tail.reaches(Start::Newest(3)));
    }

    #[test]
    fn a_position_beyond_the_newest_is_answered_with_the_newest() {
        let page = tail(&[2, 5], LARGE).page(Start::After(6), None);
        assert_eq!((page.after, page.lost, page.messages.len()), (5, Some(Lost::default()), 0));
    }

    #[test]
    fn a_hole_makes_everything_before_it_forgotten() {
        let mut tail = tail(&[1, 2], LARGE);
        tail.push(message(7, 5), LARGE);
        assert_eq!((tail.start(), tail.head(), tail.len(), tail.bytes()), (5, 7, 1, 10));
    }

    #[test]
    fn older_messages_join_only_without_a_hole() {
        let mut tail = Tail::at(3);
        tail.push(message(4, 3), LARGE);
        tail.extend_back(&[message(1, 0), message(3, 1), message(4, 3)], 0, LARGE);
        assert_eq!((tail.start(), numbers(&tail.page(Start::After(0), None))), (0, vec![1, 3, 4]));
        let mut other = Tail::at(9);
        other.extend_back(&[message(1, 0), message(3, 1)], 0, LARGE);
        assert!(other.is_empty(), "between 3 and 9 there may be others");
    }

    #[test]
    fn the_oldest_message_does_not_tell_what_was_before_it() {
        // Nothing was left of the topic at 155; what it had had is not known here.
        let mut tail = Tail::at(155);
        tail.push(message(160, 0), LARGE);
        assert_eq!((tail.start(), tail.len()), (155, 1));
        assert!(tail.reaches(Start::After(155)) && !tail.reaches(Start::After(100)));
        assert!(!tail.reaches(Start::Newest(2)));
        // Read from 100 on: the one before 120 was not looked for.
        let mut tail = Tail::at(130);
        tail.extend_back(&[message(120, 0), message(130, 120)], 100, LARGE);
        assert_eq!((tail.start(), tail.len()), (100, 2));
        assert!(tail.reaches(Start::After(100)) && !tail.reaches(Start::After(99)));
    }

    #[test]
    fn a_message_that_names_an_earlier_one_leaves_no_hole() {
        let mut tail = tail(&[1, 2], LARGE);
        tail.push(message(7, 0), LARGE);
        assert_eq!((tail.start(), tail.head(), tail.len()), (0, 7, 3));
    }

    proptest! {
        #[test]
        fn pages_put_together_are_everything_kept_in_order(
            steps in prop::collection::vec(1..4u64, 1..300), messages in 1..300usize, from in 0..400u64,
        ) {
            let all: Vec<Seq> = steps.iter().scan(0, |seq, step| { *seq += step; Some(*seq) }).collect();
            let mut tail = Tail::default();
            let window = Window { messages, bytes: usize::MAX };
            for seq in &all {
                // Pages end by bytes, too.
                let frame = vec![0; PAGE_BYTES / 100].into();
                tail.push(Kept { seq: *seq, prev: tail.head(), frame, published: None }, window);
            }
            let start = from.min(tail.head());
            let mut page = tail.page(Start::After(start), None);
            let mut read = numbers(&page);
            while page.more {
                page = tail.page(Start::After(*read.last().unwrap()), None);
                prop_assert!(page.lost.is_none());
                read.extend(numbers(&page));
            }
            let kept = &all[all.len().saturating_sub(messages)..];
            let expected: Vec<Seq> = kept.iter().copied().filter(|seq| *seq > start).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
