use std::path::Path;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{BackboneError, Rig, Server, count, spec};
use crate::{
    api::{Backbone, NatsBackbone, NatsTls, Secrets},
    gateway::{
        backbone::{PublishError, shards::publish},
        certificate::fixture,
    },
};

/// Connects with what `fields` refers to in the Secret `s`, and must be let in; without it, it is not.
async fn lets_in(config: &str, fields: Value, values: &[(&str, &str)]) {
    let server = Server::with(config, TempDir::new().unwrap()).await;
    let mut rig = Rig::start(&with(&server.url(), &fields), &secrets(values)).await.unwrap();
    rig.wait(true).await;
    assert_eq!(rig.want("a", 0).await, Ok(0));
    rig.end().await;
    let stranger = async_nats::connect(server.url()).await;
    assert!(stranger.is_err(), "the server asks for credentials");
}

fn with(url: &str, fields: &Value) -> NatsBackbone {
    let mut spec = serde_json::to_value(spec(&[url.into()])).unwrap();
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn secrets(values: &[(&str, &str)]) -> Secrets {
    let mut secrets = Secrets::default();
    for (key, value) in values {
        secrets.insert("s", key, value.as_bytes().to_vec());
    }
    secrets
}

#[tokio::test]
async fn a_token_lets_in() {
    let fields = json!({"tokenSecretRef": {"name": "s", "key": "t"}});
    lets_in(r#"authorization { token: "sesame" }"#, fields, &[("t", "sesame\n")]).await;
}

#[tokio::test]
async fn user_and_password_let_in() {
    let fields = json!({"userPasswordSecretRef": {"name": "s"}});
    let values = [("username", "gate"), ("password", "way\n")];
    lets_in("authorization { user: gate, password: way }", fields, &values).await;
}

#[tokio::test]
async fn an_nkey_lets_in() {
    let user = KeyPair::new_user();
    let config = format!("authorization {{ users: [{{ nkey: {} }}] }}", user.public_key());
    let fields = json!({"nkeySecretRef": {"name": "s", "key": "n"}});
    lets_in(&config, fields, &[("n", &format!("{}\n", user.seed().unwrap()))]).await;
}

#[tokio::test]
async fn a_credentials_file_lets_in() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let config = format!(
        "operator: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {} }}",
        jwt(&operator, &operator, &json!({"type": "operator", "version": 2})),
        account.public_key(),
        jwt(&operator, &account, &json!({"type": "account", "version": 2, "limits": unlimited()})),
    );
    let creds = format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        jwt(&account, &user, &json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1})),
        user.seed().unwrap(),
    );
    let fields = json!({"credentialsSecretRef": {"name": "s", "key": "user.creds"}});
    lets_in(&config, fields, &[("user.creds", &creds)]).await;
}

fn unlimited() -> Value {
    json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1})
}

/// A JWT as nsc makes them (NATS ADR-14).
fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let claims = json!({
        "jti": "x", "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(), "name": "x",
        "nats": nats,
    });
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(json!({"typ": "JWT", "alg": "ed25519-nkey"})), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn values_that_are_not_what_they_should_be_are_named_and_never_shown() {
    let key = json!({"name": "s", "key": "k"});
    for (fields, needed) in [
        (json!({"tokenSecretRef": {"name": "none", "key": "k"}}), "none"),
        (json!({"userPasswordSecretRef": {"name": "s"}}), "username"),
        (json!({"nkeySecretRef": key}), "nkey seed"),
        (json!({"credentialsSecretRef": key}), "credentials file"),
        (json!({"tls": {"caSecretRef": key}}), "PEM"),
        (json!({"tls": {"clientCertificateSecretRef": {"name": "s"}}}), "tls.crt"),
    ] {
        let started = Rig::start(&with("nats://127.0.0.1:1", &fields), &secrets(&[("k", "hush-hush")])).await;
        let error = started.err().unwrap().to_string();
        assert!(error.contains(needed) && !error.contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn addresses_nobody_can_connect_to_are_named_by_their_place() {
    for address in ["http://a:1", "nats://", "nats://a:port", "ws://a"] {
        let servers = ["nats://127.0.0.1:1".to_string(), address.to_string()];
        let error = Rig::start(&spec(&servers), &Secrets::default()).await.err().unwrap();
        assert!(matches!(&error, BackboneError::Address(1, _)), "{address}: {error}");
    }
    let error = Rig::start(&spec(&[]), &Secrets::default()).await.err().unwrap();
    assert!(matches!(error, BackboneError::NoServers));
}

#[tokio::test]
async fn what_the_nats_user_may_not_do_is_refused() {
    let config = r#"authorization { users: [{ user: gate, password: way, permissions: {
        publish: { deny: ["secret.>"] }, subscribe: { deny: ["secret.>"] } } }] }"#;
    let server = Server::with(config, TempDir::new().unwrap()).await;
    let spec = with(&server.url(), &json!({"userPasswordSecretRef": {"name": "s"}}));
    let mut rig = Rig::start(&spec, &secrets(&[("username", "gate"), ("password", "way")])).await.unwrap();
    rig.wait(true).await;
    let refused = publish(&rig.handle, "secret.a", "id", "1").await.unwrap_err();
    assert!(matches!(&refused, PublishError::Refused(why) if why.contains("secret.a")), "{refused}");
    let refused = rig.want("secret.b", 0).await.unwrap_err();
    assert!(refused.contains("give its user that right"), "{refused}");
    assert!(publish(&rig.handle, "open", "id", "1").await.is_ok());
    assert_eq!(rig.want("open", 0).await, Ok(0));
    assert_eq!(count(&rig.counts.server_errors), 2);
}

#[tokio::test]
async fn tls_checks_the_server_and_shows_the_client_certificate() {
    let dir = TempDir::new().unwrap();
    certificates(dir.path());
    let [ca, crt, key] =
        ["ca.crt", "client.crt", "client.key"].map(|name| std::fs::read(dir.path().join(name)).unwrap());
    let config = "tls { cert_file: server.crt, key_file: server.key, ca_file: ca.crt, verify: true }";
    let server = Server::with(config, dir).await;
    let mut secrets = Secrets::default();
    secrets.insert("ca", "ca.crt", ca);
    secrets.insert("client", "tls.crt", crt);
    secrets.insert("client", "tls.key", key);
    let ca = json!({"name": "ca", "key": "ca.crt"});
    let tls = |tls: Value| NatsBackbone {
        tls: Some(serde_json::from_value::<NatsTls>(tls).unwrap()),
        ..spec(&[server.url().replace("nats://", "tls://")])
    };
    let strangers = [json!({"caSecretRef": ca}), json!({"clientCertificateSecretRef": {"name": "client"}})];
    let mut refused = Vec::new();
    for fields in strangers {
        refused.push(Rig::start(&tls(fields), &secrets).await.unwrap());
    }
    let both = json!({"caSecretRef": ca, "clientCertificateSecretRef": {"name": "client"}});
    let mut rig = Rig::start(&tls(both), &secrets).await.unwrap();
    rig.wait(true).await;
    assert_eq!(rig.want("a", 0).await, Ok(0));
    for mut stranger in refused {
        assert!(stranger.want("a", 0).await.is_err(), "without the CA, or without a certificate");
        assert!(!stranger.handle.status.borrow().connected);
    }
}

#[tokio::test]
async fn another_ca_and_client_certificate_are_used_for_the_next_connection() {
    let dir = TempDir::new().unwrap();
    let home = dir.path().to_owned();
    let made = || {
        certificates(&home);
        let mut secrets = Secrets::default();
        for (secret, key, file) in [
            ("ca", "ca.crt", "ca.crt"),
            ("client", "tls.crt", "client.crt"),
            ("client", "tls.key", "client.key"),
        ] {
            secrets.insert(secret, key, std::fs::read(home.join(file)).unwrap());
        }
        secrets
    };
    let old = made();
    let config = "tls { cert_file: server.crt, key_file: server.key, ca_file: ca.crt, verify: true }";
    let mut server = Server::with(config, dir).await;
    let url = server.url().replace("nats://", "tls://");
    let tls = json!({"caSecretRef": {"name": "ca", "key": "ca.crt"}, "clientCertificateSecretRef": {"name": "client"}});
    let spec = with(&url, &json!({"tls": tls}));
    let mut rig = Rig::start(&spec, &old).await.unwrap();
    rig.wait(true).await;
    server.stop();
    rig.wait(false).await;
    let new = made();
    server.again().await;
    let spec = Backbone { nats: Some(spec), memory: None };
    let change = rig.exchange.prepare(&spec, &new).await.unwrap();
    assert!(!rig.handle.status.borrow().connected, "the old certificates are worth nothing here");
    rig.exchange.take_over(change).await.unwrap();
    rig.wait(true).await;
    assert_eq!(rig.want("a", 0).await, Ok(0));
}

/// A CA, and certificates of a server and a client, as files.
fn certificates(dir: &Path) {
    fixture::authority(dir);
    for name in ["server", "client"] {
        fixture::server(dir, name, 30);
    }
}
