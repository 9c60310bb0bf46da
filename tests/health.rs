//! `/livez`, `/readyz` and `/topics` on the admin port, which the public port does not have.

use std::collections::BTreeSet;

use crate::support::{Gateway, Resource};

#[test]
fn a_gateway_that_serves_is_live_and_ready() {
    let gateway = Gateway::start(&Resource::open());
    for path in ["/livez", "/readyz"] {
        assert_eq!(gateway.admin(path).status, 200, "{path}");
    }
}

#[test]
fn the_public_port_has_nothing_of_the_admin_port() {
    let gateway = Gateway::start(&Resource::open());
    for path in ["/metrics", "/livez", "/readyz", "/topics"] {
        assert_eq!(gateway.get(path).status, 404, "{path}");
    }
}

#[test]
fn what_does_not_exist_is_answered_with_404() {
    let gateway = Gateway::start(&Resource::open());
    assert_eq!(gateway.get("/nothing").status, 404);
    assert_eq!(gateway.admin("/nothing").status, 404);
}

#[tokio::test]
async fn topics_are_listed_in_pages_with_exact_counts() {
    let gateway = Gateway::start(&Resource::open());
    let _ann = gateway.subscriber(&["a.1", "a.2", "a.3", "b.1"]).await;
    let _bob = gateway.subscriber(&["a.2"]).await;
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = gateway.admin(&format!("/topics?prefix=a.&limit=2&after={after}")).json();
        let topics = page["topics"].as_array().unwrap_or_else(|| panic!("{page}"));
        assert!(topics.len() <= 2, "{page}");
        let Some(last) = topics.last() else { break };
        after = last["topic"].as_str().unwrap().to_owned();
        seen.extend(topics.iter().map(|entry| {
            (entry["topic"].as_str().unwrap().to_owned(), entry["subscribers"].as_u64().unwrap())
        }));
    }
    let expected = [("a.1", 1), ("a.2", 2), ("a.3", 1)].map(|(topic, count)| (topic.to_owned(), count));
    assert_eq!(seen, expected);
    let all = gateway.admin("/topics").json();
    let names: BTreeSet<_> =
        all["topics"].as_array().unwrap().iter().map(|entry| entry["topic"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["a.1", "a.2", "a.3", "b.1"]));
}

#[test]
fn a_page_that_makes_no_sense_is_refused() {
    let gateway = Gateway::start(&Resource::open());
    assert_eq!(gateway.admin("/topics?limit=many").status, 400);
}
