use std::{collections::BTreeMap, time::SystemTime};

use async_nats::HeaderMap;
use tokio::sync::watch;

use super::{Rig, Server, count, spec, wildcard};
use crate::{
    api::{NatsBackbone, Stamp},
    gateway::{
        backbone::{
            PublishError, Published,
            shards::{change, json, publish},
        },
        shard::ShardEvent,
    },
};

#[tokio::test]
async fn a_topic_has_one_nats_subscription_from_its_first_shard_to_its_last() {
    let server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    assert_eq!(server.subscriptions().await, Vec::<String>::new());
    for shard in 0..2 {
        assert_eq!(rig.want("prices.btc", shard).await, Ok(0));
        assert_eq!(server.subscriptions().await, ["prices.btc"], "in force means that the server has it");
    }
    let client = server.client().await;
    client.publish("prices.btc", r#"{"p":1}"#.into()).await.unwrap();
    for shard in 0..2 {
        let arrivals = rig.shards.arrivals(shard).await;
        assert_eq!((arrivals.len(), &*arrivals[0].key, arrivals[0].message), (1, "prices.btc", true));
        assert_eq!(json(&arrivals[0])["data"]["p"], 1);
    }
    change(&rig.handle, "prices.btc", 0, 1, false).await;
    assert_eq!(rig.want("other", 1).await, Ok(0));
    assert_eq!(server.subscriptions().await, ["other", "prices.btc"], "the other shard still wants it");
    change(&rig.handle, "prices.btc", 1, 1, false).await;
    server.sees(&["other"]).await;
    rig.end().await;
    server.sees(&[]).await;
}

#[tokio::test]
async fn number_and_id_come_from_the_body_or_the_id_from_our_header() {
    let server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    rig.want("a", 0).await.unwrap();
    let client = server.client().await;
    let mut headers = HeaderMap::new();
    headers.insert("Topicgateway-Message-Id", "header");
    for (body, seq, id) in [
        (r#"{"seqNo":7,"messageId":"body"}"#, Some(7), Some("body")),
        (r#"{"x":1}"#, None, Some("header")),
        ("not json", None, Some("header")),
    ] {
        client.publish_with_headers("a", headers.clone(), body.into()).await.unwrap();
        let arrivals = rig.shards.arrivals(0).await;
        let frame = json(&arrivals[0]);
        assert_eq!((arrivals[0].seq, frame["messageId"].as_str()), (seq, id), "{body}");
        assert_eq!(frame["seqNo"].as_u64(), seq, "{body}");
        assert!(frame["prevSeqNo"].is_null(), "{body}");
    }
    assert_eq!(count(&rig.counts.not_json), 1);
    assert_eq!((count(&rig.counts.messages_received), count(&rig.counts.bytes_received)), (3, 45));
}

#[tokio::test]
async fn a_message_was_published_when_its_publisher_says_so() {
    let server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    rig.want("a", 0).await.unwrap();
    let client = server.client().await;
    for (text, expected) in [
        ("2026-11-25T22:53:01.5Z", Stamp::from_micros(1_795_647_181_500_000)),
        ("2026-11-25T23:53:01+01:00", Stamp::from_micros(1_795_647_181_000_000)),
        ("yesterday", None),
        ("", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Time-Stamp", text);
        client.publish_with_headers("a", headers, "1".into()).await.unwrap();
        assert_eq!(rig.shards.arrivals(0).await[0].published, expected, "{text:?}");
    }
    client.publish("a", "1".into()).await.unwrap();
    assert_eq!(rig.shards.arrivals(0).await[0].published, None);
    let before = Stamp::at(SystemTime::now());
    publish(&rig.handle, "a", "id", "1").await.unwrap();
    let published = rig.shards.arrivals(0).await[0].published;
    assert!(before <= published && published <= Stamp::at(SystemTime::now()), "{published:?}");
}

#[tokio::test]
async fn topics_are_subjects_without_the_prefix() {
    let server = Server::plain().await;
    let mut rig =
        Rig::connected(&NatsBackbone { subject_prefix: "acme.".into(), ..spec(&[server.url()]) }).await;
    rig.want("prices.btc", 0).await.unwrap();
    assert_eq!(server.subscriptions().await, ["acme.prices.btc"]);
    let client = server.client().await;
    client.publish("prices.btc", "1".into()).await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(
        publish(&rig.handle, "prices.btc", "mine", "2").await,
        Ok(Published { seq: None, duplicate: false, remembered: false })
    );
    let arrivals = rig.shards.arrivals(0).await;
    let frame = json(&arrivals[0]);
    assert_eq!((&*arrivals[0].topic, arrivals.len()), ("prices.btc", 1));
    assert_eq!((&frame["data"], frame["messageId"].as_str()), (&2.into(), Some("mine")));
}

#[tokio::test]
async fn a_subject_that_is_no_topic_is_left_out_and_counted() {
    let server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    rig.want("a.>", 0).await.unwrap();
    let client = server.client().await;
    for subject in ["a.b!", "a.good"] {
        client.publish(subject, "1".into()).await.unwrap();
    }
    assert_eq!(&*rig.shards.arrivals(0).await[0].topic, "a.good");
    assert_eq!(count(&rig.counts.ignored_subjects), 1);
}

#[tokio::test]
async fn wildcard_mode_routes_by_subject_and_overlapping_entries_double_nothing() {
    let server = Server::plain().await;
    let mut rig = Rig::connected(&wildcard(&server, &["a.*", "*.b", "a.b", "c.>"])).await;
    for (key, shard) in [("a.b", 0), ("a.c", 1), ("c.>", 1)] {
        rig.want(key, shard).await.unwrap();
    }
    assert_eq!(server.subscriptions().await, ["*.b", "a.*", "c.>"]);
    let client = server.client().await;
    for subject in ["a.x", "a.b", "c.d", "a.c"] {
        client.publish(subject, "1".into()).await.unwrap();
    }
    let mut got = BTreeMap::new();
    while got.values().sum::<usize>() < 3 {
        for shard in 0..2 {
            while let Some(ShardEvent::Deliver(arrivals)) = rig.shards.take(shard) {
                for arrival in arrivals {
                    *got.entry(format!("{shard} {} {}", arrival.key, arrival.topic)).or_default() += 1;
                }
            }
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(
        publish(&rig.handle, "a.z", "id", "1").await,
        Ok(Published { seq: None, duplicate: false, remembered: false })
    );
    assert!(rig.shards.take(0).is_none() && rig.shards.take(1).is_none(), "nothing comes twice");
    assert_eq!(got.keys().collect::<Vec<_>>(), ["0 a.b a.b", "1 a.c a.c", "1 c.> c.d"]);
}

#[tokio::test]
async fn a_payload_over_the_limit_of_the_server_is_refused_with_the_limit() {
    let dir = tempfile::TempDir::new().unwrap();
    let server = Server::with("max_payload: 2048", dir).await;
    let rig = Rig::connected(&spec(&[server.url()])).await;
    let refused = publish(&rig.handle, "a", "id", vec![b'1'; 2048]).await.unwrap_err();
    assert!(matches!(&refused, PublishError::Refused(why) if why.contains("at most 2048")), "{refused}");
    assert!(publish(&rig.handle, "a", "id", vec![b'1'; 1900]).await.is_ok());
}

#[tokio::test]
async fn a_message_id_with_line_ends_is_refused() {
    let server = Server::plain().await;
    let rig = Rig::connected(&spec(&[server.url()])).await;
    let refused = publish(&rig.handle, "a", "x\r\nPUB y", "1").await.unwrap_err();
    assert!(matches!(&refused, PublishError::Refused(_)), "{refused}");
}

/// Topics are published to without a pause while patterns over them come and go. The publisher keeps at
/// most `AHEAD` numbers in front of the reader, so that a reader that gets no processor loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_keys_get_each_message_once_and_in_order_while_others_come_and_go() {
    const ROUNDS: u32 = 150;
    const AHEAD: u64 = 128;
    let server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    let client = server.client().await;
    // Up to which number may be published. A key in force after none was lets the publisher go on.
    let (may, mut allowed) = watch::channel(AHEAD);
    let hammer = tokio::spawn(async move {
        for n in 1_u64.. {
            if allowed.wait_for(|last| n <= *last).await.is_err() {
                return;
            }
            for subject in ["a.b", "a.c"] {
                client.publish(subject, format!(r#"{{"seqNo":{n}}}"#).into()).await.unwrap();
            }
        }
    });
    let keys = ["a.b", "a.*", "*.b", "a.>", "a.c"];
    // While a key is wanted: the last number of each topic it was given since it is in force.
    let mut last: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut in_force = [false; 5];
    let mut random = 7_usize;
    for round in 0..ROUNDS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (random >> 33) % keys.len();
        change(&rig.handle, keys[at], 0, round, !in_force[at]).await;
        in_force[at] = !in_force[at];
        if !in_force[at] {
            last.retain(|(key, _), _| key != keys[at]);
        }
        let mut answered = !in_force[at];
        let mut messages = 0;
        while !answered || (in_force.contains(&true) && messages < 50) {
            match rig.shards.next(0).await {
                ShardEvent::InForce { filter, ticket, .. } if ticket == round => {
                    assert_eq!(filter.as_str(), keys[at]);
                    answered = true;
                    if in_force.iter().filter(|wanted| **wanted).count() == 1 {
                        may.send_modify(|last| *last += AHEAD);
                    }
                }
                ShardEvent::Deliver(arrivals) => {
                    for arrival in arrivals {
                        let seq = arrival.seq.unwrap();
                        may.send_modify(|last| *last = (*last).max(seq + AHEAD));
                        let Some(wanted) = keys.iter().position(|key| *key == &*arrival.key) else {
                            panic!()
                        };
                        messages += 1;
                        // What was under way when the key was released, or came before it was in force.
                        if !in_force[wanted] || (wanted == at && !answered) {
                            continue;
                        }
                        let key = (arrival.key.to_string(), arrival.topic.to_string());
                        if let Some(before) = last.insert(key.clone(), seq) {
                            assert_eq!(seq, before + 1, "{key:?} in round {round}");
                        }
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    drop(may);
    hammer.await.unwrap();
    assert_eq!(count(&rig.counts.dropped), 0);
}
