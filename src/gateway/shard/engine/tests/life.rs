use super::{history::resume, *};
use crate::{
    api::Topic,
    gateway::{shard::PublishAnswer, websocket::CloseCode},
};

const TOKEN: &str = r#"{"type":"setup","token":"t","topics":["b"],"id":"s"}"#;

fn authenticated(request: &Request, identity: Arc<Identity>) -> ShardEvent {
    let Request::Authenticate { connection, .. } = request else {
        panic!("not an authentication: {request:?}")
    };
    ShardEvent::Authenticated { connection: *connection, result: Ok(identity) }
}

#[test]
fn commands_behind_a_setup_are_judged_by_the_new_identity() {
    let mut bench = Bench::usual();
    let greeting = bench.greeting(None);
    let mut client = bench.connect_with(greeting);
    bench.send(&client, r#"{"type":"subscribe","topic":"a"}"#);
    let mut both = masked(TOKEN);
    both.extend(masked(r#"{"type":"subscribe","topic":"a"}"#));
    bench.engine.received(client.slot, &mut both);
    bench.settle();
    assert_eq!(client.summary(), ["error a AUTH_REQUIRED"]);
    let asked = bench.requests();
    bench.engine.event(authenticated(&asked[0], identity("ann", &["a", "b"])));
    bench.settle();
    assert_eq!(client.summary(), ["ready", "subscribed b 0", "subscribed a 0"]);
}

#[test]
fn a_refused_token_leaves_the_connection_open() {
    let mut bench = Bench::usual();
    let greeting = bench.greeting(None);
    let mut client = bench.connect_with(greeting);
    bench.send(&client, TOKEN);
    let asked = bench.requests();
    let Request::Authenticate { connection, .. } = asked[0] else { panic!() };
    bench.engine.event(ShardEvent::Authenticated { connection, result: Err("expired".into()) });
    bench.send(&client, r#"{"type":"ping"}"#);
    bench.settle();
    assert_eq!(client.summary(), ["error AUTH_FAILED", "pong"]);
}

#[test]
fn a_new_token_ends_the_subscriptions_it_gives_no_right_to() {
    let mut bench = Bench::usual();
    let mut client = bench.subscriber(&["a", "b"]);
    bench.send(&client, r#"{"type":"setup","token":"t"}"#);
    let asked = bench.requests();
    bench.engine.event(authenticated(&asked[0], identity("ann", &["b"])));
    bench.arrive("a", &[], "x");
    bench.arrive("b", &[], "y");
    bench.settle();
    assert_eq!(client.summary(), ["ready", "error a ACL_DENIED", "message b 1 y"]);
}

#[test]
fn the_topic_of_the_url_is_subscribed_as_soon_as_the_client_may() {
    let mut bench = Bench::usual();
    let mut greeting = bench.greeting(Some(identity("anonymous", &["other"])));
    greeting.topic = Some("a".into());
    let mut client = bench.connect_with(greeting);
    bench.settle();
    assert_eq!(client.summary(), ["error a ACL_DENIED"]);
    bench.send(&client, r#"{"type":"setup","token":"t"}"#);
    let asked = bench.requests();
    bench.engine.event(authenticated(&asked[0], identity("ann", &["a"])));
    bench.settle();
    assert_eq!(client.summary(), ["ready", "subscribed a 0"]);
    let mut greeting = bench.greeting(Some(identity("bob", &["a"])));
    greeting.topic = Some("a b".into());
    let mut client = bench.connect_with(greeting);
    bench.settle();
    assert_eq!(client.summary()[0].split(' ').next_back(), Some("TOPIC_INVALID"));
}

#[test]
fn the_topic_of_the_url_goes_on_from_where_a_resume_says() {
    let mut bench = Bench::recoverable();
    let mut before = bench.client();
    let session = bench.session(&mut before);
    bench.engine.ended(before.slot);
    bench.publish("a", 5);
    for (positions, told) in [
        (r#""a":3"#, &["ready", "subscribed a 3 true", "message a 4 x", "message a 5 x"][..]),
        (r#""b":0"#, &["ready", "subscribed a 5", "subscribed b 0 true"]),
    ] {
        let mut greeting = bench.greeting(None);
        greeting.topic = Some("a".into());
        let mut client = bench.connect_with(greeting);
        let resume = resume(&session, positions).replacen('{', r#"{"token":"t","#, 1);
        bench.send(&client, &resume);
        let asked = bench.requests();
        bench.engine.event(authenticated(&asked[0], identity("user-0", &[">"])));
        bench.settle();
        assert_eq!(client.summary(), told);
    }
}

#[test]
fn a_resume_places_anew_what_the_url_has_subscribed_to_before() {
    let mut bench = Bench::recoverable();
    let mut before = bench.client();
    let session = bench.session(&mut before);
    bench.engine.ended(before.slot);
    bench.publish("a", 5);
    for begun in [true, false] {
        let mut greeting = bench.greeting(Some(identity("user-0", &[">"])));
        greeting.topic = Some("a".into());
        let mut client = bench.connect_with(greeting);
        if begun {
            bench.settle();
            assert_eq!(client.summary(), ["subscribed a 5"]);
        }
        bench.send(&client, &resume(&session, r#""a":3"#));
        bench.settle();
        bench.publish("a", 1);
        bench.settle();
        let told = client.summary();
        assert_eq!(told[..4], ["ready", "subscribed a 3 true", "message a 4 x", "message a 5 x"], "{begun}");
        assert_eq!(told.len(), if begun { 5 } else { 6 });
        bench.engine.ended(client.slot);
    }
}

#[test]
fn who_does_not_authenticate_in_time_is_closed() {
    let mut bench = Bench::unhurried();
    let greeting = bench.greeting(None);
    let mut client = bench.connect_with(greeting);
    bench.pass(9_000);
    assert!(client.frames().is_empty());
    bench.pass(2_000);
    assert_eq!(client.summary(), ["close 4401"]);
    bench.pass(6_000);
    assert_eq!(bench.engine.connections(), 0, "a client that does not answer the close is let go");
    assert_eq!(bench.admission.connections(), 0);
}

#[test]
fn a_token_that_ends_closes_the_connection_unless_it_is_renewed() {
    let mut bench = Bench::unhurried();
    let ending = |end| Arc::new(Identity { expires_at: Some(end), ..(*identity("ann", &[">"])).clone() });
    let mut clients = [bench.client(), bench.client()];
    for client in &clients {
        bench.send(client, r#"{"type":"setup","token":"t"}"#);
    }
    for request in bench.requests() {
        bench.engine.event(authenticated(&request, ending(1_000_020)));
    }
    bench.pass(15_000);
    bench.send(&clients[1], r#"{"type":"setup","token":"u"}"#);
    let asked = bench.requests();
    bench.engine.event(authenticated(&asked[0], ending(1_000_200)));
    bench.pass(6_000);
    assert_eq!(clients[0].summary().last().unwrap(), "close 4401");
    assert_eq!(clients[1].summary(), ["ready", "ready"]);
}

#[test]
fn who_does_not_answer_a_ping_is_closed_and_who_does_is_not() {
    let mut bench = Bench::usual();
    let (mut dead, mut alive) = (bench.client(), bench.client());
    for _ in 0..60 {
        bench.pass(1_000);
        if alive.summary().contains(&"control 9".to_string()) {
            bench.engine.received(alive.slot, &mut [0x8a, 0x80, 0, 0, 0, 0]);
        }
    }
    let lines = dead.summary();
    assert_eq!(lines, ["control 9", "close 4408"]);
    assert!(bench.engine.connections.get(alive.slot).is_some());
}

#[test]
fn pings_are_spread_over_the_period() {
    let mut bench = Bench::usual();
    let mut clients: Vec<_> = (0..100).map(|_| bench.client()).collect();
    let mut most = 0;
    for _ in 0..26 {
        bench.pass(1_000);
        let pinged = clients.iter_mut().filter_map(|client| client.frames().pop()).count();
        most = most.max(pinged);
    }
    assert!(most <= 12, "at most {most} of 100 in one second of 25");
}

#[test]
fn a_client_that_closes_is_answered() {
    let mut bench = Bench::usual();
    let mut client = bench.client();
    bench.engine.received(client.slot, &mut [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
    bench.settle();
    assert_eq!(client.summary(), ["close 1000"]);
    assert!(client.wire.borrow().finished);
    bench.engine.ended(client.slot);
    assert_eq!(bench.engine.connections(), 0);
}

#[test]
fn a_malformed_frame_closes_its_connection_alone() {
    let mut bench = Bench::usual();
    let (mut bad, mut good) = (bench.subscriber(&["a"]), bench.subscriber(&["a"]));
    bench.engine.received(bad.slot, &mut [0x82, 0x80, 0, 0, 0, 0]);
    bench.arrive("a", &[], "x");
    bench.settle();
    assert_eq!(bad.summary(), ["close 1003"]);
    assert_eq!(good.summary(), ["message a 1 x"]);
}

#[test]
fn a_connection_that_was_turned_away_is_told_why() {
    let mut bench = Bench::usual();
    let mut greeting = bench.greeting(None);
    greeting.close = Some((CloseCode::Forbidden, "this origin is not allowed"));
    let mut client = bench.connect_with(greeting);
    let mut greeting = bench.greeting(None);
    greeting.refused = Some("expired".into());
    let mut refused = bench.connect_with(greeting);
    bench.settle();
    assert_eq!(client.summary(), ["close 4403"]);
    assert_eq!(refused.summary(), ["error AUTH_FAILED"]);
}

#[test]
fn a_user_with_too_many_connections_is_closed() {
    let mut bench = Bench::usual();
    let mut connect = || {
        let greeting = bench.greeting(Some(identity("ann", &[">"])));
        bench.connect_with(greeting)
    };
    let (_one, _two, mut three) = (connect(), connect(), connect());
    bench.settle();
    assert_eq!(three.summary(), ["error LIMIT_EXCEEDED", "close 1013"]);
}

#[test]
fn publishes_are_answered_as_the_backbone_says() {
    let mut bench = Bench::usual();
    let mut client = bench.client();
    bench.send(&client, r#"{"type":"publish","topic":"a","messageId":"m","payload":{"x": 1},"id":5}"#);
    let asked = bench.requests();
    let Request::Publish { connection, id, topic, message_id, payload, .. } = &asked[0] else { panic!() };
    assert_eq!(&payload[..], br#"{"x": 1}"#, "byte for byte");
    let answer = |answer| ShardEvent::Published {
        connection: *connection,
        id: id.clone(),
        topic: topic.clone(),
        message_id: message_id.clone(),
        answer,
    };
    bench.engine.event(answer(PublishAnswer::Accepted(Some(3))));
    bench.settle();
    assert_eq!(client.summary(), ["ack 3 ok"]);
    for (given, told) in [
        (PublishAnswer::Duplicate(None), "ack duplicate"),
        (PublishAnswer::Unavailable("down".into()), "error a BACKBONE_UNAVAILABLE"),
        (PublishAnswer::Limited("too big".into()), "error a LIMIT_EXCEEDED"),
    ] {
        bench.send(&client, r#"{"type":"publish","topic":"a","messageId":"m","payload":1}"#);
        bench.engine.event(answer(given));
        bench.settle();
        assert_eq!(client.summary(), [told]);
    }
}

#[test]
fn a_client_with_many_publishes_under_way_is_not_read_until_some_are_answered() {
    let mut bench = Bench::new(r#"{"backbone":{"memory":{}},"limits":{"publishPerSecond":0}}"#);
    let mut client = bench.client();
    let mut many: Vec<u8> = (0..100)
        .flat_map(|n| masked(&format!(r#"{{"type":"publish","topic":"a","messageId":"{n}","payload":{n}}}"#)))
        .collect();
    bench.engine.received(client.slot, &mut many);
    assert!(!bench.engine.is_reading(client.slot));
    assert!(bench.engine.readable_socket(client.slot).is_none());
    let (mut answered, mut unread) = (0, Vec::new());
    while answered < 100 {
        let asked = bench.requests();
        assert!(asked.len() <= 64 && !asked.is_empty());
        for request in asked {
            let Request::Publish { connection, id, topic, message_id, .. } = request else { panic!() };
            assert_eq!(&*message_id, answered.to_string(), "in order");
            let answer = PublishAnswer::Accepted(None);
            let topic: Topic = topic;
            bench.engine.event(ShardEvent::Published { connection, id, topic, message_id, answer });
            answered += 1;
        }
    }
    bench.settle();
    assert_eq!(client.frames().len(), 100);
    bench.engine.take_unread(&mut unread);
    assert!(unread.contains(&client.slot), "its socket is read again");
}

#[test]
fn a_drain_tells_everybody_and_closes_them_evenly() {
    let mut bench = Bench::unhurried();
    let mut clients: Vec<_> = (0..40).map(|_| bench.client()).collect();
    bench.engine.event(ShardEvent::Drain { window: std::time::Duration::from_secs(20), seed: 7 });
    bench.settle();
    let mut announced = Vec::new();
    for client in &mut clients {
        let frames = client.frames();
        let [Seen::Json(json)] = &frames[..] else { panic!("{frames:?}") };
        assert_eq!(json["type"], "draining");
        announced.push(json["reconnectAfterMs"].as_u64().unwrap());
    }
    assert!(announced.iter().all(|ms| *ms <= 20_000));
    announced.sort_unstable();
    announced.dedup();
    assert!(announced.len() > 30, "the times are spread");
    bench.pass(10_000);
    let closed = clients.iter_mut().filter(|client| client.wire.borrow().finished).count();
    assert!((15..=25).contains(&closed), "half of them after half of the time: {closed}");
    let greeting = bench.greeting(None);
    let mut late = bench.connect_with(greeting);
    bench.settle();
    assert_eq!(late.summary(), ["close 1012"]);
    bench.pass(20_000);
    assert!(bench.engine.is_drained());
}

#[test]
fn an_announcement_goes_to_all_subscribers_and_is_no_message() {
    let mut bench = Bench::usual();
    let mut client = bench.subscriber(&["a"]);
    let mut frame = Vec::new();
    event::gap(&mut frame, "a", None, None, crate::gateway::protocol::GapReason::Backbone);
    let key: Arc<str> = "a".into();
    let arrival = Arrival {
        key: key.clone(),
        topic: key,
        frame: frame.into(),
        seq: None,
        message: false,
        published: None,
    };
    bench.engine.event(ShardEvent::Deliver(vec![arrival]));
    bench.settle();
    assert_eq!(client.summary(), ["gap a backbone"]);
}
