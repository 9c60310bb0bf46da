use super::{Rig, Server, count, spec, wildcard};
use crate::{
    api::{NatsBackbone, Secrets},
    gateway::{
        backbone::{
            PublishError, Published, Status,
            shards::{change, json, publish, request, taken},
        },
        shard::ShardEvent,
    },
};

#[tokio::test]
async fn a_connection_that_comes_back_is_announced_as_a_gap_to_every_key() {
    let mut server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    for (key, shard) in [("a", 0), ("a", 1), ("b.*", 0)] {
        rig.want(key, shard).await.unwrap();
    }
    server.stop();
    rig.wait(false).await;
    let refused = publish(&rig.handle, "a", "id", "1").await.unwrap_err();
    assert!(matches!(refused, PublishError::Unavailable(_)), "{refused}");
    let refused = rig.want("c", 1).await.unwrap_err();
    assert!(refused.contains("not connected"), "{refused}");
    server.again().await;
    rig.wait(true).await;
    for (shard, mut expected) in [(0, vec!["a", "b.*"]), (1, vec!["a"])] {
        let arrivals = rig.shards.arrivals(shard).await;
        let mut keys: Vec<_> = arrivals.iter().map(|arrival| &*arrival.key).collect();
        keys.sort_unstable();
        expected.sort_unstable();
        assert_eq!(keys, expected);
        for arrival in &arrivals {
            let frame = json(arrival);
            assert_eq!((frame["type"].as_str(), frame["reason"].as_str()), (Some("gap"), Some("backbone")));
            assert_eq!((frame["topic"].as_str(), arrival.message), (Some(&*arrival.key), false));
        }
    }
    server.sees(&["a", "b.*"]).await;
    assert_eq!(
        publish(&rig.handle, "a", "id", "1").await,
        Ok(Published { seq: None, duplicate: false, remembered: false })
    );
    assert!(rig.shards.arrivals(0).await[0].message, "messages flow again");
    assert_eq!(*rig.handle.status.borrow(), Status { connected: true, reconnects: 1, ..Status::default() });
    assert_eq!(count(&rig.counts.gaps), 2);
}

#[tokio::test]
async fn what_waits_for_confirmation_when_the_connection_is_lost_is_refused_and_forgotten() {
    let mut server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    server.pause();
    change(&rig.handle, "a", 0, 3, true).await;
    let answer = request(&rig.handle, "b", "id", "1").await;
    taken(&rig.handle).await;
    server.stop();
    let event = rig.shards.next(0).await;
    assert!(
        matches!(&event, ShardEvent::Refused { ticket: 3, reason, .. } if reason.contains("lost")),
        "{event:?}"
    );
    let answer = answer.await.unwrap();
    assert!(matches!(answer, Err(PublishError::Unavailable(_))), "{answer:?}");
    server.again().await;
    rig.wait(true).await;
    rig.want("c", 0).await.unwrap();
    server.sees(&["c"]).await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_is_told_to_those_who_wait() {
    let server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    server.pause();
    let refused = rig.want("a", 0).await.unwrap_err();
    assert!(refused.contains("within 5 s"), "{refused}");
    server.signal("CONT");
    assert_eq!(rig.want("a", 0).await, Ok(0));
}

#[tokio::test]
async fn a_server_that_comes_later_is_found_and_nothing_is_announced_as_lost() {
    let mut server = Server::plain().await;
    server.stop();
    for spec in [spec(&[server.url()]), wildcard(&server, &[">"])] {
        let mut rig = Rig::start(&spec, &Secrets::default()).await.unwrap();
        assert!(!rig.handle.status.borrow().connected);
        assert!(rig.want("a", 0).await.is_err());
        assert!(publish(&rig.handle, "a", "id", "1").await.is_err());
        server.again().await;
        rig.wait(true).await;
        assert_eq!(rig.want("a", 0).await, Ok(0));
        publish(&rig.handle, "a", "id", "1").await.unwrap();
        assert!(rig.shards.arrivals(0).await[0].message);
        assert_eq!((rig.handle.status.borrow().reconnects, count(&rig.counts.gaps)), (0, 0));
        rig.end().await;
        server.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_a_shard_does_not_take_is_announced_to_the_keys_it_hit() {
    const FLOOD: u64 = 240_000;
    let server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    for key in ["quiet", "flood"] {
        rig.want(key, 0).await.unwrap();
    }
    // The inbox and the subscription hold 65 536 each and the shard takes nothing; sockets hold a few MB more.
    let client = server.client().await;
    for _ in 0..FLOOD {
        client.publish("flood", vec![b'1'; 256].into()).await.unwrap();
    }
    server.has_sent(FLOOD).await;
    loop {
        let arrivals = rig.shards.arrivals(0).await;
        if let Some(gap) = arrivals.iter().find(|arrival| !arrival.message && &*arrival.key == "flood") {
            assert_eq!(json(gap)["reason"], "backbone");
            break;
        }
    }
    assert!(count(&rig.counts.dropped) > 0);
}

#[tokio::test]
async fn the_end_confirms_what_is_in_flight() {
    let server = Server::plain().await;
    let rig = Rig::connected(&spec(&[server.url()])).await;
    let mut answers = Vec::new();
    for n in 0..20 {
        answers.push(request(&rig.handle, "a", &n.to_string(), "1").await);
    }
    taken(&rig.handle).await;
    rig.end().await;
    for answer in answers {
        assert_eq!(answer.await.unwrap(), Ok(Published { seq: None, duplicate: false, remembered: false }));
    }
}

#[tokio::test]
async fn a_backbone_that_never_connected_ends_when_told() {
    let nobody = NatsBackbone { ..spec(&["nats://127.0.0.1:1".into()]) };
    let rig = Rig::start(&nobody, &Secrets::default()).await.unwrap();
    rig.end().await;
}
