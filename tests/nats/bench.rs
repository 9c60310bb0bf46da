//! `topic-gateway bench` that publishes straight to NATS.

use serde_json::json;

use crate::{
    bench::{bench, valid},
    support::{Gateway, NatsServer, Resource},
};

const SHORT: [&str; 8] = ["--connections", "4", "--topics", "2", "--rate", "100", "--duration", "1s"];

#[test]
fn what_goes_to_nats_arrives_at_the_subscribers() {
    let nats = NatsServer::start();
    let gateway = Gateway::start(&Resource::open().on(&nats));
    gateway.wait_for_metric("topicgateway_backbone_connected", &[], 1.0);
    let ended = valid(&gateway, &[&SHORT[..], &["--nats", &nats.url()]].concat());
    let delivery = &ended.json["delivery"];
    assert_eq!((&delivery["expected"], &delivery["delivered"]), (&json!(400), &json!(400)), "{delivery}");
    assert_eq!((&delivery["numbered"], &ended.json["work"]["publishedOver"]), (&json!(0), &json!("nats")));
    // They were stamped: the gateway has measured them.
    gateway.wait_for_metric("topicgateway_delivery_latency_seconds_count", &[], 400.0);
}

#[test]
fn what_nats_refuses_is_said() {
    let rules = r#"authorization { users = [
        {user: gateway, password: secret}
        {user: bench, password: hush, permissions: {publish: {deny: ">"}}}
    ] }"#;
    let nats = NatsServer::start_with(rules);
    let url = |user: &str| nats.url().replace("nats://", &format!("nats://{user}@"));
    // The gateway's backbone does not matter here.
    let gateway = Gateway::start(&Resource::open());
    let ended = bench(&gateway, &[&SHORT[..], &["--nats", &url("bench:hush")]].concat());
    assert_eq!(ended.code, 69, "{}", ended.told);
    assert!(ended.told.to_lowercase().contains("permissions violation"), "{}", ended.told);
    let ended = bench(&gateway, &[&SHORT[..], &["--nats", &url("bench:wrong")]].concat());
    assert_eq!(ended.code, 69, "{}", ended.told);
    assert!(ended.told.contains("cannot reach NATS") && !ended.told.contains("wrong"), "{}", ended.told);
}
