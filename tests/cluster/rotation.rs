//! Secrets are edited, and the running pods take them over: no restart, no connection closed.

use serde_json::{Value, json};

use crate::{
    cluster::{shared, wait_for},
    crowd::Crowd,
    gateway::{Gateway, example, open, publisher, wait_until_available},
    namespace::Namespace,
    support::Issuer,
    support::get,
};

const ISSUER: &str = "https://id.rotation.example";
/// Both are HMAC keys of 32 bytes and more.
const KEYS: [&str; 2] = ["the-first-key-of-32-bytes-and-more", "another-key-of-32-bytes-and-more!!"];

/// The NATS of the full example: it takes the gateway's login from the same Secret, when it starts.
fn nats() -> String {
    let text = example("full-example/nats.yaml").replace("desk-nats", "nats");
    let restricted = "permissions: { publish: [\"desk.orders.>\"";
    let (begin, rest) = text.split_once(restricted).expect("the permissions of the gateway's user");
    let (_, end) = rest.split_once("] } }").expect("their end");
    format!("{begin}}}{end}")
}

/// The users of NATS' connections, as its own monitoring tells.
fn users(namespace: &Namespace) -> Vec<String> {
    let pods = namespace.list("pods", "app.kubernetes.io/name=nats");
    let address = format!("{}:8222", pods[0]["status"]["podIP"].as_str().unwrap());
    let connections = get(address.parse().unwrap(), "/connz?auth=1").json();
    let connections = connections["connections"].as_array().cloned().unwrap_or_default();
    let ours = connections.iter().filter(|connection| connection["name"] != "outside");
    ours.map(|connection| connection["authorized_user"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn logins_and_token_keys_are_rotated_by_editing_secrets() {
    let _cluster = shared();
    let namespace = Namespace::new("rotation");
    let login = json!({"username": "gateway", "password": "first-one"});
    for (name, values) in [("nats-login", login), ("token-key", json!({"key": KEYS[0]}))] {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values});
        namespace.apply(&secret.to_string());
    }
    namespace.apply(&nats());
    wait_until_available(&namespace, "nats");
    let issuer =
        json!({"issuer": ISSUER, "audiences": ["market"], "secretRef": {"name": "token-key", "key": "key"}});
    let backbone = json!({"servers": ["nats://nats:4222"], "userPasswordSecretRef": {"name": "nats-login"}});
    let more = json!({"replicas": 2, "backbone": {"nats": backbone}, "authentication": {"jwt": [issuer]}});
    namespace.apply(&open("rotated", more));
    let gateway = Gateway::new(&namespace, "rotated");
    gateway.wait_until_ready(2);
    let pods = gateway.pods();

    let tokens = KEYS.map(|key| Issuer::keyed(ISSUER, key.into()).token(json!({"sub": "ann"})));
    let mut crowd = Crowd::new();
    crowd.join(20, &gateway.url(), &["prices.btc"], Some(&tokens[0]));
    crowd.wait_until_attached();
    assert_eq!(users(&namespace), ["gateway", "gateway"]);

    namespace.patch("secret/nats-login", json!({"stringData": {"username": "next", "password": "next-one"}}));
    // A login counts for the next connection: the server cuts the old one off.
    namespace.kubectl(&["delete", "pods", "--selector=app.kubernetes.io/name=nats"]);
    wait_until_available(&namespace, "nats");
    wait_for("both pods have the new login", || match users(&namespace) {
        users if users == ["next", "next"] => Ok(()),
        users => Err(users.join(" ")),
    });
    namespace.patch("secret/token-key", json!({"stringData": {"key": KEYS[1]}}));
    wait_for("both pods take tokens of the new key and no others", || {
        let mut newcomers = [&tokens[0], &tokens[1]].map(|token| (Crowd::new(), token));
        for (newcomer, token) in &mut newcomers {
            newcomer.join(8, &gateway.url(), &["prices.btc"], Some(token));
        }
        let answered = |crowd: &Crowd| {
            let histories = crowd.histories();
            histories.iter().all(|history| history.held > 0 || !history.errors.is_empty())
        };
        wait_for("each has an answer", || {
            let done = newcomers.iter().all(|(newcomer, _)| answered(newcomer));
            if done { Ok(()) } else { Err("no".into()) }
        });
        match newcomers.each_ref().map(|(newcomer, _)| newcomer.attached()) {
            [0, 8] => Ok(()),
            [old, new] => Err(format!("{old} of 8 with the old key, {new} of 8 with the new one")),
        }
    });

    let mut nats = publisher(&namespace, "nats", json!({"user": "next", "pass": "next-one"}));
    nats.publish("prices.btc", json!({"bid": 1}).to_string());
    nats.flush();
    crowd.wait_until_received(|_| vec![json!({"bid": 1})]);
    crowd.assert_nobody_was_closed();
    assert_eq!(crowd.attached(), 20);
    assert_eq!(gateway.pods(), pods, "no pod was replaced");
    let restarts: Vec<Value> = gateway
        .pod_objects()
        .iter()
        .map(|pod| pod["status"]["containerStatuses"][0]["restartCount"].clone())
        .collect();
    assert_eq!(restarts, [json!(0), json!(0)]);
}
