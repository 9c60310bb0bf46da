use std::future::poll_fn;

use super::*;

fn publisher(room: usize) -> (Publisher, mpsc::Receiver<PublishRequest>) {
    let (backbone, requests) = mpsc::channel(room);
    (Publisher::new(backbone), requests)
}

fn publish(
    publisher: &Publisher,
    topic: &str,
    id: &str,
) -> impl Future<Output = PublishAnswer> + Send + use<> {
    publisher.publish(&"ann".into(), topic.parse().unwrap(), id.into(), Bytes::from_static(b"{}"))
}

fn confirm(request: PublishRequest, result: Result<Published, PublishError>) {
    request.reply.send(result).unwrap();
}

fn counted(publisher: &Publisher) -> [u64; 4] {
    let counts = publisher.counts();
    [&counts.ok, &counts.duplicate, &counts.unavailable, &counts.refused].map(|count| count.load(Relaxed))
}

const OK: Result<Published, PublishError> =
    Ok(Published { seq: Some(7), duplicate: false, remembered: false });

fn is_unavailable(answer: &PublishAnswer) -> bool {
    matches!(answer, PublishAnswer::Unavailable(_))
}

#[tokio::test]
async fn a_message_is_accepted_when_the_backbone_confirms_and_is_a_duplicate_then() {
    let (publisher, mut backbone) = publisher(4);
    let first = publish(&publisher, "a", "1");
    confirm(backbone.recv().await.unwrap(), OK);
    assert_eq!(first.await, PublishAnswer::Accepted(Some(7)));
    assert_eq!(publish(&publisher, "a", "1").await, PublishAnswer::Duplicate(Some(7)));
    assert!(backbone.try_recv().is_err());
    assert_eq!(counted(&publisher), [1, 1, 0, 0]);
}

#[tokio::test]
async fn what_the_backbone_remembers_is_left_to_it() {
    let (publisher, mut backbone) = publisher(4);
    for (duplicate, expected) in
        [(false, PublishAnswer::Accepted(Some(7))), (true, PublishAnswer::Duplicate(Some(7)))]
    {
        let answer = publish(&publisher, "a", "1");
        let meanwhile = publish(&publisher, "a", "1");
        confirm(backbone.recv().await.unwrap(), Ok(Published { duplicate, remembered: true, ..OK.unwrap() }));
        assert_eq!((answer.await, meanwhile.await), (expected, PublishAnswer::Duplicate(Some(7))));
    }
    // It has forgotten it: the message counts again.
    let again = publish(&publisher, "a", "1");
    confirm(backbone.recv().await.unwrap(), Ok(Published { remembered: true, ..OK.unwrap() }));
    assert_eq!(again.await, PublishAnswer::Accepted(Some(7)));
}

#[tokio::test]
async fn the_request_carries_the_message_unchanged() {
    let (publisher, mut backbone) = publisher(4);
    let _waiting =
        publisher.publish(&"ann".into(), "a.b".parse().unwrap(), "id".into(), Bytes::from_static(b" {} "));
    let request = backbone.recv().await.unwrap();
    assert_eq!((request.topic.as_str(), &*request.message_id, &*request.body), ("a.b", "id", &b" {} "[..]));
}

#[tokio::test]
async fn another_user_topic_or_id_is_another_message() {
    let (publisher, mut backbone) = publisher(4);
    let _waiting =
        [publish(&publisher, "a", "1"), publish(&publisher, "b", "1"), publish(&publisher, "a", "2")];
    let _other = publisher.publish(&"bob".into(), "a".parse().unwrap(), "1".into(), Bytes::new());
    for _ in 0..4 {
        assert!(backbone.try_recv().is_ok());
    }
}

#[tokio::test]
async fn a_second_attempt_waits_for_the_first_ones_outcome() {
    let (publisher, mut backbone) = publisher(4);
    let (first, second) = (publish(&publisher, "a", "1"), publish(&publisher, "a", "1"));
    let request = backbone.recv().await.unwrap();
    let mut second = Box::pin(second);
    assert!(poll_fn(|cx| std::task::Poll::Ready(second.as_mut().poll(cx))).await.is_pending());
    confirm(request, OK);
    assert_eq!(first.await, PublishAnswer::Accepted(Some(7)));
    assert_eq!(second.await, PublishAnswer::Duplicate(Some(7)));
    assert!(backbone.try_recv().is_err());
}

#[tokio::test]
async fn a_second_attempt_shares_the_firsts_error_and_a_third_is_fresh() {
    let (publisher, mut backbone) = publisher(4);
    let (first, second) = (publish(&publisher, "a", "1"), publish(&publisher, "a", "1"));
    confirm(backbone.recv().await.unwrap(), Err(PublishError::Unavailable("it is away".into())));
    let (first, second) = (first.await, second.await);
    assert!(is_unavailable(&first) && first == second, "{first:?} {second:?}");
    let third = publish(&publisher, "a", "1");
    confirm(backbone.recv().await.unwrap(), OK);
    assert_eq!(third.await, PublishAnswer::Accepted(Some(7)));
    assert_eq!(counted(&publisher), [1, 0, 2, 0]);
}

#[tokio::test]
async fn a_refusal_is_told_and_not_remembered() {
    let (publisher, mut backbone) = publisher(4);
    let answer = publish(&publisher, "a", "1");
    confirm(backbone.recv().await.unwrap(), Err(PublishError::Refused("too large".into())));
    assert_eq!(answer.await, PublishAnswer::Limited("too large".into()));
    let _again = publish(&publisher, "a", "1");
    assert!(backbone.try_recv().is_ok());
    assert_eq!(counted(&publisher), [0, 0, 0, 1]);
}

#[tokio::test]
async fn a_backbone_that_is_full_gone_or_silent_is_unavailable() {
    let (full, _backbone) = publisher(1);
    let _waiting = publish(&full, "a", "1");
    assert!(is_unavailable(&publish(&full, "a", "2").await));
    let (closed, backbone) = publisher(1);
    drop(backbone);
    assert!(is_unavailable(&publish(&closed, "a", "1").await));
    let (silent, mut backbone) = publisher(1);
    let answer = publish(&silent, "a", "1");
    drop(backbone.recv().await);
    assert!(is_unavailable(&answer.await));
}

#[tokio::test]
async fn a_retry_after_a_full_queue_is_fresh() {
    let (publisher, mut backbone) = publisher(1);
    let _waiting = publish(&publisher, "a", "1");
    assert!(is_unavailable(&publish(&publisher, "a", "2").await));
    backbone.try_recv().unwrap();
    let _retry = publish(&publisher, "a", "2");
    assert_eq!(&*backbone.try_recv().unwrap().message_id, "2");
}

#[tokio::test(start_paused = true)]
async fn a_backbone_that_takes_longer_than_5_s_is_unavailable_and_can_tell_that_nobody_waits() {
    let (publisher, mut backbone) = publisher(1);
    let start = tokio::time::Instant::now();
    assert!(is_unavailable(&publish(&publisher, "a", "1").await));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert!(backbone.recv().await.unwrap().reply.is_closed());
    let _retry = publish(&publisher, "a", "1");
    assert!(backbone.try_recv().is_ok());
}

#[tokio::test]
async fn a_publish_that_is_given_up_leaves_nothing_pending() {
    let (publisher, mut backbone) = publisher(2);
    let (first, second) = (publish(&publisher, "a", "1"), publish(&publisher, "a", "1"));
    drop(first);
    assert!(is_unavailable(&second.await));
    let _retry = publish(&publisher, "a", "1");
    assert!(backbone.try_recv().is_ok() && backbone.try_recv().is_ok());
}

#[tokio::test]
async fn publishes_in_flight_are_bounded() {
    let (publisher, _backbone) = publisher(MAX_IN_FLIGHT + 1);
    let waiting: Vec<_> = (0..MAX_IN_FLIGHT).map(|n| publish(&publisher, "a", &n.to_string())).collect();
    assert!(is_unavailable(&publish(&publisher, "a", "more").await));
    drop(waiting);
    let mut fits = Box::pin(publish(&publisher, "b", "1"));
    assert!(poll_fn(|cx| std::task::Poll::Ready(fits.as_mut().poll(cx))).await.is_pending());
}
