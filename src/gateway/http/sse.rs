//! `GET /sse?topics=a,b`: the same topics as over WebSocket, as an HTTP answer without end.
//!
//! ```text
//! shard ──frames──► pair of sockets ──► Events ──► body of the answer ──► client
//! ```
//!
//! To its shard a stream is a connection like any other: limits, rights, heartbeat, slow consumers and drain are the
//! shard's. The answer reads the other end of the pair as a WebSocket client would, and writes each frame as an event.
//! A client that does not read keeps the answer from reading the pair, so that its shard sees it lag; a client that goes
//! drops the answer, which ends the connection.

mod events;
mod positions;

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::{Query, Request, State},
    http::{
        HeaderMap, StatusCode, Uri,
        header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::Stream;
use tokio::net::UnixStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

use self::{
    events::{Translator, keep_alive},
    positions::Positions,
};
use super::{App, answer, place::Place, token};
use crate::{
    api::Filter,
    gateway::{
        access::Grants,
        limits::{Denied, Files},
        metrics::Transport,
        protocol::{
            ErrorCode,
            session::{Beginning, Policy, Reached, Refusal, rules},
        },
        shard::{ClientSocket, Greeting, Hello},
        websocket::CloseCode,
    },
};

/// Files of a stream beside the one that its seat stands for: the client's own, and the other end of the pair.
const FILES: u64 = 2;
/// Bytes of events that are handed over at once, and of one event more.
const PIECE: usize = 16 * 1024;
/// Bytes read from the pair at once; a frame that is larger is held whole.
const READ: usize = 8 * 1024;
/// Milliseconds after which a client comes back that lost its stream: between these, so that those of a gateway that
/// died do not come all at once.
const RETRY_MS: std::ops::Range<u64> = 1000..3000;
const LAST_EVENT_ID: &str = "last-event-id";

type Topics = Vec<(Filter, Option<Reached>)>;

/// Why there is no stream.
enum Failure {
    /// In the protocol's words.
    Refused(Refusal),
    /// There is no room now.
    Full(Denied),
    /// The gateway goes away, or has lost this connection to others.
    Ends,
}

pub(super) async fn stream(State(app): State<App>, request: Request) -> Response {
    match begin(&app, request).await {
        Ok(events) => respond(events),
        Err(Failure::Refused(refusal)) => app.refuse(&refusal),
        Err(Failure::Full(denied)) => {
            app.front.counts.closed(CloseCode::Capacity.code());
            answer::turned_away("AT_CAPACITY", &denied.to_string(), denied.seconds())
        }
        Err(Failure::Ends) => {
            answer::turned_away("GOING_AWAY", "this gateway is going away: connect again", 1)
        }
    }
}

async fn begin(app: &App, request: Request) -> Result<Events, Failure> {
    let front = &app.front;
    let identity = token::identify(front, request.headers(), request.uri())?;
    let policy = Policy::from(&front.admission.limits());
    let topics = wanted(request.headers(), request.uri(), &identity.grants, &policy)?;
    if app.cancel.is_cancelled() {
        return Err(Failure::Ends);
    }
    let mut seat = front.admission.admit(app.started.elapsed().as_secs())?;
    let files = front.admission.take_files(FILES)?;
    if !seat.claim(&identity.user) {
        let message = "this user is at its limit of connections: close another one first";
        return Err(Refusal::too_fast(message, None).into());
    }
    let (socket, other) = ClientSocket::pair()?;
    let other = UnixStream::from_std(other)?;
    let place = request.extensions().get::<Place>().cloned();
    if place.as_ref().is_some_and(|place| !place.leave()) {
        return Err(Failure::Ends);
    }
    let translator = Translator::new(Positions::new(&topics), rand::random_range(RETRY_MS));
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(0)
        .max_message_size(None)
        .max_frame_size(None);
    let socket_to_read = WebSocketStream::from_raw_socket(other, Role::Client, Some(config)).await;
    let greeting = Greeting {
        transport: Transport::Sse,
        early: Bytes::new(),
        seat,
        identity: Some(identity),
        refused: None,
        close: None,
        topic: None,
        deflate: false,
        beginning: Some(Beginning::Stream { topics }),
    };
    front.placement.place(Hello { socket, greeting });
    Ok(Events { socket: socket_to_read, translator, place, ended: false, _files: files })
}

fn respond(events: Events) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // Its place among the connections that are HTTP is gone: no other request can follow.
        (CONNECTION, "close"),
    ];
    // nginx, and what is built on it, would collect the events otherwise.
    let unbuffered = [("x-accel-buffering", "no")];
    (StatusCode::OK, headers, unbuffered, Body::from_stream(events)).into_response()
}

/// The topics of a request with the positions that its client has.
fn wanted(headers: &HeaderMap, uri: &Uri, grants: &Grants, policy: &Policy) -> Result<Topics, Refusal> {
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
        return Err(Refusal::new(ErrorCode::BadRequest, "the query is not one: look at its %-escapes", None));
    };
    let values = |wanted: &'static str| {
        pairs.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value.as_str())
    };
    let mut names: Vec<&str> = Vec::new();
    for name in values("topics").filter(|list| !list.is_empty()).flat_map(|list| list.split(',')) {
        if !names.contains(&name) {
            names.push(name);
        }
        bound(&names, policy)?;
    }
    let topics = readable(&names, grants)?;
    let id = match headers.get(LAST_EVENT_ID) {
        None => values("lastEventId").next(),
        Some(id) => Some(id.to_str().map_err(|_| {
            Refusal::new(ErrorCode::BadRequest, "Last-Event-ID holds what no id of this gateway does", None)
        })?),
    };
    let all = id.filter(|id| !id.is_empty()).map_or(Ok(Vec::new()), positions::parse)?;
    let reached = |filter: &Filter| {
        all.iter().find(|(topic, _)| *topic == filter.as_str()).map(|(_, reached)| *reached)
    };
    Ok(topics.into_iter().map(|filter| (reached(&filter), filter)).map(|(at, filter)| (filter, at)).collect())
}

/// Refuses more topics than a connection may have, or than an id has room for.
fn bound(names: &[&str], policy: &Policy) -> Result<(), Refusal> {
    let most = policy.topics_per_connection as usize;
    let message = if names.len() > most {
        format!("a connection has at most {most} topics: name fewer")
    } else if positions::longest_id(names.iter().copied()) > positions::ID_BYTES {
        "the names of so many topics do not fit Last-Event-ID: name fewer, or use a WebSocket".into()
    } else {
        return Ok(());
    };
    Err(Refusal::new(ErrorCode::LimitExceeded, message, None))
}

/// The topics and patterns of these names. One that is none is refused; those without right are left to the shard to
/// tell, unless there are no others.
fn readable(names: &[&str], grants: &Grants) -> Result<Vec<Filter>, Refusal> {
    let (mut filters, mut denied, mut granted) = (Vec::with_capacity(names.len()), None, false);
    for name in names {
        match rules::readable(grants, name) {
            Ok(_) => granted = true,
            Err(refusal) if refusal.code == ErrorCode::AclDenied => denied = denied.or(Some(refusal)),
            Err(refusal) => return Err(refusal),
        }
        filters.extend(name.parse::<Filter>());
    }
    match denied {
        Some(refusal) if !granted => Err(refusal),
        _ if filters.is_empty() => {
            let message =
                "`topics` is missing: name them, divided by commas, as in /sse?topics=prices.btc,news.all";
            Err(Refusal::new(ErrorCode::BadRequest, message, None))
        }
        _ => Ok(filters),
    }
}

/// The body of the answer.
struct Events {
    socket: WebSocketStream<UnixStream>,
    translator: Translator,
    /// What watches whether the client takes anything.
    place: Option<Place>,
    ended: bool,
    _files: Files,
}

impl Events {
    /// Collects the events of what there is.
    fn collect(&mut self, out: &mut Vec<u8>, context: &mut Context<'_>) {
        while !self.ended && out.len() < PIECE {
            match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(Message::Text(frame)))) => self.translator.frame(&frame, out),
                // The pong goes with the next look; that it goes at all depends on whether the client reads.
                Poll::Ready(Some(Ok(Message::Ping(_)))) => keep_alive(out),
                Poll::Ready(Some(Ok(Message::Close(why)))) => {
                    if let Some(why) = why {
                        self.translator.closed(why.code.into(), &why.reason, out);
                    }
                    self.ended = true;
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => self.ended = true,
            }
        }
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut out = Vec::new();
        self.collect(&mut out, context);
        let waits = out.is_empty() && !self.ended;
        if let Some(place) = &self.place {
            if waits { place.waits() } else { place.handed_over() }
        }
        match (out.is_empty(), waits) {
            (false, _) => Poll::Ready(Some(Ok(out.into()))),
            (true, true) => Poll::Pending,
            (true, false) => Poll::Ready(None),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self::Full(denied)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        tracing::warn!(%error, "cannot make a pair of sockets for a stream: if open files are used up, raise their limit");
        Self::Full(Denied::Connections)
    }
}

#[cfg(test)]
mod tests;
