//! Traces by OpenTelemetry, as a collector sees them.

use std::process::{Command, Output};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Collector, Gateway, Seen, command, get, request, wait_until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A gateway that sends its traces to this address, soon.
fn traced(endpoint: &str) -> Gateway {
    let mut command = command(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "50");
    Gateway::from(&mut command, TempDir::new().unwrap())
}

#[test]
fn a_publish_over_http_is_a_part_of_the_trace_of_whoever_asked_for_it() {
    let collector = Collector::start();
    let gateway = traced(&collector.url());
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("traceparent", parent.as_str()), ("Idempotency-Key", "m1")];
    assert_eq!(request(gateway.address, "POST /publish/a.b", &headers, "1").status, 200);

    let publish = collector.wait_for_span("publish", |span| span.name == "publish");
    let post = collector.wait_for_span("the request", |span| span.name == "POST /publish/{topic}");
    assert_eq!((&*post.trace, &*post.parent), (TRACE, CALLER));
    assert_eq!((&*publish.trace, &publish.parent), (TRACE, &post.id));
    assert_eq!(post.attributes["http.response.status_code"], "200");
    assert_eq!(publish.resource["service.name"], "topic-gateway");
    let said = ["messaging.destination.name", "messaging.message.id", "result"];
    assert_eq!(said.map(|name| &*publish.attributes[name]), ["a.b", "m1", "ok"]);
    assert!(!publish.failed);
}

#[tokio::test]
async fn a_publish_over_websocket_begins_a_trace_and_a_repeated_one_is_told_apart() {
    let collector = Collector::start();
    let gateway = traced(&collector.url());
    let mut client = gateway.client().await;
    for _ in 0..2 {
        client.publish("a", "m", json!(1)).await;
    }
    let first =
        collector.wait_for_span("ok", |span| span.attributes.get("result").is_some_and(|it| it == "ok"));
    let again = |span: &Seen| span.attributes.get("result").is_some_and(|it| it == "duplicate");
    let second = collector.wait_for_span("duplicate", again);
    assert_eq!((&*first.parent, &*second.parent), ("", ""));
    assert_ne!(first.trace, second.trace);
}

#[test]
fn what_is_on_its_way_is_sent_before_the_process_ends() {
    let collector = Collector::start();
    let mut command = command(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()).env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    let mut gateway = Gateway::from(&mut command, TempDir::new().unwrap());
    assert_eq!(request(gateway.address, "POST /publish/a", &[], "1").status, 200);
    assert!(collector.seen().is_empty(), "it has an hour");
    gateway.process.signal("TERM");
    wait_until("the gateway ends", || gateway.process.ended());
    assert!(collector.seen().iter().any(|span| span.name == "publish"), "{:?}", collector.seen());
}

#[test]
fn a_collector_that_is_away_is_told_once_and_disturbs_nobody() {
    let collector = Collector::start();
    let url = collector.url();
    drop(collector);
    let gateway = traced(&url);
    let warned = |gateway: &Gateway| gateway.process.stderr().matches("Traces cannot be sent").count();
    for n in 0..20 {
        assert_eq!(request(gateway.address, "POST /publish/a", &[], "1").status, 200);
        if n == 0 {
            wait_until("it says so", || warned(&gateway) > 0);
        }
    }
    assert!(gateway.process.stderr().contains(&url), "{}", gateway.process.stderr());
    assert_eq!(get(gateway.admin, "/readyz").status, 200);
    assert_eq!(warned(&gateway), 1);
}

#[test]
fn an_endpoint_that_is_no_url_is_bad_usage_and_named() {
    let run = |endpoint: &str| -> Output {
        let mut command: Command = command(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).output().unwrap()
    };
    for wrong in ["collector:4318", "ftp://collector", "/v1/traces"] {
        let output = run(wrong);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{error}");
        assert!(error.contains(&format!("OTEL_EXPORTER_OTLP_ENDPOINT={wrong} is not the URL")), "{error}");
        assert!(error.contains("http://collector:4318"), "{error}");
    }
}
