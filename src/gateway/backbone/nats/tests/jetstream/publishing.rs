//! What clients publish to the stream.

use async_nats::HeaderMap;
use futures_util::StreamExt as _;
use serde_json::json;

use super::{Stream, with};
use crate::gateway::backbone::{
    PublishError, Published,
    shards::{publish, request},
};

#[tokio::test]
async fn a_message_is_confirmed_with_its_number_and_one_sent_again_is_known() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    let mut seen = stream.client.subscribe("a.x").await.unwrap();
    stream.client.flush().await.unwrap();
    let first = Published { seq: Some(1), duplicate: false, remembered: true };
    assert_eq!(publish(&rig.handle, "a.x", "id", "1").await, Ok(first));
    assert_eq!(publish(&rig.handle, "a.x", "id", "1").await, Ok(Published { duplicate: true, ..first }));
    assert_eq!(publish(&rig.handle, "a.x", "other", "2").await.unwrap().seq, Some(2));
    let headers: HeaderMap = seen.next().await.unwrap().headers.unwrap();
    for name in ["Nats-Msg-Id", "Topicgateway-Message-Id"] {
        assert_eq!(headers.get(name).unwrap().as_str(), "id");
    }
    assert_eq!(rig.arrive(0, "a.x", 2).await.len(), 2, "the one sent again came to nobody");
}

#[tokio::test]
async fn many_are_under_way_at_one_time_and_keep_their_order() {
    let stream = Stream::plain().await;
    let rig = stream.gateway().await;
    publish(&rig.handle, "a.x", "first", "0").await.unwrap();
    let mut answers = Vec::new();
    for n in 0..2_000 {
        answers.push(request(&rig.handle, "a.x", &n.to_string(), "1").await);
    }
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap().unwrap().seq, Some(n as u64 + 2));
    }
}

#[tokio::test]
async fn what_the_stream_does_not_take_is_said_with_its_name() {
    let stream = Stream::new(&with(&json!({"max_msgs": 1, "discard": "new", "max_msg_size": 200}))).await;
    let rig = stream.gateway().await;
    let large = publish(&rig.handle, "a.x", "large", vec![b'1'; 300]).await.unwrap_err();
    assert!(matches!(&large, PublishError::Refused(why) if why.contains("\"S\"")), "{large}");
    publish(&rig.handle, "a.x", "fits", "1").await.unwrap();
    let full = publish(&rig.handle, "a.x", "second", "1").await.unwrap_err();
    assert!(matches!(&full, PublishError::Unavailable(why) if why.contains("raise")), "{full}");
}
