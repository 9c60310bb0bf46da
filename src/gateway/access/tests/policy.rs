//! Who may do what.

use super::*;

/// The grants of a user whose token has these claims beside `sub`, under this rule.
fn grants(rule: &Value, user: &str, extra: &Value) -> Grants {
    grants_on(&json!({"memory": {}}), &json!([rule]), user, extra)
}

fn grants_on(backbone: &Value, rules: &Value, user: &str, extra: &Value) -> Grants {
    let spec = spec_of(json!({"backbone": backbone, "authorization": rules}));
    let claims = serde_json::from_value(extra.clone()).unwrap();
    Policy::new(&spec).grants(user, &claims)
}

fn texts(patterns: &[Pattern]) -> Vec<&str> {
    patterns.iter().map(Pattern::as_str).collect()
}

#[test]
fn nothing_is_allowed_without_a_rule() {
    let grants = grants_on(&json!({"memory": {}}), &json!([]), "ann", &json!({}));
    assert!(!grants.may_subscribe(&"a".parse().unwrap()) && !grants.may_publish(&"a".parse().unwrap()));
}

#[test]
fn a_rule_holds_when_users_and_roles_and_claims_hold() {
    for (rule, claims, holds) in [
        (json!({}), json!({}), true),
        (json!({"users": ["*"]}), json!({}), true),
        (json!({"users": ["ann", "bob"]}), json!({}), true),
        (json!({"users": ["bob"]}), json!({}), false),
        (json!({"users": []}), json!({}), false),
        (json!({"users": ["an*"]}), json!({}), false),
        (json!({"roles": ["trader"]}), json!({"roles": ["viewer", "trader"]}), true),
        (json!({"roles": ["trader", "viewer"]}), json!({"roles": ["viewer"]}), true),
        (json!({"roles": ["trader"]}), json!({"roles": "trader"}), true),
        (json!({"roles": ["trader"]}), json!({"roles": ["viewer"]}), false),
        (json!({"roles": ["trader"]}), json!({"roles": {"trader": true}}), false),
        (json!({"roles": ["trader"]}), json!({}), false),
        (json!({"roles": ["*"]}), json!({"roles": ["trader"]}), false),
        (json!({"claims": {"tier": "gold"}}), json!({"tier": "gold"}), true),
        (json!({"claims": {"tier": "gold"}}), json!({"tier": ["silver", "gold"]}), true),
        (json!({"claims": {"tier": "gold"}}), json!({"tier": "golden"}), false),
        (json!({"claims": {"tier": "gold"}}), json!({"tier": null}), false),
        (json!({"claims": {"tier": "gold"}}), json!({}), false),
        (json!({"claims": {"level": "3"}}), json!({"level": 3}), true),
        (json!({"claims": {"level": "3"}}), json!({"level": 4}), false),
        (json!({"claims": {"staff": "true"}}), json!({"staff": true}), true),
        (json!({"claims": {"tier": "gold", "staff": "true"}}), json!({"tier": "gold"}), false),
        (json!({"users": ["bob"], "roles": ["trader"]}), json!({"roles": ["trader"]}), false),
        (
            json!({"users": ["ann"], "roles": ["trader"], "claims": {"tier": "gold"}}),
            json!({"roles": ["trader"], "tier": "gold"}),
            true,
        ),
    ] {
        let mut rule = rule;
        rule["subscribe"] = json!(["prices.>"]);
        rule["publish"] = json!(["orders.*"]);
        let grants = grants(&rule, "ann", &claims);
        let expected: (&[&str], &[&str]) = if holds { (&["prices.>"], &["orders.*"]) } else { (&[], &[]) };
        assert_eq!((&*texts(&grants.subscribe), &*texts(&grants.publish)), expected, "{rule} {claims}");
    }
}

#[test]
fn rules_and_the_token_add_up() {
    let rules = json!([
        {"subscribe": ["a.>"]},
        {"users": ["bob"], "subscribe": ["b.>"]},
        {"users": ["ann"], "subscribe": ["c.>"], "publish": ["c.x"]},
    ]);
    let claims = json!({"topics": {"subscribe": ["d.*"], "publish": ["d.x"]}});
    let grants = grants_on(&json!({"memory": {}}), &rules, "ann", &claims);
    assert_eq!(texts(&grants.subscribe), ["a.>", "c.>", "d.*"]);
    assert_eq!(texts(&grants.publish), ["c.x", "d.x"]);
}

#[test]
fn what_is_no_pattern_in_a_token_grants_nothing() {
    for (topics, granted) in [
        (json!({"subscribe": ["$SYS.>", "a..b", "", 7, null, "_INBOX.>", "ok"]}), vec!["ok"]),
        (json!({"subscribe": "a"}), vec![]),
        (json!({"subscribe": {"a": 1}}), vec![]),
        (json!(["a"]), vec![]),
        (json!("a"), vec![]),
        (json!(null), vec![]),
        (json!({"Subscribe": ["a"]}), vec![]),
    ] {
        let grants = grants(&json!({}), "ann", &json!({"topics": topics}));
        assert_eq!(texts(&grants.subscribe), granted, "{topics}");
        assert_eq!(texts(&grants.publish), [""; 0], "{topics}");
    }
}

#[test]
fn a_token_grants_at_most_1024_patterns_each_way() {
    let many: Vec<_> = (0..1500).map(|n| format!("t{n}")).collect();
    let grants = grants(&json!({}), "ann", &json!({"topics": {"subscribe": many, "publish": ["x"]}}));
    assert_eq!((grants.subscribe.len(), grants.publish.len()), (1024, 1));
}

#[test]
fn a_pattern_is_granted_by_one_pattern_that_covers_it() {
    let grants = grants(&json!({"subscribe": ["a.*", "b.x", "b.y"]}), "ann", &json!({}));
    for (filter, allowed) in [
        ("a.x", true),
        ("a.*", true),
        ("a.>", false),
        ("*.x", false),
        ("b.x", true),
        ("b.*", false),
        (">", false),
    ] {
        assert_eq!(grants.may_subscribe(&filter.parse().unwrap()), allowed, "{filter}");
    }
}

#[test]
fn nothing_outside_the_backbones_subjects_is_reachable() {
    for (subjects, prefix, scope) in [
        (json!([">"]), "", vec![">"]),
        (json!([">"]), "acme", vec![">"]),
        (json!(["acme.prices.>", "acme.risk.*"]), "acme", vec!["prices.>", "risk.*"]),
        (json!(["acme.prices.>"]), "acme.", vec!["prices.>"]),
        (json!(["acme.eu.prices.>"]), "acme.eu", vec!["prices.>"]),
        (json!(["acme.prices.>", "other.>"]), "acme", vec!["prices.>"]),
        (json!(["other.>"]), "acme", vec![]),
        (json!([]), "", vec![]),
    ] {
        let nats = json!({"nats": {"servers": ["nats://n"], "subjects": subjects, "subjectPrefix": prefix}});
        let everything = json!([{"subscribe": [">"], "publish": [">"]}]);
        let grants = grants_on(&nats, &everything, "ann", &json!({}));
        assert_eq!(texts(&grants.scope), scope, "{subjects} {prefix}");
        let reachable = scope.iter().any(|pattern| *pattern == ">" || *pattern == "prices.>");
        assert_eq!(grants.may_subscribe(&"prices.btc".parse().unwrap()), reachable, "{subjects} {prefix}");
        assert_eq!(grants.may_publish(&"prices.btc".parse().unwrap()), reachable, "{subjects} {prefix}");
        let open = scope.contains(&">");
        assert_eq!(grants.may_subscribe(&">".parse().unwrap()), open, "{subjects} {prefix}");
        assert_eq!(grants.may_publish(&"secret.plans".parse().unwrap()), open, "{subjects} {prefix}");
    }
}
