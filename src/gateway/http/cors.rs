//! Pages of other origins: which may use `/sse` and `/publish`, and what a browser has to be told for it (the CORS
//! protocol of the Fetch standard). The origins are those that may open a WebSocket.

use axum::{
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, ORIGIN, VARY,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{App, answer, upgrade::origin_allowed};
use crate::gateway::websocket::CloseCode;

const METHODS: &str = "GET, POST, OPTIONS";
/// What clients may send beside what they always may; `EventSource` in libraries sends `Cache-Control`.
const HEADERS: &str = "authorization, cache-control, content-type, idempotency-key, last-event-id";
/// Seconds a browser need not ask again.
const MAX_AGE: &str = "600";

/// Lets requests of allowed origins through, and those that name none, and tells browsers so.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    if !origin_allowed(&app.front, request.headers()) {
        app.front.counts.closed(CloseCode::Forbidden.code());
        let message = "this origin is not in listeners.allowedOrigins";
        let refused = answer::problem(StatusCode::FORBIDDEN, "FORBIDDEN", message, false);
        return vary(refused);
    }
    let mut response = vary(next.run(request).await);
    if let Some(origin) = origin {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static("retry-after, www-authenticate");
        response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

/// The answer to what a browser asks before a request of another origin.
pub(super) async fn preflight() -> Response {
    let headers = [
        (ALLOW, METHODS),
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// No cache may answer one origin with what was for another.
fn vary(mut response: Response) -> Response {
    response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
    response
}
