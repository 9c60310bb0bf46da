//! Tokens that must be accepted, and every way in which one must be refused.

use serde_json::{Value, json};

use super::*;
use crate::api::{JwtAlgorithm, SecretKeyRef};

mod again;
mod algorithms;
mod configuration;
mod policy;
mod refusals;
mod signer;
mod signing;

use signer::{Signer, token};

const NOW: u64 = 1_700_000_000;
/// Long enough for every HMAC.
const SECRET: &[u8] = b"a secret of twice 32 bytes for testing; a secret of twice 32 bytes";

/// A gateway with this `authentication`, on which everybody may subscribe to everything.
fn spec(authentication: &Value) -> TopicGatewaySpec {
    let rule = json!({"subscribe": [">"]});
    spec_of(json!({
        "backbone": {"memory": {}}, "authentication": authentication, "authorization": [rule],
    }))
}

fn spec_of(spec: Value) -> TopicGatewaySpec {
    serde_json::from_value(spec).unwrap()
}

/// One issuer `home`, whose key is in key `key` of Secret `keys`, under the name of the reference.
fn issuer(reference: &str, algorithms: &[&str]) -> Value {
    json!({
        "issuer": "home", "audiences": ["market"], "algorithms": algorithms,
        reference: {"name": "keys", "key": "key"},
    })
}

fn secrets(bytes: &[u8]) -> Secrets {
    let mut secrets = Secrets::default();
    secrets.insert("keys", "key", bytes.into());
    secrets
}

fn access(reference: &str, algorithms: &[&str], bytes: &[u8]) -> Result<Access, AccessError> {
    Access::new(&spec(&json!({"jwt": [issuer(reference, algorithms)]})), &secrets(bytes))
}

fn shared_secret() -> Access {
    access("secretRef", &["HS256"], SECRET).unwrap()
}

/// Claims that are accepted, with these put in (or, where null, left out).
fn claims(changes: &Value) -> Value {
    let mut claims = json!({"iss": "home", "aud": "market", "sub": "ann", "exp": NOW + 60});
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// A token for [`shared_secret`].
fn signed(changes: &Value) -> String {
    token(&Signer::secret(), &json!({"alg": "HS256"}), &claims(changes))
}

fn refusal(access: &Access, token: &str) -> Option<AuthError> {
    access.authenticate(token, NOW).err()
}

#[test]
fn a_token_tells_who_the_client_is_until_when_and_what_it_may_do() {
    let identity = shared_secret().authenticate(&signed(&json!({})), NOW).unwrap();
    assert_eq!((&*identity.user, identity.expires_at), ("ann", Some(NOW + 60)));
    assert!(identity.grants.may_subscribe(&"prices.btc".parse().unwrap()));
    assert!(!identity.grants.may_publish(&"prices.btc".parse().unwrap()));
}

#[test]
fn a_client_without_a_token_is_anonymous_only_where_that_is_allowed() {
    let allowed = Access::new(&spec(&json!({"anonymous": "Allow"})), &Secrets::default()).unwrap();
    let identity = allowed.anonymous().unwrap();
    assert_eq!((&*identity.user, identity.expires_at), ("anonymous", None));
    assert!(identity.grants.may_subscribe(&"prices.btc".parse().unwrap()));
    assert_eq!(shared_secret().anonymous(), None);
}

#[test]
fn claims_are_shown_without_being_verified() {
    let shown = unverified_claims(&signed(&json!({"exp": 1}))).unwrap();
    assert_eq!(Value::Object(shown), claims(&json!({"exp": 1})));
    assert_eq!(unverified_claims("a.b"), Err(AuthError::Malformed));
}
