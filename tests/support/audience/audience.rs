//! Clients that follow topics through whatever happens to their gateways, publishers, and the record of it all, which
//! the checker judges.
//!
//! Loaded by path (`#[path = "…/audience/audience.rs"] mod audience;`) by crates that have `checker` and `support` at
//! their root: by the faults on processes of this machine, and by the scenarios on pods of a cluster. What breaks, and
//! when, is theirs.
//!
//! ```text
//!   writers ──► balancer ──► gateways ◄──► NATS ◄── direct publishers
//!                  │
//!   members ◄──────┘        each writes into the recorder what it did and saw
//! ```

mod acknowledging;
mod balancer;
mod cast;
mod crowd;
mod direct;
mod events;
mod follower;
mod following;
mod laps;
mod member;
mod participant;
mod publisher;
mod resource;
mod size;
mod stream;
mod tally;
mod verdict;
mod wire;
mod work;
mod writer;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};

pub(crate) use self::{
    balancer::Balancer,
    crowd::{Crowd, Part},
    direct::Direct,
    laps::Laps,
    participant::Order,
    publisher::Publisher,
    resource::{STREAM, resource, token, topics, topics_sent_once},
    size::Size,
    stream::{ask, last_number, stored},
    tally::Tally,
    verdict::Verdict,
    wire::Clock,
    work::{Pace, Work},
};
use self::{
    cast::part,
    resource::{ACK_SECONDS, SUBJECTS, sure},
    writer::Writer,
};
use crate::{
    checker::{Body, History, Limits, Nanos, Outcome, Publish, Recorder, check},
    support::NatsClient,
};

/// Longest time until everybody has everything, while nothing breaks.
const CALM: Duration = Duration::from_mins(1);
/// A message may take so long to a client that has nothing else missing.
const SETTLE: Duration = Duration::from_millis(1_500);
/// How much later than in time what is not acknowledged may come again: NATS may be away just then, or the client may
/// not read.
const AGAIN: Duration = Duration::from_secs(12);
/// A message that comes again may have crossed its acknowledgement so long before.
const CROSSED: Duration = Duration::from_secs(8);

/// Everybody in a run.
pub(crate) struct Audience {
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) crowd: Crowd,
    pub(crate) work: Arc<Work>,
    pub(crate) topics: Vec<String>,
    size: Size,
    runtime: Handle,
    nats: SocketAddr,
    publishers: Vec<JoinHandle<()>>,
    /// What publishers met.
    tally: Tally,
    /// Clients that did not get so far in time.
    late: Vec<String>,
}

/// An empty history. Rights never change in it, and every loss must have a cause that is written down.
pub(crate) fn recorder() -> Recorder {
    let nanos = |time: Duration| Nanos::try_from(time.as_nanos()).unwrap();
    Recorder::new(Limits {
        settle: nanos(SETTLE),
        grace: nanos(CROSSED),
        ack_timeout: nanos(Duration::from_secs(ACK_SECONDS)),
        ack_tolerance: nanos(AGAIN),
        at_least_once: vec![sure()],
        explained: true,
        ..Limits::default()
    })
}

impl Audience {
    /// Lets all clients in by the balancer, and when they hold their topics the publishers; those beside the gateways
    /// publish on the NATS server at this address.
    pub(crate) fn gather(
        runtime: &Handle,
        balancer: &Balancer,
        nats: SocketAddr,
        clock: Clock,
        recorder: Recorder,
        size: Size,
    ) -> Self {
        let topics = topics(size.topics);
        let work = Arc::new(Work::new(topics.clone(), size.large));
        let parts = (0..size.clients).map(|number| part(&topics, number, size.clients)).collect();
        let crowd = Crowd::join(runtime, balancer, clock, &recorder, parts, None);
        let late = crowd.wait_until_at(&BTreeMap::new(), CALM);
        let (runtime, publishers, tally) = (runtime.clone(), Vec::new(), Tally::default());
        let mut audience =
            Self { clock, recorder, crowd, work, topics, size, runtime, nats, publishers, tally, late };
        audience.start_publishers(balancer);
        audience
    }

    /// Of each kind as many, all at the same pace and each from another topic on.
    fn start_publishers(&mut self, balancer: &Balancer) {
        let (each, mut first) = (self.size.rate / 3.0 / f64::from(self.size.writers), 0);
        for n in 0..self.size.writers {
            for kind in ["writer", "known", "bare"] {
                first += 1;
                let (name, pace) = (format!("{kind}-{n}"), Pace::new(each, first));
                let (clock, work, tally) = (self.clock, self.work.clone(), self.tally.clone());
                let task = if kind == "writer" {
                    let log = self.recorder.client(&name, &name, &[SUBJECTS]);
                    let (token, balancer) = (token(&name), balancer.clone());
                    let own = Publisher::new(name, clock, work, tally, pace);
                    self.runtime.spawn(Writer { own, token, balancer, log }.run())
                } else {
                    let (address, recorder) = (self.nats, self.recorder.clone());
                    let own = Publisher::new(name, clock, work, tally, pace);
                    self.runtime.spawn(Direct { own, address, recorder, with_id: kind == "known" }.run())
                };
                self.publishers.push(task);
            }
        }
    }

    /// Nothing breaks any more: waits until everything is confirmed and everybody has it, has it judged, and lets
    /// everybody leave.
    pub(crate) fn end(mut self) -> Verdict {
        let history = self.calm_down();
        let report = check(&history);
        println!("{report}clients: {}\npublishers: {}", self.crowd.tally, self.tally);
        let Self { crowd, tally, late, size, runtime, .. } = self;
        let verdict = Verdict { report, late, clients: crowd.tally.clone(), publishers: tally };
        if !verdict.is_clean() {
            verdict::keep(&history, size.seed);
        }
        crowd.leave(&runtime);
        verdict
    }

    /// Gives the history up to the moment when everybody has everything.
    fn calm_down(&mut self) -> History {
        self.work.finish();
        let publishers = std::mem::take(&mut self.publishers);
        self.runtime.block_on(async {
            for publisher in publishers {
                timeout(CALM, publisher).await.expect("publishers end").expect("a publisher");
            }
        });
        let began = Instant::now();
        // Whoever comes by a pattern later has no position to catch up from.
        self.late.extend(self.crowd.wait_until_at(&BTreeMap::new(), CALM));
        let heads = self.last_words();
        self.late.extend(self.crowd.wait_until_at(&heads, CALM));
        println!("everybody has everything after {:.1?}", began.elapsed());
        thread::sleep(SETTLE + Duration::from_millis(200));
        let end = self.clock.now();
        self.crowd.judge();
        // The logs join the history when their owners have read the order.
        let patience = Instant::now() + CALM;
        while self.recorder.open() > 0 {
            assert!(Instant::now() < patience, "clients do not hear that the history is over");
            thread::sleep(Duration::from_millis(20));
        }
        self.recorder.finish(end)
    }

    /// One last message on each topic; gives their numbers.
    fn last_words(&mut self) -> BTreeMap<String, u64> {
        let mut outside = NatsClient::connect(self.nats, json!({"no_responders": true}));
        let mut say = |topic: &String| {
            let (body, began) = (json!({"last": topic}).to_string(), self.clock.now());
            let answer: Value = serde_json::from_slice(&outside.request(topic, &body)).unwrap_or_default();
            let seq = answer["seq"].as_u64().unwrap_or_else(|| panic!("{topic}: {answer}"));
            self.recorder.publish(Publish {
                who: "last words".into(),
                user: None,
                topic: topic.clone(),
                id: None,
                body: Body::Text(body),
                began,
                ended: self.clock.now(),
                outcome: Outcome::Ok(Some(seq)),
            });
            (topic.clone(), seq)
        };
        self.topics.iter().map(&mut say).collect()
    }
}
