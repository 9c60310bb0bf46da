//! What was before: `fromSeq`, `last`, `replay` and `resume`, on topics in memory.

use serde_json::{Value, json};

use crate::support::{Client, Configured, Gateway, Resource};

async fn publish(gateway: &Gateway, topic: &str, numbers: std::ops::RangeInclusive<u64>) {
    let mut publisher = gateway.client().await;
    for n in numbers {
        publisher.publish(topic, &n.to_string(), json!(n)).await;
    }
}

/// The messages that come next must be these, numbered as their data says.
async fn expect_numbers(client: &mut Client, topic: &str, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        let frame = client.expect("message").await;
        let told = (&frame["topic"], &frame["seqNo"], &frame["prevSeqNo"], &frame["data"]);
        assert_eq!(told, (&json!(topic), &json!(n), &json!(n - 1), &json!(n)), "{frame}");
    }
}

fn open() -> Resource {
    Resource::open().set("limits.publishPerSecond", json!(0))
}

#[tokio::test]
async fn a_subscription_begins_where_it_is_told_to_and_goes_on_live() {
    let gateway = Gateway::start(&open());
    publish(&gateway, "a", 1..=5).await;
    for (from, first, seq) in
        [(json!({"fromSeq": 3}), 3, 2), (json!({"last": 2}), 4, 3), (json!({"fromSeq": 0}), 1, 0)]
    {
        let mut client = gateway.client().await;
        let mut command = json!({"type": "subscribe", "topic": "a", "id": "s"});
        command.as_object_mut().unwrap().extend(from.as_object().unwrap().clone());
        let mut answer = client.ask(command).await;
        assert!(answer["epoch"].is_string(), "{answer}");
        answer.as_object_mut().unwrap().remove("epoch");
        let expected = json!({
            "type": "subscribed", "id": "s", "topic": "a", "seqNo": seq, "recoverable": true, "recovered": true,
        });
        assert_eq!(answer, expected);
        expect_numbers(&mut client, "a", first..=5).await;
        client.expect_nothing().await;
    }
    let mut client = gateway.client().await;
    client.send(json!({"type": "subscribe", "topic": "a", "fromSeq": 5})).await;
    client.expect("subscribed").await;
    publish(&gateway, "a", 6..=8).await;
    expect_numbers(&mut client, "a", 5..=8).await;
}

#[tokio::test]
async fn a_part_is_sent_again_and_then_said_to_be_complete() {
    let gateway = Gateway::start(&open());
    publish(&gateway, "a", 1..=5).await;
    let mut client = gateway.subscriber(&["a"]).await;
    client.send(json!({"type": "replay", "topic": "a", "fromSeq": 2, "toSeq": 4, "id": 1})).await;
    expect_numbers(&mut client, "a", 2..=4).await;
    let replayed = client.frame().await;
    let expected =
        json!({"type": "replayed", "id": 1, "topic": "a", "fromSeq": 2, "toSeq": 4, "complete": true});
    assert_eq!(replayed, expected);
}

#[tokio::test]
async fn a_connection_that_broke_goes_on_without_a_hole() {
    let gateway = Gateway::start(&open());
    publish(&gateway, "a", 1..=3).await;
    let mut client = gateway.client().await;
    let session = client.ask(json!({"type": "setup"})).await["sessionId"].clone();
    client.send(json!({"type": "subscribe", "topic": "a", "last": 1})).await;
    client.expect("subscribed").await;
    expect_numbers(&mut client, "a", 3..=3).await;
    drop(client);
    publish(&gateway, "a", 4..=6).await;
    let mut client = gateway.client().await;
    client.send(json!({"type": "resume", "sessionId": session, "lastSeqPerTopic": {"a": 3}, "id": 9})).await;
    let ready = client.expect("ready").await;
    assert_eq!((&ready["id"], &ready["resumed"]), (&json!(9), &json!(true)), "{ready}");
    let subscribed = client.expect("subscribed").await;
    assert_eq!((&subscribed["recovered"], &subscribed["seqNo"]), (&json!(true), &json!(3)), "{subscribed}");
    expect_numbers(&mut client, "a", 4..=6).await;
    publish(&gateway, "a", 7..=7).await;
    expect_numbers(&mut client, "a", 7..=7).await;
}

#[tokio::test]
async fn what_no_longer_exists_is_told_with_its_numbers() {
    let gateway = Gateway::start(&open());
    // More than is kept of one topic.
    publish(&gateway, "a", 1..=1_005).await;
    let mut client = gateway.client().await;
    let answer = client.ask(json!({"type": "subscribe", "topic": "a", "fromSeq": 2})).await;
    assert_eq!((&answer["type"], &answer["recovered"]), (&json!("subscribed"), &json!(false)), "{answer}");
    let gap = client.expect("gap").await;
    assert_eq!(gap, json!({"type": "gap", "topic": "a", "fromSeq": 2, "toSeq": 5, "reason": "expired"}));
    for n in 6..=1_005_u64 {
        assert_eq!(client.expect("message").await["seqNo"], n);
    }
}

#[tokio::test]
async fn a_rule_says_how_much_is_kept_of_a_topic_and_may_change() {
    let keeping = |count: u32| open().set("topics", json!([{"pattern": "a", "historyMessages": count}]));
    let mut gateway = Configured::start(&keeping(2));
    publish(&gateway, "a", 1..=5).await;
    publish(&gateway, "b", 1..=5).await;
    for (topic, first) in [("a", 4), ("b", 1)] {
        let mut client = gateway.client().await;
        client.send(json!({"type": "subscribe", "topic": topic, "last": 10})).await;
        client.expect("subscribed").await;
        expect_numbers(&mut client, topic, first..=5).await;
    }
    gateway.change(&keeping(3));
    publish(&gateway, "a", 6..=8).await;
    let mut client = gateway.client().await;
    client.send(json!({"type": "subscribe", "topic": "a", "last": 10})).await;
    client.expect("subscribed").await;
    expect_numbers(&mut client, "a", 6..=8).await;
}

#[tokio::test]
async fn positions_that_never_were_get_an_answer_and_the_topic_goes_on() {
    let gateway = Gateway::start(&open());
    publish(&gateway, "a", 1..=2).await;
    for from in [4_u64, 1_000_000, u64::MAX] {
        let mut client = gateway.client().await;
        let answer = client.ask(json!({"type": "subscribe", "topic": "a", "fromSeq": from})).await;
        assert_eq!((&answer["recovered"], &answer["seqNo"]), (&json!(false), &json!(2)), "{answer}");
        assert_eq!(client.expect("gap").await["reason"], "expired");
        let replayed = client.ask(json!({"type": "replay", "topic": "a", "fromSeq": from})).await;
        assert_eq!((&replayed["type"], &replayed["complete"]), (&json!("replayed"), &json!(false)));
    }
    for bad in [json!(-1), json!(1.5), json!("1"), Value::Null] {
        let mut client = gateway.client().await;
        client.send(json!({"type": "subscribe", "topic": "a", "fromSeq": bad})).await;
        client.expect_error("BAD_REQUEST").await;
    }
}
