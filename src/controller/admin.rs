//! What operators and Prometheus see of the controller:
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | Prometheus's text format |
//! | `/livez` | 200 while the process answers |
//! | `/readyz` | 200 once it knows the cluster, whether it leads or not; else 503 and what it waits for |

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::task;

use super::{cache::Gateway, shared::Shared};

/// The admin port's routes.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(shared)
}

async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    match shared.health.check() {
        Ok(()) => (StatusCode::OK, "ok\n".into()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn scrape(State(shared): State<Arc<Shared>>) -> Response {
    // Reads of /proc are not for a thread that serves others.
    let text = task::spawn_blocking(move || {
        // What is due while another controller leads is that one's work: it would look like a backlog.
        let leads = shared.metrics.leads(shared.settings.lease_name());
        shared.metrics.show_depth(if leads { shared.schedule.depth() } else { 0 });
        let (ready, unreadable) = resources(&shared);
        shared.metrics.show_resources(ready, unreadable);
        shared.metrics.scrape().map_err(|error| error.to_string())
    });
    match text.await.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics: {error}\n")).into_response(),
    }
}

/// How many resources are `Ready` True, False or Unknown, and how many could not be read.
fn resources(shared: &Shared) -> ([i64; 3], i64) {
    let (mut ready, mut unreadable) = ([0; 3], 0);
    for (_, gateway) in shared.caches.lock().gateways.iter() {
        let Gateway::Readable(gateway) = gateway else {
            unreadable += 1;
            continue;
        };
        let conditions = gateway.status.iter().flat_map(|status| &status.conditions);
        let status = conditions.filter(|it| it.type_ == "Ready").map(|it| it.status.as_str()).next();
        ready[match status {
            Some("True") => 0,
            Some("False") => 1,
            _ => 2,
        }] += 1;
    }
    (ready, unreadable)
}
