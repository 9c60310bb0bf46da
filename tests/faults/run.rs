//! A run: everything is started, broken as planned, left in peace, judged, and left.

use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io::BufWriter,
    panic,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};

use crate::{
    balancer::Balancer,
    cast::part,
    checker::{Body, History, Limits, Mark, Outcome, Publish, Recorder, check},
    crowd::{Crowd, token},
    direct::Direct,
    gateways::{ACK_SECONDS, Gateways, resource, sure, topics},
    participant::Order,
    plan::{Fault, Plan, Purge},
    publisher::Publisher,
    stream::{Pace, STREAM, Work, ask, last_number},
    support::{NatsClient, NatsServer},
    tally::Tally,
    wire::Clock,
    writer::Writer,
};

/// Longest time from the last fault until everybody has everything.
const CALM: Duration = Duration::from_mins(1);
/// A message may take so long to a client that has nothing else missing.
const SETTLE: Duration = Duration::from_millis(1_500);
/// How much later than in time what is not acknowledged may come again: NATS may be away just then, or the client may
/// not read.
const AGAIN: Duration = Duration::from_secs(12);
/// A message that comes again may have crossed its acknowledgement so long before.
const CROSSED: Duration = Duration::from_secs(8);

/// How large a run is.
#[derive(Debug, Clone, Copy)]
struct Size {
    length: Duration,
    seed: u64,
    clients: usize,
    topics: usize,
    /// Messages a second, of all publishers together.
    rate: f64,
    /// Publishers of each kind.
    writers: u32,
    /// Bytes of a large message.
    large: usize,
    often: bool,
    drain_seconds: u64,
}

impl Size {
    /// As the environment asks for it, else a short run of few clients.
    fn of_environment() -> Self {
        let wanted = env::var("TOPIC_GATEWAY_FAULTS").unwrap_or_default();
        let mut words = wanted.split_whitespace().map(|word| word.parse().expect("SECONDS SEED CLIENTS"));
        match words.next() {
            None => Self::new(15, 1, 40),
            Some(seconds) => {
                let seed = words.next().unwrap_or_else(|| rand::random_range(0..1_000_000));
                let clients = words.next().map_or(500, |clients| usize::try_from(clients).unwrap());
                Self::new(seconds, seed, clients)
            }
        }
    }

    fn new(seconds: u64, seed: u64, clients: usize) -> Self {
        let few = clients < 200;
        let often = seconds < 60;
        Self {
            length: Duration::from_secs(seconds),
            seed,
            clients,
            topics: if few { 5 } else { 20 },
            rate: if few { 200.0 } else { 2_000.0 },
            writers: if few { 1 } else { 4 },
            // So much that a window does not hold what comes while somebody does not read.
            large: if few { 24 * 1024 } else { 8 * 1024 },
            often,
            drain_seconds: if often { 1 } else { 4 },
        }
    }
}

#[test]
fn nothing_is_lost_whatever_breaks() {
    let size = Size::of_environment();
    let plan = Plan::new(size.seed, size.length, size.often);
    println!("seed {}, {size:?}\n{plan}", size.seed);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut scene = Scene::new(&runtime, size);
    scene.suffer(&plan);
    let history = scene.calm_down();
    let report = check(&history);
    println!("{report}");
    let (unexpected, late) = (scene.unexpected(), scene.late.clone());
    if !report.violations.is_empty() || !late.is_empty() {
        keep(&history, size.seed);
    }
    scene.leave();
    assert!(late.is_empty(), "{} clients never caught up: {late:#?}", late.len());
    report.assert_clean();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    assert!(report.owed > 0 && report.published > 0, "{report}");
}

/// Writes the history where it can be studied.
fn keep(history: &History, seed: u64) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{seed}.jsonl"));
    history.write(BufWriter::new(File::create(&path).unwrap())).unwrap();
    println!("the history is in {}", path.display());
}

/// Everything that runs.
struct Scene<'a> {
    runtime: &'a Runtime,
    clock: Clock,
    recorder: Recorder,
    nats: NatsServer,
    uplink: Balancer,
    gateways: Gateways,
    crowd: Option<Crowd>,
    work: Arc<Work>,
    topics: Vec<String>,
    publishers: Vec<JoinHandle<()>>,
    tally: Tally,
    late: Vec<String>,
}

impl<'a> Scene<'a> {
    fn new(runtime: &'a Runtime, size: Size) -> Self {
        let (clock, handle) = (Clock::start(), runtime.handle());
        let recorder = Recorder::new(limits());
        let nats = NatsServer::with_streams();
        let (uplink, balancer) = (Balancer::start(handle, false), Balancer::start(handle, false));
        uplink.add("nats", nats.address());
        let resource = resource(&format!("nats://{}", uplink.address), size.drain_seconds);
        let mut gateways = Gateways::new(resource, balancer.clone(), clock, recorder.clone());
        for _ in 0..2 {
            gateways.start_one();
        }
        let topics = topics(size.topics);
        runtime.block_on(gateways.wait_for_history(&topics[0]));
        let work = Arc::new(Work::new(topics.clone(), size.large));
        let parts = (0..size.clients).map(|number| part(&topics, number, size.clients)).collect();
        let crowd = Crowd::join(handle, &balancer, clock, &recorder, parts, None);
        let late = crowd.wait_until_at(&BTreeMap::new(), CALM);
        let mut scene = Self {
            runtime,
            clock,
            recorder,
            nats,
            uplink,
            gateways,
            crowd: Some(crowd),
            work,
            topics,
            publishers: Vec::new(),
            tally: Tally::default(),
            late,
        };
        scene.start_publishers(handle, &balancer, size);
        scene
    }

    fn start_publishers(&mut self, handle: &Handle, balancer: &Balancer, size: Size) {
        let (each, mut first) = (size.rate / 3.0 / f64::from(size.writers), 0);
        for n in 0..size.writers {
            for kind in ["writer", "known", "bare"] {
                first += 1;
                let (name, pace) = (format!("{kind}-{n}"), Pace::new(each, first));
                let (clock, work, tally) = (self.clock, self.work.clone(), self.tally.clone());
                let task = if kind == "writer" {
                    let log = self.recorder.client(&name, &name, &["faults.>"]);
                    let (token, balancer) = (token(&name), balancer.clone());
                    let own = Publisher::new(name, clock, work, tally, pace);
                    handle.spawn(Writer { own, token, balancer, log }.run())
                } else {
                    let (address, recorder) = (self.nats.address(), self.recorder.clone());
                    let own = Publisher::new(name, clock, work, tally, pace);
                    handle.spawn(Direct { own, address, recorder, with_id: kind == "known" }.run())
                };
                self.publishers.push(task);
            }
        }
    }

    /// Breaks everything as planned: each kind of parts in a thread of its own.
    fn suffer(&mut self, plan: &Plan) {
        let began = Instant::now();
        let Self { clock, recorder, nats, uplink, gateways, crowd, work, topics, .. } = self;
        let (clock, crowd) = (*clock, crowd.as_ref().unwrap());
        let due = |at: Duration, fault: Fault| {
            thread::sleep(at.saturating_sub(began.elapsed()));
            println!("  {:6.2} s: {fault:?}", began.elapsed().as_secs_f64());
        };
        let results = thread::scope(|scope| {
            let of_gateways = scope.spawn(|| {
                for (at, fault) in &plan.gateways {
                    due(*at, *fault);
                    match *fault {
                        Fault::Terminate { oldest, first } => gateways.terminate(oldest, first),
                        Fault::Kill { oldest, noticed, pause } => gateways.kill(oldest, noticed, pause),
                        _ => {}
                    }
                }
            });
            let of_stream = scope.spawn(|| {
                for (at, fault) in &plan.stream {
                    due(*at, *fault);
                    break_stream(*fault, nats, uplink, clock, recorder, topics);
                }
            });
            let of_clients = scope.spawn(|| {
                for (at, fault) in &plan.clients {
                    due(*at, *fault);
                    if let Fault::Stall { topic, .. } = fault {
                        let topic = topics[topic % topics.len()].clone();
                        recorder.mark(clock.now(), Mark::Flooded(topic));
                    }
                    break_clients(*fault, crowd, work, topics);
                }
            });
            [of_gateways, of_stream, of_clients].map(thread::ScopedJoinHandle::join)
        });
        for result in results {
            result.unwrap_or_else(|panicked| panic::resume_unwind(panicked));
        }
        println!("all faults are over after {:.1?}", began.elapsed());
    }

    /// Waits until everything is confirmed and everybody has it; gives the history up to then.
    fn calm_down(&mut self) -> History {
        self.runtime.block_on(self.gateways.wait_for_history(&self.topics[0]));
        self.work.finish();
        let publishers = std::mem::take(&mut self.publishers);
        self.runtime.block_on(async {
            for publisher in publishers {
                tokio::time::timeout(CALM, publisher).await.expect("publishers end").expect("a publisher");
            }
        });
        let began = Instant::now();
        // Whoever comes by a pattern later has no position to catch up from.
        let unheld = self.crowd.as_ref().unwrap().wait_until_at(&BTreeMap::new(), CALM);
        let (heads, crowd) = (self.last_words(), self.crowd.as_ref().unwrap());
        self.late.extend(unheld);
        self.late.extend(crowd.wait_until_at(&heads, CALM));
        println!("everybody has everything after {:.1?}", began.elapsed());
        thread::sleep(SETTLE + Duration::from_millis(200));
        let end = self.clock.now();
        crowd.judge();
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
        let mut outside = outside(&self.nats);
        let mut say = |topic: &String| {
            let (body, began) = (json!({"last": topic}).to_string(), self.clock.now());
            let answer: serde_json::Value =
                serde_json::from_slice(&outside.request(topic, &body)).unwrap_or_default();
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

    /// What must not be met at all.
    fn unexpected(&self) -> Vec<(String, u64)> {
        let crowd = &self.crowd.as_ref().unwrap().tally;
        println!("clients: {crowd}\npublishers: {}", self.tally);
        for name in ["again", "by a pattern", "events"] {
            assert!(crowd.of(name) > 0, "nobody met this: {name}");
        }
        // A rate is none of the clients', and a history that is on its way already is no error of anybody.
        let allowed = ["error BACKBONE_UNAVAILABLE", "error LIMIT_EXCEEDED"];
        let mut unexpected = crowd.beginning("error ");
        unexpected.retain(|(name, _)| !allowed.contains(&name.as_str()));
        for name in [
            "malformed",
            "not recoverable",
            "not subscribed",
            "holes",
            "gaps of no known reason",
            "twice by a pattern",
            "events of another name than their frames",
        ] {
            unexpected.extend(Some((name.to_owned(), crowd.of(name))).filter(|(_, count)| *count > 0));
        }
        let mut refusals = self.tally.beginning("publish error ");
        refusals.retain(|(name, _)| name != "publish error BACKBONE_UNAVAILABLE retryable");
        unexpected.extend(refusals);
        unexpected
    }

    /// Everybody leaves, and no gauge shows anybody.
    fn leave(mut self) {
        self.crowd.take().unwrap().leave(self.runtime.handle());
        self.gateways.assert_empty();
        println!("gateways: {}", self.gateways.counts);
        assert!(self.gateways.counts.of("redelivered_total") > 0, "everything was acknowledged in time");
    }
}

/// Rights never change here, and every loss must have a reason that is written down.
fn limits() -> Limits {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    Limits {
        settle: nanos(SETTLE),
        grace: nanos(CROSSED),
        ack_timeout: nanos(Duration::from_secs(ACK_SECONDS)),
        ack_tolerance: nanos(AGAIN),
        at_least_once: vec![sure()],
        explained: true,
        ..Limits::default()
    }
}

fn outside(nats: &NatsServer) -> NatsClient {
    nats.client_with(json!({"no_responders": true}))
}

fn break_stream(
    fault: Fault,
    nats: &mut NatsServer,
    uplink: &Balancer,
    clock: Clock,
    recorder: &Recorder,
    topics: &[String],
) {
    match fault {
        Fault::Restart { kill, pause } => {
            recorder.mark(clock.now(), Mark::BackboneDown("restarted".into()));
            if kill {
                nats.kill();
            } else {
                nats.stop();
            }
            thread::sleep(pause);
            nats.start_again();
            // Nothing else is done to a stream that is not there yet.
            last_number(&mut outside(nats));
        }
        Fault::Uplink { hold } => {
            recorder.mark(clock.now(), Mark::BackboneDown("cut off".into()));
            uplink.cut_all(hold);
        }
        Fault::Purge(purge) => {
            let began = clock.now();
            let (pattern, upto) = delete(&mut outside(nats), purge, topics);
            recorder.mark(began, Mark::Purged { pattern, upto });
        }
        _ => {}
    }
}

/// Deletes messages; gives a pattern of their topics, and the largest number that one may have had.
fn delete(nats: &mut NatsClient, purge: Purge, topics: &[String]) -> (String, u64) {
    let topic = |number: usize| topics[number % topics.len()].clone();
    let (pattern, body, upto) = match purge {
        Purge::Everything => (">".to_owned(), json!({}), None),
        Purge::Topic(number) => (topic(number), json!({"filter": topic(number)}), None),
        Purge::Keep(count) => (">".to_owned(), json!({"keep": count}), None),
        Purge::Before(number, back) => {
            let seq = last_number(nats).saturating_sub(back).max(1);
            (topic(number), json!({"filter": topic(number), "seq": seq}), Some(seq - 1))
        }
    };
    ask(nats, &format!("STREAM.PURGE.{STREAM}"), &body.to_string());
    (pattern, upto.unwrap_or_else(|| last_number(nats)))
}

fn break_clients(fault: Fault, crowd: &Crowd, work: &Work, topics: &[String]) {
    match fault {
        Fault::Cut { percent, hold } => {
            let cut = (0..crowd.len()).filter(|number| number * 37 % 100 < percent);
            cut.for_each(|number| crowd.order(number, Order::Cut(hold)));
        }
        Fault::Stall { topic, clients, time } => {
            let topic = &topics[topic % topics.len()];
            work.enlarge(topic, time);
            for number in crowd.on(topic).into_iter().take(clients) {
                crowd.order(number, Order::Stall(time));
            }
        }
        _ => {}
    }
}
