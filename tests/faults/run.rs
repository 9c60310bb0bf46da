//! A run: everything is started, broken as planned, left in peace, judged, and left.

use std::{
    panic, thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::{
    audience::{
        Audience, Balancer, Clock, Crowd, Order, STREAM, Size, Verdict, Work, ask, last_number, recorder,
        topics,
    },
    checker::{Mark, Recorder},
    gateways::{Gateways, resource},
    plan::{Fault, Plan, Purge},
    support::{NatsClient, NatsServer},
};

#[test]
fn nothing_is_lost_whatever_breaks() {
    let size = Size::of_environment(Size::new(15, 1, 40));
    let plan = Plan::new(size.seed, size.length, size.is_short());
    println!("seed {}, {size:?}\n{plan}", size.seed);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut scene = Scene::new(&runtime, size);
    scene.suffer(&plan);
    scene.end().assert_clean();
}

/// Everything that runs.
struct Scene<'a> {
    runtime: &'a Runtime,
    nats: NatsServer,
    uplink: Balancer,
    gateways: Gateways,
    audience: Audience,
}

impl<'a> Scene<'a> {
    fn new(runtime: &'a Runtime, size: Size) -> Self {
        let (clock, recorder, handle) = (Clock::start(), recorder(), runtime.handle());
        let nats = NatsServer::with_streams();
        let (uplink, balancer) = (Balancer::start(handle, false), Balancer::start(handle, false));
        uplink.add("nats", nats.address());
        let drain_seconds = if size.is_short() { 1 } else { 4 };
        let resource = resource(&format!("nats://{}", uplink.address), drain_seconds);
        let mut gateways = Gateways::new(resource, balancer.clone(), clock, recorder.clone());
        for _ in 0..2 {
            gateways.start_one();
        }
        runtime.block_on(gateways.wait_for_history(&topics(size.topics)[0]));
        let audience = Audience::gather(handle, &balancer, nats.address(), clock, recorder, size);
        Self { runtime, nats, uplink, gateways, audience }
    }

    /// Breaks everything as planned: each kind of parts in a thread of its own.
    fn suffer(&mut self, plan: &Plan) {
        let began = Instant::now();
        let Self { nats, uplink, gateways, audience, .. } = self;
        let Audience { clock, recorder, crowd, work, topics, .. } = &*audience;
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
                    break_stream(*fault, nats, uplink, *clock, recorder, topics);
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

    /// Waits until everybody has everything, and leaves nothing behind.
    fn end(self) -> Verdict {
        let Self { runtime, nats: _nats, gateways, audience, .. } = self;
        runtime.block_on(gateways.wait_for_history(&audience.topics[0]));
        let verdict = audience.end();
        gateways.assert_empty();
        println!("gateways: {}", gateways.counts);
        assert!(gateways.counts.of("redelivered_total") > 0, "everything was acknowledged in time");
        verdict
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
