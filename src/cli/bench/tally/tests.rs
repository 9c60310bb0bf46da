use super::{
    super::{body, plan::tests::plan},
    *,
};

/// A connection that holds `bench.0` and `bench.1`, and what it receives.
struct Trial {
    tally: Tally,
    positions: [Position; 2],
}

impl Trial {
    fn new() -> Self {
        let plan = Plan { topics: 2, topics_per_connection: 2, warmup: Duration::from_secs(1), ..plan() };
        Self { tally: Tally::new(plan, Run::new(1)), positions: [Position::default(); 2] }
    }

    fn hear(&mut self, text: &str, at: Duration) {
        self.tally.hear(text.as_bytes(), 0, &mut self.positions, at);
    }

    /// A message of this run, due and received at once.
    fn message(&mut self, topic: &str, number: u64, seq: Option<(u64, u64)>) {
        self.timed(topic, number, seq, Duration::ZERO, Duration::ZERO);
    }

    fn timed(&mut self, topic: &str, number: u64, seq: Option<(u64, u64)>, due: Duration, at: Duration) {
        let mut data = Vec::new();
        body::write(&mut data, &Run::new(1), number, due, plan().size);
        let numbers =
            seq.map_or(String::new(), |(seq, prev)| format!(r#","seqNo":{seq},"prevSeqNo":{prev}"#));
        let data = String::from_utf8(data).unwrap();
        self.hear(&format!(r#"{{"type":"message","topic":"{topic}"{numbers},"data":{data}}}"#), at);
    }

    /// Delivered, late, broken, gaps.
    fn counts(&self) -> [u64; 4] {
        let Tally { delivered, late, broken, gaps, .. } = self.tally;
        [delivered, late, broken, gaps]
    }
}

#[test]
fn each_topic_is_counted_for_itself() {
    let mut trial = Trial::new();
    for (topic, number) in [("bench.0", 0), ("bench.1", 0), ("bench.0", 1), ("bench.1", 1)] {
        trial.message(topic, number, None);
    }
    assert_eq!(trial.counts(), [4, 0, 0, 0]);
    assert_eq!(trial.tally.numbered, 0);
}

#[test]
fn a_missing_message_is_not_counted_and_one_that_comes_late_or_twice_is_late() {
    let mut trial = Trial::new();
    for number in [0, 2, 1, 3, 3] {
        trial.message("bench.0", number, None);
    }
    assert_eq!(trial.counts(), [3, 2, 0, 0]);
}

#[test]
fn a_prev_seq_no_that_is_not_the_last_seq_no_is_broken() {
    let mut trial = Trial::new();
    for (number, seq) in [(0, (7, 3)), (1, (8, 7)), (2, (10, 9)), (3, (11, 10))] {
        trial.message("bench.0", number, Some(seq));
    }
    assert_eq!(trial.counts(), [4, 0, 1, 0]);
    assert_eq!(trial.tally.numbered, 4);
}

#[test]
fn a_gap_that_is_told_is_counted_once() {
    let mut trial = Trial::new();
    trial.message("bench.0", 0, Some((1, 0)));
    trial
        .hear(r#"{"type":"gap","topic":"bench.0","fromSeq":2,"toSeq":4,"reason":"dropped"}"#, Duration::ZERO);
    trial.message("bench.0", 4, Some((5, 4)));
    assert_eq!(trial.counts(), [2, 0, 0, 1]);
}

#[test]
fn messages_of_others_are_counted_as_such_and_their_numbers_count() {
    let mut trial = Trial::new();
    trial.message("bench.0", 0, Some((1, 0)));
    trial.hear(r#"{"type":"message","topic":"bench.0","seqNo":2,"prevSeqNo":1,"data":1}"#, Duration::ZERO);
    trial.message("bench.0", 1, Some((3, 2)));
    trial.hear(r#"{"type":"message","topic":"bench.9","data":1}"#, Duration::ZERO);
    trial.hear(r#"{"type":"message","topic":"else","data":1}"#, Duration::ZERO);
    assert_eq!(trial.counts(), [2, 0, 0, 0]);
    assert_eq!(trial.tally.foreign, 3);
}

#[test]
fn errors_and_draining_are_kept_and_answers_are_nothing() {
    let mut trial = Trial::new();
    for text in [
        r#"{"type":"error","code":"ACL_DENIED","message":"not yours","topic":"bench.0","retryable":false}"#,
        r#"{"type":"error","code":"ACL_DENIED","message":"nor this","retryable":false}"#,
        r#"{"type":"draining","reconnectAfterMs":1}"#,
        r#"{"type":"pong"}"#,
    ] {
        trial.hear(text, Duration::ZERO);
    }
    assert_eq!((trial.tally.errors, trial.tally.draining, trial.tally.foreign), (2, 1, 0));
    let first = trial.tally.first_error.as_deref().unwrap();
    assert!(first.starts_with("bench.0: not yours (ACL_DENIED)"), "{first}");
}

#[test]
fn latency_counts_from_when_a_message_was_due_and_not_before_the_warm_up_ends() {
    let mut trial = Trial::new();
    let millis = Duration::from_millis;
    for (number, due, at) in [(0, 900, 999), (1, 1_000, 1_003), (2, 1_100, 1_101), (3, 1_150, 1_155)] {
        trial.timed("bench.0", number, None, millis(due), millis(at));
    }
    let latency = &trial.tally.latency;
    assert_eq!((latency.count(), latency.max()), (3, 5_000_000));
    let over_time: Vec<_> =
        trial.tally.over_time().map(|(at, slot)| (at.as_millis(), slot.count())).collect();
    assert_eq!(over_time, [(0, 1), (100, 2)]);
}

#[test]
fn parts_of_a_run_are_a_hundredth_of_it_and_no_shorter_than_they_can_tell() {
    for (seconds, millis) in [(0, 100), (1, 100), (10, 100), (60, 600), (86_400, 864_000)] {
        assert_eq!(slot(Duration::from_secs(seconds)), millis * 1_000_000, "{seconds}");
    }
}

#[test]
fn threads_are_counted_together() {
    let (mut one, mut other) = (Trial::new(), Trial::new());
    one.message("bench.0", 0, None);
    one.tally.ended(&Ending { code: 4409, reason: "slow".into() });
    other.timed("bench.1", 0, None, Duration::from_secs(1), Duration::from_secs(1));
    other.tally.ended(&Ending { code: 4409, reason: "slow too".into() });
    other.tally.ended(&Ending { code: 1006, reason: "reset".into() });
    let mut both = one.tally;
    both.merge(other.tally);
    assert_eq!((both.delivered, both.latency.count(), both.over_time().count()), (2, 1, 1));
    let closes: Vec<_> =
        both.closes.iter().map(|(code, (count, reason))| (*code, *count, reason.as_str())).collect();
    assert_eq!(closes, [(1006, 1, "reset"), (4409, 2, "slow")]);
}
