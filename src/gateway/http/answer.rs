//! HTTP answers that say what is wrong: `{"error":{"code","message"}}`.

use axum::{
    Json,
    http::{Method, StatusCode, Uri, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An error with one of the protocol's codes, or the name of the status where the protocol has none.
pub(super) fn error(status: StatusCode, code: &str, message: impl AsRef<str>) -> Response {
    (status, Json(json!({"error": {"code": code, "message": message.as_ref()}}))).into_response()
}

/// 503: come back after so many seconds.
pub(super) fn unavailable(code: &str, message: impl AsRef<str>, seconds: u8) -> Response {
    let retry = [(RETRY_AFTER, seconds.to_string())];
    (retry, error(StatusCode::SERVICE_UNAVAILABLE, code, message)).into_response()
}

pub(super) async fn not_found(uri: Uri) -> Response {
    let message = format!(
        "there is nothing at {:?}: connect a WebSocket to /ws or /ws/sub/{{topic}}, or read /stats",
        uri.path()
    );
    error(StatusCode::NOT_FOUND, "NOT_FOUND", message)
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let message = format!("{:?} does not take {method}: send GET", uri.path());
    error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
}
