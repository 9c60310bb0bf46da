//! When messages were published, and what publishers may say of their messages.

use std::{ops::RangeInclusive, time::SystemTime};

use async_nats::HeaderMap;
use serde_json::{Value, json};

use super::{Stream, with};
use crate::{
    api::Stamp,
    gateway::{backbone::shards::publish, history::Start},
};

fn now() -> Stamp {
    Stamp::at(SystemTime::now()).unwrap()
}

/// Headers with which a publisher makes its message look like another one of another topic and another time.
fn pretending() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("Nats-Stream", "T"),
        ("Nats-Subject", "a.y"),
        ("Nats-Sequence", "999"),
        ("Nats-Last-Sequence", "998"),
        ("Nats-Time-Stamp", "1971-01-01T00:00:00Z"),
    ] {
        headers.insert(name, value);
    }
    headers
}

impl Stream {
    /// Publishes to `a.x`, with headers and without: the time within which the stream has stored both.
    async fn store_two(&self) -> RangeInclusive<Stamp> {
        let before = now();
        self.client.publish_with_headers("a.x", pretending(), "1".into()).await.unwrap();
        self.store("a.x", "2").await;
        before..=now()
    }
}

/// Every way from a stream to a gateway.
fn ways() -> [Value; 3] {
    [json!({}), json!({"republish": null}), json!({"republish": null, "allow_direct": false})]
}

#[tokio::test]
async fn what_is_live_was_published_when_the_stream_stored_it_whatever_its_publisher_says() {
    for way in ways() {
        let stream = Stream::new(&with(&way)).await;
        let mut rig = stream.gateway().await;
        rig.want("a.x", 0).await.unwrap();
        rig.want("a.y", 1).await.unwrap();
        let stored = stream.store_two().await;
        let arrivals = rig.arrive(0, "a.x", 2).await;
        let numbers: Vec<_> = arrivals.iter().map(|arrival| arrival.seq).collect();
        assert_eq!(numbers, [Some(1), Some(2)], "{way}");
        for arrival in &arrivals {
            let published = arrival.published.unwrap();
            assert!(stored.contains(&published), "{way}: {published} is not within {stored:?}");
        }
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.published), "{way}");
        let nothing = rig.shards.take(1);
        assert!(nothing.is_none(), "{way}: {nothing:?} came on another topic");
    }
}

#[tokio::test]
async fn what_is_read_was_published_when_the_stream_stored_it() {
    for way in ways() {
        let stream = Stream::new(&with(&way)).await;
        let stored = stream.store_two().await;
        let mut rig = stream.gateway().await;
        rig.ready().await;
        let page = rig.read("a.x", Start::After(0), None).await.unwrap();
        let numbers: Vec<_> = page.messages.iter().map(|kept| kept.seq).collect();
        assert_eq!(numbers, [1, 2], "{way}");
        for kept in &page.messages {
            assert!(kept.published.is_some_and(|published| stored.contains(&published)), "{way}: {kept:?}");
        }
    }
}

#[tokio::test]
async fn a_client_s_publish_outside_the_stream_says_when_it_was() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    rig.want("c.x", 0).await.unwrap();
    let before = now();
    publish(&rig.handle, "c.x", "id", "1").await.unwrap();
    let arrivals = rig.arrive(0, "c.x", 1).await;
    assert!((before..=now()).contains(&arrivals[0].published.unwrap()), "{:?}", arrivals[0]);
}
