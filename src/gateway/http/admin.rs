//! What operators and Prometheus see, on a port that is never public:
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | Prometheus's text format |
//! | `/livez` | 200 while the process works, else 503 and why: restart it |
//! | `/readyz` | 200 while clients are welcome, else 503 and why |
//! | `/status` | [`GatewayReport`] in JSON, for the controller |
//! | `/topics?prefix=&limit=&after=` | every topic and pattern with its subscribers, page by page |

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use tokio::task;

use crate::{
    api::GatewayReport,
    gateway::{
        metrics::{Metrics, TEXT_FORMAT},
        topics::Registry,
    },
    runtime::{Condition, Readiness},
};

/// The backbone is connected. Losing it for less than 3 s does not take the gateway out of service.
pub const BACKBONE: Condition = Condition { name: "backbone", grace: Duration::from_secs(3) };
/// The gateway is not going away.
pub const DRAINING: Condition = Condition { name: "draining", grace: Duration::ZERO };

/// Topics on a page unless the request says otherwise.
const PAGE: usize = 100;
/// Most topics on a page.
const LARGEST_PAGE: usize = 1000;

#[derive(Clone)]
struct Admin {
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    alive: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    report: Arc<dyn Fn() -> GatewayReport + Send + Sync>,
}

/// The admin port's routes. `alive` says whether every thread still works, or which does not; it is asked at each
/// `/livez` and must not block. `report` is what `/status` answers; it may walk over all topics.
pub fn router(
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    alive: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    report: impl Fn() -> GatewayReport + Send + Sync + 'static,
) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .route("/livez", get(|State(admin): State<Admin>| async move { health((admin.alive)()) }))
        .route(
            "/readyz",
            get(|State(admin): State<Admin>| async move { health(admin.readiness.check(Instant::now())) }),
        )
        .route("/status", get(status))
        .route("/topics", get(topics))
        .with_state(Admin { metrics, readiness, alive: Arc::new(alive), report: Arc::new(report) })
}

async fn scrape(State(admin): State<Admin>) -> Response {
    // Milliseconds of work with many topics, and reads of /proc: not on a thread that serves others.
    let text = task::spawn_blocking(move || admin.metrics.scrape().map_err(|error| error.to_string())).await;
    match text.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(text) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics: {error}\n")).into_response(),
    }
}

async fn status(State(admin): State<Admin>) -> Response {
    match task::spawn_blocking(move || (admin.report)()).await {
        Ok(report) => Json(report).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("status: {error}\n")).into_response(),
    }
}

fn health(state: Result<(), String>) -> (StatusCode, String) {
    match state {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    prefix: String,
    after: String,
    limit: Option<String>,
}

#[derive(Serialize)]
struct Page {
    topics: Vec<Line>,
    /// Given as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Line {
    topic: String,
    subscribers: u32,
}

async fn topics(State(admin): State<Admin>, Query(asked): Query<Asked>) -> Response {
    match size(asked.limit.as_deref()) {
        Ok(size) => Json(page(admin.metrics.topics(), &asked, size)).into_response(),
        Err(reason) => (StatusCode::BAD_REQUEST, reason).into_response(),
    }
}

fn size(limit: Option<&str>) -> Result<usize, String> {
    let Some(limit) = limit else { return Ok(PAGE) };
    let number = limit.parse().ok().filter(|number| (1..=LARGEST_PAGE).contains(number));
    number.ok_or_else(|| format!("limit is a whole number from 1 to {LARGEST_PAGE}, not {limit:?}\n"))
}

fn page(registry: &Registry, asked: &Asked, size: usize) -> Page {
    let found = registry.page(&asked.prefix, &asked.after, size + 1);
    let line =
        |(topic, subscribers): &(Arc<str>, u32)| Line { topic: topic.to_string(), subscribers: *subscribers };
    let topics: Vec<Line> = found.iter().take(size).map(line).collect();
    let next = if found.len() > size { topics.last().map(|line| line.topic.clone()) } else { None };
    Page { topics, next }
}

#[cfg(test)]
mod tests;
