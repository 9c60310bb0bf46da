//! Another backbone takes the place of the one in use, or the one in use is given other keys.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::{Rig, Server, count, spec, wildcard};
use crate::{
    api::{Backbone, NatsBackbone, Secrets, Seq},
    gateway::{
        backbone::{
            Change, Published, Status,
            shards::{PATIENCE, change, json, publish, request, taken},
        },
        shard::{Arrival, ShardEvent},
    },
};

fn on(nats: NatsBackbone) -> Backbone {
    Backbone { nats: Some(nats), memory: None }
}

fn below(server: &Server, prefix: &str) -> NatsBackbone {
    NatsBackbone { subject_prefix: prefix.into(), ..spec(&[server.url()]) }
}

impl Rig {
    /// Takes another backbone over once it is connected.
    pub(super) async fn becomes(&mut self, spec: &Backbone) {
        let mut change = self.exchange.prepare(spec, &Secrets::default()).await.unwrap();
        if let Change::Replace(next) = &mut change {
            tokio::time::timeout(PATIENCE, next.connected()).await.unwrap();
        } else {
            panic!("it is no other backbone");
        }
        self.exchange.take_over(change).await.unwrap();
    }

    /// The topics of the gaps that come next to a shard.
    async fn gaps(&mut self, shard: usize) -> Vec<String> {
        let arrivals = self.shards.arrivals(shard).await;
        let topic = |arrival: &Arrival| {
            let frame = json(arrival);
            assert_eq!((&frame["type"], &frame["reason"]), (&json!("gap"), &json!("backbone")), "{frame}");
            arrival.topic.to_string()
        };
        let mut topics: Vec<_> = arrivals.iter().map(topic).collect();
        topics.sort_unstable();
        topics
    }

    /// The same, and behind them where each goes on: a topic of which the backbone keeps some, from this position on.
    async fn gaps_and_positions(&mut self, shard: usize, kept: Option<Seq>) -> Vec<String> {
        let topics = self.gaps(shard).await;
        for _ in &topics {
            let event = self.shards.next(shard).await;
            let ShardEvent::InForce { seq, recoverable, .. } = event else { panic!("{event:?}") };
            assert_eq!(recoverable.then_some(seq), kept);
        }
        topics
    }
}

#[tokio::test]
async fn what_shards_want_is_wanted_of_the_next_backbone_and_everybody_is_told_of_the_gap() {
    let server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    for (key, shard) in [("a", 0), ("a", 1), ("b.*", 0)] {
        rig.want(key, shard).await.unwrap();
    }
    rig.becomes(&on(below(&server, "x"))).await;
    assert_eq!(rig.gaps_and_positions(0, None).await, ["a", "b.*"]);
    assert_eq!(rig.gaps_and_positions(1, None).await, ["a"]);
    server.sees(&["x.a", "x.b.*"]).await;
    let outside = server.client().await;
    for (subject, body) in [("a", "0"), ("x.a", "1"), ("x.b.c", "2")] {
        outside.publish(subject, body.into()).await.unwrap();
    }
    let mut data = Vec::new();
    while data.len() < 2 {
        data.extend(rig.shards.arrivals(0).await.iter().map(|arrival| json(arrival)["data"].clone()));
    }
    assert_eq!(data, [json!(1), json!(2)]);
    assert_eq!(
        publish(&rig.handle, "c", "id", "1").await,
        Ok(Published { seq: None, duplicate: false, remembered: false })
    );
    // What is given up now is given up there.
    change(&rig.handle, "b.*", 0, 1, false).await;
    server.sees(&["x.a"]).await;
    assert_eq!(*rig.handle.status.borrow(), Status { connected: true, reconnects: 0, ..Status::default() });
    assert_eq!(count(&rig.counts.gaps), 2);
    rig.end().await;
    server.sees(&[]).await;
}

#[tokio::test]
async fn memory_and_nats_take_each_others_place() {
    let server = Server::plain().await;
    let mut rig = Rig::on(&Backbone::default(), &Secrets::default()).await.unwrap();
    rig.want("a", 0).await.unwrap();
    assert_eq!(
        publish(&rig.handle, "a", "1", "1").await,
        Ok(Published { seq: Some(1), duplicate: false, remembered: false })
    );
    assert!(rig.shards.arrivals(0).await[0].message);
    rig.becomes(&on(spec(&[server.url()]))).await;
    assert_eq!(rig.gaps_and_positions(0, None).await, ["a"]);
    assert_eq!(
        publish(&rig.handle, "a", "2", "2").await,
        Ok(Published { seq: None, duplicate: false, remembered: false })
    );
    assert_eq!(json(&rig.shards.arrivals(0).await[0])["data"], 2);
    rig.becomes(&Backbone::default()).await;
    assert_eq!(rig.gaps_and_positions(0, Some(0)).await, ["a"]);
    assert_eq!(
        publish(&rig.handle, "a", "3", "3").await,
        Ok(Published { seq: Some(1), duplicate: false, remembered: false })
    );
    assert_eq!(json(&rig.shards.arrivals(0).await[0])["data"], 3);
    assert!(rig.handle.status.borrow().connected);
    server.sees(&[]).await;
}

#[tokio::test]
async fn publishes_under_way_are_confirmed_by_the_old_one_and_wants_answered_by_the_next() {
    let (first, second) = (Server::plain().await, Server::plain().await);
    let mut rig = Rig::connected(&spec(&[first.url()])).await;
    first.pause();
    let confirmed = request(&rig.handle, "a", "id", "1").await;
    change(&rig.handle, "b", 0, 7, true).await;
    taken(&rig.handle).await;
    rig.becomes(&on(spec(&[second.url()]))).await;
    let answer = rig.shards.next(0).await;
    assert!(matches!(answer, ShardEvent::InForce { ticket: 7, .. }), "{answer:?}");
    second.sees(&["b"]).await;
    first.signal("CONT");
    assert_eq!(confirmed.await.unwrap(), Ok(Published { seq: None, duplicate: false, remembered: false }));
    assert!(rig.shards.take(0).is_none(), "nothing was lost for somebody who has just come");
}

#[tokio::test]
async fn what_was_given_up_while_it_waited_is_not_wanted_of_the_next_backbone() {
    let (first, second) = (Server::plain().await, Server::plain().await);
    let mut rig = Rig::connected(&spec(&[first.url()])).await;
    first.pause();
    for (key, ticket, wanted) in
        [("gone", 1, true), ("gone", 1, false), ("here", 2, true), ("here", 2, false), ("here", 3, true)]
    {
        change(&rig.handle, key, 0, ticket, wanted).await;
    }
    taken(&rig.handle).await;
    rig.becomes(&on(spec(&[second.url()]))).await;
    let answer = rig.shards.next(0).await;
    assert!(matches!(answer, ShardEvent::InForce { ticket: 3, .. }), "{answer:?}");
    second.sees(&["here"]).await;
    change(&rig.handle, "here", 0, 3, false).await;
    second.sees(&[]).await;
}

#[tokio::test]
async fn a_backbone_that_is_not_there_does_not_touch_the_one_in_use() {
    let server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    rig.want("a", 0).await.unwrap();
    let nobody = on(spec(&["nats://127.0.0.1:1".into()]));
    let change = rig.exchange.prepare(&nobody, &Secrets::default()).await.unwrap();
    let Change::Replace(mut next) = change else { panic!("it is another backbone") };
    assert!(tokio::time::timeout(Duration::from_millis(300), next.connected()).await.is_err());
    assert!(!next.trouble().is_empty());
    drop(next);
    publish(&rig.handle, "a", "id", "1").await.unwrap();
    assert!(rig.shards.arrivals(0).await[0].message);
    assert_eq!(count(&rig.counts.gaps), 0);
}

#[tokio::test]
async fn a_flow_of_messages_has_one_hole_at_most_where_the_gap_is_told_and_nothing_twice() {
    const LAST: u64 = 6_000;
    let server = Server::plain().await;
    let mut rig = Rig::connected(&spec(&[server.url()])).await;
    rig.want("a", 0).await.unwrap();
    let outside = server.client().await;
    let flow = tokio::spawn(async move {
        for n in 1..=LAST {
            outside.publish("a", n.to_string().into()).await.unwrap();
            if n % 20 == 0 {
                outside.flush().await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        outside.flush().await.unwrap();
    });
    let (mut last, mut gaps, mut holes) = (0, 0, 0);
    let mut modes = [on(wildcard(&server, &[">"])), on(spec(&[server.url()]))].into_iter();
    while last < LAST {
        let ShardEvent::Deliver(arrivals) = rig.shards.next(0).await else { continue };
        for arrival in arrivals {
            let frame = json(&arrival);
            if !arrival.message {
                gaps += 1;
                holes = 0;
                continue;
            }
            let n = frame["data"].as_u64().unwrap();
            assert!(n > last, "{n} came after {last}");
            if n > last + 1 {
                holes += 1;
                assert!(gaps > 0 && holes == 1, "{last} to {n} is lost in silence");
            }
            last = n;
        }
        if last > LAST / 4 * (gaps + 1)
            && let Some(mode) = modes.next()
        {
            rig.becomes(&mode).await;
        }
    }
    flow.await.unwrap();
    assert_eq!(gaps, 2);
}

#[tokio::test]
async fn other_keys_are_used_for_the_next_connection() {
    let login = |password: &str| {
        let mut secrets = Secrets::default();
        secrets.insert("s", "username", b"gate".to_vec());
        secrets.insert("s", "password", password.into());
        secrets
    };
    let server = |password: &str| format!("authorization {{ user: gate, password: {password} }}");
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("nats.conf");
    let mut nats = Server::with(&server("old"), directory).await;
    let mut spec = serde_json::to_value(spec(&[nats.url()])).unwrap();
    spec["userPasswordSecretRef"] = json!({"name": "s"});
    let spec: NatsBackbone = serde_json::from_value(spec).unwrap();
    let mut rig = Rig::start(&spec, &login("old")).await.unwrap();
    rig.wait(true).await;
    rig.want("a", 0).await.unwrap();
    let change = rig.exchange.prepare(&on(spec), &login("new")).await.unwrap();
    assert!(matches!(change, Change::Keys(_)), "the backbone itself goes on");
    rig.exchange.take_over(change).await.unwrap();
    assert_eq!(
        publish(&rig.handle, "a", "id", "1").await,
        Ok(Published { seq: None, duplicate: false, remembered: false })
    );
    assert!(rig.shards.arrivals(0).await[0].message, "nothing has happened to the connection");
    std::fs::write(config, server("new")).unwrap();
    nats.stop();
    rig.wait(false).await;
    nats.again().await;
    rig.wait(true).await;
    assert_eq!(rig.gaps(0).await, ["a"]);
    assert_eq!(
        publish(&rig.handle, "a", "id2", "2").await,
        Ok(Published { seq: None, duplicate: false, remembered: false })
    );
    assert_eq!(json(&rig.shards.arrivals(0).await[0])["data"], 2);
}
