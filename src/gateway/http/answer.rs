//! HTTP answers: what is wrong as `{"error":{"code","message"}}`, and, where a request is a command of the protocol,
//! what the frames `ack` and `error` carry.

use axum::{
    Json,
    http::{
        HeaderValue, Method, StatusCode, Uri,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::Seq,
    gateway::{
        protocol::{ErrorCode, session::Refusal},
        shard::PublishAnswer,
    },
};

/// What the frame `ack` carries.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt<'a> {
    #[schemars(extend("const" = "ack"))]
    r#type: &'static str,
    /// The publisher's id of the message.
    message_id: &'a str,
    /// `duplicate`: it was published before.
    #[schemars(extend("enum" = ["ok", "duplicate"]))]
    status: &'static str,
    /// Its number in the topic, where the backbone numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq_no: Option<Seq>,
}

impl<'a> Receipt<'a> {
    /// What became of a publish, or why nothing did.
    pub(super) fn of(message_id: &'a str, topic: &str, answer: PublishAnswer) -> Result<Self, Refusal> {
        let (status, seq_no) = match answer {
            PublishAnswer::Accepted(seq) => ("ok", seq),
            PublishAnswer::Duplicate(seq) => ("duplicate", seq),
            PublishAnswer::Unavailable(why) => {
                return Err(Refusal::new(ErrorCode::BackboneUnavailable, why, Some(topic)));
            }
            PublishAnswer::Limited(why) => {
                return Err(Refusal::new(ErrorCode::LimitExceeded, why, Some(topic)));
            }
        };
        Ok(Self { r#type: "ack", message_id, status, seq_no })
    }
}

/// What the frame `error` carries; also which message it is about, where that is known.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem<'a> {
    #[schemars(extend("const" = "error"))]
    r#type: &'static str,
    /// One of the protocol's, or what a request may be turned away for.
    #[schemars(extend("examples" = codes()))]
    code: &'a str,
    /// What is wrong, and what to do.
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    /// The same may succeed later.
    retryable: bool,
}

/// Every code of a [`Problem`].
fn codes() -> Vec<&'static str> {
    let own = ["FORBIDDEN", "AT_CAPACITY", "GOING_AWAY"];
    ErrorCode::ALL.iter().map(|code| code.as_str()).chain(own).collect()
}

/// What is wrong with a request that is no command.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Failure<'a> {
    error: Reason<'a>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Reason<'a> {
    /// One of the protocol's, or the name of the status where the protocol has none.
    code: &'a str,
    /// What is wrong, and what to do.
    message: &'a str,
}

impl<'a> Problem<'a> {
    pub(super) fn new(refusal: &'a Refusal, message_id: Option<&'a str>) -> Self {
        Self {
            r#type: "error",
            code: refusal.code.as_str(),
            message: &refusal.message,
            topic: refusal.topic.as_deref(),
            message_id,
            retryable: refusal.later || refusal.code.retryable(),
        }
    }
}

/// A command that is refused.
pub(super) fn refused(refusal: &Refusal, message_id: Option<&str>) -> Response {
    let mut response = (status(refusal), Json(Problem::new(refusal, message_id))).into_response();
    let header = match refusal.code {
        ErrorCode::AuthRequired => Some((WWW_AUTHENTICATE, "Bearer")),
        // RFC 6750 § 3.1.
        ErrorCode::AuthFailed => Some((WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")),
        code if refusal.later || code.retryable() => Some((RETRY_AFTER, "1")),
        _ => None,
    };
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal.code {
        ErrorCode::BadRequest | ErrorCode::TopicInvalid | ErrorCode::SessionExpired => {
            StatusCode::BAD_REQUEST
        }
        ErrorCode::AuthRequired | ErrorCode::AuthFailed => StatusCode::UNAUTHORIZED,
        ErrorCode::AclDenied => StatusCode::FORBIDDEN,
        ErrorCode::LimitExceeded if refusal.later => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::LimitExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::HistoryUnavailable => StatusCode::CONFLICT,
        ErrorCode::BackboneUnavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What is wrong with a request that is a command, in words the protocol has no code for.
pub(super) fn problem(status: StatusCode, code: &str, message: &str, retryable: bool) -> Response {
    let (topic, message_id) = (None, None);
    (status, Json(Problem { r#type: "error", code, message, topic, message_id, retryable })).into_response()
}

/// 503 for a request that is a command: come back after so many seconds.
pub(super) fn turned_away(code: &str, message: &str, seconds: u8) -> Response {
    let retry = [(RETRY_AFTER, seconds.to_string())];
    (retry, problem(StatusCode::SERVICE_UNAVAILABLE, code, message, true)).into_response()
}

/// An error with one of the protocol's codes, or the name of the status where the protocol has none.
pub(super) fn error(status: StatusCode, code: &str, message: impl AsRef<str>) -> Response {
    let message = message.as_ref();
    (status, Json(Failure { error: Reason { code, message } })).into_response()
}

/// 503: come back after so many seconds.
pub(super) fn unavailable(code: &str, message: impl AsRef<str>, seconds: u8) -> Response {
    let retry = [(RETRY_AFTER, seconds.to_string())];
    (retry, error(StatusCode::SERVICE_UNAVAILABLE, code, message)).into_response()
}

pub(super) async fn not_found(uri: Uri) -> Response {
    let message = format!(
        "there is nothing at {:?}: connect a WebSocket to /ws or /ws/sub/{{topic}}, read /sse?topics=… or /stats, \
         or POST to /publish/{{topic}}",
        uri.path()
    );
    error(StatusCode::NOT_FOUND, "NOT_FOUND", message)
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let wanted = if uri.path().starts_with("/publish/") { "POST" } else { "GET" };
    let message = format!("{:?} does not take {method}: send {wanted}", uri.path());
    error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{protocol::event, websocket};

    fn frame(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        let text = String::from_utf8(out[websocket::header_len(out.len() - 2)..].to_vec()).unwrap();
        text[text.find('{').unwrap()..].to_owned()
    }

    #[test]
    fn an_answer_carries_what_the_frame_would() {
        for (answer, duplicate, seq) in [
            (PublishAnswer::Accepted(Some(7)), false, Some(7)),
            (PublishAnswer::Accepted(None), false, None),
            (PublishAnswer::Duplicate(Some(1)), true, Some(1)),
        ] {
            let receipt = Receipt::of("m\"1", "a", answer).unwrap();
            let expected = frame(|out| event::ack(out, None, "m\"1", duplicate, seq));
            assert_eq!(serde_json::to_string(&receipt).unwrap(), expected);
        }
        for refusal in [
            Refusal::new(ErrorCode::AclDenied, "no", Some("a")),
            Refusal::new(ErrorCode::BackboneUnavailable, "not now", None),
            Refusal::too_fast("slow down", Some("a")),
        ] {
            let (code, topic) = (refusal.code, refusal.topic.as_deref());
            let later = refusal.later.then_some(true);
            let expected = frame(|out| event::error(out, None, code, &refusal.message, topic, later));
            assert_eq!(serde_json::to_string(&Problem::new(&refusal, None)).unwrap(), expected);
        }
    }

    #[test]
    fn each_refusal_has_its_status_and_header() {
        for (refusal, status, header) in [
            (Refusal::new(ErrorCode::BadRequest, "", None), 400, None),
            (Refusal::new(ErrorCode::TopicInvalid, "", None), 400, None),
            (Refusal::new(ErrorCode::AuthRequired, "", None), 401, Some((WWW_AUTHENTICATE, "Bearer"))),
            (
                Refusal::new(ErrorCode::AuthFailed, "", None),
                401,
                Some((WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")),
            ),
            (Refusal::new(ErrorCode::AclDenied, "", None), 403, None),
            (Refusal::new(ErrorCode::LimitExceeded, "", None), 413, None),
            (Refusal::too_fast("", None), 429, Some((RETRY_AFTER, "1"))),
            (Refusal::new(ErrorCode::BackboneUnavailable, "", None), 503, Some((RETRY_AFTER, "1"))),
        ] {
            let response = refused(&refusal, None);
            assert_eq!(response.status().as_u16(), status, "{refusal:?}");
            for name in [WWW_AUTHENTICATE, RETRY_AFTER] {
                let expected = header.as_ref().filter(|(own, _)| *own == name).map(|(_, value)| *value);
                let found = response.headers().get(&name).map(|value| value.to_str().unwrap());
                assert_eq!(found, expected, "{refusal:?}");
            }
        }
    }
}
