//! Who was let in is judged by another configuration.

use super::*;

/// Lets in `ann` with this token, then judges her by the other one.
fn judged(first: &Access, token: &str, second: Access) -> Result<Arc<Identity>, AuthError> {
    let identity = first.authenticate(token, NOW).unwrap();
    let second = second.after(first);
    assert!(second.is_newer_than(&identity) && !first.is_newer_than(&identity));
    let again = second.judge_again(&identity, NOW);
    if let Ok(again) = &again {
        assert!(!second.is_newer_than(again));
    }
    again
}

fn with(authentication: &Value, authorization: &Value, secret: &[u8]) -> Access {
    let spec = json!({
        "backbone": {"memory": {}}, "authentication": authentication, "authorization": authorization,
    });
    Access::new(&spec_of(spec), &secrets(secret)).unwrap()
}

#[test]
fn the_same_configuration_lets_in_the_same_client_with_the_same_rights() {
    let token = signed(&json!({}));
    let before = shared_secret().authenticate(&token, NOW).unwrap();
    let after = judged(&shared_secret(), &token, shared_secret()).unwrap();
    assert_eq!(
        (&after.user, &after.grants, after.expires_at),
        (&before.user, &before.grants, before.expires_at)
    );
}

#[test]
fn other_rules_are_applied_to_the_claims_of_the_token() {
    let token = signed(&json!({"roles": ["trader"], "topics": {"subscribe": ["own"]}}));
    let issuers = json!({"jwt": [issuer("secretRef", &["HS256"])]});
    let rules =
        json!([{"roles": ["trader"], "subscribe": ["risk"]}, {"roles": ["boss"], "subscribe": ["all"]}]);
    let after = judged(&shared_secret(), &token, with(&issuers, &rules, SECRET)).unwrap();
    let may = |topic: &str| after.grants.may_subscribe(&topic.parse().unwrap());
    assert_eq!(["risk", "own", "all", "prices"].map(may), [true, true, false, false]);
}

#[test]
fn who_would_not_be_let_in_any_more_is_told_why() {
    let token = signed(&json!({}));
    let rules = json!([{"subscribe": [">"]}]);
    let one = |entry: Value| json!({"jwt": [entry]});
    let own = issuer("secretRef", &["HS256"]);
    let changed = |field: &str, value: Value| {
        let mut entry = own.clone();
        entry[field] = value;
        one(entry)
    };
    for (authentication, secret, expected) in [
        (json!({"jwt": []}), SECRET, AuthError::UnknownIssuer),
        (changed("issuer", json!("away")), SECRET, AuthError::UnknownIssuer),
        (changed("algorithms", json!(["HS512"])), SECRET, AuthError::Algorithm),
        (changed("audiences", json!(["shop"])), SECRET, AuthError::Audience),
        (changed("userClaim", json!("email")), SECRET, AuthError::NoUser),
    ] {
        let second = with(&authentication, &rules, secret);
        assert_eq!(judged(&shared_secret(), &token, second).err(), Some(expected), "{authentication}");
    }
}

#[test]
fn a_token_that_has_ended_meanwhile_is_refused() {
    let first = shared_secret();
    let identity = first.authenticate(&signed(&json!({})), NOW).unwrap();
    let second = shared_secret().after(&first);
    assert_eq!(second.judge_again(&identity, NOW + 59).err(), None);
    assert_eq!(second.judge_again(&identity, NOW + 60).err(), Some(AuthError::Expired));
}

#[test]
fn a_key_that_is_replaced_leaves_those_in_whom_it_has_let_in() {
    let token = signed(&json!({}));
    let authentication = json!({"jwt": [issuer("secretRef", &["HS256"])]});
    let second = with(&authentication, &json!([{"subscribe": [">"]}]), b"another secret of 32 bytes, or so");
    assert_eq!(second.authenticate(&token, NOW).err(), Some(AuthError::Signature), "it lets in nobody else");
    assert_eq!(judged(&shared_secret(), &token, second).err(), None);
}

#[test]
fn clients_without_a_token_stay_only_where_none_is_needed() {
    let access = |anonymous: &str, topic: &str| {
        with(&json!({"anonymous": anonymous}), &json!([{"subscribe": [topic]}]), SECRET)
    };
    let first = access("Allow", "a");
    let identity = first.anonymous().unwrap();
    let allowed = access("Allow", "b").after(&first).judge_again(&identity, NOW).unwrap();
    assert!(allowed.grants.may_subscribe(&"b".parse().unwrap()));
    assert!(!allowed.grants.may_subscribe(&"a".parse().unwrap()));
    let denied = access("Deny", "a").after(&first);
    assert_eq!(denied.judge_again(&identity, NOW).err(), Some(AuthError::NoToken));
}

#[test]
fn configurations_that_judge_alike_are_told_from_others() {
    let rules = json!([{"subscribe": [">"]}]);
    let issuers = json!({"jwt": [issuer("secretRef", &["HS256"])]});
    let own = with(&issuers, &rules, SECRET);
    assert!(own.judges_like(&with(&issuers, &rules, SECRET).after(&own)));
    for other in [
        with(&issuers, &rules, b"another secret of 32 bytes, or so"),
        with(&issuers, &json!([{"subscribe": ["a"]}]), SECRET),
        with(&json!({"jwt": []}), &rules, SECRET),
        with(&json!({"jwt": issuers["jwt"], "anonymous": "Allow"}), &rules, SECRET),
    ] {
        assert!(!own.judges_like(&other));
    }
}

#[test]
fn what_is_remembered_of_a_token_is_not_printed() {
    let identity = shared_secret().authenticate(&signed(&json!({"email": "ann@example.com"})), NOW).unwrap();
    let printed = format!("{identity:?}");
    assert!(!printed.contains("example.com") && !printed.contains("market"), "{printed}");
}
