//! Many messages in one request: a line each (NDJSON), answered by a line each in the same order.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::time::{Instant, sleep};

use super::{Desk, NDJSON, read, unique_id};
use crate::gateway::{
    http::answer::{Problem, Receipt},
    protocol::{
        ErrorCode,
        body::{MAX_MESSAGE_ID, is_message_id},
        command::{Entry, parse_entry},
        session::{Refusal, rules},
    },
    shard::PublishAnswer,
};

/// Lines of one request.
const LINES: usize = 1000;
/// Bytes of one request, if one message may not have more.
const BYTES: usize = 1024 * 1024;
/// Bytes of a line beside its payload.
const AROUND: usize = 1024;
/// Messages of one request that may wait for the backbone at a time, as of one WebSocket.
const IN_FLIGHT: usize = 64;
/// How long a request may take until its last line is begun. Lines wait that long for the rate: a batch is as fast as
/// single publishes may be, and not refused for coming at once.
const WITHIN: Duration = Duration::from_secs(20);
/// Time between two looks at the rate.
const PAUSE: Duration = Duration::from_millis(10);

/// One line on its way.
struct Begun<F> {
    message_id: Option<Arc<str>>,
    outcome: Result<F, Refusal>,
}

/// A line's message and what became of it.
type Ended = (Option<Arc<str>>, Result<PublishAnswer, Refusal>);

/// Publishes every line; those that are refused stop no other.
pub(super) async fn publish(desk: &Desk, key: Option<Arc<str>>, body: Body) -> Result<Response, Refusal> {
    let limit = BYTES.max(desk.policy.message_bytes + AROUND);
    let body = read(body, limit)
        .await?
        .ok_or_else(|| too_much(format!("a batch must have at most {limit} bytes: divide it"), desk))?;
    let lines: Vec<_> = lines(&body).take(LINES + 1).collect();
    if lines.len() > LINES {
        return Err(too_much(format!("a batch must have at most {LINES} lines: divide it"), desk));
    }
    if lines.is_empty() {
        let message = r#"the batch is empty: give lines like {"messageId":"1","payload":{"bid":1}}"#;
        return Err(Refusal::new(ErrorCode::BadRequest, message, Some(desk.topic.as_str())));
    }
    let deadline = Instant::now() + WITHIN;
    let (mut under_way, mut out) = (FuturesOrdered::new(), Vec::new());
    // One after the other, so that messages keep the order of the lines.
    for (number, line) in lines {
        if under_way.len() >= IN_FLIGHT
            && let Some(ended) = under_way.next().await
        {
            tell(desk, ended, &mut out);
        }
        let begun = begin(desk, key.as_deref(), number, line, deadline).await;
        under_way.push_back(end(begun));
    }
    while let Some(ended) = under_way.next().await {
        tell(desk, ended, &mut out);
    }
    Ok((StatusCode::OK, [(CONTENT_TYPE, NDJSON)], out).into_response())
}

/// Waits for the outcome of a line.
async fn end<F: Future<Output = PublishAnswer>>(begun: Begun<F>) -> Ended {
    let Begun { message_id, outcome } = begun;
    let outcome = match outcome {
        Ok(answer) => Ok(answer.await),
        Err(refusal) => Err(refusal),
    };
    (message_id, outcome)
}

fn too_much(message: String, desk: &Desk) -> Refusal {
    Refusal::new(ErrorCode::LimitExceeded, message, Some(desk.topic.as_str()))
}

/// Lines with something on them, and their numbers from 1 on.
fn lines(body: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.is_empty())
}

/// Hands one line's message to the backbone, as soon as the rate lets it.
async fn begin(
    desk: &Desk,
    key: Option<&str>,
    number: usize,
    line: &[u8],
    deadline: Instant,
) -> Begun<impl Future<Output = PublishAnswer> + use<>> {
    let topic = desk.topic.as_str();
    let bad = |why: &str| Refusal::new(ErrorCode::BadRequest, format!("line {number}: {why}"), Some(topic));
    let Ok(line) = std::str::from_utf8(line) else {
        return Begun { message_id: None, outcome: Err(bad("it is not UTF-8")) };
    };
    let Entry { message_id, payload } = parse_entry(line);
    let given = message_id.map(|id| Arc::from(&*id));
    let message_id: Option<Arc<str>> = given.or_else(|| key.map(|key| format!("{key}-{number}").into()));
    let payload = payload.map_err(|why| bad(&why)).and_then(|payload| {
        if message_id.as_deref().is_some_and(|id| !is_message_id(id)) {
            let why = format!("`Idempotency-Key` and the number make more than {MAX_MESSAGE_ID} bytes");
            return Err(bad(&why));
        }
        rules::fits(payload.len(), &desk.policy, topic).map(|()| payload)
    });
    let payload = match payload {
        Ok(payload) => wait_for_rate(desk, deadline).await.map(|()| payload),
        Err(refusal) => Err(refusal),
    };
    match payload {
        Ok(payload) => {
            let message_id = message_id.unwrap_or_else(unique_id);
            // Copied, so that what is kept of it does not keep the whole batch.
            let body = Bytes::copy_from_slice(payload.as_bytes());
            Begun { outcome: Ok(desk.publish(message_id.clone(), body)), message_id: Some(message_id) }
        }
        Err(refusal) => Begun { message_id, outcome: Err(refusal) },
    }
}

async fn wait_for_rate(desk: &Desk, deadline: Instant) -> Result<(), Refusal> {
    loop {
        let late = Instant::now() >= deadline;
        match desk.take_from_rate() {
            Err(refusal) if refusal.later && !late => sleep(PAUSE).await,
            Ok(()) if late => {
                let message =
                    "the lines before took too long: publish this one again with the same messageId";
                let topic = Some(desk.topic.as_str());
                return Err(Refusal::new(ErrorCode::BackboneUnavailable, message, topic));
            }
            taken => return taken,
        }
    }
}

/// Appends the line that answers a line.
fn tell(desk: &Desk, (id, outcome): Ended, out: &mut Vec<u8>) {
    let id = id.as_deref();
    let receipt = outcome.and_then(|answer| Receipt::of(id.unwrap_or_default(), desk.topic.as_str(), answer));
    let written = match &receipt {
        Ok(receipt) => serde_json::to_writer(&mut *out, receipt),
        Err(refusal) => {
            desk.app.front.counts.error(refusal.code);
            serde_json::to_writer(&mut *out, &Problem::new(refusal, id))
        }
    };
    // Into memory, and of texts and numbers alone: nothing can go wrong.
    debug_assert!(written.is_ok());
    out.push(b'\n');
}
