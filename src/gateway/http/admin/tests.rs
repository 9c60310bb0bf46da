use std::sync::atomic::Ordering;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use tower::ServiceExt;

use super::*;
use crate::api::{Feed, GatewayReport, MetricsSpec};

/// An admin port over these topics, ready and alive.
fn admin(topics: &[(&str, u32)]) -> Admin {
    let registry = Registry::new();
    for (topic, subscribers) in topics {
        registry.enter(&(*topic).into()).store(*subscribers, Ordering::Relaxed);
    }
    Admin {
        metrics: Metrics::new(1, registry, &MetricsSpec::default()),
        readiness: Arc::new(Readiness::new(&[])),
        alive: Arc::new(|| Ok(())),
        report: Arc::new(report),
    }
}

fn report() -> GatewayReport {
    GatewayReport {
        generation: 3,
        connections: 1,
        subscriptions: 2,
        backbone_connected: true,
        feed: Feed::Core,
        stream_trouble: None,
        draining: false,
        rejected: None,
    }
}

impl Admin {
    async fn ask(&self, method: &str, uri: &str) -> (u16, String, String) {
        let (alive, report) = (self.alive.clone(), self.report.clone());
        let router = router(self.metrics.clone(), self.readiness.clone(), move || alive(), move || report());
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let kind =
            response.headers().get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap()).to_owned();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, uri: &str) -> (u16, String) {
        let (status, _, body) = self.ask("GET", uri).await;
        (status, body)
    }
}

#[tokio::test]
async fn metrics_come_in_prometheus_text_format() {
    let (status, kind, body) = admin(&[("a", 3)]).ask("GET", "/metrics").await;
    assert_eq!((status, &*kind), (200, "text/plain; version=0.0.4"));
    assert!(body.contains("\ntopicgateway_topic_subscribers{topic=\"a\"} 3\n"), "{body}");
}

#[tokio::test]
async fn the_process_is_alive_while_its_threads_are() {
    let mut admin = admin(&[]);
    assert_eq!(admin.get("/livez").await, (200, "ok\n".into()));
    admin.alive = Arc::new(|| Err("shard 1 has not moved for 11 s".into()));
    assert_eq!(admin.get("/livez").await, (503, "shard 1 has not moved for 11 s\n".into()));
}

#[tokio::test]
async fn readiness_is_told_with_its_reason() {
    let admin = admin(&[]);
    assert_eq!(admin.get("/readyz").await, (200, "ok\n".into()));
    admin.readiness.unmet(DRAINING, "this gateway is going away", Instant::now());
    assert_eq!(admin.get("/readyz").await, (503, "draining: this gateway is going away\n".into()));
}

#[tokio::test]
async fn a_backbone_just_lost_does_not_make_it_unready() {
    let admin = admin(&[]);
    admin.readiness.unmet(BACKBONE, "lost", Instant::now());
    assert_eq!(admin.get("/readyz").await, (200, "ok\n".into()));
}

#[tokio::test]
async fn topics_are_listed_page_by_page() {
    let admin = admin(&[("a", 3), ("b.1", 1), ("b.2", 2), ("b.*", 4)]);
    for (uri, expected) in [
        (
            "/topics?limit=2",
            r#"{"topics":[{"topic":"a","subscribers":3},{"topic":"b.*","subscribers":4}],"next":"b.*"}"#,
        ),
        (
            "/topics?limit=2&after=b.*",
            r#"{"topics":[{"topic":"b.1","subscribers":1},{"topic":"b.2","subscribers":2}]}"#,
        ),
        ("/topics?prefix=b.2", r#"{"topics":[{"topic":"b.2","subscribers":2}]}"#),
        ("/topics?prefix=c", r#"{"topics":[]}"#),
    ] {
        assert_eq!(admin.get(uri).await, (200, expected.into()), "{uri}");
    }
}

#[tokio::test]
async fn the_status_is_json_for_the_controller() {
    let (status, kind, body) = admin(&[]).ask("GET", "/status").await;
    assert_eq!((status, &*kind), (200, "application/json"));
    assert_eq!(serde_json::from_str::<GatewayReport>(&body).unwrap(), report());
}

#[tokio::test]
async fn a_page_has_100_topics_unless_asked_otherwise() {
    let names: Vec<String> = (0..101).map(|n| format!("t{n:03}")).collect();
    let topics: Vec<(&str, u32)> = names.iter().map(|name| (&**name, 1)).collect();
    let (_, body) = admin(&topics).get("/topics").await;
    assert!(body.ends_with(r#"{"topic":"t099","subscribers":1}],"next":"t099"}"#), "{body}");
}

#[tokio::test]
async fn a_wrong_limit_is_refused_with_a_sentence() {
    let admin = admin(&[("a", 1)]);
    for limit in ["0", "1001", "-1", "many", ""] {
        let expected = format!("limit is a whole number from 1 to 1000, not {limit:?}\n");
        assert_eq!(admin.get(&format!("/topics?limit={limit}")).await, (400, expected));
    }
    assert_eq!(admin.get("/topics?limit=1000").await.0, 200);
}

#[tokio::test]
async fn nothing_can_be_changed_here() {
    for path in ["/metrics", "/livez", "/readyz", "/status", "/topics"] {
        assert_eq!(admin(&[]).ask("POST", path).await.0, 405, "{path}");
    }
}
