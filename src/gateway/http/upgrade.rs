//! `/ws` and `/ws/sub/{topic}`: from an HTTP request to a socket on a shard.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{
        HeaderMap, HeaderValue, StatusCode, Version,
        header::{CONNECTION, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, UPGRADE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::server::TlsStream;

use super::{App, Front, accept::limit_silence, answer, token};
use crate::gateway::{
    access::Identity,
    limits::{Denied, Seat},
    metrics::Transport,
    shard::{ClientSocket, Greeting, Hello},
    websocket::{
        CloseCode,
        handshake::{self, Refusal},
    },
};

/// Longest time from the answer 101 to the socket.
const PATIENCE: Duration = Duration::from_secs(10);
const FORBIDDEN_ORIGIN: (CloseCode, &str) =
    (CloseCode::Forbidden, "this origin is not in listeners.allowedOrigins");

/// Everything about a connection but its socket.
struct Visitor {
    seat: Seat,
    identity: Option<Arc<Identity>>,
    refused: Option<String>,
    close: Option<(CloseCode, &'static str)>,
    topic: Option<String>,
    deflate: bool,
}

pub(super) async fn many(State(app): State<App>, request: Request) -> Response {
    upgrade(&app, request, None)
}

pub(super) async fn one(
    State(app): State<App>,
    topic: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    match topic {
        Ok(Path(topic)) => upgrade(&app, request, Some(topic)),
        Err(error) => answer::error(StatusCode::BAD_REQUEST, "TOPIC_INVALID", error.body_text()),
    }
}

fn upgrade(app: &App, mut request: Request, topic: Option<String>) -> Response {
    // HTTP/1.0 knows no upgrade.
    let supported = request.version() == Version::HTTP_11;
    let accept = if supported {
        handshake::accept(request.method(), request.headers())
    } else {
        Err(Refusal::NotUpgrade)
    };
    let accept = match accept {
        Ok(accept) => accept,
        Err(refusal) => return refuse(refusal),
    };
    if app.cancel.is_cancelled() {
        return answer::unavailable("GOING_AWAY", "this gateway is going away: connect again", 1);
    }
    let seat = match app.front.admission.admit(app.started.elapsed().as_secs()) {
        Ok(seat) => seat,
        Err(denied) => return full(denied),
    };
    let deflate =
        app.front.deflate.load(Ordering::Relaxed).then(|| handshake::deflate(request.headers())).flatten();
    let mut visitor = Visitor::new(&app.front, seat, &request, topic);
    visitor.deflate = deflate.is_some();
    let socket = hyper::upgrade::on(&mut request);
    app.tasks.spawn(hand_over(app.front.clone(), socket, visitor));
    let headers = [(CONNECTION, "upgrade"), (UPGRADE, "websocket"), (SEC_WEBSOCKET_ACCEPT, &accept)];
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response();
    if let Some(deflate) = deflate {
        response.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(deflate));
    }
    response
}

fn refuse(refusal: Refusal) -> Response {
    let code = match refusal {
        Refusal::Method => "METHOD_NOT_ALLOWED",
        Refusal::NotUpgrade | Refusal::Version => "UPGRADE_REQUIRED",
        Refusal::Key => "BAD_REQUEST",
    };
    let mut response = answer::error(refusal.status(), code, refusal.to_string());
    let headers =
        refusal.headers().iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
    response.headers_mut().extend(headers);
    response
}

fn full(denied: Denied) -> Response {
    answer::unavailable("AT_CAPACITY", denied.to_string(), denied.seconds())
}

impl Visitor {
    fn new(front: &Front, seat: Seat, request: &Request, topic: Option<String>) -> Self {
        // Browsers cannot read an HTTP error of a WebSocket, but they can read a close code.
        let close = (!origin_allowed(front, request.headers())).then_some(FORBIDDEN_ORIGIN);
        let token = token::token(request.headers(), request.uri());
        let (identity, refused) = match (front.identify)(token.as_deref()) {
            Ok(identity) => (identity, None),
            Err(why) => (None, Some(why)),
        };
        Self { seat, identity, refused, close, topic, deflate: false }
    }
}

/// Clients that are not browsers send no origin, and may.
pub(super) fn origin_allowed(front: &Front, headers: &HeaderMap) -> bool {
    headers
        .get_all(ORIGIN)
        .iter()
        .all(|origin| origin.to_str().is_ok_and(|origin| front.origins.load().allow(origin)))
}

/// Waits for the socket and gives it to a shard.
async fn hand_over(front: Arc<Front>, socket: OnUpgrade, visitor: Visitor) {
    let upgraded = match timeout(PATIENCE, socket).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => return tracing::debug!(%error, "connection lost during its upgrade"),
        Err(_) => return tracing::debug!("connection dropped: its upgrade took too long"),
    };
    match release(upgraded) {
        Ok((socket, early)) => {
            let Visitor { seat, identity, refused, close, topic, deflate } = visitor;
            let transport = Transport::WebSocket;
            let greeting = Greeting {
                transport,
                early,
                seat,
                identity,
                refused,
                close,
                topic,
                deflate,
                beginning: None,
            };
            front.placement.place(Hello { socket, greeting });
        }
        Err(error) => tracing::warn!(%error, "cannot hand a connection over to its shard"),
    }
}

/// Takes the socket out of tokio; it stays non-blocking. Also what the client sent behind its request, which is
/// never more than the largest head.
fn release(upgraded: Upgraded) -> io::Result<(ClientSocket, Bytes)> {
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => return Ok((ClientSocket::tcp(detach(parts.io.into_inner())?), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    let parts = upgraded
        .downcast::<TokioIo<TlsStream<TcpStream>>>()
        .map_err(|_| io::Error::other("the connection is neither plain TCP nor TLS over it"))?;
    // What the client sent, and hyper did not read, is in the session or still in the socket.
    let (socket, session) = parts.io.into_inner().into_inner();
    Ok((ClientSocket::tls(detach(socket)?, session), parts.read_buf))
}

fn detach(socket: TcpStream) -> io::Result<std::net::TcpStream> {
    let socket = socket.into_std()?;
    // Pings and the policy for slow consumers are in its place.
    limit_silence(&socket, None)?;
    Ok(socket)
}
