//! A browser says where its page is from; a page that is not listed is closed with 4403.

use serde_json::json;

use crate::support::{Client, Gateway, Resource};

#[tokio::test]
async fn a_page_connects_only_where_its_origin_is_listed() {
    let origins = json!(["https://app.example.com", "http://localhost:*"]);
    let gateway = Gateway::start(&Resource::open().set("listeners.allowedOrigins", origins));
    for (origin, allowed) in [
        ("https://app.example.com", true),
        ("http://localhost:5173", true),
        ("https://evil.example.com", false),
        ("http://app.example.com", false),
        ("https://app.example.com.evil.com", false),
        ("null", false),
    ] {
        let mut client = Client::connect_with(&gateway.url("/ws"), &[("Origin", origin)]).await;
        if allowed {
            client.subscribe("a").await;
        } else {
            let (code, reason) = client.closed().await;
            assert_eq!(code, 4403, "{origin}");
            assert!(reason.contains("origin"), "{reason}");
        }
    }
}

#[tokio::test]
async fn no_origin_is_listed_by_default_and_clients_without_one_are_served() {
    let gateway = Gateway::start(&Resource::open());
    let mut page = Client::connect_with(&gateway.url("/ws"), &[("Origin", "https://app.example.com")]).await;
    assert_eq!(page.closed().await.0, 4403);
    gateway.subscriber(&["a"]).await;
}
