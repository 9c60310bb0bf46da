use std::{
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use tokio::sync::oneshot;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::MAX_TOPICS;
use crate::{
    api::{Backbone, Secrets, Stamp},
    gateway::{
        backbone::{
            Counts, Exchange, Handle, HistoryRequest, PublishError, Published, Surroundings,
            shards::{Shards, change, json, publish},
        },
        history::Start,
    },
};

async fn start(shards: &Shards) -> (Handle, Arc<Counts>, TaskTracker, CancellationToken) {
    let (counts, tasks, cancel) = (Arc::new(Counts::default()), TaskTracker::new(), CancellationToken::new());
    let around = Surroundings {
        inboxes: shards.inboxes.clone(),
        counts: counts.clone(),
        tasks: tasks.clone(),
        cancel: cancel.clone(),
        keeping: Arc::default(),
        runtime: tokio::runtime::Handle::current(),
    };
    let (handle, _) = Exchange::start(&Backbone::default(), &Secrets::default(), around).await.unwrap();
    (handle, counts, tasks, cancel)
}

#[tokio::test]
async fn each_topic_is_numbered_from_one_and_a_message_names_the_one_before() {
    let mut shards = Shards::new(1);
    let (handle, ..) = start(&shards).await;
    assert!(handle.status.borrow().connected);
    assert_eq!(shards.want(&handle, "prices.btc", 0, 7).await, Ok(0));
    for n in 1..=2 {
        assert_eq!(
            publish(&handle, "prices.btc", "id", "{}").await,
            Ok(Published { seq: Some(n), duplicate: false, remembered: false })
        );
        let arrivals = shards.arrivals(0).await;
        assert_eq!((arrivals.len(), arrivals[0].seq, arrivals[0].message), (1, Some(n), true));
        let frame = json(&arrivals[0]);
        assert_eq!((&frame["seqNo"], &frame["prevSeqNo"]), (&n.into(), &(n - 1).into()));
        assert_eq!(frame["messageId"], "id");
    }
    assert_eq!(
        publish(&handle, "prices.eth", "id", "{}").await,
        Ok(Published { seq: Some(1), duplicate: false, remembered: false })
    );
    assert_eq!(shards.want(&handle, "prices.btc", 0, 8).await, Ok(2), "where a later subscriber starts");
    assert_eq!(shards.want(&handle, "prices.*", 0, 9).await, Ok(0));
}

#[tokio::test]
async fn a_message_is_live_and_kept_with_the_time_of_its_publish() {
    let mut shards = Shards::new(1);
    let (handle, ..) = start(&shards).await;
    shards.want(&handle, "a", 0, 1).await.unwrap();
    let before = Stamp::at(SystemTime::now());
    publish(&handle, "a", "id", "1").await.unwrap();
    let published = shards.arrivals(0).await[0].published;
    assert!(before <= published && published <= Stamp::at(SystemTime::now()), "{published:?}");
    let (reply, page) = oneshot::channel();
    let request = HistoryRequest { topic: "a".parse().unwrap(), start: Start::After(0), until: None, reply };
    handle.reads.send(request).await.unwrap();
    assert_eq!(page.await.unwrap().unwrap().messages[0].published, published);
}

#[tokio::test]
async fn a_message_reaches_every_key_of_every_shard_that_wants_it_in_one_event() {
    let mut shards = Shards::new(2);
    let (handle, counts, ..) = start(&shards).await;
    for (key, shard) in [("a.b", 0), ("a.*", 0), ("a.>", 1), ("b", 1)] {
        shards.want(&handle, key, shard, 1).await.unwrap();
    }
    publish(&handle, "a.b", "id", "not json").await.unwrap();
    let mut keys: Vec<_> =
        shards.arrivals(0).await.iter().map(|a| (a.key.to_string(), a.topic.to_string())).collect();
    keys.sort();
    assert_eq!(keys, [("a.*".into(), "a.b".into()), ("a.b".to_string(), "a.b".to_string())]);
    let other = shards.arrivals(1).await;
    assert_eq!((other.len(), &*other[0].key), (1, "a.>"));
    assert_eq!(json(&other[0])["encoding"], "base64");
    assert_eq!(counts.not_json.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_is_released_is_not_delivered_any_more() {
    let mut shards = Shards::new(1);
    let (handle, ..) = start(&shards).await;
    shards.want(&handle, "a", 0, 1).await.unwrap();
    change(&handle, "a", 0, 1, false).await;
    shards.want(&handle, "b", 0, 2).await.unwrap();
    publish(&handle, "a", "1", "{}").await.unwrap();
    publish(&handle, "b", "2", "{}").await.unwrap();
    assert_eq!(&*shards.arrivals(0).await[0].key, "b");
}

#[tokio::test]
async fn one_topic_too_many_is_refused_and_those_it_has_go_on() {
    let shards = Shards::new(1);
    let (handle, ..) = start(&shards).await;
    for n in 0..MAX_TOPICS {
        publish(&handle, &format!("t.{n}"), "id", "1").await.unwrap();
    }
    let refused = publish(&handle, "one.more", "id", "1").await.unwrap_err();
    assert!(matches!(&refused, PublishError::Refused(why) if why.contains("100000 topics")), "{refused}");
    assert_eq!(
        publish(&handle, "t.0", "id", "1").await,
        Ok(Published { seq: Some(2), duplicate: false, remembered: false })
    );
}

#[tokio::test]
async fn cancelling_ends_the_task() {
    let shards = Shards::new(1);
    let (handle, _, tasks, cancel) = start(&shards).await;
    cancel.cancel();
    tasks.close();
    tasks.wait().await;
    assert!(!handle.status.borrow().connected);
}
