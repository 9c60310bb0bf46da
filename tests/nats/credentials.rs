//! How the gateway proves itself to NATS; none of it is ever printed.

use serde_json::{Value, json};

use crate::support::{Gateway, NatsServer, Resource, wait_for};

/// What is secret in these tests.
const SECRET: &str = "s3cret-of-the-tests";

/// A gateway that shows NATS what `field` refers to.
fn gateway(nats: &NatsServer, field: &str, reference: Value, values: Value) -> Gateway {
    let path = format!("backbone.nats.{field}");
    Gateway::start(&Resource::open().on(nats).set(&path, reference).secret("nats", values))
}

/// Messages from outside arrive, so the server has let the gateway in.
async fn works(gateway: &Gateway, nats: &NatsServer, outside: Value) {
    let mut client = gateway.subscriber(&["a"]).await;
    let mut outside = nats.client_with(outside);
    outside.publish("a", "1");
    outside.flush();
    assert_eq!(client.expect_data("a").await, 1);
    assert!(!gateway.process.output().contains(SECRET));
}

#[tokio::test]
async fn user_and_password() {
    let config = format!("authorization {{ user: gateway, password: \"{SECRET}\" }}");
    let nats = NatsServer::start_with(&config);
    let values = json!({"username": "gateway", "password": SECRET});
    let gateway = gateway(&nats, "userPasswordSecretRef", json!({"name": "nats"}), values);
    works(&gateway, &nats, json!({"user": "gateway", "pass": SECRET})).await;
}

#[tokio::test]
async fn token() {
    let nats = NatsServer::start_with(&format!("authorization {{ token: \"{SECRET}\" }}"));
    // A newline at the end is what `echo` and editors leave in files.
    let values = json!({"token": format!("{SECRET}\n")});
    let gateway = gateway(&nats, "tokenSecretRef", json!({"name": "nats", "key": "token"}), values);
    works(&gateway, &nats, json!({"auth_token": SECRET})).await;
}

#[tokio::test]
async fn nkey() {
    let pair = nkeys::KeyPair::new_user();
    let users = format!("{{ nkey: {} }}, {{ user: outside, password: \"{SECRET}\" }}", pair.public_key());
    let nats = NatsServer::start_with(&format!("authorization {{ users: [ {users} ] }}"));
    let seed = pair.seed().unwrap();
    let gateway =
        gateway(&nats, "nkeySecretRef", json!({"name": "nats", "key": "seed"}), json!({"seed": seed}));
    works(&gateway, &nats, json!({"user": "outside", "pass": SECRET})).await;
    assert!(!gateway.process.output().contains(&seed));
}

#[tokio::test]
async fn a_password_that_is_refused_is_said_without_being_shown() {
    let nats = NatsServer::start_with("authorization { user: gateway, password: another }");
    let values = json!({"username": "gateway", "password": SECRET});
    let gateway = gateway(&nats, "userPasswordSecretRef", json!({"name": "nats"}), values);
    wait_for("the refusal is said", || {
        gateway.process.stderr().to_lowercase().contains("auth").then_some(())
    });
    assert!(!gateway.ready());
    assert!(!gateway.process.output().contains(SECRET));
}

#[tokio::test]
async fn a_subject_the_server_denies_is_answered_and_harms_nobody() {
    let permissions = "subscribe: { allow: [\"public.>\", \"_INBOX.>\"] }, publish: { allow: [\"public.>\", \"_INBOX.>\"] }";
    let config = format!(
        "authorization {{ users: [ {{ user: gateway, password: \"{SECRET}\", permissions: {{ {permissions} }} }} ] }}"
    );
    let nats = NatsServer::start_with(&config);
    let values = json!({"username": "gateway", "password": SECRET});
    let gateway = gateway(&nats, "userPasswordSecretRef", json!({"name": "nats"}), values);
    let mut client = gateway.subscriber(&["public.a"]).await;
    let mut publisher = gateway.client().await;
    // NATS tells a denial apart from the command, so that the gateway may or may not know whose it was.
    client.send(json!({"type": "subscribe", "topic": "private.a"})).await;
    assert_eq!(client.frame().await["topic"], "private.a");
    publisher.publish("public.a", "m", json!(1)).await;
    let data = client.expect_data("public.a").await;
    assert_eq!(data, 1);
}
