//! From publish to socket: which deliveries are counted, and with which time.

use super::*;

/// Microseconds since 1970 at which the messages of these tests are published.
const PUBLISHED: u64 = 1_795_647_181_000_000;
const MS: u64 = 1000;

impl Bench {
    /// Messages that arrive from now on were published then; the clock shows so many microseconds later.
    fn late_by(&mut self, micros: u64) {
        self.published = Stamp::from_micros(PUBLISHED);
        self.asked.1.micros.set(PUBLISHED + micros);
    }

    /// The buckets of the histogram with something in them, by their bound in seconds.
    fn latencies(&self) -> Vec<(String, u64)> {
        let text = self.metrics.scrape().unwrap();
        let mut before = 0;
        text.lines()
            .filter_map(|line| {
                let line = line.strip_prefix("topicgateway_delivery_latency_seconds_bucket{le=\"")?;
                let (bound, total) = line.split_once("\"} ")?;
                let count = total.parse::<u64>().unwrap() - before;
                before += count;
                (count > 0).then(|| (bound.to_owned(), count))
            })
            .collect()
    }

    fn value(&self, name: &str) -> String {
        let text = self.metrics.scrape().unwrap();
        text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap().to_owned()
    }

    fn delivered(&self) -> String {
        self.value("topicgateway_messages_delivered_total")
    }
}

#[track_caller]
fn assert_latencies(bench: &Bench, expected: &[(&str, u64)]) {
    let expected: Vec<_> = expected.iter().map(|(bound, count)| ((*bound).to_owned(), *count)).collect();
    assert_eq!(bench.latencies(), expected);
}

#[test]
fn each_subscriber_counts_with_the_time_at_which_its_socket_took_the_message() {
    let mut bench = Bench::unhurried();
    let clients: Vec<_> = (0..3).map(|_| bench.subscriber(&["a"])).collect();
    clients[2].let_through(0);
    bench.late_by(7 * MS);
    bench.arrive("a", &[], "x");
    bench.settle();
    assert_latencies(&bench, &[("0.01", 2)]);
    bench.late_by(1_500 * MS);
    clients[2].let_through(10_000);
    bench.engine.writable(clients[2].slot);
    assert_latencies(&bench, &[("0.01", 2), ("2", 1)]);
    assert_eq!(bench.value("topicgateway_delivery_latency_seconds_sum"), "1.514");
    assert_eq!(
        (bench.value("topicgateway_delivery_latency_seconds_count"), bench.delivered()),
        ("3".into(), "3".into())
    );
}

#[test]
fn a_message_counts_when_its_last_byte_is_taken() {
    let mut bench = Bench::unhurried();
    let client = bench.subscriber(&["a"]);
    client.let_through(30);
    bench.late_by(MS);
    bench.arrive("a", &[], "x");
    bench.settle();
    assert_latencies(&bench, &[]);
    for late in [2 * MS, 4 * MS] {
        bench.late_by(late);
        client.let_through(1);
        bench.engine.writable(client.slot);
        assert_latencies(&bench, &[]);
    }
    bench.late_by(9 * MS);
    client.let_through(1_000);
    bench.engine.writable(client.slot);
    assert_latencies(&bench, &[("0.01", 1)]);
}

#[test]
fn messages_that_go_out_together_count_each_with_its_own_time() {
    let mut bench = Bench::unhurried();
    let _clients: Vec<_> = (0..3).map(|_| bench.subscriber(&["a"])).collect();
    bench.late_by(0);
    bench.arrive("a", &[], "early");
    bench.published = Stamp::from_micros(PUBLISHED + 40 * MS);
    bench.arrive("a", &[], "late");
    bench.published = None;
    bench.arrive("a", &[], "nobody knows when");
    bench.asked.1.micros.set(PUBLISHED + 41 * MS);
    bench.settle();
    assert_latencies(&bench, &[("0.001", 3), ("0.05", 3)]);
    assert_eq!(bench.delivered(), "9");
}

#[test]
fn sends_that_took_different_parts_count_what_they_took() {
    let mut bench = Bench::unhurried();
    let clients: Vec<_> = (0..5).map(|_| bench.subscriber(&["a"])).collect();
    clients[1].let_through(120);
    clients[3].let_through(30);
    bench.late_by(MS);
    (0..2).for_each(|_| bench.arrive("a", &[], &"x".repeat(20)));
    bench.settle();
    assert_latencies(&bench, &[("0.001", 7)]);
    assert_eq!(bench.delivered(), "7", "two for each of three, and one");
}

#[test]
fn the_clock_is_looked_at_once_for_many_sends() {
    let mut bench = Bench::unhurried();
    let _clients: Vec<_> = (0..200).map(|_| bench.subscriber(&["a"])).collect();
    bench.late_by(MS);
    bench.arrive("a", &[], "x");
    bench.arrive("a", &[], "y");
    bench.engine.turn(1_000);
    assert_latencies(&bench, &[("0.001", 400)]);
    assert_eq!(bench.asked.1.looks.get(), 4, "64 sends each");
}

#[test]
fn messages_without_a_time_are_not_measured_and_cost_no_look_at_the_clock() {
    let mut bench = Bench::unhurried();
    let _client = bench.subscriber(&["a"]);
    bench.arrive("a", &[], "x");
    bench.settle();
    assert_latencies(&bench, &[]);
    assert_eq!((bench.delivered(), bench.asked.1.looks.get()), ("1".into(), 0));
}

#[test]
fn a_publisher_whose_clock_is_ahead_counts_as_at_once() {
    let mut bench = Bench::unhurried();
    let _client = bench.subscriber(&["a"]);
    bench.late_by(0);
    bench.published = Stamp::from_micros(PUBLISHED + 5_000 * MS);
    bench.arrive("a", &[], "x");
    bench.settle();
    assert_latencies(&bench, &[("0.0005", 1)]);
}

#[test]
fn history_does_not_count_and_what_came_live_meanwhile_does() {
    let mut bench = Bench::recoverable();
    bench.late_by(0);
    (0..3).for_each(|_| bench.arrive("a", &[], "x"));
    bench.hold_reads = true;
    let client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","fromSeq":2}"#);
    bench.settle();
    bench.arrive("a", &[], "x");
    bench.settle();
    bench.late_by(150 * MS);
    bench.hold_reads = false;
    bench.settle();
    assert_eq!(bench.delivered(), "3", "two of history");
    assert_latencies(&bench, &[("0.15", 1)]);
    bench.send(&client, r#"{"type":"replay","topic":"a","fromSeq":1}"#);
    bench.settle();
    assert_eq!(bench.delivered(), "7");
    assert_latencies(&bench, &[("0.15", 1)]);
}

#[test]
fn at_least_once_counts_what_is_live_the_first_time_it_is_sent() {
    let mut bench = Bench::at_least_once();
    bench.late_by(0);
    bench.message("risk.a", &[], "1");
    let client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"risk.a","fromSeq":1}"#);
    bench.settle();
    assert_latencies(&bench, &[]);
    bench.late_by(3 * MS);
    bench.message("risk.a", &[], "2");
    assert_latencies(&bench, &[("0.005", 1)]);
    bench.late_by(6_000 * MS);
    bench.pass(6_000);
    assert_eq!(bench.delivered(), "4", "both are sent again");
    assert_latencies(&bench, &[("0.005", 1)]);
}

#[test]
fn at_least_once_counts_when_the_socket_has_taken_it() {
    let mut bench = Bench::at_least_once();
    let client = bench.subscriber(&["risk.a"]);
    client.let_through(10);
    bench.late_by(MS);
    bench.message("risk.a", &[], "1");
    assert_latencies(&bench, &[]);
    bench.late_by(80 * MS);
    client.let_through(10_000);
    bench.engine.writable(client.slot);
    assert_latencies(&bench, &[("0.1", 1)]);
}

#[test]
fn two_subscriptions_of_one_connection_count_a_message_once() {
    for order in [["p.a", "p.*"], ["p.*", "p.a"]] {
        let mut bench = Bench::unhurried();
        let _client = bench.subscriber(&order);
        bench.late_by(MS);
        bench.arrive("p.a", &["p.*"], "x");
        bench.arrive("p.b", &["p.*"], "y");
        bench.settle();
        assert_latencies(&bench, &[("0.001", 2)]);
        assert_eq!(bench.delivered(), "2", "{order:?}");
    }
}

#[test]
fn whoever_is_lost_in_a_round_leaves_the_others_counted() {
    let mut bench = Bench::unhurried();
    let clients: Vec<_> = (0..5).map(|_| bench.subscriber(&["a"])).collect();
    clients[2].wire.borrow_mut().broken = true;
    bench.late_by(MS);
    bench.arrive("a", &[], "x");
    bench.settle();
    assert_latencies(&bench, &[("0.001", 4)]);
    assert_eq!(bench.delivered(), "4");
}

#[test]
fn what_is_dropped_does_not_count() {
    let mut bench = Bench::new(
        r#"{"backbone":{"memory":{}},"heartbeatSeconds":86400,"limits":{"windowBytes":2000},
            "topics":[{"pattern":">","slowConsumer":"Conflate"}]}"#,
    );
    let mut slow = bench.subscriber(&["a"]);
    slow.let_through(0);
    bench.late_by(MS);
    for _ in 0..100 {
        bench.arrive("a", &[], &"d".repeat(40));
        bench.settle();
    }
    slow.let_through(1_000_000);
    bench.engine.writable(slow.slot);
    let messages = slow.summary().iter().filter(|line| line.starts_with("message")).count();
    assert!((1..100).contains(&messages), "{messages}");
    assert_latencies(&bench, &[("0.001", messages as u64)]);
}
