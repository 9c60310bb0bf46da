//! `POST /publish/{topic}`: what the command `publish` does, for clients that hold no connection.

mod batch;
mod rates;

use std::{error::Error, sync::Arc};

use axum::{
    Json,
    body::{Body, HttpBody, to_bytes},
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::LengthLimitError;
use tracing::{Instrument as _, debug_span, field::Empty};

pub(super) use rates::Rates;

use super::{
    App,
    accept::Peer,
    answer::{self, Receipt},
    token,
};
use crate::{
    api::Topic,
    gateway::{
        access::ANONYMOUS,
        protocol::{
            ErrorCode,
            body::{MAX_MESSAGE_ID, check, is_message_id},
            session::{Policy, Refusal, rules},
        },
        shard::PublishAnswer,
    },
    runtime::telemetry,
};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const NDJSON: &str = "application/x-ndjson";
/// All names that a batch goes by: taken for one message, it would be delivered with what is around its payload.
const BATCHES: [&str; 4] = [NDJSON, "application/ndjson", "application/jsonl", "application/x-jsonlines"];

/// Who publishes where, once it is known that it may.
struct Desk {
    app: App,
    user: Arc<str>,
    /// Whose rate it is.
    payer: u64,
    topic: Topic,
    policy: Policy,
}

pub(super) async fn publish(
    State(app): State<App>,
    topic: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let span = debug_span!(
        "POST /publish/{topic}",
        otel.kind = "server",
        http.request.method = "POST",
        http.route = "/publish/{topic}",
        http.response.status_code = Empty,
    );
    telemetry::follow(&span, request.headers());
    let (mut id, counted) = (None, app.clone());
    let received = receive(app, topic, request, &mut id).instrument(span.clone()).await;
    let answer = received.unwrap_or_else(|refusal| {
        counted.front.counts.error(refusal.code);
        answer::refused(&refusal, id.as_deref())
    });
    span.record("http.response.status_code", answer.status().as_u16());
    answer
}

async fn receive(
    app: App,
    topic: Result<Path<String>, PathRejection>,
    request: Request,
    id: &mut Option<Arc<str>>,
) -> Result<Response, Refusal> {
    let identity = token::identify(&app.front, request.headers(), request.uri())?;
    let topic = match topic {
        Ok(Path(topic)) => rules::writable(&identity.grants, &topic)?,
        Err(error) => return Err(Refusal::new(ErrorCode::TopicInvalid, error.body_text(), None)),
    };
    let peer = request.extensions().get::<Peer>().map(|Peer(address)| *address);
    // Those without a name do not share the rate of all of them.
    let payer = app.rates.payer(&identity.user, peer.filter(|_| *identity.user == *ANONYMOUS));
    let policy = Policy::from(&app.front.admission.limits());
    let desk = Desk { app, user: identity.user.clone(), payer, topic, policy };
    let key = idempotency_key(request.headers())?;
    if is_batch(request.headers()) {
        return batch::publish(&desk, key, request.into_body()).await;
    }
    let message_id = id.insert(key.unwrap_or_else(unique_id));
    let limit = desk.policy.message_bytes;
    let body = read(request.into_body(), limit).await?.ok_or_else(|| {
        let message = format!("the body must have at most {limit} bytes");
        Refusal::new(ErrorCode::LimitExceeded, message, Some(desk.topic.as_str()))
    })?;
    if let Err(why) = check(&body) {
        let message = format!("the body is not valid JSON: {why}");
        return Err(Refusal::new(ErrorCode::BadRequest, message, Some(desk.topic.as_str())));
    }
    desk.take_from_rate()?;
    let answer = desk.publish(message_id.clone(), body).await;
    Receipt::of(message_id, desk.topic.as_str(), answer).map(|receipt| Json(receipt).into_response())
}

impl Desk {
    /// Takes one publish from the rate, if there is one.
    fn take_from_rate(&self) -> Result<(), Refusal> {
        let now_ms = u64::try_from(self.app.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.app.rates.take(self.payer, now_ms, self.policy.publish_per_second, self.topic.as_str())
    }

    /// Hands a message to the backbone before it returns; what is returned waits for the outcome.
    fn publish(&self, message_id: Arc<str>, body: Bytes) -> impl Future<Output = PublishAnswer> + use<> {
        self.app.publish(self.user.clone(), self.topic.clone(), message_id, body)
    }
}

/// The body, if it has at most `limit` bytes; no more than that is held.
async fn read(body: Body, limit: usize) -> Result<Option<Bytes>, Refusal> {
    if body.size_hint().lower() > limit as u64 {
        return Ok(None);
    }
    match to_bytes(body, limit).await {
        Ok(body) => Ok(Some(body)),
        Err(error) if error.source().is_some_and(<dyn Error>::is::<LengthLimitError>) => Ok(None),
        Err(_) => Err(Refusal::new(ErrorCode::BadRequest, "the body did not come to its end", None)),
    }
}

/// The `messageId` of the header, where there is one.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<Arc<str>>, Refusal> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = std::str::from_utf8(value.as_bytes()).ok().filter(|key| is_message_id(key));
    key.filter(|_| values.next().is_none()).map(|key| Some(key.into())).ok_or_else(|| {
        let message = format!("`Idempotency-Key` must be given once and have 1 to {MAX_MESSAGE_ID} bytes");
        Refusal::new(ErrorCode::BadRequest, message, None)
    })
}

/// The id of a message whose publisher gives none.
pub(super) fn unique_id() -> Arc<str> {
    format!("{:032x}", rand::random::<u128>()).into()
}

fn is_batch(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    BATCHES.iter().any(|batch| kind.eq_ignore_ascii_case(batch))
}

#[cfg(test)]
mod tests;
