//! All clients of a gateway that goes away come to another one within the drain window, and soon have what they missed.

use std::{
    collections::BTreeMap,
    env,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use tokio::runtime::Builder;

use crate::{
    audience::{Balancer, Clock, Crowd, Direct, Laps, Pace, Part, Publisher, Tally, Work, topics_sent_once},
    checker::{Limits, Recorder, check},
    gateways::{Gateways, resource},
    support::NatsServer,
};

/// Topics of each client.
const EACH: usize = 3;
/// From the beginning of a connection until everything is there that was there then, for 99 of 100.
const CAUGHT_UP: Duration = Duration::from_secs(2);
const CALM: Duration = Duration::from_mins(1);

#[test]
fn a_whole_gateways_clients_resume_on_another_and_soon_have_everything() {
    let large = env::var_os("TOPIC_GATEWAY_STORM").is_some();
    let (clients, count, window, rate) = if large { (5_000, 20_u32, 10, 60.0) } else { (150, 5, 2, 40.0) };
    let most = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    assert!(most > 3 * clients, "{clients} clients need more open files than {most}");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (clock, handle) = (Clock::start(), runtime.handle());
    let recorder = Recorder::new(Limits { explained: true, ..Limits::default() });
    let (nats, balancer) = (NatsServer::with_streams(), Balancer::start(handle, true));
    let mut gateways =
        Gateways::new(resource(&nats.url(), window), balancer.clone(), clock, recorder.clone());
    gateways.start_one();
    let topics = topics_sent_once(usize::try_from(count).unwrap());
    runtime.block_on(gateways.wait_for_history(&topics[0]));

    let work = Arc::new(Work::new(topics.clone(), 0));
    let laps = Arc::new(Laps::new(work.clone()));
    let own = |client: u64| {
        let topic = |n: usize| topics[(usize::try_from(client).unwrap() + n * n) % topics.len()].clone();
        Part { filters: (0..EACH).map(topic).collect(), events: false }
    };
    let parts = (0..clients).map(own).collect();
    let crowd = Crowd::join(handle, &balancer, clock, &recorder, parts, Some(&laps));
    let late = crowd.wait_until_at(&BTreeMap::new(), CALM);
    assert!(late.is_empty(), "{} of {clients} are not subscribed", late.len());
    let (name, pace) = ("publisher".to_owned(), Pace::new(rate, 0));
    let own = Publisher::new(name, clock, work.clone(), Tally::default(), pace);
    let publisher = Direct { own, address: nats.address(), recorder: recorder.clone(), with_id: true };
    let publisher = handle.spawn(publisher.run());
    println!("{clients} clients hold {EACH} of {count} topics each, {rate} messages a second");

    let began = Instant::now();
    laps.take();
    gateways.terminate(true, true);
    println!("drained within {:.1?}, window {window} s", began.elapsed());
    // One of whose topics nothing is new has everything before it is back.
    let end = Instant::now() + CALM;
    while laps.count() < clients {
        assert!(Instant::now() < end, "{} of {clients} clients have come and caught up", laps.count());
        sleep(Duration::from_millis(5));
    }
    let times = laps.take();
    let reads = gateways.oldest().metrics().sum("topicgateway_history_reads_total", &[]);
    let share = |hundredths: usize| times[(times.len() * hundredths / 100).min(times.len() - 1)];
    let (median, nearly_all) = (share(50), share(99));
    println!(
        "{} resumes: median {median:.1?}, 99 of 100 within {nearly_all:.1?}, all within {:.1?}; {reads} history reads",
        times.len(),
        share(100),
    );

    work.finish();
    runtime.block_on(publisher).unwrap();
    let late = crowd.wait_until_at(&work.heads(), CALM);
    assert!(late.is_empty(), "{} clients do not have everything", late.len());
    println!("clients: {}", crowd.tally);
    sleep(Duration::from_secs(5));
    let end = clock.now();
    crowd.judge();
    while recorder.open() > 0 {
        sleep(Duration::from_millis(20));
    }
    let report = check(&recorder.finish(end));
    println!("{report}");
    crowd.leave(handle);
    gateways.assert_empty();
    report.assert_clean();
    assert_eq!((report.told, times.len() as u64), (0, clients), "everybody has everything, and came once");
    assert!(reads <= f64::from(2 * count), "{reads} reads of history for {count} topics");
    assert!(nearly_all <= CAUGHT_UP, "99 of 100 within {nearly_all:.1?}");
}
