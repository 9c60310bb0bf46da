//! Who may do what: nothing without a rule.

use serde_json::{Value, json};

use crate::support::{Client, Gateway, Issuer, Resource};

async fn bearer(gateway: &Gateway, issuer: &Issuer, claims: Value) -> Client {
    let token = issuer.token(claims);
    Client::connect(&gateway.url(&format!("/ws?access_token={token}"))).await
}

async fn may_subscribe(client: &mut Client, topic: &str) -> bool {
    let answer = client.ask(json!({"type": "subscribe", "topic": topic})).await;
    match (answer["type"].as_str(), answer["code"].as_str()) {
        (Some("subscribed"), _) => true,
        (Some("error"), Some("ACL_DENIED")) => false,
        _ => panic!("{answer}"),
    }
}

async fn may_publish(client: &mut Client, topic: &str) -> bool {
    let answer =
        client.ask(json!({"type": "publish", "topic": topic, "messageId": topic, "payload": 1})).await;
    match (answer["type"].as_str(), answer["code"].as_str()) {
        (Some("ack"), _) => true,
        (Some("error"), Some("ACL_DENIED")) => false,
        _ => panic!("{answer}"),
    }
}

#[tokio::test]
async fn without_a_rule_nothing_is_allowed() {
    let gateway = Gateway::start(&Resource::closed().set("authentication.anonymous", json!("Allow")));
    let mut client = gateway.client().await;
    assert!(!may_subscribe(&mut client, "a").await);
    assert!(!may_publish(&mut client, "a").await);
}

#[tokio::test]
async fn subscribing_and_publishing_are_granted_apart() {
    let rules = json!([{"subscribe": ["in.>"], "publish": ["out.*"]}]);
    let gateway = Gateway::start(&Resource::open().set("authorization", rules));
    let mut client = gateway.client().await;
    assert!(may_subscribe(&mut client, "in.a.b").await);
    assert!(!may_subscribe(&mut client, "out.a").await);
    assert!(may_publish(&mut client, "out.a").await);
    assert!(!may_publish(&mut client, "out.a.b").await);
    assert!(!may_publish(&mut client, "in.a").await);
}

#[tokio::test]
async fn user_roles_and_claims_of_a_rule_must_all_hold_and_matching_rules_add_up() {
    let issuer = Issuer::shared();
    let rules = json!([
        {"users": ["ann", "bob"], "roles": ["trader"], "claims": {"tier": "gold"}, "subscribe": ["gold"]},
        {"roles": ["trader", "admin"], "subscribe": ["desk"]},
        {"users": ["*"], "subscribe": ["all"]},
        {"claims": {"groups": "eu"}, "subscribe": ["eu"]},
    ]);
    let gateway = Gateway::start(&issuer.admitted(Resource::closed()).set("authorization", rules));
    let trader = json!({"sub": "ann", "roles": ["trader"], "tier": "gold", "groups": ["us", "eu"]});
    let table = [
        (trader.clone(), ["gold", "desk", "all", "eu"].as_slice()),
        (json!({"sub": "bob", "roles": ["trader", "x"], "tier": "gold"}), &["gold", "desk", "all"]),
        (json!({"sub": "cas", "roles": ["trader"], "tier": "gold"}), &["desk", "all"]),
        (json!({"sub": "ann", "roles": ["trader"], "tier": "silver"}), &["desk", "all"]),
        (json!({"sub": "ann", "roles": ["trader"]}), &["desk", "all"]),
        (json!({"sub": "ann", "tier": "gold", "groups": "eu"}), &["all", "eu"]),
        (json!({"sub": "ann", "roles": [], "groups": ["us"]}), &["all"]),
    ];
    for (claims, granted) in table {
        let mut client = bearer(&gateway, &issuer, claims.clone()).await;
        for topic in ["gold", "desk", "all", "eu", "other"] {
            assert_eq!(may_subscribe(&mut client, topic).await, granted.contains(&topic), "{claims} {topic}");
        }
    }
}

#[tokio::test]
async fn topics_named_in_the_token_add_to_the_rules() {
    let issuer = Issuer::shared();
    let rules = json!([{"subscribe": ["all"]}]);
    let gateway = Gateway::start(&issuer.admitted(Resource::closed()).set("authorization", rules));
    let topics = json!({"topics": {"subscribe": ["mine.*"], "publish": ["mine.in"]}});
    let mut client = bearer(&gateway, &issuer, topics).await;
    for (topic, granted) in [("all", true), ("mine.a", true), ("mine.a.b", false), ("yours.a", false)] {
        assert_eq!(may_subscribe(&mut client, topic).await, granted, "{topic}");
    }
    assert!(may_publish(&mut client, "mine.in").await);
    assert!(!may_publish(&mut client, "all").await);
}

#[tokio::test]
async fn a_token_reaches_nothing_of_the_messaging_system_itself() {
    let issuer = Issuer::shared();
    let gateway = Gateway::start(&issuer.admitted(Resource::closed()));
    let topics = json!({"topics": {"subscribe": [">", "$SYS.>", "_INBOX.>"], "publish": [">", "$JS.>"]}});
    let mut client = bearer(&gateway, &issuer, topics).await;
    client.send(json!({"type": "setup"})).await;
    if client.frame().await["type"] == "error" {
        // A claim that is not of patterns may as well end the token's validity.
        return;
    }
    for topic in ["$SYS.ACCOUNT.x", "$JS.API.INFO", "_INBOX.x", "$SYS.>"] {
        client.send(json!({"type": "subscribe", "topic": topic})).await;
        client.expect_error("TOPIC_INVALID").await;
        client.send(json!({"type": "publish", "topic": topic, "messageId": "1", "payload": 1})).await;
        client.expect_error("TOPIC_INVALID").await;
    }
}
