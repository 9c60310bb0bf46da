//! Authorization: what a user with these claims may do. Nothing without a rule or a grant in the token; all add up.

use std::sync::Arc;

use serde_json::Value;

use super::{Grants, object::Object};
use crate::api::{AuthorizationRule, Backbone, Pattern, TopicGatewaySpec};

/// Patterns taken from each list of a token's `topics` claim.
const MAX_TOKEN_PATTERNS: usize = 1024;

/// The rules, and what the gateway offers at all.
#[derive(Debug, PartialEq)]
pub(super) struct Policy {
    rules: Vec<AuthorizationRule>,
    scope: Arc<[Pattern]>,
}

impl Policy {
    /// What the resource says.
    pub(super) fn new(spec: &TopicGatewaySpec) -> Self {
        Self { rules: spec.authorization.clone(), scope: scope(&spec.backbone) }
    }

    /// The grants of every rule that holds and of the token.
    pub(super) fn grants(&self, user: &str, claims: &Object) -> Grants {
        let mut grants = Grants { scope: self.scope.clone(), ..Grants::default() };
        for rule in self.rules.iter().filter(|rule| holds(rule, user, claims)) {
            grants.subscribe.extend_from_slice(&rule.subscribe);
            grants.publish.extend_from_slice(&rule.publish);
        }
        if let Some(topics) = claims.get("topics") {
            grants.subscribe.extend(patterns(&topics["subscribe"]));
            grants.publish.extend(patterns(&topics["publish"]));
        }
        grants
    }
}

/// The backbone's subjects as topics: without the prefix, and only those below it.
fn scope(backbone: &Backbone) -> Arc<[Pattern]> {
    match &backbone.nats {
        Some(nats) => {
            let prefix = nats.subject_prefix.strip_suffix('.').unwrap_or(&nats.subject_prefix);
            nats.subjects.iter().filter_map(|subject| subject.below(prefix)).collect()
        }
        None => ">".parse().into_iter().collect(),
    }
}

/// Whether a rule is for this user: users, roles and claims must all hold.
fn holds(rule: &AuthorizationRule, user: &str, claims: &Object) -> bool {
    rule.users.iter().any(|name| name == "*" || name == user)
        && (rule.roles.is_empty() || rule.roles.iter().any(|role| has(claims.get("roles"), role)))
        && rule.claims.iter().all(|(name, wanted)| has(claims.get(name), wanted))
}

/// Whether a claim is this value, or a list that holds it.
fn has(claim: Option<&Value>, wanted: &str) -> bool {
    match claim {
        Some(Value::Array(list)) => list.iter().any(|value| is(value, wanted)),
        Some(value) => is(value, wanted),
        None => false,
    }
}

/// Numbers and booleans are compared as JSON writes them, since the rule only has a text for them.
fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Number(number) => number.to_string() == wanted,
        Value::Bool(flag) => flag.to_string() == wanted,
        _ => false,
    }
}

/// The patterns of a token's list; what is no pattern grants nothing and takes nothing away.
fn patterns(list: &Value) -> impl Iterator<Item = Pattern> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().take(MAX_TOKEN_PATTERNS).filter_map(|text| text.as_str()?.parse().ok())
}
