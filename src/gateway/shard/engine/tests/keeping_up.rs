use super::*;

#[test]
fn a_message_reaches_exactly_the_subscribers_of_its_topic() {
    let mut bench = Bench::usual();
    let mut clients = [bench.subscriber(&["a"]), bench.subscriber(&["b"]), bench.subscriber(&["a", "b"])];
    bench.arrive("a", &[], "one");
    bench.arrive("b", &[], "two");
    bench.arrive("c", &[], "three");
    bench.settle();
    assert_eq!(clients[0].summary(), ["message a 1 one"]);
    assert_eq!(clients[1].summary(), ["message b 1 two"]);
    assert_eq!(clients[2].summary(), ["message a 1 one", "message b 1 two"]);
}

#[test]
fn subscribed_comes_before_the_first_message_and_waits_for_the_backbone() {
    let mut bench = Bench::usual();
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","id":7}"#);
    bench.arrive("a", &[], "too early");
    bench.engine.turn(10);
    assert!(client.frames().is_empty(), "nothing before the subscription is in force");
    let change = bench.asked.0.borrow_mut().0.remove(0);
    let (filter, ticket) = (change.filter, change.ticket);
    bench.engine.event(ShardEvent::InForce {
        filter: filter.clone(),
        ticket: ticket + 1,
        seq: 9,
        recoverable: false,
    });
    bench.engine.turn(10);
    assert!(client.frames().is_empty(), "an answer to another request is not ours");
    bench.engine.event(ShardEvent::InForce { filter, ticket, seq: 41, recoverable: false });
    bench.arrive("a", &[], "first");
    bench.settle();
    assert_eq!(client.summary(), ["subscribed a 41", "message a 2 first"]);
}

#[test]
fn a_topic_already_held_is_answered_again_and_sent_once() {
    let mut bench = Bench::usual();
    let mut client = bench.subscriber(&["a"]);
    bench.send(&client, r#"{"type":"subscribe","topic":"a"}"#);
    bench.arrive("a", &[], "x");
    bench.settle();
    assert_eq!(client.summary(), ["subscribed a 0", "message a 1 x"]);
}

#[test]
fn a_topic_tells_its_newest_position_and_a_pattern_none() {
    let mut bench = Bench::usual();
    let _first = bench.subscriber(&["p.a", "p.*"]);
    bench.arrive("p.a", &["p.*"], "x");
    bench.arrive("p.a", &["p.*"], "y");
    bench.settle();
    let mut second = bench.client();
    bench.send(&second, r#"{"type":"subscribe","topic":"p.a"}"#);
    bench.send(&second, r#"{"type":"subscribe","topic":"p.*"}"#);
    bench.settle();
    assert_eq!(second.summary(), ["subscribed p.a 2", "subscribed p.* 0"]);
}

#[test]
fn a_burst_is_one_send_per_subscriber() {
    let mut bench = Bench::usual();
    let mut clients: Vec<_> = (0..20).map(|_| bench.subscriber(&["a"])).collect();
    for client in &clients {
        client.wire.borrow_mut().sends = 0;
    }
    for n in 0..16 {
        bench.arrive("a", &[], &n.to_string());
    }
    bench.settle();
    for client in &mut clients {
        assert_eq!(client.wire.borrow().sends, 1);
        assert_eq!(client.frames().len(), 16);
    }
    assert_eq!(bench.engine.pool.bytes(), 0, "nobody is behind: the log is let go");
}

#[test]
fn a_turn_stops_after_its_share_and_goes_on_with_everybody() {
    let mut bench = Bench::usual();
    let mut clients: Vec<_> = (0..10).map(|_| bench.subscriber(&["a"])).collect();
    bench.arrive("a", &[], "x");
    assert!(bench.engine.turn(3), "there is more to do");
    bench.arrive("a", &[], "y");
    let done = clients.iter_mut().map(|client| client.frames().len()).filter(|count| *count > 0).count();
    assert_eq!(done, 3);
    bench.settle();
    let total: usize = clients.iter_mut().map(|client| client.frames().len()).sum();
    assert_eq!(total + done, 20, "everybody has both");
}

#[test]
fn the_last_one_to_leave_releases_the_topic() {
    let mut bench = Bench::usual();
    let (mut one, two) = (bench.subscriber(&["a"]), bench.subscriber(&["a"]));
    bench.send(&one, r#"{"type":"unsubscribe","topic":"a","id":"u"}"#);
    bench.arrive("a", &[], "x");
    bench.engine.turn(10);
    assert_eq!(one.summary(), ["unsubscribed a"]);
    assert!(bench.asked.0.borrow().0.is_empty(), "somebody still wants it");
    assert_eq!(bench.registry.totals(), (1, 1));
    bench.engine.ended(two.slot);
    let released: Vec<_> = bench.asked.0.borrow().0.iter().map(|change| change.wanted).collect();
    assert_eq!(released, [false]);
    assert_eq!(bench.registry.totals(), (0, 0));
}

#[test]
fn leaving_in_the_middle_of_a_hand_out_costs_nobody_a_message() {
    let mut bench = Bench::usual();
    let mut clients: Vec<_> = (0..6).map(|_| bench.subscriber(&["a"])).collect();
    bench.arrive("a", &[], "x");
    bench.engine.turn(3);
    let leaver = clients.iter().position(|client| client.wire.borrow().sends > 1).unwrap();
    bench.send(&clients[leaver], r#"{"type":"unsubscribe","topic":"a"}"#);
    bench.settle();
    for client in &mut clients {
        assert!(client.summary().contains(&"message a 1 x".to_string()));
    }
}

#[test]
fn topic_and_pattern_held_together_bring_each_message_once() {
    let mut bench = Bench::usual();
    for topics in [["p.a", "p.*"], ["p.*", "p.a"], ["p.*", "p.>"]] {
        let mut client = bench.subscriber(&topics);
        bench.arrive("p.a", &["p.*", "p.>"], "x");
        bench.arrive("p.b", &["p.*", "p.>"], "y");
        bench.settle();
        let mut data: Vec<_> =
            client.summary().iter().map(|line| line[line.len() - 1..].to_owned()).collect();
        data.sort();
        assert_eq!(data, ["x", "y"], "{topics:?}");
        bench.engine.ended(client.slot);
        bench.settle();
    }
}

#[test]
fn a_backbone_that_cannot_deliver_is_told_to_everybody_who_waits() {
    let mut bench = Bench::usual();
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a"}"#);
    bench.send(&client, r#"{"type":"subscribe","topic":"a"}"#);
    let change = bench.asked.0.borrow_mut().0.remove(0);
    let (filter, ticket) = (change.filter, change.ticket);
    bench.engine.event(ShardEvent::Refused { filter, ticket, reason: "no nats".into() });
    bench.engine.turn(1);
    assert_eq!(client.summary(), vec!["error a BACKBONE_UNAVAILABLE"; 2]);
    assert_eq!(bench.registry.totals(), (0, 0));
}

#[test]
fn an_unsubscribe_answers_the_subscribe_that_still_waits() {
    let mut bench = Bench::usual();
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"subscribe","topic":"a","id":1}"#);
    bench.send(&client, r#"{"type":"unsubscribe","topic":"a","id":2}"#);
    bench.settle();
    assert_eq!(client.summary().len(), 2);
    assert_eq!(bench.registry.totals(), (0, 0));
}
