//! `/ws/sub/{topic}`: one topic, taken from the URL.

use serde_json::json;

use crate::support::{Client, Gateway, Issuer, Resource};

#[tokio::test]
async fn the_topic_of_the_url_is_subscribed_without_a_command() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = Client::connect(&gateway.url("/ws/sub/prices.btc")).await;
    let subscribed = client.expect("subscribed").await;
    assert_eq!(subscribed["topic"], "prices.btc", "{subscribed}");
    let mut publisher = gateway.client().await;
    publisher.publish("prices.btc", "1", json!(1)).await;
    assert_eq!(client.expect_data("prices.btc").await, 1);
}

#[tokio::test]
async fn an_escaped_topic_is_read_as_the_url_says() {
    let gateway = Gateway::start(&Resource::open());
    for (path, topic) in
        [("/ws/sub/a%3Ab.c%40d", "a:b.c@d"), ("/ws/sub/a%2Fb", "a/b"), ("/ws/sub/a%25b", "a%b")]
    {
        let mut client = Client::connect(&gateway.url(path)).await;
        let subscribed = client.expect("subscribed").await;
        assert_eq!(subscribed["topic"], topic, "{path}");
    }
}

#[tokio::test]
async fn a_topic_of_the_url_that_is_none_is_answered_and_the_connection_stays() {
    let gateway = Gateway::start(&Resource::open());
    let mut client = Client::connect(&gateway.url("/ws/sub/a..b")).await;
    let error = client.expect_error("TOPIC_INVALID").await;
    assert_eq!(error["topic"], "a..b", "{error}");
    client.subscribe("a.b").await;
}

#[tokio::test]
async fn the_topic_of_the_url_waits_for_the_token() {
    let issuer = Issuer::shared();
    let gateway = Gateway::start(&Resource::with_tokens(&issuer));
    let mut client = Client::connect(&gateway.url("/ws/sub/a")).await;
    client.send(json!({"type": "setup", "token": issuer.token(json!({}))})).await;
    client.expect("ready").await;
    assert_eq!(client.expect("subscribed").await["topic"], "a");
    client.expect_nothing().await;
}

#[tokio::test]
async fn the_topic_of_the_url_needs_the_right_to_it() {
    let rules = json!([{"subscribe": ["public.>"]}]);
    let gateway = Gateway::start(&Resource::open().set("authorization", rules));
    let mut client = Client::connect(&gateway.url("/ws/sub/private.a")).await;
    assert_eq!(client.expect_error("ACL_DENIED").await["topic"], "private.a");
    client.subscribe("public.a").await;
}

#[tokio::test]
async fn other_paths_and_plain_requests_are_answered_as_http() {
    let gateway = Gateway::start(&Resource::open());
    assert_eq!(Client::try_connect(&gateway.url("/nothing"), &[]).await.err().unwrap().status, 404);
    let plain = gateway.get("/ws").status;
    assert!(matches!(plain, 400 | 426), "{plain}");
}
