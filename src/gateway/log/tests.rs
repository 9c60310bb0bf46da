use std::io::IoSlice;

use proptest::prelude::*;

use super::*;
use crate::api::SlowConsumer;

fn mark(seq: u64, second: u32) -> Mark {
    Mark { seq: Some(seq), first: None, message: true, topic: None, second, published: None }
}

fn filled(sizes: &[usize]) -> (Log, Pool) {
    let (mut log, mut pool) = (Log::default(), Pool::default());
    for (index, size) in sizes.iter().enumerate() {
        log.append(&vec![u8::try_from(index % 251).unwrap(); *size], mark(index as u64 + 1, 0), &mut pool);
    }
    (log, pool)
}

fn read(log: &Log, from: u64, to: u64) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let filled = log.gather(from, to, &mut slices);
    slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect()
}

#[test]
fn an_empty_log_holds_nothing_and_begins_at_zero() {
    let log = Log::default();
    assert_eq!((log.head(), log.tail(), log.bytes(), log.newest()), (0, 0, 0, 0));
    assert_eq!(read(&log, 0, 0), b"");
    assert_eq!(log.excess(Window { bytes: 0, seconds: 0 }, 9), None);
}

#[test]
fn frames_are_read_back_across_chunks() {
    let (log, pool) = filled(&[40_000, 30_000, 10, 70_000, 1]);
    assert_eq!(log.head(), 140_011);
    assert_eq!(pool.bytes(), 140_011);
    assert_eq!(read(&log, 0, log.head()).len(), 140_011);
    assert_eq!(read(&log, 69_999, 70_011), [[1].as_slice(), &[2; 10], &[3]].concat());
    assert_eq!(log.copy(39_999, 40_001), [0, 1]);
    assert_eq!(log.messages(0, log.head()).count(), 5);
    assert_eq!(log.messages(40_000, 70_010).count(), 2);
    assert_eq!(log.messages(40_001, 70_009).count(), 1);
}

/// A variant that has one byte less than the frame, each of another value.
fn shorter(frame: &[u8], out: &mut Vec<u8>) {
    out.extend(frame.iter().skip(1).map(|byte| byte + 100));
}

fn read_packed(log: &Log, from: u64, to: u64) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let filled = log.gather_packed(from, to, &mut slices);
    slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect()
}

#[test]
fn the_compressed_variant_is_made_once_and_read_between_boundaries_across_chunks() {
    let (mut log, mut pool) = filled(&[40_000, 30_000, 10, 70_000, 5]);
    let mut made = 0;
    for to in [40_000, 70_010, 70_010, log.head()] {
        log.pack(0, to, &mut pool, |frame, out| {
            made += 1;
            shorter(frame, out);
        });
    }
    assert_eq!(made, 5);
    assert_eq!(pool.bytes(), 140_015 + 140_010);
    assert_eq!(read_packed(&log, 0, log.head()).len(), 140_010);
    assert_eq!(read_packed(&log, 70_000, 70_010), [102; 9]);
    assert_eq!(read_packed(&log, 140_010, 140_015), [104; 4]);
    assert_eq!(read_packed(&log, 70_010, 70_010), b"");
    log.clear(&mut pool);
    assert_eq!(pool.bytes(), 0);
}

#[test]
fn a_cursor_is_behind_the_last_compressed_frame_that_was_begun() {
    let (mut log, mut pool) = filled(&[10, 20, 70_000, 5]);
    log.pack(0, log.head(), &mut pool, shorter);
    for (from, sent, to, rest) in [
        (0, 0, 0, 0),
        (0, 1, 10, 8),
        (0, 9, 10, 0),
        (0, 10, 30, 18),
        (10, 0, 10, 0),
        (10, 19, 30, 0),
        (10, 20, 70_030, 69_998),
        (10, 19 + 69_999, 70_030, 0),
        (10, 19 + 69_999 + 3, 70_035, 1),
        (10, 19 + 69_999 + 4, 70_035, 0),
    ] {
        let (cursor, left) = log.packed_at(from, sent);
        assert_eq!((cursor, left.len()), (to, rest), "{from} {sent}");
    }
    log.trim(10, &mut pool);
    assert_eq!(log.packed_at(10, 19).0, 30, "what is gone does not count");
}

#[test]
fn a_boundary_is_the_next_end_of_a_frame() {
    let (mut log, mut pool) = filled(&[10, 20, 70_000, 5]);
    for (position, boundary) in
        [(0, 0), (1, 10), (10, 10), (11, 30), (30, 30), (31, 70_030), (70_030, 70_030), (70_031, 70_035)]
    {
        assert_eq!(log.boundary(position), boundary, "{position}");
    }
    log.trim(30, &mut pool);
    assert_eq!(log.boundary(3), 30, "what is gone is not a boundary any more");
}

#[test]
fn trimming_gives_buffers_back_and_keeps_the_positions() {
    let (mut log, mut pool) = filled(&[60_000, 60_000, 60_000]);
    log.trim(120_000, &mut pool);
    assert_eq!((log.tail(), log.head(), log.bytes(), pool.bytes()), (120_000, 180_000, 60_000, 60_000));
    log.clear(&mut pool);
    assert_eq!((log.bytes(), pool.bytes()), (0, 0));
    log.append(b"abc", mark(9, 0), &mut pool);
    assert_eq!(read(&log, 180_000, 180_003), b"abc");
    log.settle();
    assert_eq!(read(&log, 180_000, 180_003), b"abc", "settling only gives memory back");
    pool.shrink();
    assert_eq!(pool.bytes(), 3);
}

#[test]
fn a_log_over_its_bytes_is_cut_to_seven_eighths_but_keeps_the_newest() {
    let (log, _pool) = filled(&[100; 10]);
    assert_eq!(log.excess(Window { bytes: 1_000, seconds: 9 }, 0), None);
    assert_eq!(log.excess(Window { bytes: 800, seconds: 9 }, 0), Some(300));
    let (log, _pool) = filled(&[100, 5_000]);
    assert_eq!(log.excess(Window { bytes: 1_000, seconds: 9 }, 0), Some(100), "one frame over the window");
    let (log, _pool) = filled(&[5_000]);
    assert_eq!(log.excess(Window { bytes: 1_000, seconds: 9 }, 0), None, "nothing else to cut");
}

#[test]
fn a_log_is_cut_by_age_too() {
    let (mut log, mut pool) = (Log::default(), Pool::default());
    for second in [1, 1, 5, 9] {
        log.append(&[0; 10], mark(1, second), &mut pool);
    }
    let window = Window { bytes: 1_000, seconds: 5 };
    for (now, cut) in [(6, None), (7, Some(20)), (11, Some(30)), (14, Some(30)), (15, Some(40))] {
        assert_eq!(log.excess(window, now), cut, "at second {now}");
    }
}

#[test]
fn a_cursor_outside_the_window_is_treated_as_the_policy_says() {
    let (mut log, mut pool) = filled(&[10, 10, 10, 10]);
    log.append(
        b"announcement",
        Mark { seq: None, first: None, message: false, topic: Some("a".into()), second: 0, published: None },
        &mut pool,
    );
    assert_eq!(fall_out(&log, 0, 20, SlowConsumer::Disconnect), Verdict::Disconnect);
    let missed = |a, b| Missed { sequences: Some((a, b)) };
    assert_eq!(
        fall_out(&log, 10, 20, SlowConsumer::DropOldest),
        Verdict::Jump { to: 20, missed: missed(2, 2) }
    );
    assert_eq!(fall_out(&log, 0, 20, SlowConsumer::Conflate), Verdict::Jump { to: 30, missed: missed(1, 3) });
    assert_eq!(missed(1, 3).and(missed(7, 9)), missed(1, 9));
    assert_eq!(Missed::default().and(missed(7, 9)), missed(7, 9));
    assert_eq!(log.frame(40), Some((52, Some(&"a".into()))));
    assert_eq!(log.frame(52), None);
}

#[test]
fn what_is_missed_of_a_pattern_is_named_from_its_lowest_to_its_highest_number() {
    let (mut log, mut pool) = (Log::default(), Pool::default());
    for (topic, seq) in [("a", 41), ("b", 36), ("a", 43), ("b", 37)] {
        log.append(&[0; 10], Mark { topic: Some(topic.into()), ..mark(seq, 0) }, &mut pool);
    }
    assert_eq!(log.sequences(0, 40), Some((36, 43)));
    assert_eq!(log.sequences(20, 40), Some((37, 43)));
}

#[test]
fn conflating_a_log_without_messages_goes_to_the_head() {
    let (mut log, mut pool) = (Log::default(), Pool::default());
    let mark = Mark { seq: None, first: None, message: false, topic: None, second: 0, published: None };
    log.append(b"x", mark, &mut pool);
    assert_eq!(
        fall_out(&log, 0, 0, SlowConsumer::Conflate),
        Verdict::Jump { to: 1, missed: Missed::default() }
    );
}

proptest! {
    /// Whatever is appended, trimmed and read in pieces, the bytes are those of one long text, and every
    /// boundary is the end of a frame.
    #[test]
    fn the_log_is_a_window_on_one_long_text(
        steps in proptest::collection::vec((1usize..40_000, 0u64..60_000, 0u64..50_000), 1..40)
    ) {
        let (mut log, mut pool) = (Log::default(), Pool::default());
        let (mut text, mut ends) = (Vec::new(), vec![0u64]);
        for (index, (size, keep, probe)) in steps.into_iter().enumerate() {
            let frame: Vec<u8> = (0..size).map(|n| u8::try_from((n * 31 + index) % 256).unwrap()).collect();
            log.append(&frame, mark(index as u64 + 1, 0), &mut pool);
            text.extend(frame);
            ends.push(text.len() as u64);
            let cut = log.boundary(log.head().saturating_sub(keep));
            prop_assert!(ends.contains(&cut));
            if index % 3 == 0 {
                log.trim(cut, &mut pool);
            }
            let from = (log.tail() + probe).min(log.head());
            prop_assert_eq!(&read(&log, from, log.head()), &text[usize::try_from(from).unwrap()..]);
            let next = ends.iter().copied().find(|end| *end >= from);
            prop_assert_eq!(Some(log.boundary(from)), next);
            prop_assert_eq!(pool.bytes(), log.bytes());
            let whole = ends.iter().filter(|end| **end > from).count() as u64;
            prop_assert_eq!(log.messages(from, log.head()).count() as u64, whole);
        }
    }

    /// After a cut the log is within its window, or down to its newest frame.
    #[test]
    fn a_cut_brings_the_log_within_its_window(
        sizes in proptest::collection::vec(1usize..3_000, 1..60), bytes in 1u64..20_000
    ) {
        let (mut log, mut pool) = filled(&sizes);
        let window = Window { bytes, seconds: 1 };
        if let Some(cut) = log.excess(window, 0) {
            prop_assert_eq!(log.boundary(cut), cut);
            log.trim(cut, &mut pool);
            let newest = *sizes.last().unwrap() as u64;
            prop_assert!(log.bytes() <= bytes || log.bytes() == newest);
        } else {
            prop_assert!(log.bytes() <= bytes || sizes.len() == 1);
        }
    }
}
