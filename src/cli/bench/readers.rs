//! One thread that opens its share of the connections and reads what comes on all of them.

use std::{
    io::ErrorKind,
    ops::Range,
    time::{Duration, Instant},
};

use mio::{Events, Poll, event::Event};

use super::{
    body::Run,
    plan::Plan,
    shared::Shared,
    socket::{Dialer, Owner, Wire},
    tally::{Position, Tally},
};
use crate::cli::{
    Failure,
    client::{PATIENCE, Target},
};

/// Connections of one thread that are being set up at a time.
const AT_ONCE: u64 = 128;
/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;
/// Events that are looked at between two looks at everything else.
const EVENTS: usize = 1024;
/// Longest wait while connections are opened, and afterwards.
const OPENING: Duration = Duration::from_millis(2);
const OPEN: Duration = Duration::from_millis(100);

/// What all threads know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run: Run,
    pub(super) target: &'a Target,
    pub(super) dialer: &'a Dialer,
    pub(super) shared: &'a Shared,
}

struct Readers<'a> {
    job: Job<'a>,
    share: Range<u64>,
    poll: Poll,
    /// By number, from the share's first on; `None` where it has ended.
    members: Vec<Option<Member>>,
    buffer: Vec<u8>,
    tally: Tally,
    /// Connections that were set up, ended or not.
    settled: u64,
    /// When the last one was.
    progress: Instant,
    /// Deliveries that the others know of.
    told: u64,
}

struct Member {
    wire: Wire,
    settled: bool,
    first_topic: u64,
    positions: Box<[Position]>,
}

/// Opens the connections of the share, `rate` a second, and reads until the run is over.
pub(super) fn read(job: Job<'_>, share: Range<u64>, rate: u64) -> Result<Tally, Failure> {
    let failed = |error| Failure::internal(format!("the system refuses what is needed to wait: {error}"));
    let mut readers = Readers {
        job,
        members: Vec::new(),
        share,
        poll: Poll::new().map_err(failed)?,
        buffer: vec![0; BUFFER],
        tally: Tally::new(job.plan.clone(), job.run),
        settled: 0,
        progress: Instant::now(),
        told: 0,
    };
    let mut events = Events::with_capacity(EVENTS);
    let began = Instant::now();
    while !job.shared.is_stopped() {
        let wait = if readers.open(began.elapsed(), rate)? { OPEN } else { OPENING };
        match readers.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other.map_err(failed)?,
        }
        for event in &events {
            readers.serve(event)?;
        }
        readers.tell();
    }
    Ok(readers.tally)
}

impl Readers<'_> {
    /// Opens what is due; whether all are set up.
    fn open(&mut self, elapsed: Duration, rate: u64) -> Result<bool, Failure> {
        let all = self.share.end - self.share.start;
        if self.settled == all {
            return Ok(true);
        }
        let due = elapsed.as_millis() * u128::from(rate) / 1000 + 1;
        let due = u64::try_from(due).unwrap_or(u64::MAX).min(all).min(self.settled + AT_ONCE);
        for number in self.share.start + self.members.len() as u64..self.share.start + due {
            let Job { plan, dialer, .. } = self.job;
            let wire = dialer.dial(number, plan.topics_per_connection, self.poll.registry())?;
            let positions = (0..plan.topics_per_connection).map(|_| Position::default()).collect();
            let first_topic = plan.first_topic(number);
            self.members.push(Some(Member { wire, settled: false, first_topic, positions }));
            self.progress = Instant::now();
        }
        if self.progress.elapsed() > PATIENCE {
            let opened = self.members.len() as u64;
            return Err(Failure::unavailable(format!(
                "{} of {opened} connections to {} were not set up within {} s; look at the gateway's log, or open \
                 fewer at a time with --connect-rate",
                opened - self.settled,
                self.job.dialer.url(),
                PATIENCE.as_secs()
            )));
        }
        Ok(false)
    }

    fn serve(&mut self, event: &Event) -> Result<(), Failure> {
        let number = event.token().0 as u64;
        let index = usize::try_from(number - self.share.start).unwrap_or(usize::MAX);
        let Some(place) = self.members.get_mut(index) else { return Ok(()) };
        let Some(Member { wire, settled, first_topic, positions }) = place else { return Ok(()) };
        let mut ear =
            Ear { job: self.job, number, tally: &mut self.tally, first_topic: *first_topic, positions };
        let all = event.is_read_closed() || event.is_error();
        wire.serve(self.job.dialer, &mut self.buffer, all, &mut ear)?;
        if !*settled && (wire.is_live() || wire.ending().is_some()) {
            *settled = true;
            self.settled += 1;
            self.progress = Instant::now();
            self.job.shared.add_live(1);
        }
        if let Some(ending) = wire.ending() {
            self.tally.ended(ending);
            *place = None;
        }
        Ok(())
    }

    /// Lets the others know how far it is.
    fn tell(&mut self) {
        self.job.shared.add_delivered(self.tally.delivered - self.told);
        self.told = self.tally.delivered;
    }
}

/// What a connection's texts are heard with.
struct Ear<'a> {
    job: Job<'a>,
    number: u64,
    tally: &'a mut Tally,
    first_topic: u64,
    positions: &'a mut [Position],
}

impl Owner for Ear<'_> {
    fn set_up(&self) -> String {
        self.job.target.set_up_command(&self.job.plan.topics_of(self.number))
    }

    fn hear(&mut self, text: &[u8], at: Instant) {
        self.tally.hear(text, self.first_topic, self.positions, self.job.shared.since_begin(at));
    }
}
