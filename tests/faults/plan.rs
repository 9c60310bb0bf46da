//! The schedule of faults: the same seed gives the same one.

use std::{fmt, ops::Range, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// What is done to whom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// A gateway is told to end (SIGTERM); another one starts. First: it is taken out of the balancer before.
    Terminate { oldest: bool, first: bool },
    /// A gateway is killed (SIGKILL); the balancer notices after the first pause, another starts after the second.
    Kill { oldest: bool, noticed: Duration, pause: Duration },
    /// NATS ends, killed or in good order, and starts again after the pause, with what it has stored.
    Restart { kill: bool, pause: Duration },
    /// Messages are deleted from the stream.
    Purge(Purge),
    /// The gateways' connections to NATS are cut; NATS notices after the pause.
    Uplink { hold: Duration },
    /// So many percent of the clients lose their connections; their gateways notice after the pause.
    Cut { percent: usize, hold: Duration },
    /// So many clients of the topic with this number do not read for a while, and its messages are large.
    Stall { topic: usize, clients: usize, time: Duration },
}

/// Which messages are deleted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Purge {
    /// All.
    Everything,
    /// All of the topic with this number.
    Topic(usize),
    /// All but the newest so many.
    Keep(u64),
    /// All but the newest so many numbers, of the topic with this number.
    Before(usize, u64),
}

/// The faults of one kind of parts, which happen one after the other; the time is that of the run.
pub(crate) type Schedule = Vec<(Duration, Fault)>;

/// What happens to each kind of parts, independently of the others.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) gateways: Schedule,
    pub(crate) stream: Schedule,
    pub(crate) clients: Schedule,
}

type Draw = fn(&mut StdRng) -> Fault;

const GATEWAYS: [Draw; 2] = [
    |random| Fault::Terminate { oldest: random.random(), first: random.random() },
    |random| Fault::Kill {
        oldest: random.random(),
        noticed: millis(random, 0..400),
        pause: millis(random, 0..800),
    },
];
const STREAM: [Draw; 4] = [
    |random| Fault::Restart { kill: random.random(), pause: millis(random, 0..2_000) },
    |random| Fault::Uplink { hold: millis(random, 0..1_000) },
    |random| {
        let topic = random.random_range(0..1_000);
        Fault::Purge(match random.random_range(0..4) {
            0 => Purge::Everything,
            1 => Purge::Topic(topic),
            2 => Purge::Keep(random.random_range(1..500)),
            _ => Purge::Before(topic, random.random_range(0..500)),
        })
    },
    |_| Fault::Purge(Purge::Everything),
];
const CLIENTS: [Draw; 2] = [
    |random| Fault::Cut { percent: random.random_range(5..60), hold: millis(random, 0..3_000) },
    |random| Fault::Stall {
        topic: random.random_range(0..1_000),
        clients: random.random_range(1..6),
        time: millis(random, 2_500..6_000),
    },
];

impl Plan {
    /// Faults for so long. Where `often`, they come as fast as they can be survived, so that each has its turn.
    pub(crate) fn new(seed: u64, length: Duration, often: bool) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let pauses = if often { 600..1_200 } else { 1_500..9_000 };
        Self {
            gateways: draw(&mut random, &GATEWAYS, &pauses, length),
            stream: draw(&mut random, &STREAM, &pauses, length),
            clients: draw(&mut random, &CLIENTS, &pauses, length),
        }
    }
}

/// Deals the kinds as cards: each has its turn before one comes again.
fn draw(random: &mut StdRng, kinds: &[Draw], pauses: &Range<u64>, length: Duration) -> Schedule {
    let (mut schedule, mut at) = (Vec::new(), millis(random, 1_000..2_000));
    let mut cards: Vec<Draw> = Vec::new();
    loop {
        if cards.is_empty() {
            cards.extend(kinds);
        }
        let fault = cards.swap_remove(random.random_range(0..cards.len()))(random);
        at += millis(random, pauses.clone());
        if at >= length {
            return schedule;
        }
        schedule.push((at, fault));
        at += fault.lasts();
    }
}

fn millis(random: &mut StdRng, range: Range<u64>) -> Duration {
    Duration::from_millis(random.random_range(range))
}

impl Fault {
    /// About how long it takes.
    fn lasts(self) -> Duration {
        match self {
            Self::Terminate { .. } => Duration::from_millis(2_500),
            Self::Kill { noticed, pause, .. } => noticed + pause + Duration::from_millis(500),
            Self::Restart { pause, .. } => pause + Duration::from_millis(500),
            Self::Stall { time, .. } => time,
            Self::Purge(_) | Self::Uplink { .. } | Self::Cut { .. } => Duration::ZERO,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<_> = [&self.gateways, &self.stream, &self.clients].into_iter().flatten().collect();
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().try_for_each(|(at, fault)| writeln!(f, "  {:6.2} s  {fault:?}", at.as_secs_f64()))
    }
}

#[test]
fn a_seed_gives_the_same_schedule_again_and_every_fault_has_its_turn() {
    let plan = || Plan::new(7, Duration::from_mins(5), false).to_string();
    assert_eq!(plan(), plan());
    for name in ["Terminate", "Kill", "Restart", "Purge", "Uplink", "Cut", "Stall"] {
        assert!(plan().contains(name), "{name}");
    }
    assert_ne!(plan(), Plan::new(8, Duration::from_mins(5), false).to_string());
}
