//! A changed configuration reaches a running gateway, and nobody is disconnected for it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, Configured, Issuer, Resource, command, wait_until};

/// Clients that hold the topic `a`.
async fn subscribers(gateway: &Configured, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(gateway.subscriber(&["a"]).await);
    }
    clients
}

/// Publishes on `a`; each of these gets it as the very next frame, so that none has been disturbed before.
async fn all_receive(gateway: &Configured, clients: &mut [Client], data: Value) {
    gateway.client().await.publish("a", &format!("m-{data}"), data.clone()).await;
    for client in clients {
        assert_eq!(client.expect_data("a").await, data);
    }
}

#[tokio::test]
async fn new_limits_hold_and_a_hundred_open_connections_stay() {
    let open = Resource::open().set("limits.topicsPerConnection", json!(2));
    let mut gateway = Configured::start(&open);
    let mut clients = subscribers(&gateway, 100).await;
    all_receive(&gateway, &mut clients, json!(1)).await;
    let narrow = Resource::open().set(
        "limits",
        json!({"topicsPerConnection": 1, "connections": 101, "messageBytes": 1024, "windowBytes": 4096}),
    );
    gateway.change(&narrow);
    all_receive(&gateway, &mut clients, json!(2)).await;
    // An open connection is bound by them, too.
    clients[0].send(json!({"type": "subscribe", "topic": "b"})).await;
    let error = clients[0].expect_error("LIMIT_EXCEEDED").await;
    assert!(error["message"].as_str().unwrap().contains("at most 1 topic"), "{error}");
    let large = json!({"type": "publish", "topic": "b", "messageId": "large", "payload": "x".repeat(2000)});
    let mut guest = gateway.client().await;
    let full = Client::try_connect(&gateway.url("/ws"), &[]).await.err().expect("102 are too many");
    assert_eq!(full.status, 503);
    guest.send(large.clone()).await;
    assert_eq!(guest.closed().await.0, 1009);
    gateway.change(&open);
    let mut guest = gateway.client().await;
    guest.send(large).await;
    guest.expect("ack").await;
    all_receive(&gateway, &mut clients, json!(3)).await;
    clients[0].subscribe("b").await;
    wait_until("the clients and the guest are counted", || gateway.status()["connections"] == 101);
    let status = gateway.status();
    assert_eq!(status["generation"], 3, "{status}");
    assert_eq!((&status["subscriptions"], &status["draining"]), (&json!(101), &json!(false)), "{status}");
    assert_eq!(status["backboneConnected"], true, "{status}");
}

#[tokio::test]
async fn rates_of_open_connections_change() {
    let slow = Resource::open().set("limits.publishPerSecond", json!(1));
    let mut gateway = Configured::start(&slow);
    let mut client = gateway.client().await;
    client.publish("a", "1", json!(1)).await;
    let again = |id: &str| json!({"type": "publish", "topic": "a", "messageId": id, "payload": 1});
    client.send(again("2")).await;
    client.expect_error("LIMIT_EXCEEDED").await;
    gateway.change(&Resource::open().set("limits.publishPerSecond", json!(0)));
    for n in 0..100 {
        client.publish("a", &format!("free-{n}"), json!(n)).await;
    }
}

#[tokio::test]
async fn a_rotated_key_admits_new_tokens_and_ends_nobodys_connection() {
    let issuer = |secret: &str| {
        Issuer::keyed("https://id.example", format!("{secret}-with-32-bytes-and-more-for-tests"))
    };
    let (old, new) = (issuer("old"), issuer("new"));
    let mut gateway = Configured::start(&Resource::with_tokens(&old));
    let mut ann = gateway.client().await;
    ann.send(json!({"type": "setup", "token": old.token(json!({})), "topics": ["a"]})).await;
    ann.expect("ready").await;
    ann.expect("subscribed").await;
    let mut waiting = gateway.client().await;
    // The Secret alone: the generation of the resource stays.
    gateway.rotate(&Resource::with_tokens(&new));
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        waiting.send(json!({"type": "setup", "token": new.token(json!({"sub": "bob"}))})).await;
        let answer = waiting.frame().await;
        if answer["type"] == "ready" {
            break;
        }
        assert_eq!(answer["code"], "AUTH_FAILED", "{answer}");
        assert!(Instant::now() < end, "the new key is not taken over");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    waiting.send(json!({"type": "setup", "token": old.token(json!({}))})).await;
    waiting.expect_error("AUTH_FAILED").await;
    waiting.publish("a", "m", json!("still here")).await;
    assert_eq!(ann.expect_data("a").await, "still here");
}

#[tokio::test]
async fn rules_and_anonymity_hold_for_those_who_are_connected_and_origins_for_whoever_comes_next() {
    let issuer = Issuer::shared();
    let mut gateway = Configured::start(&issuer.admitted(Resource::open()));
    let mut before = gateway.subscriber(&["a", "b"]).await;
    let mut ann = gateway.client().await;
    ann.send(json!({"type": "setup", "token": issuer.token(json!({})), "topics": ["a"]})).await;
    ann.expect("ready").await;
    ann.expect("subscribed").await;
    let origin = [("origin", "https://app.test")];
    let mut page = Client::connect_with(&gateway.url("/ws"), &origin).await;
    assert_eq!(page.closed().await.0, 4403);
    let narrow = issuer
        .admitted(Resource::closed())
        .set(
            "authorization",
            json!([{"subscribe": ["b"]}, {"users": ["ann"], "subscribe": ["a"], "publish": ["b"]}]),
        )
        .set("listeners.allowedOrigins", json!(["https://app.test"]));
    gateway.change(&narrow.clone().set("authentication.anonymous", json!("Allow")));
    // Who is connected is told what it has lost, and keeps the rest.
    assert_eq!(before.expect_error("ACL_DENIED").await["topic"], "a");
    before.send(json!({"type": "publish", "topic": "b", "messageId": "m", "payload": 1})).await;
    before.expect_error("ACL_DENIED").await;
    ann.send(json!({"type": "publish", "topic": "a", "messageId": "m", "payload": 1})).await;
    ann.expect_error("ACL_DENIED").await;
    ann.publish("b", "m", json!(1)).await;
    assert_eq!(before.expect_data("b").await, 1);
    let mut page = Client::connect_with(&gateway.url("/ws"), &origin).await;
    page.subscribe("b").await;
    page.send(json!({"type": "subscribe", "topic": "a"})).await;
    page.expect_error("ACL_DENIED").await;
    gateway.change(&narrow);
    for client in [&mut before, &mut page] {
        let error = client.expect_error("AUTH_FAILED").await;
        assert!(error["message"].as_str().unwrap().contains("without a token"), "{error}");
        assert_eq!(client.closed().await.0, 4401);
    }
    let mut nobody = gateway.client().await;
    nobody.send(json!({"type": "subscribe", "topic": "b"})).await;
    nobody.expect_error("AUTH_REQUIRED").await;
    ann.publish("b", "n", json!(2)).await;
}

#[tokio::test]
async fn an_issuer_that_is_taken_out_takes_its_clients_with_it_and_leaves_the_others() {
    let (kept, gone) = (Issuer::shared(), Issuer::ed25519());
    let with_one = Resource::with_tokens(&kept);
    let mut gateway = Configured::start(&gone.admitted(with_one.clone()));
    let mut clients = Vec::new();
    for (user, issuer) in [("ann", &kept), ("bob", &gone)] {
        let mut client = gateway.client().await;
        client
            .send(json!({"type": "setup", "token": issuer.token(json!({"sub": user})), "topics": ["a"]}))
            .await;
        client.expect("ready").await;
        client.expect("subscribed").await;
        clients.push(client);
    }
    gateway.change(&with_one);
    let [ann, bob] = &mut clients[..] else { unreachable!() };
    let error = bob.expect_error("AUTH_FAILED").await;
    assert!(error["message"].as_str().unwrap().contains("issuer is not known"), "{error}");
    assert_eq!(bob.closed().await.0, 4401);
    ann.publish_to_itself("a", "m", json!(1)).await;
}

#[tokio::test]
async fn topics_are_folded_in_the_metrics_as_the_new_configuration_says() {
    let mut gateway = Configured::start(&Resource::open());
    let _clients = subscribers(&gateway, 3).await;
    gateway.wait_for_metric("topicgateway_topic_subscribers", &[("topic", "a")], 3.0);
    gateway.change(&Resource::open().set("metrics.topicLabels", json!([{"pattern": "*", "label": "all"}])));
    gateway.wait_for_metric("topicgateway_topic_subscribers", &[("topic", "all")], 3.0);
}

#[tokio::test]
async fn a_wrong_configuration_changes_nothing_is_told_and_heals() {
    let mut gateway = Configured::start(&Resource::open());
    let mut clients = subscribers(&gateway, 3).await;
    let wrong = gateway.edit(&Resource::open().set("limits.connections", json!("many")));
    let rejected = gateway.wait_for_rejection("spec.limits.connections");
    assert_eq!(rejected["generation"], wrong);
    assert_eq!(gateway.status()["generation"], 1);
    all_receive(&gateway, &mut clients, json!(1)).await;
    gateway.write("kind: Something\n");
    let rejected = gateway.wait_for_rejection("must be one of GatewayConfig");
    assert!(rejected["generation"].is_null(), "{rejected}");
    assert!(gateway.ready());
    gateway.change(&Resource::open().set("limits.topicsPerConnection", json!(1)));
    gateway.wait_for_metric("topicgateway_config_rejected", &[], 0.0);
    all_receive(&gateway, &mut clients, json!(2)).await;
    let told = gateway.process.output().matches("is not taken over").count();
    assert_eq!(told, 2, "each wrong configuration is told once");
}

#[tokio::test]
async fn a_secret_that_comes_after_the_configuration_is_waited_for() {
    let issuer = Issuer::shared();
    let mut gateway = Configured::start(&Resource::open());
    let mut clients = subscribers(&gateway, 3).await;
    let wanted = issuer.admitted(Resource::open());
    let generation = gateway.edit(&wanted);
    let rejected = gateway.wait_for_rejection("spec.authentication.jwt[0].secretRef");
    assert_eq!(rejected["generation"], generation, "{rejected}");
    all_receive(&gateway, &mut clients, json!(1)).await;
    gateway.rotate(&wanted);
    gateway.wait_for_generation(generation);
    let mut ann = gateway.client().await;
    ann.send(json!({"type": "setup", "token": issuer.token(json!({})), "topics": ["a"]})).await;
    ann.expect("ready").await;
    ann.expect("subscribed").await;
    ann.send(json!({"type": "publish", "topic": "a", "messageId": "m", "payload": 2})).await;
    for client in &mut clients {
        assert_eq!(client.expect_data("a").await, 2);
    }
}

#[tokio::test]
async fn a_key_that_becomes_unusable_leaves_the_old_one_in_use() {
    let issuer = Issuer::ed25519();
    let resource = Resource::with_tokens(&issuer);
    let mut gateway = Configured::start(&resource);
    gateway.rotate(&resource.clone().secret("ed25519-example", json!({"key": "no key at all"})));
    let rejected = gateway.wait_for_rejection("no public key in PEM");
    assert_eq!(rejected["generation"], 1, "{rejected}");
    let mut ann = gateway.client().await;
    ann.send(json!({"type": "setup", "token": issuer.token(json!({}))})).await;
    ann.expect("ready").await;
    gateway.rotate(&resource);
    gateway.wait_for_generation(1);
}

#[tokio::test]
async fn the_drain_uses_the_window_of_the_configuration_in_force() {
    let mut gateway = Configured::start(&Resource::open().set("drain.windowSeconds", json!(600)));
    let mut clients = subscribers(&gateway, 5).await;
    gateway.change(&Resource::open().set("drain.windowSeconds", json!(1)));
    gateway.process.signal("TERM");
    for client in &mut clients {
        let draining = client.expect("draining").await;
        assert!(draining["reconnectAfterMs"].as_u64().unwrap() <= 1000, "{draining}");
        assert_eq!(client.closed().await.0, 1012);
    }
    assert!(gateway.process.wait().success());
}

#[tokio::test]
async fn another_port_is_left_to_other_pods_and_the_generation_alone_disturbs_nobody() {
    let mut gateway = Configured::start(&Resource::open());
    let mut clients = subscribers(&gateway, 3).await;
    gateway.change(&Resource::open());
    all_receive(&gateway, &mut clients, json!(1)).await;
    gateway.change(&Resource::open().set("listeners.port", json!(1)));
    assert!(gateway.process.output().contains("needs new pods"));
    all_receive(&gateway, &mut clients, json!(2)).await;
}

#[tokio::test]
async fn plain_files_are_watched_as_well() {
    let directory = tempfile::TempDir::new().unwrap();
    let (home, file) = (directory.path().to_owned(), directory.path().join("config.json"));
    let write =
        |generation: i64| std::fs::write(&file, Resource::open().gateway_config(generation, &home)).unwrap();
    write(1);
    let mut command = command(["gateway", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"]);
    let gateway = crate::support::Gateway::from(command.arg(&file), directory);
    gateway.wait_for_metric("topicgateway_config_generation", &[], 1.0);
    write(2);
    gateway.wait_for_metric("topicgateway_config_generation", &[], 2.0);
}
