use std::{future::Future, time::Duration};

use bytes::Bytes;
use serde_json::json;
use tokio::task::JoinHandle;

use super::*;
use crate::{
    api::{JwtAlgorithm, Secrets},
    gateway::{
        access,
        backbone::{PublishRequest, Published},
        history::Start,
        shard::{ConnectionId, PublishAnswer},
    },
};

const SECRET: &[u8] = b"a secret of 32 bytes for testing";

/// Two shards' inboxes, a backbone that the test plays, and the task.
struct Bench {
    requests: mpsc::Sender<Request>,
    backbone: mpsc::Receiver<PublishRequest>,
    to_read: mpsc::Receiver<HistoryRequest>,
    inboxes: Arc<[Arc<Inbox>]>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
    _polls: Vec<mio::Poll>,
}

impl Bench {
    fn new() -> Self {
        let spec = serde_json::from_value(json!({
            "backbone": {"memory": {}},
            "authentication": {"jwt": [{"issuer": "home", "secretRef": {"name": "keys", "key": "key"}}]},
        }));
        let mut secrets = Secrets::default();
        secrets.insert("keys", "key", SECRET.into());
        let access = Access::new(&spec.unwrap(), &secrets).unwrap();
        let polls: Vec<_> = (0..2).map(|_| mio::Poll::new().unwrap()).collect();
        let inbox =
            |poll: &mio::Poll| Arc::new(Inbox::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap()));
        let inboxes: Arc<[_]> = polls.iter().map(inbox).collect();
        let (to_backbone, backbone) = mpsc::channel(64);
        let (requests, receiver) = mpsc::channel(64);
        let (reads, to_read) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        let publisher = Publisher::new(to_backbone);
        let task = tokio::spawn(run(
            receiver,
            Arc::new(ArcSwap::from_pointee(access)),
            publisher,
            reads,
            inboxes.clone(),
            cancel.clone(),
        ));
        Self { requests, backbone, to_read, inboxes, cancel, task, _polls: polls }
    }

    async fn ask(&self, request: Request) {
        self.requests.send(request).await.unwrap();
    }

    /// The next events of a shard, as many as there are at once but one at least.
    async fn told(&self, shard: usize) -> Vec<ShardEvent> {
        let mut events = Vec::new();
        within(async {
            while events.is_empty() {
                tokio::task::yield_now().await;
                self.inboxes[shard].drain(&mut events);
            }
        })
        .await;
        events
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.unwrap()
}

fn connection(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 1 }
}

fn publish(shard: usize, slot: u32, message_id: &str) -> Request {
    Request::Publish {
        shard,
        connection: connection(slot),
        id: Some("9".into()),
        user: "ann".into(),
        topic: "a".parse().unwrap(),
        message_id: message_id.into(),
        payload: Bytes::from_static(b"{}"),
    }
}

fn answer_of(event: &ShardEvent) -> (&str, &PublishAnswer) {
    match event {
        ShardEvent::Published { message_id, answer, .. } => (message_id, answer),
        other => panic!("{other:?}"),
    }
}

fn token(expires: u64) -> String {
    let claims = json!({"iss": "home", "sub": "ann", "exp": expires});
    access::sign(JwtAlgorithm::HS256, SECRET, claims.as_object().unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_is_answered_to_the_connection_that_asked() {
    let bench = Bench::new();
    for (slot, expires) in [(3, now() + 60), (4, 1)] {
        bench
            .ask(Request::Authenticate { shard: 1, connection: connection(slot), token: token(expires) })
            .await;
        match bench.told(1).await.as_slice() {
            [ShardEvent::Authenticated { connection: who, result }] => {
                let user = result.as_ref().map(|identity| &*identity.user).map_err(String::as_str);
                let expected =
                    if slot == 3 { Ok("ann") } else { Err("the token has expired: get a new one") };
                assert_eq!((*who, user), (connection(slot), expected));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_publish_is_answered_with_all_the_shard_needs() {
    let mut bench = Bench::new();
    bench.ask(publish(1, 5, "m")).await;
    let request = within(bench.backbone.recv()).await.unwrap();
    request.reply.send(Ok(Published { seq: Some(3), duplicate: false, remembered: false })).unwrap();
    match bench.told(1).await.as_slice() {
        [ShardEvent::Published { connection: who, id, topic, message_id, answer }] => {
            assert_eq!(
                (*who, id.as_deref(), topic.as_str(), &**message_id),
                (connection(5), Some("9"), "a", "m")
            );
            assert_eq!(*answer, PublishAnswer::Accepted(Some(3)));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn publishes_reach_the_backbone_in_order_and_do_not_wait_for_one_another() {
    let mut bench = Bench::new();
    for n in 0..20 {
        bench.ask(publish(0, 1, &n.to_string())).await;
    }
    let mut pending = Vec::new();
    for n in 0..20 {
        let request = within(bench.backbone.recv()).await.unwrap();
        assert_eq!(*request.message_id, *n.to_string());
        pending.push(request);
    }
    // The last one is confirmed first, and told first.
    pending
        .pop()
        .unwrap()
        .reply
        .send(Ok(Published { seq: None, duplicate: false, remembered: false }))
        .unwrap();
    let told = bench.told(0).await;
    assert_eq!(answer_of(&told[0]), ("19", &PublishAnswer::Accepted(None)));
}

#[tokio::test]
async fn a_waiting_publish_does_not_hold_up_tokens() {
    let mut bench = Bench::new();
    bench.ask(publish(0, 1, "m")).await;
    let _unanswered = within(bench.backbone.recv()).await.unwrap();
    bench.ask(Request::Authenticate { shard: 0, connection: connection(2), token: String::new() }).await;
    assert!(matches!(bench.told(0).await.as_slice(), [ShardEvent::Authenticated { result: Err(_), .. }]));
}

#[tokio::test]
async fn when_the_shards_are_gone_what_is_under_way_is_answered_first() {
    let mut bench = Bench::new();
    bench.ask(publish(0, 1, "m")).await;
    let request = within(bench.backbone.recv()).await.unwrap();
    let (unused, _) = mpsc::channel(1);
    drop(std::mem::replace(&mut bench.requests, unused));
    request.reply.send(Ok(Published { seq: None, duplicate: false, remembered: false })).unwrap();
    within(&mut bench.task).await.unwrap();
    assert_eq!(answer_of(&bench.told(0).await[0]).1, &PublishAnswer::Accepted(None));
}

#[tokio::test]
async fn cancelled_it_ends_at_once_and_gives_up_what_waits() {
    let mut bench = Bench::new();
    bench.ask(publish(0, 1, "m")).await;
    let request = within(bench.backbone.recv()).await.unwrap();
    bench.cancel.cancel();
    within(&mut bench.task).await.unwrap();
    assert!(request.reply.is_closed());
}

#[tokio::test]
async fn a_shard_that_does_not_exist_harms_nobody() {
    let bench = Bench::new();
    bench.ask(Request::Authenticate { shard: 9, connection: connection(1), token: String::new() }).await;
    bench.ask(Request::Authenticate { shard: 0, connection: connection(1), token: String::new() }).await;
    assert_eq!(bench.told(0).await.len(), 1);
}

#[tokio::test]
async fn a_page_goes_to_whoever_asked_and_too_many_reads_are_refused() {
    let mut bench = Bench::new();
    let read = |ticket| Request::History {
        shard: 1,
        connection: ConnectionId { slot: 3, generation: 4 },
        ticket,
        topic: "a".parse().unwrap(),
        start: Start::After(7),
        until: Some(9),
    };
    // The queue has room for one.
    bench.ask(read(1)).await;
    bench.ask(read(2)).await;
    match &bench.told(1).await[..] {
        [ShardEvent::History { ticket: 2, result: Err(HistoryError::Unavailable(_)), .. }] => {}
        other => panic!("{other:?}"),
    }
    let request = within(bench.to_read.recv()).await.unwrap();
    assert_eq!((request.topic.as_str(), request.start, request.until), ("a", Start::After(7), Some(9)));
    request.reply.send(Ok(Arc::new(Page { after: 7, ..Page::default() }))).unwrap();
    match &bench.told(1).await[..] {
        [ShardEvent::History { connection: ConnectionId { slot: 3, .. }, ticket: 1, result: Ok(page) }] => {
            assert_eq!(page.after, 7);
        }
        other => panic!("{other:?}"),
    }
}
