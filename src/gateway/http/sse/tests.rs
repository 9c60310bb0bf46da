//! What a request asks for, and the way from a frame to the body.

use std::{io::Write as _, sync::Arc};

use axum::http::{HeaderName, HeaderValue};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::*;
use crate::gateway::{limits::Admission, websocket};

fn grants() -> Grants {
    let all = |text: &str| vec![text.parse().unwrap()];
    Grants { subscribe: all("open.>"), publish: Vec::new(), scope: all(">").into() }
}

/// Topics with positions as text, or code and message of the refusal.
fn asked(query: &str, id: Option<&str>) -> Result<Vec<String>, (ErrorCode, String)> {
    let header = id.map(|id| (HeaderName::from_static(LAST_EVENT_ID), HeaderValue::from_str(id).unwrap()));
    let policy =
        Policy { topics_per_connection: 3, publish_per_second: 0, subscribe_per_second: 0, message_bytes: 0 };
    let uri = format!("/sse{query}").parse().unwrap();
    let topics = wanted(&header.into_iter().collect(), &uri, &grants(), &policy);
    let topics = topics.map_err(|refusal| (refusal.code, refusal.message))?;
    let show = |(filter, reached): (Filter, Option<Reached>)| match reached {
        None => filter.to_string(),
        Some(Reached { seq, epoch: None }) => format!("{filter}@{seq}"),
        Some(Reached { seq, epoch: Some(epoch) }) => format!("{filter}@{seq} of {epoch}"),
    };
    Ok(topics.into_iter().map(show).collect())
}

#[test]
fn topics_and_positions_are_read_from_the_request() {
    for (query, id, expected) in [
        ("?topics=open.a", None, &["open.a"][..]),
        ("?topics=open.a,open.b", None, &["open.a", "open.b"]),
        ("?topics=open.a&topics=open.b", None, &["open.a", "open.b"]),
        ("?topics=open.a%2Copen.*,open.a", None, &["open.a", "open.*"]),
        ("?topics=open.a%2Bb", None, &["open.a+b"]),
        ("?topics=open.a,shut.b", None, &["open.a", "shut.b"]),
        ("?topics=open.a,open.b", Some("open.a=7,gone=3"), &["open.a@7", "open.b"]),
        (
            "?topics=open.a,open.b",
            Some("open.b=3,00000000000000ff,open.a=7"),
            &["open.a@7 of 00000000000000ff", "open.b@3"],
        ),
        ("?topics=open.a", Some(""), &["open.a"]),
        ("?topics=open.a&lastEventId=open.a%3D7", None, &["open.a@7"]),
        ("?topics=open.a&lastEventId=open.a%3D7", Some("open.a=9"), &["open.a@9"]),
        ("?topics=open.a&access_token=x", None, &["open.a"]),
    ] {
        assert_eq!(asked(query, id).unwrap(), expected, "{query} {id:?}");
    }
}

#[test]
fn what_cannot_be_streamed_is_refused_before_the_stream() {
    for (query, id, code, named) in [
        ("", None, ErrorCode::BadRequest, "`topics` is missing"),
        ("?topics=", None, ErrorCode::BadRequest, "`topics` is missing"),
        ("?topic=open.a", None, ErrorCode::BadRequest, "`topics` is missing"),
        ("?topics=open.a,", None, ErrorCode::TopicInvalid, "empty"),
        ("?topics=open.a,open..b", None, ErrorCode::TopicInvalid, "empty token"),
        ("?topics=$SYS.a", None, ErrorCode::TopicInvalid, "messaging system"),
        ("?topics=shut.a,shut.b", None, ErrorCode::AclDenied, "policy"),
        ("?topics=a,b,c,d", None, ErrorCode::LimitExceeded, "at most 3 topics"),
        ("?topics=open.a", Some("nonsense"), ErrorCode::BadRequest, "Last-Event-ID"),
        ("?topics=open.a&lastEventId=a", None, ErrorCode::BadRequest, "Last-Event-ID"),
    ] {
        let (found, message) = asked(query, id).unwrap_err();
        assert_eq!(found, code, "{query}");
        assert!(message.contains(named), "{query}: {message}");
    }
}

#[test]
fn topics_whose_positions_would_not_fit_an_id_are_refused() {
    let names: Vec<_> = (0..40).map(|n| format!("open.{n}{}", "x".repeat(200))).collect();
    let policy = Policy {
        topics_per_connection: 1000,
        publish_per_second: 0,
        subscribe_per_second: 0,
        message_bytes: 0,
    };
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert!(bound(&names[..20], &policy).is_ok());
    assert_eq!(bound(&names, &policy).unwrap_err().code, ErrorCode::LimitExceeded);
}

/// The body of a stream, and its shard's end of the pair.
fn pair() -> (Events, std::os::unix::net::UnixStream) {
    let (own, other) = std::os::unix::net::UnixStream::pair().unwrap();
    other.set_nonblocking(true).unwrap();
    let socket = UnixStream::from_std(other).unwrap();
    let socket =
        futures_util::FutureExt::now_or_never(WebSocketStream::from_raw_socket(socket, Role::Client, None));
    let topics = [("a".parse().unwrap(), None)];
    let translator = Translator::new(Positions::new(&topics), 1000);
    let files = Admission::new(&crate::api::Limits::default(), 10).take_files(FILES).unwrap();
    (Events { socket: socket.unwrap(), translator, place: None, ended: false, _files: files }, own)
}

async fn next(events: &mut Events) -> Option<String> {
    let piece = timeout(std::time::Duration::from_secs(20), events.next()).await.expect("a piece in time");
    piece.map(|Ok(bytes)| String::from_utf8(bytes.to_vec()).unwrap())
}

const FRAME: &str = r#"{"type":"subscribed","topic":"a","seqNo":4,"recoverable":true}"#;

#[tokio::test]
async fn a_frame_becomes_an_event_and_the_end_a_last_one() {
    let (mut events, mut shard) = pair();
    let mut bytes = websocket::text_frame(FRAME);
    websocket::close(&mut bytes, websocket::CloseCode::Drain, "elsewhere");
    shard.write_all(&bytes).unwrap();
    let told = next(&mut events).await.unwrap();
    let closed = r#"{"type":"closed","code":1012,"reason":"elsewhere"}"#;
    let expected = format!(
        "event: subscribed\nid: a=4\ndata: {FRAME}\n\nevent: closed\nretry: 1000\ndata: {closed}\n\n"
    );
    assert_eq!(told, expected);
    assert_eq!(next(&mut events).await, None);
}

#[tokio::test]
async fn a_ping_is_answered_and_shown_as_a_comment() {
    use std::io::Read as _;
    let (mut events, mut shard) = pair();
    shard.write_all(websocket::PING).unwrap();
    assert_eq!(next(&mut events).await.unwrap(), ":\n\n");
    let mut pong = [0; 6];
    shard.read_exact(&mut pong).unwrap();
    assert_eq!(pong[..2], [0x8a, 0x80], "a masked pong without payload");
}

#[tokio::test]
async fn the_end_of_the_pair_is_the_end_and_a_dropped_body_ends_the_pair() {
    use std::io::Read as _;
    let (mut events, shard) = pair();
    drop(shard);
    assert_eq!(next(&mut events).await, None);
    let (events, mut shard) = pair();
    drop(events);
    assert_eq!(shard.read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_seen_to_stall_and_one_that_waits_is_not() {
    let (mut events, mut shard) = pair();
    let place = Arc::new(tokio::sync::Mutex::new(crate::gateway::http::place::Places::new(1)));
    let place = place.lock().await.take().await.unwrap();
    events.place = Some(place.clone());
    shard.write_all(&websocket::text_frame(FRAME)).unwrap();
    next(&mut events).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    assert!(!place.stalled().is_zero());
    assert!(futures_util::FutureExt::now_or_never(events.next()).is_none());
    assert!(place.stalled().is_zero());
}
