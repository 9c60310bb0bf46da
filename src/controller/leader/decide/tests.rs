use k8s_openapi::jiff::Timestamp;

use super::*;

fn clock(second: i64) -> MicroTime {
    MicroTime(Timestamp::from_second(second).unwrap())
}

fn lease(holder: &str, renewed: i64) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(holder.into()),
        lease_duration_seconds: Some(15),
        renew_time: Some(clock(renewed)),
        ..LeaseSpec::default()
    }
}

/// A candidate `me` that looks at a Lease, and a clock of its own.
struct Candidate {
    watch: Watch,
    start: Instant,
}

impl Candidate {
    fn new() -> Self {
        Self { watch: Watch::default(), start: Instant::now() }
    }

    fn looks(&mut self, second: u64, lease: Option<&LeaseSpec>) -> Decision {
        decide(lease, "me", &mut self.watch, self.start + Duration::from_secs(second))
    }
}

#[test]
fn a_lease_nobody_holds_is_taken() {
    for free in [None, Some(LeaseSpec::default()), Some(lease("", 100))] {
        assert_eq!(Candidate::new().looks(0, free.as_ref()), Decision::Acquire);
    }
}

#[test]
fn our_own_is_renewed() {
    assert_eq!(Candidate::new().looks(0, Some(&lease("me", 100))), Decision::Renew);
}

#[test]
fn anothers_is_waited_for_until_it_has_not_moved_for_its_duration() {
    let mut me = Candidate::new();
    let other = lease("other", 100);
    assert_eq!(me.looks(0, Some(&other)), Decision::Wait(RETRY));
    assert_eq!(me.looks(14, Some(&other)), Decision::Wait(Duration::from_secs(1)));
    assert_eq!(me.looks(15, Some(&other)), Decision::Acquire);
}

#[test]
fn a_renewal_begins_the_wait_anew() {
    let mut me = Candidate::new();
    me.looks(0, Some(&lease("other", 100)));
    me.looks(14, Some(&lease("other", 101)));
    assert_eq!(me.looks(28, Some(&lease("other", 101))), Decision::Wait(Duration::from_secs(1)));
    assert_eq!(me.looks(29, Some(&lease("other", 101))), Decision::Acquire);
}

#[test]
fn a_third_one_that_takes_it_begins_the_wait_anew() {
    let mut me = Candidate::new();
    me.looks(0, Some(&lease("other", 100)));
    assert_eq!(me.looks(20, Some(&lease("third", 100))), Decision::Wait(RETRY));
}

#[test]
fn wall_clocks_do_not_matter() {
    // Renewed in the far future or the far past by the holder's clock: what counts is that it moves.
    for skew in [0, 4_000_000_000] {
        let mut me = Candidate::new();
        assert_eq!(me.looks(0, Some(&lease("other", skew))), Decision::Wait(RETRY));
        assert_eq!(me.looks(14, Some(&lease("other", skew + 1))), Decision::Wait(RETRY));
    }
}

#[test]
fn a_released_lease_is_taken_at_once() {
    let mut me = Candidate::new();
    me.looks(0, Some(&lease("other", 100)));
    let released = released(&lease("other", 101), clock(102));
    assert_eq!(me.looks(1, Some(&released)), Decision::Acquire);
}

#[test]
fn what_is_written_there_cannot_keep_others_out_for_ever() {
    let mut me = Candidate::new();
    let greedy = LeaseSpec { lease_duration_seconds: Some(i32::MAX), ..lease("other", 100) };
    me.looks(0, Some(&greedy));
    assert_eq!(me.looks(3600, Some(&greedy)), Decision::Acquire);
    let senseless = LeaseSpec { lease_duration_seconds: Some(-5), ..lease("other", 100) };
    let mut me = Candidate::new();
    assert_eq!(me.looks(0, Some(&senseless)), Decision::Wait(RETRY));
    assert_eq!(me.looks(15, Some(&senseless)), Decision::Acquire);
}

#[test]
fn a_holder_gives_up_well_before_others_take_over() {
    let start = Instant::now();
    assert_eq!(last_moment(start), start + RENEW_DEADLINE);
    assert!(RETRY * 2 < RENEW_DEADLINE && RENEW_DEADLINE + RETRY < DURATION);
}

#[test]
fn taking_it_counts_and_renewing_it_does_not() {
    let first = taken(None, "me", clock(1));
    assert_eq!((first.lease_transitions, first.acquire_time.clone()), (Some(0), Some(clock(1))));
    let renewed = taken(Some(&first), "me", clock(2));
    assert_eq!((renewed.lease_transitions, renewed.acquire_time), (Some(0), Some(clock(1))));
    assert_eq!((renewed.renew_time, renewed.lease_duration_seconds), (Some(clock(2)), Some(15)));
    let lost = taken(Some(&first), "other", clock(3));
    assert_eq!((lost.lease_transitions, lost.acquire_time), (Some(1), Some(clock(3))));
    assert_eq!(lost.holder_identity.as_deref(), Some("other"));
}
