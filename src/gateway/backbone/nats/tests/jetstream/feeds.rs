//! What comes live, while nothing goes wrong.

use async_nats::HeaderMap;
use futures_util::StreamExt as _;
use serde_json::json;

use super::{Stream, Told, config, is_chain, on, with};
use crate::{
    api::SubscriptionMode,
    gateway::{
        backbone::{
            Feed,
            nats::tests::{Rig, count},
            shards::{change, json, publish},
        },
        shard::ShardEvent,
    },
};

fn message(seq: u64, prev: u64, body: &str) -> Told {
    Told::Message(seq, prev, body.into())
}

#[tokio::test]
async fn a_topic_begins_after_its_newest_message_and_every_message_names_the_one_before() {
    let stream = Stream::plain().await;
    stream.store_all("a.x", 1..=3).await;
    let mut rig = stream.gateway().await;
    assert_eq!(rig.want("a.x", 0).await, Ok(5));
    assert_eq!(stream.server.subscriptions().await, ["_tg.S.a.x"]);
    stream.store_all("a.x", 4..=5).await;
    assert_eq!(rig.told(0, "a.x", 2).await, [message(7, 5, "4"), message(9, 7, "5")]);
    assert_eq!(rig.want("a.x", 1).await, Ok(9), "another shard begins where the topic is");
    assert_eq!(rig.want("a.new", 1).await, Ok(10), "without a message: behind what the stream has");
    assert_eq!(rig.handle.status.borrow().feed, Feed::RePublish);
    change(&rig.handle, "a.x", 0, 1, false).await;
    change(&rig.handle, "a.x", 1, 1, false).await;
    stream.server.sees(&["_tg.S.a.new"]).await;
}

#[tokio::test]
async fn the_number_is_the_streams_whatever_the_body_says() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    let client = &stream.client;
    client.publish("a.x", r#"{"seqNo":77}"#.into()).await.unwrap();
    let arrivals = rig.arrive(0, "a.x", 1).await;
    assert_eq!((arrivals[0].seq, json(&arrivals[0])["seqNo"].as_u64()), (Some(1), Some(1)));
}

#[tokio::test]
async fn a_message_has_the_id_it_was_published_under_or_else_that_of_its_body_or_of_the_stream() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    let (own, too_long) = (r#"{"messageId":"body"}"#, "x".repeat(257));
    let cases = [
        (vec![("Topicgateway-Message-Id", "given"), ("Nats-Msg-Id", "1")], own, Some("given")),
        (vec![("Nats-Msg-Id", "2")], own, Some("body")),
        (vec![("Nats-Msg-Id", "3")], "[]", Some("3")),
        (vec![("Topicgateway-Message-Id", &*too_long), ("Nats-Msg-Id", "4")], "[]", Some("4")),
        (vec![("Topicgateway-Message-Id", "")], own, Some("body")),
        (vec![], own, Some("body")),
        (vec![], "[]", None),
    ];
    for (headers, body, _) in &cases {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(*name, *value);
        }
        stream.client.publish_with_headers("a.x", all, (*body).into()).await.unwrap();
    }
    let arrivals = rig.arrive(0, "a.x", cases.len()).await;
    for (arrival, (headers, body, id)) in arrivals.iter().zip(&cases) {
        assert_eq!(json(arrival)["messageId"].as_str(), *id, "{headers:?} {body}");
    }
}

#[tokio::test]
async fn many_new_topics_share_the_questions_for_their_positions() {
    const TOPICS: usize = 600;
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    let mut asked = stream.client.subscribe("$JS.API.DIRECT.GET.S").await.unwrap();
    for n in 0..TOPICS {
        stream.store(&format!("a.{n}"), "1").await;
    }
    for n in 0..TOPICS {
        change(&rig.handle, &format!("a.{n}"), 0, 1, true).await;
    }
    for _ in 0..TOPICS {
        let event = rig.shards.next(0).await;
        let ShardEvent::InForce { filter, seq, recoverable: true, .. } = event else { panic!("{event:?}") };
        assert_eq!(filter.as_str(), format!("a.{}", seq - 1));
    }
    stream.client.publish("$JS.API.DIRECT.GET.S", "end".into()).await.unwrap();
    let mut questions = 0;
    while asked.next().await.unwrap().payload != "end" {
        questions += 1;
    }
    assert!(questions <= 12, "{questions} questions for {TOPICS} topics");
}

#[tokio::test]
async fn a_pattern_gets_every_topic_in_its_order_and_only_once() {
    let stream = Stream::plain().await;
    stream.store("a.x", "0").await;
    let mut rig = stream.gateway().await;
    assert_eq!(rig.want("a.*", 0).await, Ok(0));
    assert_eq!(rig.want("a.x", 1).await, Ok(1), "a topic below it has a position");
    for n in 1..=3 {
        stream.store("a.x", n.to_string()).await;
        stream.store("a.y", n.to_string()).await;
    }
    let told = rig.told(0, "a.*", 6).await;
    let numbers: Vec<_> = told.iter().map(|told| matches!(told, Told::Message(..))).collect();
    assert_eq!(numbers, [true; 6]);
    assert_eq!(told[1], message(3, 0, "1"));
    assert!(is_chain(&rig.told(1, "a.x", 3).await, 1));
}

#[tokio::test]
async fn a_topic_outside_the_stream_comes_as_without_one() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    change(&rig.handle, "c.x", 0, 1, true).await;
    let event = rig.shards.next(0).await;
    assert!(matches!(event, ShardEvent::InForce { seq: 0, recoverable: false, .. }), "{event:?}");
    assert_eq!(publish(&rig.handle, "c.x", "id", "1").await.unwrap().seq, None);
    let arrivals = rig.arrive(0, "c.x", 1).await;
    assert_eq!((arrivals[0].seq, &json(&arrivals[0])["data"]), (None, &json!(1)));
}

#[tokio::test]
async fn a_pattern_over_the_edge_of_the_stream_gets_both_sides_once() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    rig.want(">", 0).await.unwrap();
    stream.store("a.x", "1").await;
    stream.client.publish("c.x", "2".into()).await.unwrap();
    stream.store("b", "3").await;
    let mut topics: Vec<_> =
        rig.arrive(0, ">", 3).await.iter().map(|arrival| arrival.topic.to_string()).collect();
    topics.sort_unstable();
    assert_eq!(topics, ["a.x", "b", "c.x"]);
}

#[tokio::test]
async fn nobody_gets_at_the_subjects_on_which_the_stream_publishes_again() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    rig.want("b", 0).await.unwrap();
    for key in ["_tg.S.a.x", "_tg.S.>"] {
        let refused = rig.want(key, 0).await.unwrap_err();
        assert!(refused.contains("use the topics themselves"), "{refused}");
    }
    assert!(publish(&rig.handle, "_tg.S.b", "id", "1").await.is_err());
    // Whoever else may publish there is not taken for the stream.
    stream.client.publish("_tg.S.b", "1".into()).await.unwrap();
    stream.store("b", "2").await;
    assert_eq!(rig.told(0, "b", 1).await, [message(1, 0, "2")]);
    assert_eq!(count(&rig.counts.ignored_subjects), 1);
}

#[tokio::test]
async fn wildcard_mode_follows_every_topic_for_itself() {
    let stream = Stream::plain().await;
    stream.store("a.x", "0").await;
    let spec = crate::api::NatsBackbone {
        subscription: SubscriptionMode::Wildcard,
        subjects: vec![">".parse().unwrap()],
        ..on(&stream.server.url())
    };
    let mut rig = Rig::connected(&spec).await;
    assert_eq!(rig.want("a.x", 0).await, Ok(1));
    assert_eq!(stream.server.subscriptions().await, [">", "_tg.S.>"]);
    stream.store("a.y", "0").await;
    stream.store("a.x", "1").await;
    assert_eq!(rig.told(0, "a.x", 1).await, [message(3, 1, "1")]);
}

/// The stream is somebody else's: it publishes nothing again, and perhaps allows no Direct Get.
#[tokio::test]
async fn without_republish_messages_are_noticed_and_read_in_order() {
    for direct in [true, false] {
        let stream = Stream::new(&with(&json!({"republish": null, "allow_direct": direct}))).await;
        stream.store("a.x", "0").await;
        let mut rig = stream.gateway().await;
        assert_eq!(rig.want("a.x", 0).await, Ok(1));
        assert_eq!(rig.handle.status.borrow().feed, Feed::Notice);
        assert_eq!(stream.server.subscriptions().await, ["a.x"]);
        assert_eq!(rig.handle.status.borrow().trouble.is_some(), !direct);
        stream.store_all("a.x", 1..=20).await;
        let told = rig.told(0, "a.x", 20).await;
        assert!(is_chain(&told, 1), "{told:?}");
        assert_eq!(told[19], message(40, 38, "20"));
    }
}

#[tokio::test]
async fn without_republish_a_burst_is_read_in_few_questions() {
    const BURST: u64 = 2_000;
    let stream = Stream::new(&with(&json!({"republish": null}))).await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    for n in 1..=BURST {
        stream.client.publish("a.x", n.to_string().into()).await.unwrap();
    }
    assert!(is_chain(&rig.until(0, "a.x", BURST).await, 0));
}

#[tokio::test]
async fn a_stream_that_begins_to_publish_again_is_followed_there() {
    let stream = Stream::new(&with(&json!({"republish": null}))).await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    stream.store("a.x", "1").await;
    assert_eq!(rig.told(0, "a.x", 1).await, [message(1, 0, "1")]);
    stream.must("STREAM.UPDATE.S", &config()).await;
    stream.server.sees(&["_tg.S.a.x"]).await;
    stream.store("a.x", "2").await;
    assert_eq!(rig.told(0, "a.x", 1).await, [message(2, 1, "2")]);
    assert_eq!(rig.handle.status.borrow().feed, Feed::RePublish);
}
