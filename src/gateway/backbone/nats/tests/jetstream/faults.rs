//! What comes when something goes wrong.

use serde_json::json;

use super::{Stream, Told, anew, config, is_chain, on, proxy::Proxy, with};
use crate::gateway::{
    backbone::{
        PublishError,
        nats::tests::{Rig, count},
        shards::publish,
    },
    shard::ShardEvent,
};

fn expired(from: u64, to: u64) -> Told {
    Told::Gap(Some(from), Some(to), "expired".into())
}

#[tokio::test]
async fn what_was_published_while_the_connection_was_cut_is_read_in_order() {
    for republish in [config()["republish"].clone(), json!(null)] {
        let stream = Stream::new(&with(&json!({"republish": republish}))).await;
        let proxy = Proxy::to(&stream.server.url()).await;
        let mut rig = Rig::connected(&on(&proxy.url())).await;
        for (key, shard) in [("a.x", 0), ("a.*", 1)] {
            rig.want(key, shard).await.unwrap();
        }
        stream.store_all("a.x", 1..=3).await;
        proxy.cut();
        rig.wait(false).await;
        stream.store_all("a.x", 4..=50).await;
        proxy.mend();
        rig.wait(true).await;
        let last = stream.store("a.x", "51").await;
        for (shard, key) in [(0, "a.x"), (1, "a.*")] {
            let told = rig.until(shard, key, last).await;
            assert!(is_chain(&told, 0) && told.len() == 51, "{republish}: {told:?}");
        }
    }
}

#[tokio::test]
async fn what_was_published_last_while_the_connection_was_cut_is_found_without_another_message() {
    let stream = Stream::plain().await;
    let proxy = Proxy::to(&stream.server.url()).await;
    let mut rig = Rig::connected(&on(&proxy.url())).await;
    for (key, shard) in [("a.x", 0), ("a.*", 1)] {
        rig.want(key, shard).await.unwrap();
    }
    proxy.cut();
    rig.wait(false).await;
    let (x, y) = (stream.store("a.x", "1").await, stream.store("a.y", "1").await);
    proxy.mend();
    assert!(is_chain(&rig.until(0, "a.x", x).await, 0));
    // One of them is a topic of a pattern that had no message before.
    let told = rig.told(1, "a.*", 2).await;
    let has = |seq| told.iter().any(|told| matches!(told, Told::Message(own, ..) if *own == seq));
    assert!(has(x) && has(y), "{told:?}");
}

#[tokio::test]
async fn a_last_message_that_did_not_come_is_found_by_comparing_heads() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    stream.store("a.x", "1").await;
    rig.told(0, "a.x", 1).await;
    // Published again elsewhere, this one does not come.
    stream.update(&json!({"republish": {"src": ">", "dest": "_tg.T.>"}})).await;
    stream.store("a.x", "2").await;
    stream.update(&json!({})).await;
    assert_eq!(rig.told(0, "a.x", 1).await, [Told::Message(2, 1, "2".into())]);
}

#[tokio::test]
async fn a_server_that_is_started_again_goes_on_where_it_was() {
    let mut stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    stream.store_all("a.x", 1..=3).await;
    stream.server.stop();
    rig.wait(false).await;
    let refused = publish(&rig.handle, "a.x", "id", "1").await.unwrap_err();
    assert!(matches!(refused, PublishError::Unavailable(_)), "{refused}");
    stream.server.again().await;
    stream.store_all("a.x", 4..=6).await;
    rig.wait(true).await;
    let last = stream.store("a.x", "7").await;
    assert!(is_chain(&rig.until(0, "a.x", last).await, 0));
    assert_eq!((last, count(&rig.counts.gaps), count(&rig.counts.expired)), (13, 0, 0));
}

#[tokio::test]
async fn a_hole_that_the_stream_cannot_fill_is_announced_with_its_numbers() {
    let stream = Stream::plain().await;
    let proxy = Proxy::to(&stream.server.url()).await;
    let mut rig = Rig::connected(&on(&proxy.url())).await;
    rig.want("a.x", 0).await.unwrap();
    stream.store_all("a.x", 1..=1).await;
    rig.told(0, "a.x", 1).await;
    proxy.cut();
    rig.wait(false).await;
    let lost = stream.store_all("a.x", 2..=3).await;
    let kept = stream.store("a.x", "4").await;
    stream.must("STREAM.PURGE.S", &json!({"seq": kept})).await;
    proxy.mend();
    let told = rig.told(0, "a.x", 2).await;
    assert_eq!(told[0], expired(2, kept - 1), "{lost:?}");
    assert_eq!(told[1], Told::Message(kept, kept - 1, "4".into()));
}

#[tokio::test]
async fn a_stream_purged_under_its_readers_goes_on_and_says_what_may_be_lost() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    stream.store_all("a.x", 1..=3).await;
    rig.told(0, "a.x", 3).await;
    stream.must("STREAM.PURGE.S", &json!({})).await;
    let next = stream.store("a.x", "4").await;
    // Number 6 was on another topic, which nobody can know any more.
    assert_eq!(rig.told(0, "a.x", 2).await, [expired(6, 6), Told::Message(next, 6, "4".into())]);
    stream.store("a.x", "5").await;
    assert_eq!(rig.told(0, "a.x", 1).await, [Told::Message(next + 1, next, "5".into())]);
}

#[tokio::test]
async fn a_stream_made_anew_is_announced_and_followed_from_its_beginning() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    for (key, shard) in [("a.x", 0), ("a.*", 1)] {
        rig.want(key, shard).await.unwrap();
    }
    stream.store_all("a.x", 1..=5).await;
    for (key, shard) in [("a.x", 0), ("a.*", 1)] {
        rig.told(shard, key, 5).await;
    }
    stream.must("STREAM.DELETE.S", &json!({})).await;
    stream.create(&anew()).await;
    stream.store("a.x", "one").await;
    stream.store("a.x", "two").await;
    for (key, shard) in [("a.x", 0), ("a.*", 1)] {
        let told = rig.told(shard, key, 3).await;
        assert_eq!(told[0], Told::Gap(None, None, "expired".into()), "{told:?}");
        assert!(is_chain(&told[1..], 0), "{told:?}");
    }
    assert_eq!(publish(&rig.handle, "a.x", "id", "3").await.unwrap().seq, Some(3));
    assert_eq!(rig.told(0, "a.x", 1).await, [Told::Message(3, 2, "3".into())]);
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_said_and_found_when_it_comes() {
    let stream = Stream::none().await;
    let mut rig = stream.gateway().await;
    rig.trouble(Some("\"S\" does not exist: create it")).await;
    let refused = rig.want("a.x", 0).await.unwrap_err();
    assert!(refused.contains("does not exist") && refused.contains("again in a moment"), "{refused}");
    let refused = publish(&rig.handle, "a.x", "id", "1").await.unwrap_err();
    assert!(matches!(&refused, PublishError::Unavailable(why) if why.contains("create it")), "{refused}");
    stream.create(&config()).await;
    rig.trouble(None).await;
    assert_eq!(rig.want("a.x", 0).await, Ok(0));
    stream.must("STREAM.DELETE.S", &json!({})).await;
    let refused = publish(&rig.handle, "a.x", "id", "1").await.unwrap_err();
    assert!(matches!(&refused, PublishError::Unavailable(why) if why.contains("\"S\"")), "{refused}");
    rig.trouble(Some("does not exist")).await;
    stream.create(&anew()).await;
    rig.trouble(None).await;
    assert_eq!(publish(&rig.handle, "a.x", "id", "1").await.unwrap().seq, Some(1));
    let told = rig.told(0, "a.x", 2).await;
    assert!(matches!((&told[0], &told[1]), (Told::Gap(..), Told::Message(1, 0, _))), "{told:?}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_said() {
    let server = super::Server::plain().await;
    let mut rig = Rig::connected(&on(&server.url())).await;
    rig.trouble(Some("enable it on the NATS server")).await;
    assert!(rig.want("a.x", 0).await.is_err());
}

#[tokio::test]
async fn a_backbone_with_a_stream_takes_the_place_of_one_without() {
    let stream = Stream::plain().await;
    let spec = super::spec(&[stream.server.url()]);
    let mut rig = Rig::connected(&spec).await;
    rig.want("a.x", 0).await.unwrap();
    stream.store("a.x", "1").await;
    assert!(rig.shards.arrivals(0).await[0].message);
    let next = crate::api::Backbone { nats: Some(on(&stream.server.url())), memory: None };
    rig.becomes(&next).await;
    let gap = rig.shards.arrivals(0).await;
    assert!(!gap[0].message);
    let event = rig.shards.next(0).await;
    assert!(
        matches!(event, ShardEvent::InForce { seq: 1, recoverable: true, ticket: 1, .. }),
        "it is told the position: {event:?}"
    );
    stream.store("a.x", "2").await;
    assert_eq!(rig.told(0, "a.x", 1).await, [Told::Message(2, 1, "2".into())]);
}

/// Two gateways, whose connections are cut and mended while publishing goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_while_publishing_goes_on_every_topic_comes_whole_and_in_order() {
    const MESSAGES: u64 = 3_000;
    const TOPICS: u64 = 5;
    let stream = Stream::new(&with(&json!({"storage": "memory"}))).await;
    let (mut proxies, mut rigs) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let proxy = Proxy::to(&stream.server.url()).await;
        let mut rig = Rig::connected(&on(&proxy.url())).await;
        for topic in 0..TOPICS {
            rig.want(&format!("a.{topic}"), 0).await.unwrap();
        }
        proxies.push(proxy);
        rigs.push(rig);
    }
    let client = stream.client.clone();
    let publishing = tokio::spawn(async move {
        for n in 0..MESSAGES {
            client.publish(format!("a.{}", n % TOPICS), n.to_string().into()).await.unwrap();
            if n % 10 == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        client.flush().await.unwrap();
    });
    for round in 0_u64.. {
        if publishing.is_finished() {
            break;
        }
        let at = usize::try_from(round % 2).unwrap();
        proxies[at].cut();
        rigs[at].wait(false).await;
        proxies[at].mend();
        rigs[at].wait(true).await;
    }
    for rig in &mut rigs {
        let mut next = vec![0; usize::try_from(TOPICS).unwrap()];
        while next.iter().sum::<u64>() < MESSAGES {
            let ShardEvent::Deliver(arrivals) = rig.shards.next(0).await else { panic!() };
            for arrival in arrivals {
                let Told::Message(.., body) = super::told(&arrival) else { panic!("{arrival:?}") };
                let topic = usize::try_from(body.parse::<u64>().unwrap() % TOPICS).unwrap();
                assert_eq!(body.parse::<u64>().unwrap() / TOPICS, next[topic], "topic {topic}");
                next[topic] += 1;
            }
        }
        assert!(rig.handle.status.borrow().reconnects > 0);
        assert!(count(&rig.counts.repaired) > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_a_shard_does_not_take_is_read_from_the_stream() {
    const FLOOD: u64 = 200_000;
    // With what the stream puts before it 48 MB in all: at 64 MB the server cuts a client that is slow to read, and one
    // that comes anew is sent nothing of the flood.
    const BODY: &[u8] = &[b'1'; 64];
    let stream = Stream::new(&with(&json!({"storage": "memory"}))).await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    // The inbox and the subscription hold 65 536 each and the shard takes nothing; sockets hold a few MB more.
    for n in 1..=FLOOD {
        // Now and then confirmed: a stream drops what it has no buffer for.
        if n % 2_000 == 0 {
            stream.store("a.x", BODY.to_vec()).await;
        } else {
            stream.client.publish("a.x", BODY.to_vec().into()).await.unwrap();
        }
    }
    stream.server.has_sent(FLOOD).await;
    stream.server.has_nothing_to_send().await;
    let mut last = 0;
    while last < FLOOD {
        for arrival in rig.shards.arrivals(0).await {
            assert!(arrival.message && arrival.seq == Some(last + 1), "{:?} after {last}", arrival.seq);
            last += 1;
        }
    }
    // The client tells of it on a way of its own, which may be slower than the repair.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while count(&rig.counts.dropped) == 0 {
        assert!(std::time::Instant::now() < end, "nothing was dropped");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!((count(&rig.counts.gaps), count(&rig.counts.expired)), (0, 0));
}

#[tokio::test]
async fn a_stream_that_stores_under_other_subjects_is_refused_with_the_reason() {
    let stream = Stream::new(&with(&json!({"subject_transform": {"src": ">", "dest": "z.>"}}))).await;
    let mut rig = stream.gateway().await;
    rig.trouble(Some("take its subject_transform out")).await;
    let refused = rig.want("a.x", 0).await.unwrap_err();
    assert!(refused.contains("\"S\" stores messages under other subjects"), "{refused}");
    stream.must("STREAM.UPDATE.S", &with(&json!({"subject_transform": null}))).await;
    rig.trouble(None).await;
    assert_eq!(rig.want("a.x", 0).await, Ok(0));
}
