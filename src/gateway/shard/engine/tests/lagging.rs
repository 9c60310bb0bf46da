use super::*;

fn spec(policy: &str, window: u32) -> String {
    format!(
        r#"{{"backbone":{{"memory":{{}}}},"heartbeatSeconds":86400,"limits":{{"windowBytes":{window}}},
            "topics":[{{"pattern":">","slowConsumer":"{policy}"}}]}}"#
    )
}

/// Messages of about a hundred bytes on `topic`.
fn flood(bench: &mut Bench, topic: &str, count: usize) {
    for _ in 0..count {
        bench.arrive(topic, &[], &"d".repeat(40));
        bench.settle();
    }
}

fn behind(bench: &Bench, client: &Client) -> bool {
    bench.engine.connections.get(client.slot).is_some_and(|connection| connection.lag.is_some())
}

#[test]
fn a_reader_that_stops_for_a_while_misses_nothing_within_the_window() {
    let mut bench = Bench::new(&spec("Disconnect", 100_000));
    let mut slow = bench.subscriber(&["a"]);
    let mut quick = bench.subscriber(&["a"]);
    slow.let_through(150);
    flood(&mut bench, "a", 20);
    assert!(behind(&bench, &slow));
    assert_eq!(quick.frames().len(), 20, "the others do not notice");
    while behind(&bench, &slow) {
        slow.let_through(33);
        bench.engine.writable(slow.slot);
    }
    let seqs: Vec<_> = slow.summary().iter().map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect();
    assert_eq!(seqs, (1..=20).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(bench.engine.pool.bytes(), 0, "nobody is behind any more");
}

#[test]
fn many_that_are_behind_cost_no_more_than_one() {
    let mut bench = Bench::new(&spec("DropOldest", 8_000));
    let slow: Vec<_> = (0..50).map(|_| bench.subscriber(&["a"])).collect();
    for client in &slow {
        client.let_through(10);
    }
    flood(&mut bench, "a", 500);
    assert!(bench.engine.pool.bytes() <= 8_000);
}

#[test]
fn disconnect_closes_who_falls_out_of_the_window_at_a_frame_boundary() {
    let mut bench = Bench::new(&spec("Disconnect", 2_000));
    let mut slow = bench.subscriber(&["a"]);
    slow.let_through(130);
    flood(&mut bench, "a", 60);
    bench.settle();
    let lines = slow.summary();
    assert_eq!(lines.last().unwrap(), "close 4409");
    assert!(lines.len() <= 3 && lines[0].starts_with("message a 1"), "{lines:?}");
    assert!(slow.wire.borrow().finished);
    assert_eq!(bench.engine.pool.bytes(), 0);
    assert_eq!(bench.registry.totals(), (0, 0));
}

#[test]
fn drop_oldest_goes_on_with_what_is_kept_and_says_what_is_missing() {
    let mut bench = Bench::new(&spec("DropOldest", 2_000));
    let mut slow = bench.subscriber(&["a"]);
    slow.let_through(130);
    flood(&mut bench, "a", 100);
    slow.let_through(1_000_000);
    bench.engine.writable(slow.slot);
    let lines = slow.summary();
    let gap = lines.iter().position(|line| line.starts_with("gap")).expect("a gap is announced");
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("gap")).count(),
        1,
        "once, for all that is missing"
    );
    assert_eq!(gap, 2, "{:?}", &lines[..4]);
    let parts: Vec<_> = lines[gap].split(' ').collect();
    let (from, to): (u64, u64) = (parts[2].parse().unwrap(), parts[3].parse().unwrap());
    assert_eq!((from, parts[4]), (3, "dropped"));
    assert!(lines[gap + 1].starts_with(&format!("message a {} ", to + 1)), "{}", lines[gap + 1]);
    assert!(lines.last().unwrap().starts_with("message a 100 "));
}

#[test]
fn conflate_goes_on_with_the_newest() {
    let mut bench = Bench::new(&spec("Conflate", 2_000));
    let mut slow = bench.subscriber(&["a"]);
    slow.let_through(130);
    for _ in 0..10 {
        flood(&mut bench, "a", 10);
    }
    slow.let_through(1_000_000);
    bench.engine.writable(slow.slot);
    let lines = slow.summary();
    let gap = lines.iter().position(|line| line.starts_with("gap")).unwrap();
    let after = lines.len() - gap - 1;
    assert!(after < 20, "only what came since the jump: {after}");
    assert!(lines.last().unwrap().starts_with("message a 100 "));
}

#[test]
fn what_is_too_old_leaves_the_window_too() {
    let mut bench = Bench::new(&spec("DropOldest", 100_000));
    let mut slow = bench.subscriber(&["a"]);
    slow.let_through(0);
    flood(&mut bench, "a", 3);
    bench.pass(35_000);
    assert_eq!(bench.engine.pool.bytes(), 0);
    slow.let_through(1_000_000);
    bench.engine.writable(slow.slot);
    assert_eq!(slow.summary(), ["gap a 1 3 dropped"]);
}

#[test]
fn much_at_once_harms_nobody_who_keeps_up() {
    let mut bench = Bench::new(&spec("Disconnect", 2_000));
    let mut quick = bench.subscriber(&["a"]);
    for n in 0..200 {
        bench.arrive("a", &[], &n.to_string());
    }
    bench.settle();
    assert_eq!(quick.frames().len(), 200);
}

#[test]
fn a_pause_in_the_middle_of_a_hand_out_harms_nobody_who_keeps_up() {
    let mut bench = Bench::new(&spec("Disconnect", 100_000));
    let slow = bench.subscriber(&["a"]);
    let mut quick: Vec<_> = (0..4).map(|_| bench.subscriber(&["a"])).collect();
    slow.let_through(0);
    flood(&mut bench, "a", 1);
    bench.arrive("a", &[], "x");
    bench.engine.turn(1);
    bench.moment.ms += 40_000;
    bench.engine.at(bench.moment);
    bench.engine.tick(0);
    bench.settle();
    for client in &mut quick {
        assert_eq!(client.summary().iter().filter(|line| line.starts_with("message")).count(), 2);
    }
}

#[test]
fn several_topics_that_are_behind_take_turns() {
    let mut bench = Bench::new(&spec("Disconnect", 1_000_000));
    let mut slow = bench.subscriber(&["a", "b"]);
    slow.let_through(0);
    flood(&mut bench, "a", 4_000);
    flood(&mut bench, "b", 1);
    slow.let_through(300_000);
    bench.engine.writable(slow.slot);
    let lines = slow.summary();
    let b = lines.iter().position(|line| line.starts_with("message b")).expect("b had its turn");
    assert!(b < 2_000, "before all of a: {b}");
}

#[test]
fn who_owes_too_many_answers_is_closed() {
    let mut bench = Bench::usual();
    let mut client = bench.client();
    client.let_through(0);
    for _ in 0..5_000 {
        bench.send(&client, r#"{"type":"ping","id":"0123456789012345678901234567890123456789"}"#);
        bench.settle();
    }
    client.let_through(1_000_000);
    bench.engine.writable(client.slot);
    assert_eq!(client.summary().last().unwrap(), "close 4429");
}

#[test]
fn unsubscribing_in_the_middle_of_a_frame_ends_it_first() {
    let mut bench = Bench::usual();
    let mut slow = bench.subscriber(&["a", "b"]);
    slow.let_through(30);
    flood(&mut bench, "a", 2);
    bench.send(&slow, r#"{"type":"unsubscribe","topic":"a"}"#);
    bench.arrive("b", &[], "x");
    bench.settle();
    slow.let_through(1_000_000);
    bench.engine.writable(slow.slot);
    let lines = slow.summary();
    assert!(lines[0].starts_with("message a 1 "), "{lines:?}");
    assert_eq!(lines[1..], ["unsubscribed a", "message b 1 x"]);
}

#[test]
fn a_broken_socket_is_let_go_with_its_subscriptions() {
    let mut bench = Bench::usual();
    let broken = bench.subscriber(&["a"]);
    let mut other = bench.subscriber(&["a"]);
    broken.wire.borrow_mut().broken = true;
    bench.arrive("a", &[], "x");
    bench.settle();
    assert_eq!(bench.engine.connections(), 1);
    assert_eq!(other.summary(), ["message a 1 x"]);
    assert_eq!(bench.registry.totals(), (1, 1));
}

#[test]
fn a_subscription_begins_before_what_a_pattern_of_the_same_client_still_owes_it() {
    let mut bench = Bench::new(&spec("Disconnect", 100_000));
    let mut slow = bench.subscriber(&["a.*"]);
    let _other = bench.subscriber(&["a.x"]);
    slow.let_through(10);
    for _ in 0..3 {
        bench.arrive("a.y", &["a.*"], "other");
        bench.arrive("a.x", &["a.*"], "mine");
        bench.settle();
    }
    bench.send(&slow, r#"{"type":"subscribe","topic":"a.x"}"#);
    bench.settle();
    slow.let_through(1_000_000);
    bench.engine.writable(slow.slot);
    bench.settle();
    let lines = slow.summary();
    assert!(lines.contains(&"subscribed a.x 0".into()), "{lines:?}");
    let mine: Vec<_> = lines.iter().filter(|line| line.starts_with("message a.x")).collect();
    assert_eq!(mine, ["message a.x 1 mine", "message a.x 2 mine", "message a.x 3 mine"]);
}

#[test]
fn what_was_dropped_is_told_though_a_replay_is_asked_for_before_it_could_be() {
    let mut bench = Bench::new(&spec("DropOldest", 2_000));
    bench.recoverable = true;
    let mut slow = bench.subscriber(&["a"]);
    slow.let_through(130);
    flood(&mut bench, "a", 100);
    bench.hold_reads = true;
    bench.send(&slow, r#"{"type":"replay","topic":"a","fromSeq":1,"toSeq":1}"#);
    slow.let_through(1_000_000);
    bench.engine.writable(slow.slot);
    bench.hold_reads = false;
    bench.settle();
    let lines = slow.summary();
    let told = lines.iter().position(|line| line.starts_with("gap a 3 ")).expect("a gap is announced");
    let replayed = lines.iter().position(|line| line.starts_with("replayed")).unwrap();
    assert!(told < replayed, "{lines:?}");
    let end: u64 = lines[told].split(' ').nth(3).unwrap().parse().unwrap();
    assert!(lines[replayed + 1].starts_with(&format!("message a {} ", end + 1)), "{lines:?}");
}

#[test]
fn what_a_socket_holds_back_goes_once_it_is_writable_though_nothing_lags() {
    let mut bench = Bench::new(&spec("Disconnect", 100_000));
    let mut client = bench.subscriber(&["a"]);
    client.wire.borrow_mut().holds = 10_000;
    client.let_through(0);
    flood(&mut bench, "a", 1);
    assert!(!behind(&bench, &client) && client.frames().is_empty());
    client.let_through(10);
    bench.engine.writable(client.slot);
    assert!(client.frames().is_empty(), "a part of it");
    client.let_through(10_000);
    bench.engine.writable(client.slot);
    assert_eq!(client.frames().len(), 1);
    client.let_through(0);
    flood(&mut bench, "a", 2);
    assert!(behind(&bench, &client), "nothing more is taken before the first has gone");
    client.let_through(10_000);
    bench.engine.writable(client.slot);
    assert_eq!(client.frames().len(), 2);
    assert!(!behind(&bench, &client));
}

#[test]
fn a_connection_ends_after_what_its_socket_holds_back() {
    let mut bench = Bench::new(&spec("Disconnect", 100_000));
    let mut client = bench.subscriber(&["a"]);
    client.wire.borrow_mut().holds = 10_000;
    client.let_through(0);
    bench.engine.closed_by_client(client.slot, Some(1000));
    bench.settle();
    client.wire.borrow_mut().room = 0;
    assert!(!client.wire.borrow().finished);
    client.let_through(10_000);
    bench.engine.writable(client.slot);
    assert_eq!(client.summary(), ["close 1000"]);
    assert!(client.wire.borrow().finished);
}
