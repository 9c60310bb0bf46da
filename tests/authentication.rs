//! Tokens: where they come in, which are refused, what happens when they end, and that nobody reads them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};

use crate::support::{Client, Gateway, Issuer, Resource, now, wait_until};

/// A gateway that needs a token of any of three issuers.
fn guarded() -> (Gateway, [Issuer; 3]) {
    let issuers = [Issuer::shared(), Issuer::ed25519(), Issuer::rsa()];
    let rules = json!([{"subscribe": [">"], "publish": [">"]}]);
    let resource = issuers.iter().fold(Resource::closed(), |resource, issuer| issuer.admitted(resource));
    (Gateway::start(&resource.set("authorization", rules)), issuers)
}

#[tokio::test]
async fn a_token_of_each_issuer_is_accepted_wherever_it_comes_in() {
    let (gateway, issuers) = guarded();
    for issuer in &issuers {
        let token = issuer.token(json!({"sub": "ann"}));
        let bearer = format!("Bearer {token}");
        let mut in_setup = gateway.client().await;
        in_setup.send(json!({"type": "setup", "token": token})).await;
        let mut in_header = Client::connect_with(&gateway.url("/ws"), &[("Authorization", &bearer)]).await;
        let mut in_query = Client::connect(&gateway.url(&format!("/ws?access_token={token}"))).await;
        for client in [&mut in_header, &mut in_query] {
            client.send(json!({"type": "setup"})).await;
        }
        for client in [&mut in_setup, &mut in_header, &mut in_query] {
            let ready = client.expect("ready").await;
            assert_eq!(ready["userId"], "ann", "{ready}");
            let expires = ready["expiresAt"].as_u64().expect("expiresAt");
            assert!((now() + 200..now() + 400).contains(&expires), "{ready}");
            client.subscribe("a").await;
        }
    }
}

#[tokio::test]
async fn a_token_in_header_or_query_needs_no_setup() {
    let (gateway, [issuer, ..]) = guarded();
    let token = issuer.token(json!({}));
    Client::connect(&gateway.url(&format!("/ws?access_token={token}"))).await.subscribe("a").await;
    let bearer = format!("Bearer {token}");
    Client::connect_with(&gateway.url("/ws"), &[("Authorization", &bearer)]).await.subscribe("a").await;
}

#[tokio::test]
async fn nothing_but_ping_and_setup_is_served_before_authentication() {
    let (gateway, _) = guarded();
    let mut client = gateway.client().await;
    for command in [
        json!({"type": "subscribe", "topic": "a", "id": 1}),
        json!({"type": "unsubscribe", "topic": "a", "id": 1}),
        json!({"type": "publish", "topic": "a", "messageId": "m", "payload": 1, "id": 1}),
        json!({"type": "setup", "id": 1}),
    ] {
        client.send(command).await;
        assert_eq!(client.expect_error("AUTH_REQUIRED").await["id"], 1);
    }
    client.expect_nothing().await;
}

/// Tokens that must be refused, each with the reason as its name.
fn refused_tokens(issuers: &[Issuer; 3]) -> Vec<(&'static str, String)> {
    let [shared, ed25519, rsa] = issuers;
    let unsigned = |header: Value| {
        let claims =
            json!({"iss": "https://shared.example", "aud": "market", "sub": "ann", "exp": now() + 300});
        format!("{}.{}.", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
    };
    let valid = shared.token(json!({}));
    let (signed, signature) = valid.rsplit_once('.').unwrap();
    let mut other = BASE64.decode(signature).unwrap();
    other[0] ^= 1;
    let hs256 = json!({"typ": "JWT", "alg": "HS256"});
    vec![
        ("not a token", "hello".into()),
        ("empty", String::new()),
        ("alg none", unsigned(json!({"alg": "none"}))),
        ("alg None", unsigned(json!({"alg": "None"}))),
        ("no signature", unsigned(hs256.clone())),
        ("another signature", format!("{signed}.{}", BASE64.encode(other))),
        ("signature cut off", format!("{signed}.")),
        ("algorithm not listed", shared.token_with(json!({"alg": "HS512"}), json!({}))),
        (
            "HMAC with the public key",
            Issuer::keyed("https://ed25519.example", ed25519.public_pem()).token(json!({})),
        ),
        ("key of another issuer", Issuer::shared().named("https://rsa.example").token(json!({}))),
        ("foreign issuer", Issuer::shared().named("https://evil.example").token(json!({}))),
        ("no issuer", shared.token(json!({"iss": null}))),
        ("wrong audience", shared.token(json!({"aud": "shop"}))),
        ("no audience", shared.token(json!({"aud": null}))),
        ("expired", rsa.token(json!({"exp": now() - 3600}))),
        ("not yet valid", ed25519.token(json!({"nbf": now() + 3600}))),
        ("expiry is text", shared.token(json!({"exp": "tomorrow"}))),
        ("no user", shared.token(json!({"sub": null}))),
        ("user is a number", shared.token(json!({"sub": 7}))),
        ("unknown key id", rsa.token_with(json!({"alg": "RS256", "kid": "two"}), json!({}))),
    ]
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_refused_and_appears_nowhere() {
    let (gateway, issuers) = guarded();
    let mut told = String::new();
    let tokens = refused_tokens(&issuers);
    for (why, token) in &tokens {
        let mut client = gateway.client().await;
        client.send(json!({"type": "setup", "token": token, "id": 1})).await;
        let error = client.frame().await;
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("error"), &json!("AUTH_FAILED")),
            "{why}: {error}"
        );
        assert_eq!((&error["id"], &error["retryable"]), (&json!(1), &json!(false)), "{why}: {error}");
        told += &error.to_string();
        client.send(json!({"type": "subscribe", "topic": "a"})).await;
        client.expect_error("AUTH_REQUIRED").await;
    }
    for (_, token) in tokens.iter().filter(|(_, token)| token.starts_with("ey")) {
        let mut client = Client::connect(&gateway.url(&format!("/ws?access_token={token}"))).await;
        told += &client.expect_error("AUTH_FAILED").await.to_string();
    }
    told += &gateway.process.output();
    told += &gateway.admin("/metrics").body;
    for (why, token) in &tokens {
        // Long parts only: a short one could be anything.
        for part in token.split('.').filter(|part| part.len() > 30) {
            assert!(!told.contains(part), "a part of the token ({why}) was printed");
        }
    }
}

#[tokio::test]
async fn a_token_with_several_audiences_needs_one_that_is_listed() {
    let (gateway, [issuer, ..]) = guarded();
    let mut client = gateway.client().await;
    let token = issuer.token(json!({"aud": ["shop", "market"]}));
    client.send(json!({"type": "setup", "token": token})).await;
    client.expect("ready").await;
}

#[tokio::test]
async fn a_refused_token_may_be_followed_by_a_good_one() {
    let (gateway, [issuer, ..]) = guarded();
    let mut client = gateway.client().await;
    client.send(json!({"type": "setup", "token": issuer.token(json!({"exp": now() - 3600}))})).await;
    client.expect_error("AUTH_FAILED").await;
    client.send(json!({"type": "setup", "token": issuer.token(json!({})), "topics": ["a"]})).await;
    client.expect("ready").await;
    client.expect("subscribed").await;
}

#[tokio::test]
async fn a_token_that_is_not_refreshed_ends_the_connection_with_4401() {
    let (gateway, [issuer, ..]) = guarded();
    let mut client = gateway.client().await;
    client.send(json!({"type": "setup", "token": issuer.token(json!({"exp": now() + 4}))})).await;
    client.expect("ready").await;
    client.subscribe("a").await;
    let notice = client.expect_error("AUTH_REQUIRED").await;
    assert_eq!(notice["retryable"], true, "{notice}");
    assert!(notice["message"].as_str().unwrap().contains("send setup with a new one"), "{notice}");
    let (code, reason) = client.closed().await;
    assert_eq!(code, 4401);
    assert!(!reason.is_empty());
}

#[tokio::test]
async fn a_refreshed_token_keeps_the_connection_and_its_topics() {
    let (gateway, [issuer, ..]) = guarded();
    let mut client = gateway.client().await;
    let end = now() + 6;
    client.send(json!({"type": "setup", "token": issuer.token(json!({"exp": end}))})).await;
    client.expect("ready").await;
    client.subscribe("a").await;
    client.send(json!({"type": "setup", "token": issuer.token(json!({})), "id": 2})).await;
    assert_eq!(client.expect("ready").await["id"], 2);
    wait_until("the first token has ended", || now() > end + 1);
    client.publish("b", "1", json!(1)).await;
    client.publish_to_itself("a", "2", json!(2)).await;
}

#[tokio::test]
async fn a_refreshed_token_with_fewer_rights_ends_what_it_no_longer_grants() {
    let issuer = Issuer::shared();
    let gateway = Gateway::start(&issuer.admitted(Resource::closed()));
    let granting = |topics: &[&str]| issuer.token(json!({"topics": {"subscribe": topics, "publish": [">"]}}));
    let mut client = gateway.client().await;
    client.send(json!({"type": "setup", "token": granting(&["a", "b"]), "topics": ["a", "b"]})).await;
    client.expect("ready").await;
    client.expect("subscribed").await;
    client.expect("subscribed").await;
    client.send(json!({"type": "setup", "token": granting(&["b"])})).await;
    let mut answers = [client.frame().await, client.frame().await];
    answers.sort_by_key(|answer| answer["type"].as_str().unwrap().to_owned());
    assert_eq!(
        (&answers[0]["code"], &answers[0]["topic"]),
        (&json!("ACL_DENIED"), &json!("a")),
        "{answers:?}"
    );
    assert_eq!(answers[1]["type"], "ready", "{answers:?}");
    client.publish("a", "1", json!(1)).await;
    client.publish_to_itself("b", "2", json!(2)).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn anonymous_clients_are_served_beside_tokens_where_allowed() {
    let issuer = Issuer::shared();
    let resource = issuer.admitted(Resource::open()).set(
        "authorization",
        json!([{"subscribe": ["public"]}, {"users": ["ann"], "subscribe": ["private"]}]),
    );
    let gateway = Gateway::start(&resource);
    let mut client = gateway.subscriber(&["public"]).await;
    client.send(json!({"type": "subscribe", "topic": "private"})).await;
    client.expect_error("ACL_DENIED").await;
    client.send(json!({"type": "setup", "token": issuer.token(json!({}))})).await;
    assert_eq!(client.expect("ready").await["userId"], "ann");
    client.subscribe("private").await;
}
