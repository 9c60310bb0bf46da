//! The public port: upgrades to WebSocket, Server-Sent Events, publishing, and a few small HTTP answers.
//!
//! A connection is HTTP until its upgrade; then its socket leaves tokio and lives on a shard. A stream of events stays,
//! and is joined to its shard by a pair of sockets. Nothing here runs
//! once per message. The path of a request may be logged, its query never: it may hold a token.

pub mod admin;

mod accept;
mod answer;
mod cors;
mod demo;
mod openapi;
mod origin;
mod place;
mod placement;
mod playground;
mod publish;
mod sse;
mod tls;
mod token;
mod upgrade;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use axum::{
    Json, Router,
    extract::State,
    middleware::from_fn_with_state,
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use accept::{prepare, serve};
pub use origin::{OriginError, Origins};
pub use placement::Placement;
pub use tls::{Failure, Tls};

use publish::Rates;

use super::{
    access::Identity, limits::Admission, metrics::ShardCounts, protocol::session::Refusal,
    shard::PublishAnswer,
};
use crate::api::Topic;

/// Who a token belongs to, or why it is refused. Without a token: the anonymous user, or `None` where the policy
/// admits nobody without a token.
pub type Identify = Box<dyn Fn(Option<&str>) -> Result<Option<Arc<Identity>>, String> + Send + Sync>;

/// Publishes a message of this user under this id; the user's right to do so has been checked.
pub type Publish =
    Box<dyn Fn(Arc<str>, Topic, Arc<str>, Bytes) -> BoxFuture<'static, PublishAnswer> + Send + Sync>;

/// What the public port needs of the rest of the gateway.
pub struct Front {
    /// Lets connections in, or not.
    pub admission: Arc<Admission>,
    /// Web pages that may connect.
    pub origins: ArcSwap<Origins>,
    /// Whether messages may be compressed with those who connect from now on.
    pub deflate: AtomicBool,
    /// Whether `/docs` and `/openapi.json` are there.
    pub playground: AtomicBool,
    /// Checks tokens. Runs within the upgrade: it must not block.
    pub identify: Identify,
    /// For `/publish` and `/demo/publish`.
    pub publish: Publish,
    /// Counts what is refused here.
    pub counts: Arc<ShardCounts>,
    /// For `/stats`.
    pub stats: Box<dyn Fn() -> Stats + Send + Sync>,
    /// Takes the upgraded connections, and streams.
    pub placement: Placement,
    /// Whether `/demo/publish` is there, and `/docs` and `/openapi.json` in any case.
    pub demo: bool,
    /// There where clients speak TLS.
    pub tls: Option<Arc<Tls>>,
    /// Counts connections that could not be accepted (no open files left, say).
    pub accept_errors: Arc<AtomicU64>,
}

/// What `GET /stats` tells of this gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stats {
    /// Open connections of clients, streams of events among them.
    pub connections: u64,
    /// Topics and patterns with a subscriber.
    pub topics: u64,
    /// Subscriptions of all connections.
    pub subscriptions: u64,
}

/// What every handler has at hand.
#[derive(Clone)]
struct App {
    front: Arc<Front>,
    /// Owns the tasks that wait for an upgrade or a confirmation.
    tasks: TaskTracker,
    /// Ended: nobody is let in any more.
    cancel: CancellationToken,
    /// Zero of the seconds that admission counts in.
    started: Instant,
    /// Of users that publish.
    rates: Arc<Rates>,
}

impl App {
    /// Publishes: handed to the backbone before this returns, and seen through to its outcome even if the client goes.
    /// Else a client that tries again would publish a second time.
    fn publish(
        &self,
        user: Arc<str>,
        topic: Topic,
        message_id: Arc<str>,
        body: Bytes,
    ) -> impl Future<Output = PublishAnswer> + Send + use<> {
        let outcome = self.tasks.spawn((self.front.publish)(user, topic, message_id, body));
        async {
            outcome.await.unwrap_or_else(|_| PublishAnswer::Unavailable("the gateway is stopping".into()))
        }
    }

    /// Whether this gateway describes itself to whoever asks.
    fn describes(&self) -> bool {
        self.front.demo || self.front.playground.load(Ordering::Relaxed)
    }

    /// Answers a command that is refused.
    fn refuse(&self, refusal: &Refusal) -> Response {
        self.front.counts.error(refusal.code);
        answer::refused(refusal, None)
    }
}

const WELCOME: &str = "topic-gateway

GET /ws                WebSocket, many topics: send {\"type\":\"setup\",\"topics\":[\"prices.btc\"]}
GET /ws/sub/{topic}    WebSocket, one topic
GET /sse?topics=a,b    the same as Server-Sent Events; Last-Event-ID goes on where a stream ended
POST /publish/{topic}  publish a JSON body; Idempotency-Key names the message
GET /stats             connections, topics and subscriptions of this gateway

On the command line: topic-gateway sub prices.btc
";

fn router(app: App) -> Router {
    let commands = Router::new()
        .route("/sse", get(sse::stream).options(cors::preflight))
        .route("/publish/{*topic}", post(publish::publish).options(cors::preflight))
        .layer(from_fn_with_state(app.clone(), cors::guard));
    let mut router = Router::new()
        .route("/", get(|| async { WELCOME }))
        .route("/ws", get(upgrade::many))
        .route("/ws/sub/{*topic}", get(upgrade::one))
        .route("/stats", get(stats))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(playground::page))
        .route("/docs/{*file}", get(playground::part))
        .merge(commands);
    if app.front.demo {
        router = router.route("/demo/publish/{*topic}", get(demo::publish));
    }
    router.fallback(answer::not_found).method_not_allowed_fallback(answer::method_not_allowed).with_state(app)
}

async fn stats(State(app): State<App>) -> Json<Stats> {
    Json((app.front.stats)())
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("admission", &self.admission)
            .field("origins", &self.origins)
            .field("placement", &self.placement)
            .field("demo", &self.demo)
            .field("tls", &self.tls)
            .field("accept_errors", &self.accept_errors)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
