//! The stream is made and kept as the resource describes it.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Rig, Stream, Told, spec};
use crate::{
    api::NatsBackbone,
    gateway::backbone::{
        Feed,
        nats::stream::{StreamError, StreamState, ensure_stream},
        shards::{PATIENCE, publish},
    },
};

/// A backbone with a managed stream `S`.
fn managed(stream: &Stream, changes: &Value) -> NatsBackbone {
    let mut jet = json!({"stream": "S", "manage": true});
    for (key, value) in changes.as_object().unwrap() {
        jet[key] = value.clone();
    }
    NatsBackbone {
        subjects: vec!["a.>".parse().unwrap(), "a.x".parse().unwrap()],
        jet_stream: Some(serde_json::from_value(jet).unwrap()),
        ..spec(&[stream.server.url()])
    }
}

impl Stream {
    async fn config(&self) -> Value {
        self.must("STREAM.INFO.S", &json!({})).await["config"].clone()
    }

    async fn ensured(&self, changes: &Value) -> StreamState {
        ensure_stream(&self.client, &managed(self, changes)).await.unwrap()
    }
}

#[tokio::test]
async fn a_managed_stream_is_made_once_and_serves_gateways() {
    let stream = Stream::none().await;
    let made = stream.ensured(&json!({"maxAge": "10m", "maxBytes": 1_000_000})).await;
    assert_eq!((made.created, made.feed), (true, Feed::RePublish));
    let config = stream.config().await;
    for (name, value) in [
        ("subjects", json!(["a.>"])),
        ("max_age", json!(600_000_000_000_u64)),
        ("max_bytes", json!(1_000_000)),
        ("duplicate_window", json!(600_000_000_000_u64)),
        ("allow_direct", json!(true)),
        ("storage", json!("file")),
    ] {
        assert_eq!(config[name], value, "{name}");
    }
    let again = stream.ensured(&json!({"maxAge": "10m", "maxBytes": 1_000_000})).await;
    assert_eq!((again.created, again.changed, again.left), (false, vec![], vec![]));
    let mut rig = Rig::connected(&managed(&stream, &json!({}))).await;
    rig.want("a.x", 0).await.unwrap();
    publish(&rig.handle, "a.x", "id", "1").await.unwrap();
    assert_eq!(rig.told(0, "a.x", 1).await, [Told::Message(1, 0, "1".into())]);
}

#[tokio::test]
async fn limits_are_raised_but_never_lowered_and_what_is_left_is_said() {
    let stream = Stream::none().await;
    stream.ensured(&json!({"maxAge": "10m", "maxBytes": 1_000_000})).await;
    let raised = stream.ensured(&json!({"maxAge": "20m"})).await;
    assert_eq!(raised.changed, ["duplicate_window", "max_age", "max_bytes"]);
    let lowered = stream.ensured(&json!({"maxAge": "1m", "maxBytes": 5_000})).await;
    assert_eq!(lowered.left.len(), 2, "{lowered:?}");
    assert!(lowered.left[0].contains("max_age") && lowered.left[0].contains("by hand"), "{lowered:?}");
    let config = stream.config().await;
    assert_eq!((&config["max_age"], &config["max_bytes"]), (&json!(1_200_000_000_000_u64), &json!(-1)));
}

#[tokio::test]
async fn a_stream_that_was_there_keeps_what_the_resource_does_not_describe() {
    let stream = Stream::none().await;
    stream
        .create(&json!({
            "name": "S", "subjects": ["a.x"], "storage": "memory", "max_msgs": 77, "description": "mine",
        }))
        .await;
    let taken = stream.ensured(&json!({})).await;
    assert_eq!(taken.feed, Feed::RePublish);
    assert!(taken.left.len() == 1 && taken.left[0].contains("storage"), "{taken:?}");
    let config = stream.config().await;
    assert_eq!((&config["max_msgs"], &config["description"]), (&json!(77), &json!("mine")));
    assert_eq!((&config["subjects"], &config["allow_direct"]), (&json!(["a.>"]), &json!(true)));
}

#[tokio::test]
async fn a_stream_that_was_deleted_is_soon_there_again() {
    let stream = Stream::none().await;
    stream.ensured(&json!({})).await;
    let mut rig = Rig::connected(&managed(&stream, &json!({}))).await;
    rig.want("a.x", 0).await.unwrap();
    stream.must("STREAM.DELETE.S", &json!({})).await;
    let end = Instant::now() + PATIENCE;
    while !stream.api("STREAM.INFO.S", &json!({})).await["error"].is_null() {
        assert!(Instant::now() < end, "nobody makes it again");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn subjects_are_those_below_the_prefix() {
    let stream = Stream::none().await;
    let spec = NatsBackbone {
        subject_prefix: "acme".into(),
        subjects: vec![">".parse().unwrap()],
        ..managed(&stream, &json!({}))
    };
    ensure_stream(&stream.client, &spec).await.unwrap();
    assert_eq!(stream.config().await["subjects"], json!(["acme.>"]));
    let mut rig = Rig::connected(&spec).await;
    rig.want("a.x", 0).await.unwrap();
    stream.store("acme.a.x", "1").await;
    assert_eq!(rig.told(0, "a.x", 1).await, [Told::Message(1, 0, "1".into())]);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_the_next_action() {
    let stream = Stream::none().await;
    let everything = NatsBackbone { subjects: vec![">".parse().unwrap()], ..managed(&stream, &json!({})) };
    let refused = ensure_stream(&stream.client, &everything).await.unwrap_err();
    assert_eq!(refused, StreamError::Everything);
    let missing = ensure_stream(&stream.client, &managed(&stream, &json!({"manage": false}))).await;
    assert!(matches!(missing, Err(StreamError::Missing(name)) if name == "S"));
    let refused = ensure_stream(&stream.client, &managed(&stream, &json!({"replicas": 3}))).await;
    assert!(
        matches!(refused, Err(StreamError::Refused { .. })),
        "one server has no three copies: {refused:?}"
    );
    let plain = super::Server::plain().await;
    let refused = ensure_stream(&plain.client().await, &everything).await.unwrap_err();
    assert!(refused.to_string().contains("enable it"), "{refused}");
    stream.create(&json!({"name": "S", "subjects": ["a.>"]})).await;
    let other = stream.ensured(&json!({"manage": false})).await;
    assert_eq!((other.left.len(), other.feed), (2, Feed::Notice));
}
