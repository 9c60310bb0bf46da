use proptest::prelude::*;

use super::*;

type Steps = Vec<Step<Seq>>;

fn messages(steps: &Steps) -> Vec<Seq> {
    let number = |step: &Step<Seq>| match step {
        Step::Message { seq, .. } => Some(*seq),
        Step::Lost(..) => None,
    };
    steps.iter().filter_map(number).collect()
}

fn lost(steps: &Steps) -> Vec<(Seq, Seq)> {
    let numbers = |step: &Step<Seq>| match step {
        Step::Lost(from, to) => Some((*from, *to)),
        Step::Message { .. } => None,
    };
    steps.iter().filter_map(numbers).collect()
}

fn part(numbers: &[Seq], whole: bool, through: Seq) -> Part<Seq> {
    Part { messages: numbers.iter().map(|seq| (*seq, *seq)).collect(), whole, through }
}

/// A message arrives: what comes out at once, and the read that is asked for.
fn arrive(order: &mut Sequencer<Seq>, seq: Seq, prev: Seq) -> (Option<Seq>, Option<Read>) {
    match order.judge(seq, prev) {
        Verdict::Deliver { .. } => (Some(seq), None),
        Verdict::Old => (None, None),
        Verdict::Early => (None, order.hold(seq, prev, 1, seq)),
    }
}

#[test]
fn what_follows_goes_out_at_once_and_what_is_old_does_not() {
    let mut order: Sequencer<Seq> = Sequencer::at(5, true);
    assert_eq!(order.judge(7, 5), Verdict::Deliver { prev: 5 });
    assert_eq!(order.judge(7, 5), Verdict::Old);
    assert_eq!(order.judge(3, 0), Verdict::Old);
    assert_eq!(order.judge(9, 7), Verdict::Deliver { prev: 7 });
}

#[test]
fn a_hole_is_read_once_while_the_later_ones_are_held() {
    let (mut order, mut out) = (Sequencer::at(5, true), Vec::new());
    let (none, read) = arrive(&mut order, 9, 8);
    let read = read.unwrap();
    assert_eq!((none, read.after, read.need), (None, 5, 8));
    assert_eq!(arrive(&mut order, 10, 9), (None, None), "one read at a time");
    assert_eq!(order.filled(read, part(&[7, 8, 9], true, Seq::MAX), &mut out), None);
    assert_eq!((messages(&out), lost(&out)), (vec![7, 8, 9, 10], vec![]));
    assert_eq!(out[0], Step::Message { seq: 7, prev: 5, message: 7 });
    assert_eq!(order.judge(12, 10), Verdict::Deliver { prev: 10 });
}

#[test]
fn what_the_stream_does_not_have_any_more_is_said_to_be_lost_with_its_numbers() {
    for (found, whole, expected) in [
        // Nothing at all is left of what was missing.
        (vec![], true, vec![(6, 8)]),
        // It begins later, and what was before is gone.
        (vec![7, 8], false, vec![(6, 6)]),
        // It begins later because others have the numbers before.
        (vec![7, 8], true, vec![]),
        // The end is missing: deleted.
        (vec![6], true, vec![(7, 8)]),
    ] {
        let (mut order, mut out) = (Sequencer::at(5, true), Vec::new());
        let (_, read) = arrive(&mut order, 9, 8);
        assert_eq!(order.filled(read.unwrap(), part(&found, whole, Seq::MAX), &mut out), None);
        assert_eq!(lost(&out), expected, "{found:?}");
        assert_eq!(messages(&out), [found, vec![9]].concat());
    }
}

#[test]
fn a_read_that_ends_early_is_followed_by_another() {
    let (mut order, mut out) = (Sequencer::at(5, true), Vec::new());
    let read = arrive(&mut order, 9, 8).1.unwrap();
    let again = order.filled(read, part(&[6, 7], true, 7), &mut out).unwrap();
    assert_eq!((again.after, messages(&out)), (7, vec![6, 7]));
    assert_eq!(order.filled(again, part(&[8], true, 8), &mut out), None);
    assert_eq!(messages(&out), [6, 7, 8, 9]);
}

#[test]
fn more_than_can_be_held_is_dropped_and_read_as_well() {
    let (mut order, mut out) = (Sequencer::at(0, true), Vec::new());
    let read = arrive(&mut order, 2, 1).1.unwrap();
    let last = HELD as Seq + 3;
    for seq in 3..=last {
        assert_eq!(arrive(&mut order, seq, seq - 1), (None, None));
    }
    let again = order.filled(read, part(&[1, 2], true, 2), &mut out).unwrap();
    assert_eq!((again.after, again.need), (2, HELD as Seq + 2));
    let rest: Vec<_> = (3..=last).collect();
    order.filled(again, part(&rest, true, Seq::MAX), &mut out);
    assert_eq!(messages(&out), (1..=last).collect::<Vec<_>>());
}

#[test]
fn a_head_that_did_not_come_is_read() {
    let (mut order, mut out) = (Sequencer::at(5, true), Vec::new());
    assert_eq!(order.head(5), None);
    let read = order.head(8).unwrap();
    assert_eq!(order.filled(read, part(&[8], true, Seq::MAX), &mut out), None);
    assert_eq!(messages(&out), [8]);
}

#[test]
fn what_comes_while_the_position_is_asked_for_follows_it() {
    let (mut order, mut out) = (Sequencer::opening(), Vec::new());
    for (seq, prev) in [(4, 3), (6, 4), (7, 6)] {
        assert_eq!(arrive(&mut order, seq, prev), (None, None));
    }
    assert_eq!(order.open(4, 6, &mut out), None);
    assert_eq!(messages(&out), [6, 7]);
}

#[test]
fn where_the_stream_has_nothing_of_a_topic_it_begins_behind_the_whole_stream() {
    let (mut order, mut out) = (Sequencer::opening(), Vec::new());
    // Published again, and purged before the position was asked for: whoever begins later never had it.
    assert_eq!(arrive(&mut order, 4, 0), (None, None));
    assert_eq!(arrive(&mut order, 8, 0), (None, None));
    assert_eq!(order.open(0, 7, &mut out), None);
    assert_eq!((messages(&out), order.begins_after()), (vec![8], 8));
    assert_eq!(order.judge(5, 4), Verdict::Old);
    let mut order = Sequencer::<Seq>::opening();
    order.open(0, 7, &mut out);
    assert_eq!((order.begins_after(), order.position()), (7, 0));
    order.settle(9, 1);
    assert_eq!(order.begins_after(), 9);
    assert_eq!(order.judge(10, 0), Verdict::Deliver { prev: 0 });
}

#[test]
fn a_read_begins_with_the_message_that_was_delivered_last() {
    let mut order = Sequencer::<Seq>::at(5, true);
    order.settle(20, 1);
    let read = order.head(25).unwrap();
    assert_eq!((read.anchor, read.after), (5, 20));
    let read = Sequencer::<Seq>::at(5, false).head(25).unwrap();
    assert_eq!((read.anchor, read.after), (5, 5));
}

#[test]
fn a_topic_that_was_purged_is_looked_at_and_goes_on() {
    // Nothing was stored in between: nothing is lost.
    let (mut order, mut out) = (Sequencer::at(5, true), Vec::new());
    assert_eq!(order.judge(6, 0), Verdict::Deliver { prev: 5 });
    // Something may have been.
    let read = arrive(&mut order, 9, 0).1.unwrap();
    assert_eq!(order.filled(read, part(&[9], false, Seq::MAX), &mut out), None);
    assert_eq!(out, [Step::Lost(7, 8), Step::Message { seq: 9, prev: 8, message: 9 }]);
    // Nothing was, as a comparison of heads has shown.
    order.settle(20, 7);
    assert_eq!(order.judge(21, 0), Verdict::Deliver { prev: 9 });
    order.settle(30, 22);
    let read = arrive(&mut order, 35, 0).1.unwrap();
    assert_eq!(read.after, 30);
    out.clear();
    order.filled(read, part(&[35], true, Seq::MAX), &mut out);
    assert_eq!(out, [Step::Message { seq: 35, prev: 21, message: 35 }]);
}

#[test]
fn a_position_that_is_no_messages_becomes_exact_once_the_newest_message_is_known_to_be_before_it() {
    let placed = |head, through| {
        let mut order: Sequencer<Seq> = Sequencer::at(28, false);
        let exact = order.place(head, through);
        (exact, order)
    };
    for (head, through) in [(12, 27), (30, 40)] {
        let (exact, order) = placed(head, through);
        assert!(!exact && order.begins_after() == 28, "of an earlier time, or still on its way");
    }
    let (exact, mut order) = placed(12, 28);
    assert_eq!((exact, order.begins_after()), (true, 12));
    assert_eq!(order.judge(20, 12), Verdict::Old, "nobody who followed from 28 on is sent it");
    assert_eq!(arrive(&mut order, 30, 12), (Some(30), None));
    // None but the one that was there is named: others may have come and gone.
    let (exact, mut order) = placed(0, 31);
    assert_eq!((exact, order.begins_after()), (true, 28));
    let read = arrive(&mut order, 49, 0).1.unwrap();
    let mut out = Vec::new();
    assert_eq!((read.after, order.filled(read, part(&[49], false, Seq::MAX), &mut out)), (28, None));
    assert_eq!((messages(&out), lost(&out)), (vec![49], vec![(29, 48)]));
}

#[test]
fn another_stream_begins_anew_and_answers_of_the_old_one_are_of_no_use() {
    let (mut order, mut out) = (Sequencer::at(50, true), Vec::new());
    let old = arrive(&mut order, 60, 55).1.unwrap();
    let new = order.restart();
    assert_eq!((new.after, order.filled(old, part(&[55], true, Seq::MAX), &mut out)), (0, None));
    assert_eq!(arrive(&mut order, 3, 2), (None, None));
    order.filled(new, part(&[1, 2], true, Seq::MAX), &mut out);
    assert_eq!(messages(&out), [1, 2, 3]);
}

#[test]
fn a_noticed_message_is_looked_for_until_it_is_there_but_not_for_ever() {
    let (mut order, mut out) = (Sequencer::at(0, true), Vec::new());
    let read = order.notice().unwrap();
    assert_eq!(order.notice(), None);
    let second = order.filled(read, part(&[1], true, Seq::MAX), &mut out).unwrap();
    let third = order.filled(second, part(&[], true, Seq::MAX), &mut out).unwrap();
    assert_eq!((second.looks, third.looks), (0, 1));
    assert_eq!(order.filled(third, part(&[2], true, Seq::MAX), &mut out), None);
    assert_eq!(messages(&out), [1, 2]);
    let mut read = order.notice();
    for _ in 0..LOOKS {
        read = order.filled(read.unwrap(), part(&[], true, Seq::MAX), &mut out);
    }
    assert_eq!(read, None);
}

#[test]
fn a_read_says_nothing_of_what_was_stored_after_it() {
    let (mut order, mut out) = (Sequencer::at(5, true), Vec::new());
    let read = arrive(&mut order, 7, 6).1.unwrap();
    // Stored, and lost on its way, after the server has answered: 8. And what came behind it: 9.
    assert_eq!(arrive(&mut order, 9, 8), (None, None));
    let again = order.filled(read, part(&[6, 7], true, Seq::MAX), &mut out).unwrap();
    assert_eq!((again.after, lost(&out)), (7, vec![]));
    assert_eq!(order.head(11), None);
    let third = order.filled(again, part(&[8, 9], true, Seq::MAX), &mut out).unwrap();
    assert_eq!((third.after, lost(&out)), (9, vec![]));
    order.filled(third, part(&[11], true, Seq::MAX), &mut out);
    assert_eq!((messages(&out), lost(&out)), (vec![6, 7, 8, 9, 11], vec![]));
}

#[test]
fn a_read_that_failed_is_asked_for_again() {
    let mut order: Sequencer<Seq> = Sequencer::at(5, true);
    let read = arrive(&mut order, 9, 8).1.unwrap();
    assert_eq!(order.wanting(), None);
    order.failed(read);
    assert_eq!(order.wanting().unwrap().after, 5);
}

/// A stream of several topics, of which one is followed.
#[derive(Debug, Default)]
struct Stream {
    last: Seq,
    first: Seq,
    /// The topic's messages that are there.
    own: Vec<Seq>,
    /// All of them that ever were.
    ever: Vec<Seq>,
}

impl Stream {
    fn read(&self, read: Read, most: usize) -> Part<Seq> {
        let anchored = self.own.contains(&read.after);
        let mut found: Vec<_> = self.own.iter().copied().filter(|seq| *seq > read.after).collect();
        let more = found.len() > most;
        found.truncate(most);
        let through = if more { *found.last().unwrap() } else { Seq::MAX };
        part(&found, anchored || self.first <= read.after + 1, through)
    }

    fn store(&mut self) -> (Seq, Seq) {
        let prev = self.own.last().copied().unwrap_or(0);
        self.last += 1;
        self.own.push(self.last);
        self.ever.push(self.last);
        (self.last, prev)
    }
}

/// A gateway that follows the topic.
struct Follower {
    order: Sequencer<Seq>,
    out: Steps,
    reading: Option<Read>,
    /// What the server has said to it, on its way back.
    answer: Option<Part<Seq>>,
}

impl Follower {
    fn arrive(&mut self, (seq, prev): (Seq, Seq)) {
        let (now, read) = arrive(&mut self.order, seq, prev);
        self.out.extend(now.map(|seq| Step::Message { seq, prev, message: seq }));
        self.ask(read);
    }

    fn ask(&mut self, read: Option<Read>) {
        assert!(read.is_none() || self.reading.is_none(), "one read at a time");
        self.reading = read.or(self.reading);
    }

    /// The server answers.
    fn answer(&mut self, stream: &Stream, most: usize) {
        if let (Some(read), None) = (self.reading, &self.answer) {
            self.answer = Some(stream.read(read, most));
        }
    }

    /// The answer comes.
    fn read(&mut self, stream: &Stream, most: usize) {
        self.answer(stream, most);
        if let Some((read, part)) = self.reading.take().zip(self.answer.take()) {
            let next = self.order.filled(read, part, &mut self.out);
            self.ask(next);
        }
    }

    fn fail(&mut self) {
        self.answer = None;
        if let Some(read) = self.reading.take() {
            self.order.failed(read);
            let again = self.order.wanting();
            self.ask(again);
        }
    }
}

/// One thing that happens.
fn act(act: u8, n: usize, stream: &mut Stream, follower: &mut Follower) {
    match act {
        0..50 => {
            let numbers = stream.store();
            (0..n.div_ceil(2)).for_each(|_| follower.arrive(numbers));
        }
        // Lost on the way.
        50..65 => drop(stream.store()),
        // Of another topic.
        65..72 => stream.last += n as Seq,
        72..81 => follower.answer(stream, n),
        81..90 => follower.read(stream, n),
        90..93 => follower.fail(),
        93..95 => {
            stream.own.clear();
            stream.first = stream.last + 1;
        }
        95..97 if !stream.own.is_empty() => stream.first = stream.own.remove(0) + 1,
        _ => {
            let head = stream.own.last().copied().unwrap_or(0);
            let read = follower.order.head(head);
            follower.ask(read);
        }
    }
}

proptest! {
    #[test]
    fn what_comes_out_is_the_streams_order_without_a_hole_or_a_double_or_is_said_to_be_lost(
        acts in proptest::collection::vec((0_u8..100, 1_usize..4), 1..120),
    ) {
        let mut stream = Stream { first: 1, ..Stream::default() };
        let mut follower = Follower { order: Sequencer::at(0, true), out: Vec::new(), reading: None, answer: None };
        for (what, n) in acts {
            act(what, n, &mut stream, &mut follower);
        }
        // In the end another message comes, and everything is read.
        follower.arrive(stream.store());
        while follower.reading.is_some() {
            follower.read(&stream, 3);
        }
        let (mut last, mut missing) = (0, stream.ever.iter().copied().peekable());
        for step in &follower.out {
            match step {
                Step::Message { seq, .. } => {
                    prop_assert_eq!(missing.next(), Some(*seq), "after {}", last);
                    last = *seq;
                }
                Step::Lost(from, to) => {
                    prop_assert!(*from > last && to >= from, "{} to {} after {}", from, to, last);
                    let there = stream.own.iter().any(|seq| (from..=to).contains(&seq));
                    prop_assert!(!there, "{} to {} is said to be lost, and is not", from, to);
                    while missing.next_if(|seq| seq <= to).is_some() {}
                    last = *to;
                }
            }
        }
        prop_assert_eq!(missing.next(), None);
    }
}
