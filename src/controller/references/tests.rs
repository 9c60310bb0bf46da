use k8s_openapi::ByteString;
use serde_json::json;

use super::*;

fn spec() -> TopicGatewaySpec {
    let nats = json!({
        "servers": ["nats://n"],
        "userPasswordSecretRef": {"name": "nats-login"},
        "tls": {"caSecretRef": {"name": "ca", "key": "ca.crt"}},
    });
    let jwt = json!([{"issuer": "i", "secretRef": {"name": "nats-login", "key": "hmac"}}]);
    serde_json::from_value(json!({"backbone": {"nats": nats}, "authentication": {"jwt": jwt}})).unwrap()
}

fn secret(keys: &[&str]) -> Secret {
    let data = keys.iter().map(|key| ((*key).into(), ByteString(format!("of {key}").into_bytes())));
    Secret { data: Some(data.collect()), ..Secret::default() }
}

fn found(secrets: &[(&str, &[&str])]) -> BTreeMap<String, Secret> {
    secrets.iter().map(|(name, keys)| ((*name).into(), secret(keys))).collect()
}

fn problems(secrets: &[(&str, &[&str])]) -> Vec<(Reason, String)> {
    let problems = resolve("prices", &spec(), &found(secrets)).unwrap_err();
    problems.into_iter().map(|problem| (problem.reason, problem.message)).collect()
}

const LOGIN: &[&str] = &["username", "password", "hmac"];

#[test]
fn each_secret_is_wanted_once() {
    assert_eq!(wanted(&spec()).into_iter().collect::<Vec<_>>(), ["ca", "nats-login"]);
}

#[test]
fn exactly_what_is_referred_to_is_taken() {
    let all = found(&[("ca", &["ca.crt", "unasked"]), ("nats-login", LOGIN), ("other", &["x"])]);
    let secrets = resolve("prices", &spec(), &all).unwrap();
    for reference in spec().secret_references() {
        assert_eq!(secrets.key(&reference.key).unwrap(), format!("of {}", reference.key.key).as_bytes());
    }
    let shown = format!("{secrets:?}");
    assert!(!shown.contains("unasked") && !shown.contains("other"), "{shown}");
}

#[test]
fn a_secret_that_is_not_there_is_named_with_what_to_do() {
    assert_eq!(
        problems(&[("ca", &["ca.crt"])]),
        [(
            Reason::SecretNotFound,
            "There is no Secret prices/nats-login: create it with keys hmac, password, username, or name another one \
             in spec.authentication.jwt[0].secretRef, spec.backbone.nats.userPasswordSecretRef"
                .into()
        )]
    );
}

#[test]
fn a_missing_key_is_named_with_those_there_are() {
    assert_eq!(
        problems(&[("ca", &[]), ("nats-login", &["hmac", "user"])]),
        [
            (
                Reason::KeyMissing,
                "Secret prices/ca has no key ca.crt, it is empty: add what is missing, or name another key in \
                 spec.backbone.nats.tls.caSecretRef"
                    .into()
            ),
            (
                Reason::KeyMissing,
                "Secret prices/nats-login has no keys password, username, it has hmac, user: add what is missing, or \
                 name another key in spec.backbone.nats.userPasswordSecretRef"
                    .into()
            ),
        ]
    );
}

#[test]
fn values_are_never_shown() {
    let told = format!("{:?}", problems(&[("nats-login", &["hmac"])]));
    assert!(!told.contains("of hmac"), "{told}");
}
