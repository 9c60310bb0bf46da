//! The stream of a resource that has it managed.

use serde_json::{Value, json};

use super::{Controller, Namespace, gateway};
use crate::support::{NatsServer, wait_until};

/// A gateway on this server that has the stream `PRICES` made, which keeps messages for so long.
fn managing(server: &str, max_age: &str) -> Value {
    let stream = json!({"stream": "PRICES", "manage": true, "maxAge": max_age});
    let nats = json!({"servers": [server], "subjects": ["prices.>"], "jetStream": stream});
    gateway(json!({"backbone": {"nats": nats}}))
}

#[test]
fn a_stream_is_made_changed_and_made_again_and_what_is_in_the_way_is_told() {
    let server = NatsServer::with_streams();
    let namespace = Namespace::new("stream");
    let _controller = Controller::start(&namespace);
    namespace.apply(&managing("nats://127.0.0.1:1", "1h"));
    let message = namespace.wait_condition("BackboneConnected", "False", "StreamUnavailable");
    assert!(message.contains("NATS cannot be reached from the controller"), "{message}");
    namespace.wait_event("StreamUnavailable", "cannot be reached");

    namespace.apply(&managing(&server.url(), "1h"));
    let age = || server.stream("PRICES").map(|stream| stream["max_age"].as_u64().unwrap() / 1_000_000_000);
    wait_until("the stream is there", || age() == Some(3600));
    let stream = server.stream("PRICES").unwrap();
    assert_eq!(
        (&stream["subjects"], &stream["allow_direct"]),
        (&json!(["prices.>"]), &json!(true)),
        "{stream}"
    );
    namespace.wait_condition("BackboneConnected", "Unknown", "NoReport");
    let map = namespace.find("configmap/m-config").unwrap();
    let config: Value = serde_json::from_str(map["data"]["config.json"].as_str().unwrap()).unwrap();
    let kept = &config["spec"]["backbone"]["nats"]["jetStream"];
    assert_ne!(kept["manage"], true, "only the controller does it");

    namespace.apply(&managing(&server.url(), "2h"));
    wait_until("the stream keeps more", || age() == Some(7200));
    let mut outside = server.client();
    outside.publish("$JS.API.STREAM.DELETE.PRICES", "");
    outside.flush();
    wait_until("it is gone", || age().is_none());
    // Anything that has the stream looked after anew would do; its time is a minute.
    namespace.apply(&managing(&server.url(), "3h"));
    wait_until("the stream is made again", || age() == Some(10_800));
}

#[test]
fn a_stream_that_is_not_to_be_managed_is_left_to_others() {
    let server = NatsServer::with_streams();
    let namespace = Namespace::new("foreign-stream");
    let controller = Controller::start(&namespace);
    let nats = json!({"servers": [server.url()], "subjects": ["a.>"], "jetStream": {"stream": "OTHERS"}});
    namespace.apply(&gateway(json!({"backbone": {"nats": nats}})));
    namespace.wait("tgw/m", |it| it["status"]["replicas"] == 1);
    controller.wait_settled();
    assert_eq!(server.stream("OTHERS"), None);
}
