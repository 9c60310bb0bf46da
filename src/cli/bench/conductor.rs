//! One run from its first connection to its last delivery: starts the threads, looks on, and ends them.

use std::{
    io::Write,
    sync::mpsc::{Receiver, TryRecvError, sync_channel},
    thread::{self, Builder, Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use super::{
    figures::{Counted, Figures, Watched},
    progress::Progress,
    publisher::{self, Outlet, Sent},
    readers::{self, Job},
    tally::Tally,
    usage::{self, Cpu, Usage},
};
use crate::cli::Failure;

/// Between two looks, and between two while the last deliveries come.
const STEP: Duration = Duration::from_millis(20);
const SHORT_STEP: Duration = Duration::from_millis(5);
/// What was set up settles before it is measured.
const SETTLING: Duration = Duration::from_millis(300);
/// Between the decision to begin and the first message: enough for all threads to know.
const LEAD: Duration = Duration::from_millis(50);
/// Deliveries that none comes before for so long are missing; and however they come, they have so long.
const QUIET: Duration = Duration::from_secs(3);
const LAST_DELIVERIES: Duration = Duration::from_mins(1);

/// How the work is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Threads that read.
    pub(super) threads: u64,
    /// Connections to open a second.
    pub(super) connect_rate: u64,
    /// The server's process, where it is on this machine.
    pub(super) server: Option<u32>,
    /// Whether messages go straight to NATS.
    pub(super) nats: bool,
}

/// The clock, and what everybody has used by then.
#[derive(Debug, Clone)]
struct Look {
    at: Instant,
    server: Usage,
    threads: Vec<(String, Cpu)>,
}

/// What was measured between two looks.
struct Measured {
    ramp: Duration,
    connected: Look,
    began: Look,
    ended: Look,
    sent: Option<Sent>,
}

struct Run<'scope, 'env, W> {
    job: Job<'env>,
    manner: Manner,
    progress: &'env mut Progress<W>,
    scope: &'scope Scope<'scope, 'env>,
    readers: Vec<ScopedJoinHandle<'scope, Result<Tally, Failure>>>,
}

/// Does the work; messages go by `outlet`, where any are to be sent.
pub(super) fn conduct<'env, W: Write>(
    job: Job<'env>,
    manner: Manner,
    outlet: Option<Box<dyn Outlet + 'env>>,
    progress: &'env mut Progress<W>,
) -> Result<Figures, Failure> {
    let before = look(job, manner)?;
    let (measured, tally) = thread::scope(|scope| {
        let mut run = Run { job, manner, progress, scope, readers: Vec::new() };
        let measured = run.work(outlet);
        job.shared.stop();
        run.progress.end();
        (measured, run.join())
    });
    // What went wrong with a reader is why the rest did.
    let tally = tally?;
    let Measured { ramp, connected, began, ended, sent } = measured?;
    let watched = |process| Watched {
        process,
        before: before.server,
        connected: connected.server,
        began: began.server,
        ended: ended.server,
    };
    Ok(Figures::of(&Counted {
        plan: job.plan,
        url: job.dialer.url(),
        nats: manner.nats,
        ramp,
        tally: &tally,
        sent: sent.as_ref(),
        span: ended.at.saturating_duration_since(began.at),
        generator: used(&began, &ended),
        server: manner.server.map(watched),
    }))
}

fn look(job: Job<'_>, manner: Manner) -> Result<Look, Failure> {
    let server = match manner.server {
        None => Usage::default(),
        Some(process) => usage::of_process(process).map_err(|error| {
            Failure::unavailable(format!(
                "cannot see process {process}: {error}; give with --server-pid one that runs on this machine (Linux)"
            ))
        })?,
    };
    let threads = job.shared.threads().into_iter();
    let threads = threads.filter_map(|thread| Some((thread.name, usage::of_thread(thread.id)?))).collect();
    Ok(Look { at: Instant::now(), server, threads })
}

/// What each thread that there was all the time has used.
fn used(began: &Look, ended: &Look) -> Vec<(String, Cpu)> {
    let both = ended.threads.iter().filter_map(|(name, after)| {
        let (_, before) = began.threads.iter().find(|(known, _)| known == name)?;
        Some((name.clone(), after.since(*before)))
    });
    both.collect()
}

impl<'env, W: Write> Run<'_, 'env, W> {
    fn work(&mut self, mut outlet: Option<Box<dyn Outlet + 'env>>) -> Result<Measured, Failure> {
        let (opened, all) = (Instant::now(), self.job.plan.connections);
        self.start_readers()?;
        while self.job.shared.live() < all {
            self.progress.show("connecting", self.job.shared.live(), all, "", Instant::now());
            self.step(STEP)?;
            // It has pings to answer, too.
            if let Some(outlet) = &mut outlet {
                outlet.rest(Duration::from_millis(1))?;
            }
        }
        self.progress.show("connecting", all, all, "", Instant::now());
        let ramp = opened.elapsed();
        self.step(SETTLING)?;
        let connected = look(self.job, self.manner)?;
        let (began, ended, sent) = match outlet {
            None => self.hold()?,
            Some(outlet) => self.load(outlet)?,
        };
        Ok(Measured { ramp, connected, began, ended, sent })
    }

    fn start_readers(&mut self) -> Result<(), Failure> {
        let (job, Manner { threads, connect_rate, .. }) = (self.job, self.manner);
        let rate = connect_rate.div_ceil(threads);
        for thread in 0..threads {
            let share = job.plan.share(thread, threads);
            let name = format!("reader {thread}");
            let reader = Builder::new().name(name.clone()).spawn_scoped(self.scope, move || {
                job.shared.enlist(name);
                readers::read(job, share, rate)
            });
            self.readers.push(reader.map_err(|error| no_thread(&error))?);
        }
        Ok(())
    }

    /// Looks on while nothing is sent.
    fn hold(&mut self) -> Result<(Look, Look, Option<Sent>), Failure> {
        let began = look(self.job, self.manner)?;
        let duration = self.job.plan.duration;
        while began.at.elapsed() < duration {
            self.progress.show(
                "holding",
                began.at.elapsed().as_secs(),
                duration.as_secs(),
                " s",
                Instant::now(),
            );
            self.step(STEP.min(duration.saturating_sub(began.at.elapsed())))?;
        }
        self.progress.show("holding", duration.as_secs(), duration.as_secs(), " s", Instant::now());
        Ok((began, look(self.job, self.manner)?, None))
    }

    /// Looks on while everything is sent, and until it has arrived.
    fn load(&mut self, outlet: Box<dyn Outlet + 'env>) -> Result<(Look, Look, Option<Sent>), Failure> {
        let (job, first) = (self.job, Instant::now() + LEAD);
        let warm = first + job.plan.warmup;
        job.shared.begin(first);
        let result = self.start_publisher(outlet)?;
        let mut began = None;
        let sent = loop {
            let now = Instant::now();
            if began.is_none() && now >= warm {
                began = Some(look(job, self.manner)?);
            }
            match result.try_recv() {
                Ok(sent) => break sent?,
                Err(TryRecvError::Disconnected) => {
                    return Err(Failure::internal("the thread that publishes ended"));
                }
                Err(TryRecvError::Empty) => self.show_sending(now),
            }
            let until_warm = warm.saturating_duration_since(now);
            self.step(if began.is_none() { STEP.min(until_warm) } else { STEP })?;
        };
        let began = match began {
            Some(began) => began,
            None => look(job, self.manner)?,
        };
        self.show_sending(Instant::now());
        self.await_deliveries(job.plan.deliveries(sent.messages))?;
        let ended = look(job, self.manner)?;
        Ok((began, ended, Some(sent)))
    }

    /// It stays when it is done, so that its CPU time can be seen to the end.
    fn start_publisher(
        &mut self,
        mut outlet: Box<dyn Outlet + 'env>,
    ) -> Result<Receiver<Result<Sent, Failure>>, Failure> {
        let job = self.job;
        let (tell, result) = sync_channel(1);
        let publisher = Builder::new().name("publisher".into()).spawn_scoped(self.scope, move || {
            job.shared.enlist("publisher".into());
            // Nobody hears it where the run was given up.
            let _ = tell.send(publisher::publish(job, outlet.as_mut()));
            while !job.shared.is_stopped() {
                thread::sleep(STEP);
            }
        });
        publisher.map_err(|error| no_thread(&error))?;
        Ok(result)
    }

    fn await_deliveries(&mut self, expected: u64) -> Result<(), Failure> {
        let began = Instant::now();
        let (mut delivered, mut changed) = (self.job.shared.delivered(), began);
        while delivered < expected && changed.elapsed() < QUIET && began.elapsed() < LAST_DELIVERIES {
            self.progress.show("arriving", delivered, expected, "", Instant::now());
            self.step(SHORT_STEP)?;
            let now = self.job.shared.delivered();
            if now != delivered {
                (delivered, changed) = (now, Instant::now());
            }
        }
        Ok(())
    }

    fn show_sending(&mut self, now: Instant) {
        let (plan, shared) = (self.job.plan, self.job.shared);
        let all = (plan.warmup + plan.duration).as_secs();
        let done = shared.since_begin(now).as_secs().min(all);
        let note = format!(" s, {} sent, {} delivered", shared.sent(), shared.delivered());
        self.progress.show("sending", done, all, &note, now);
    }

    /// Waits; a reader that has ended before it was told to is a failure.
    fn step(&self, wait: Duration) -> Result<(), Failure> {
        if self.readers.iter().any(ScopedJoinHandle::is_finished) {
            return Err(Failure::internal("a thread that reads ended"));
        }
        thread::sleep(wait);
        Ok(())
    }

    /// Waits for the readers, which were told to end, and counts all they have counted.
    fn join(self) -> Result<Tally, Failure> {
        let mut all = Tally::new(self.job.plan.clone(), self.job.run);
        for reader in self.readers {
            let tally = reader.join().map_err(|_| Failure::internal("a thread that reads panicked"))?;
            all.merge(tally?);
        }
        Ok(all)
    }
}

fn no_thread(error: &std::io::Error) -> Failure {
    Failure::internal(format!("the system refuses a thread: {error}; raise its limits"))
}
