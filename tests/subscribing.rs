//! Topics reach exactly their subscribers, in order, after `subscribed`.

use serde_json::json;

use crate::support::{Gateway, Resource, data_of};

#[tokio::test]
async fn setup_is_answered_with_ready_and_then_each_topic() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.client().await;
    client.send(json!({"type": "setup", "id": 7, "topics": ["a", "b.", "c"]})).await;
    let ready = client.expect("ready").await;
    assert_eq!(ready["id"], 7, "{ready}");
    assert_eq!(ready["userId"], "anonymous", "{ready}");
    assert_eq!(ready["heartbeatSeconds"], 25, "{ready}");
    assert_eq!(ready["resumed"], false, "{ready}");
    assert!(ready["sessionId"].as_str().is_some_and(|id| !id.is_empty()), "{ready}");
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer = client.frame().await;
        answers.push((
            answer["type"].as_str().unwrap().to_owned(),
            answer["topic"].as_str().unwrap().to_owned(),
        ));
    }
    answers.sort();
    let expected = [("error", "b."), ("subscribed", "a"), ("subscribed", "c")];
    assert_eq!(answers, expected.map(|(kind, topic)| (kind.to_owned(), topic.to_owned())));
    client.expect_nothing().await;
}

#[tokio::test]
async fn subscribed_carries_the_position_and_whether_what_follows_can_be_recovered() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.client().await;
    let answer = client.ask(json!({"type": "subscribe", "topic": "a", "id": "x"})).await;
    let epoch = answer["epoch"].clone();
    assert!(epoch.is_string(), "{answer}");
    assert_eq!(
        answer,
        json!({"type": "subscribed", "id": "x", "topic": "a", "seqNo": 0, "recoverable": true, "epoch": epoch})
    );
}

#[tokio::test]
async fn subscribed_comes_before_the_first_message_while_publishing_goes_on() {
    let gateway = Gateway::start(&Resource::open().set("limits.publishPerSecond", json!(0)));
    let mut publisher = gateway.client().await;
    for round in 0..50 {
        let mut client = gateway.client().await;
        for n in 0..4 {
            let id = format!("{round}-{n}");
            publisher.send(json!({"type": "publish", "topic": "busy", "messageId": id, "payload": n})).await;
            if n == 1 {
                client.send(json!({"type": "subscribe", "topic": "busy"})).await;
            }
        }
        let subscribed = client.expect("subscribed").await;
        for _ in 0..4 {
            publisher.expect("ack").await;
        }
        publisher.publish("busy", &format!("{round}-last"), json!("last")).await;
        let mut expected = subscribed["seqNo"].as_u64().unwrap() + 1;
        loop {
            let message = client.expect("message").await;
            assert_eq!(message["seqNo"], expected, "no hole after subscribed: {subscribed} {message}");
            expected += 1;
            if message["data"] == "last" {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_message_reaches_exactly_the_subscribers_of_its_topic() {
    let gateway = Gateway::start(&Resource::open());
    let mut ann = gateway.subscriber(&["prices.btc"]).await;
    let mut bob = gateway.subscriber(&["prices.btc", "prices.eth"]).await;
    let mut cas = gateway.subscriber(&["prices"]).await;
    let mut publisher = gateway.client().await;
    publisher.publish("prices.btc", "1", json!({"price": 1})).await;
    publisher.publish("prices.eth", "2", json!({"price": 2})).await;
    assert_eq!(ann.expect_data("prices.btc").await, json!({"price": 1}));
    assert_eq!(bob.expect_data("prices.btc").await, json!({"price": 1}));
    assert_eq!(bob.expect_data("prices.eth").await, json!({"price": 2}));
    for client in [&mut ann, &mut bob, &mut cas, &mut publisher] {
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn messages_of_a_topic_come_in_order_and_each_names_the_one_before() {
    let gateway = Gateway::start(&Resource::open().set("limits.publishPerSecond", json!(0)));
    let mut client = gateway.subscriber(&["a", "b"]).await;
    let mut publisher = gateway.client().await;
    for n in 1..=100_u64 {
        for topic in ["a", "b"] {
            let ack = publisher.publish(topic, &format!("{topic}{n}"), json!(n)).await;
            assert_eq!((&ack["status"], &ack["seqNo"]), (&json!("ok"), &json!(n)), "{ack}");
        }
    }
    let mut last = [0_u64; 2];
    for _ in 0..200 {
        let message = client.expect("message").await;
        let last = &mut last[usize::from(message["topic"] == "b")];
        assert_eq!(message["seqNo"], *last + 1, "{message}");
        assert_eq!(message["prevSeqNo"], *last, "{message}");
        assert_eq!(message["data"], *last + 1, "{message}");
        *last += 1;
    }
}

#[tokio::test]
async fn data_is_the_payload_byte_for_byte() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.subscriber(&["a"]).await;
    let mut publisher = gateway.client().await;
    let payload = r#"{ "b":1.50e+2,  "a": "\u00e9\/é", "b":[ ] , "n": 12345678901234567890.000 }"#;
    let command = format!(r#"{{"payload":{payload},"messageId":"1","topic":"a","type":"publish"}}"#);
    publisher.send_text(&command).await;
    publisher.expect("ack").await;
    assert_eq!(data_of(&client.text().await), payload);
}

#[tokio::test]
async fn a_topic_already_held_is_subscribed_again_and_sent_once() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.subscriber(&["a", "a"]).await;
    let mut publisher = gateway.client().await;
    publisher.publish("a", "1", json!(1)).await;
    assert_eq!(client.expect_data("a").await, 1);
    client.expect_nothing().await;
}

#[tokio::test]
async fn nothing_comes_after_unsubscribed() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.subscriber(&["a", "b"]).await;
    let answer = client.ask(json!({"type": "unsubscribe", "topic": "a", "id": 1})).await;
    assert_eq!(answer, json!({"type": "unsubscribed", "id": 1, "topic": "a"}));
    let mut publisher = gateway.client().await;
    publisher.publish("a", "1", json!(1)).await;
    publisher.publish("b", "2", json!(2)).await;
    assert_eq!(client.expect_data("b").await, 2);
    client.expect_nothing().await;
}

#[tokio::test]
async fn unsubscribing_what_is_not_held_is_answered_all_the_same() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.client().await;
    let answer = client.ask(json!({"type": "unsubscribe", "topic": "never"})).await;
    assert_eq!(answer, json!({"type": "unsubscribed", "topic": "never"}));
}

#[tokio::test]
async fn leaving_and_coming_back_on_one_socket_starts_after_what_was_missed() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.subscriber(&["a"]).await;
    let mut holder = gateway.subscriber(&["a"]).await;
    let mut publisher = gateway.client().await;
    client.ask(json!({"type": "unsubscribe", "topic": "a"})).await;
    publisher.publish("a", "1", json!("missed")).await;
    assert_eq!(holder.expect_data("a").await, "missed");
    assert_eq!(client.subscribe("a").await["seqNo"], 1);
    publisher.publish("a", "2", json!("seen")).await;
    let message = client.expect("message").await;
    assert_eq!(
        (&message["data"], &message["seqNo"], &message["prevSeqNo"]),
        (&json!("seen"), &json!(2), &json!(1))
    );
}

#[tokio::test]
async fn every_command_is_answered_once_and_with_its_id() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.client().await;
    let commands = [
        (json!({"type": "ping", "id": "s"}), "pong"),
        (json!({"type": "ping", "id": 0}), "pong"),
        (json!({"type": "ping", "id": -12}), "pong"),
        (json!({"type": "ping", "id": "\u{e9}\"\\ \n"}), "pong"),
        (json!({"type": "subscribe", "topic": "a", "id": "s"}), "subscribed"),
        (json!({"type": "unsubscribe", "topic": "a", "id": 3}), "unsubscribed"),
        (json!({"type": "publish", "topic": "a", "messageId": "m", "payload": 1, "id": 4}), "ack"),
        (json!({"type": "subscribe", "topic": "a..b", "id": 5}), "error"),
        (json!({"type": "nonsense", "id": 6}), "error"),
    ];
    for (command, kind) in commands {
        let answer = client.ask(command.clone()).await;
        assert_eq!((&answer["type"], &answer["id"]), (&json!(kind), &command["id"]), "{command}");
    }
    client.expect_nothing().await;
}

#[tokio::test]
async fn answers_carry_no_id_where_none_was_given_and_ack_has_no_answer() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = gateway.client().await;
    client.send(json!({"type": "ack", "messageId": "m"})).await;
    client.send(json!({"type": "ack", "topic": "a", "seqNo": 3})).await;
    assert_eq!(client.ask(json!({"type": "ping"})).await, json!({"type": "pong"}));
}

#[tokio::test]
async fn the_built_in_resource_lets_anybody_do_everything() {
    let gateway = Gateway::built_in();
    let mut client = gateway.subscriber(&["a.b"]).await;
    let mut publisher = gateway.client().await;
    publisher.publish("a.b", "1", json!("hello")).await;
    assert_eq!(client.expect_data("a.b").await, "hello");
}

#[tokio::test]
async fn the_demo_address_publishes_its_query_parameters() {
    let gateway = Gateway::built_in();
    let mut client = gateway.subscriber(&["demo"]).await;
    let answer = gateway.get("/demo/publish/demo?price=12&name=a%20b");
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = client.expect_data("demo").await;
    assert_eq!(data["name"], "a b", "{data}");
    assert!(data["price"] == "12" || data["price"] == 12, "{data}");
}

#[tokio::test]
async fn stats_count_connections_topics_and_subscriptions() {
    let gateway = Gateway::start(&Resource::open());
    let ann = gateway.subscriber(&["a", "b"]).await;
    let bob = gateway.subscriber(&["b"]).await;
    crate::support::wait_until("stats tell what is there", || {
        gateway.get("/stats").json() == json!({"connections": 2, "topics": 2, "subscriptions": 3})
    });
    ann.close().await;
    bob.close().await;
    crate::support::wait_until("stats tell that all are gone", || {
        gateway.get("/stats").json() == json!({"connections": 0, "topics": 0, "subscriptions": 0})
    });
}
