//! Sessions go on at every gateway that has the key, and with a new key in its place.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, Configured, DEADLINE, Issuer, NatsServer, Resource};

const OLD: &str = "old-key-of-32-bytes-for-sessions";
const NEW: &str = "new-key-of-32-bytes-for-sessions";

/// A gateway on this server whose sessions have these keys.
fn gateway(server: &NatsServer, newest: &str, previous: Option<&str>) -> Resource {
    Resource::with_tokens(&Issuer::shared()).on(server).session_keys(newest, previous)
}

fn token(user: &str) -> String {
    Issuer::shared().token(json!({"sub": user}))
}

/// Begins a session; gives its token.
async fn begin(gateway: &Configured, user: &str) -> String {
    let ready = gateway.client().await.ask(json!({"type": "setup", "token": token(user)})).await;
    assert_eq!((&ready["type"], &ready["resumed"]), (&json!("ready"), &json!(false)), "{ready}");
    ready["sessionId"].as_str().unwrap().to_owned()
}

/// Goes on with a session: the connection and the answer.
async fn go_on(gateway: &Configured, user: &str, session: &str) -> (Client, Value) {
    let mut client = gateway.client().await;
    let resume = json!({"type": "resume", "sessionId": session, "lastSeqPerTopic": {}, "token": token(user)});
    let answer = client.ask(resume).await;
    (client, answer)
}

#[tokio::test]
async fn a_session_goes_on_at_another_gateway_with_the_key_and_is_its_users_alone() {
    let server = NatsServer::start();
    let [first, second] = [(); 2].map(|()| Configured::start(&gateway(&server, OLD, None)));
    let stranger = Configured::start(&gateway(&server, NEW, None));
    let session = begin(&first, "ann").await;
    let (_, ready) = go_on(&second, "ann", &session).await;
    assert_eq!((&ready["type"], &ready["resumed"]), (&json!("ready"), &json!(true)), "{ready}");
    let mut told = Vec::new();
    let (cut, forged) = (&session[..session.len() - 1], format!("{}A", &session[..session.len() - 1]));
    for (gateway, user, session) in [
        (&second, "bob", session.as_str()),
        (&stranger, "ann", &session),
        (&second, "ann", cut),
        (&second, "ann", if forged == session { "B" } else { &forged }),
        (&second, "ann", "provisional:ann"),
    ] {
        let (mut client, error) = go_on(gateway, user, session).await;
        assert_eq!(error["code"], "SESSION_EXPIRED", "{user} {session}: {error}");
        told.push(error);
        client.subscribe("a").await;
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "why is told to nobody: {told:?}");
}

#[tokio::test]
async fn a_session_goes_on_while_its_key_is_replaced_and_ends_when_the_key_is_gone() {
    let server = NatsServer::start();
    let mut rotating = Configured::start(&gateway(&server, OLD, None));
    let judge = Configured::start(&gateway(&server, NEW, None));
    let mut connected = rotating.client().await;
    connected.ask(json!({"type": "setup", "token": token("ann")})).await;
    let session = begin(&rotating, "ann").await;
    let end = Instant::now() + DEADLINE;
    // The Secret alone: the generation of the resource stays.
    rotating.rotate(&gateway(&server, NEW, Some(OLD)));
    while go_on(&judge, "ann", &begin(&rotating, "ann").await).await.1["type"] != "ready" {
        assert!(Instant::now() < end, "the new key is not taken over");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(go_on(&rotating, "ann", &session).await.1["resumed"], true);
    rotating.rotate(&gateway(&server, NEW, None));
    while go_on(&rotating, "ann", &session).await.1["code"] != "SESSION_EXPIRED" {
        assert!(Instant::now() < end, "the old key is still honoured");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    connected.subscribe("a").await;
}
