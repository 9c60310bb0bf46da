//! The backbone is changed under open connections: they stay, messages go on, and what may be lost is told.

use serde_json::{Value, json};

use crate::support::{Client, Configured, NatsServer, Resource, wait_until};

const USERS: &str = "s3cret-of-the-tests";

async fn expect_gap(client: &mut Client, topic: &str) {
    let gap = client.expect("gap").await;
    assert_eq!((&gap["topic"], &gap["reason"]), (&json!(topic), &json!("backbone")), "{gap}");
}

/// A message from outside on this subject reaches each of these as its next frame.
async fn all_receive(
    nats: &NatsServer,
    credentials: Value,
    subject: &str,
    clients: &mut [Client],
    data: u32,
) {
    let mut outside = nats.client_with(credentials);
    outside.publish(subject, data.to_string());
    outside.flush();
    for client in clients {
        assert_eq!(client.expect_data("a").await, data);
    }
}

async fn subscribers(gateway: &Configured) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(gateway.subscriber(&["a"]).await);
    }
    clients
}

/// Lets in one user for the gateway and one for the test.
fn letting_in(user: &str) -> String {
    let account = |name: &str| format!("{{ user: {name}, password: \"{USERS}-{name}\" }}");
    format!("authorization {{ users: [ {}, {} ] }}", account(user), account("outside"))
}

#[tokio::test]
async fn rotated_credentials_are_used_when_nats_cuts_the_old_ones_off() {
    let nats = NatsServer::start_with(&letting_in("old"));
    let as_user = |user: &str| {
        Resource::open()
            .on(&nats)
            .set("backbone.nats.userPasswordSecretRef", json!({"name": "nats"}))
            .secret("nats", json!({"username": user, "password": format!("{USERS}-{user}")}))
    };
    let outside = json!({"user": "outside", "pass": format!("{USERS}-outside")});
    let mut gateway = Configured::start(&as_user("old"));
    let mut clients = subscribers(&gateway).await;
    all_receive(&nats, outside.clone(), "a", &mut clients, 1).await;
    gateway.rotate(&as_user("new"));
    nats.configure(&letting_in("new"));
    gateway.wait_for_metric("topicgateway_backbone_reconnects_total", &[], 1.0);
    nats.wait_for_subscriptions(&["a"]);
    for client in &mut clients {
        expect_gap(client, "a").await;
    }
    all_receive(&nats, outside, "a", &mut clients, 2).await;
    assert!(!gateway.process.output().contains(USERS));
    assert!(gateway.ready());
}

#[tokio::test]
async fn prefix_mode_and_subjects_change_under_open_connections() {
    let nats = NatsServer::start();
    let with = |change: Value| {
        let mut nats_spec = json!({"servers": [nats.url()]});
        nats_spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Resource::open().set("backbone", json!({"nats": nats_spec}))
    };
    let mut gateway = Configured::start(&with(json!({})));
    let mut clients = subscribers(&gateway).await;
    let steps = [
        (json!({"subjectPrefix": "x"}), "x.a", vec!["x.a"]),
        (json!({"subjectPrefix": "x", "subscription": "Wildcard"}), "x.a", vec!["x.>"]),
        (json!({"subscription": "Wildcard", "subjects": ["a", "b.>"]}), "a", vec!["a", "b.>"]),
        (json!({}), "a", vec!["a"]),
    ];
    for (n, (change, subject, subscriptions)) in (1..).zip(steps) {
        gateway.change(&with(change));
        for client in &mut clients {
            expect_gap(client, "a").await;
        }
        nats.wait_for_subscriptions(&subscriptions);
        all_receive(&nats, json!({}), subject, &mut clients, n).await;
    }
    // What clients may see is no matter of the backbone in this mode: nobody is told of a gap.
    gateway.change(&with(json!({"subjects": ["a"]})));
    all_receive(&nats, json!({}), "a", &mut clients, 9).await;
    let mut late = gateway.client().await;
    late.send(json!({"type": "subscribe", "topic": "b"})).await;
    late.expect_error("ACL_DENIED").await;
    gateway.wait_for_metric("topicgateway_connections", &[], 21.0);
}

#[tokio::test]
async fn memory_becomes_nats() {
    let nats = NatsServer::start();
    let mut gateway = Configured::start(&Resource::open());
    let mut clients = subscribers(&gateway).await;
    let mut publisher = gateway.client().await;
    publisher.publish("a", "m", json!(1)).await;
    for client in &mut clients {
        assert_eq!(client.expect("message").await["seqNo"], 1);
    }
    gateway.change(&Resource::open().on(&nats));
    for client in &mut clients {
        expect_gap(client, "a").await;
    }
    all_receive(&nats, json!({}), "a", &mut clients, 2).await;
    let mut outside = nats.client();
    outside.subscribe("a");
    publisher.publish("a", "n", json!(3)).await;
    assert_eq!(outside.next().body, b"3");
    let mut late = gateway.client().await;
    assert_eq!(late.subscribe("a").await["seqNo"], 0, "nobody counts any more");
}

#[tokio::test]
async fn servers_that_are_not_there_do_not_take_the_place_of_those_in_use_until_they_are() {
    let (old, mut new) = (NatsServer::start(), NatsServer::start());
    new.kill();
    let mut gateway = Configured::start(&Resource::open().on(&old));
    let mut clients = subscribers(&gateway).await;
    let generation = gateway.edit(&Resource::open().on(&new).set("limits.topicsPerConnection", json!(1)));
    let rejected = gateway.wait_for_rejection("not connected yet");
    assert_eq!(rejected["generation"], generation, "{rejected}");
    all_receive(&old, json!({}), "a", &mut clients, 1).await;
    assert_eq!((&gateway.status()["generation"], gateway.ready()), (&json!(1), true));
    new.start_again();
    gateway.wait_for_generation(generation);
    for client in &mut clients {
        expect_gap(client, "a").await;
    }
    wait_until("the old server is left", || old.subscriptions().is_empty());
    all_receive(&new, json!({}), "a", &mut clients, 2).await;
}

#[tokio::test]
async fn a_change_back_gives_up_what_was_waited_for() {
    let (old, mut new) = (NatsServer::start(), NatsServer::start());
    new.kill();
    let before = Resource::open().on(&old);
    let mut gateway = Configured::start(&before);
    let mut clients = subscribers(&gateway).await;
    gateway.edit(&Resource::open().on(&new));
    gateway.wait_for_rejection("not connected yet");
    gateway.change(&before);
    gateway.wait_for_metric("topicgateway_config_rejected", &[], 0.0);
    new.start_again();
    all_receive(&old, json!({}), "a", &mut clients, 1).await;
    assert_eq!(new.subscriptions(), [""; 0]);
}
