use std::{collections::BTreeMap, convert::Infallible};

use futures_util::FutureExt as _;
use http::{Request, Response};
use kube::client::Body;
use serde_json::json;
use tokio::time::sleep;

use super::*;
use crate::{
    api::{ImagePullPolicy, Secrets, TopicGateway, TopicGatewaySpec},
    controller::{
        cache::Gateway,
        metrics::Metrics,
        settings::{Examine, KeepStream, Settings, Unfit},
    },
};

/// What an API server answers.
#[derive(Clone, Copy)]
enum Server {
    /// It is overloaded.
    Busy,
    /// It never answers.
    Silent,
}

fn client(server: Server) -> kube::Client {
    let answer = move |_: Request<Body>| async move {
        if let Server::Silent = server {
            std::future::pending::<()>().await;
        }
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 503, "message": "busy"});
        let body = Body::from(status.to_string().into_bytes());
        Ok::<_, Infallible>(Response::builder().status(503).body(body).unwrap())
    };
    kube::Client::new(tower::service_fn(answer), "default")
}

/// A controller of one resource that has yet to be made.
fn shared(server: Server, examine: fn(&TopicGatewaySpec, &Secrets) -> Result<(), Unfit>) -> Arc<Shared> {
    let settings = Settings {
        namespaces: Vec::new(),
        admin: ([127, 0, 0, 1], 0).into(),
        image: "gateway".into(),
        pull_policy: ImagePullPolicy::Always,
        environment: BTreeMap::new(),
        runbook_url: String::new(),
        namespace: "default".into(),
        identity: "me".into(),
        election: None,
        concurrency: 2,
        examine: Examine(examine),
        keep_stream: KeepStream(|_, _| std::future::pending().boxed()),
    };
    let shared = Arc::new(Shared::new(client(server), Metrics::new(2, "").unwrap(), settings));
    let gateway = json!({
        "apiVersion": "topicgateway.io/v1alpha1", "kind": "TopicGateway",
        "metadata": {"name": "m", "namespace": "prices", "uid": "u", "generation": 1},
        "spec": {"backbone": {"memory": {}}},
    });
    let gateway: TopicGateway = serde_json::from_value(gateway).unwrap();
    let key = Key::new("prices", "m");
    shared.caches.lock().put_gateway(&key, 1, Gateway::Readable(Arc::new(gateway)));
    shared.schedule.after(key, Duration::ZERO);
    shared
}

/// Works until a metric has the value 1.
async fn works_until(shared: Arc<Shared>, metric: &str) {
    let stop = CancellationToken::new();
    let working = tokio::spawn(run(shared.clone(), stop.clone()));
    let line = format!("{metric} 1\n");
    let counted = async {
        while !shared.metrics.scrape().unwrap().contains(&line) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE * 2, counted).await.expect(&line);
    stop.cancel();
    working.await.unwrap();
}

#[tokio::test]
async fn a_pass_that_fails_is_counted_with_its_reason_and_tried_again() {
    let shared = shared(Server::Busy, |_, _| Ok(()));
    works_until(shared.clone(), "topicgateway_problems_total{reason=\"ApiUnavailable\"}").await;
    let end = Instant::now() + DEADLINE;
    while shared.schedule.take().is_none() {
        assert!(Instant::now() < end, "it is not tried again");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_pass_that_panics_is_counted_and_stops_nobody() {
    let shared = shared(Server::Busy, |_, _| panic!("as a test wants it"));
    works_until(shared.clone(), "controller_runtime_reconcile_panics_total{controller=\"topicgateway\"}")
        .await;
    let text = shared.metrics.scrape().unwrap();
    assert!(text.contains("controller_runtime_active_workers{controller=\"topicgateway\"} 0\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_hangs_ends_at_its_deadline() {
    let shared = shared(Server::Silent, |_, _| Ok(()));
    works_until(shared, "topicgateway_problems_total{reason=\"DeadlineExceeded\"}").await;
}
