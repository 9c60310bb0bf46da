//! Issuers of tokens, on nothing but a signature library: no JWT library is shared with the gateway.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};

use super::Resource;

/// A key made for these tests only.
const RSA: &[u8] = include_bytes!("rsa.pk8");
/// What stands before the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Signs tokens.
pub(crate) struct Issuer {
    name: &'static str,
    key: Key,
}

enum Key {
    Shared(String),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Issuer {
    /// Signs with a shared secret.
    pub(crate) fn shared() -> Self {
        Self::keyed("https://shared.example", "a-secret-of-more-than-32-bytes-for-tests".into())
    }

    /// Signs with this secret under this name.
    pub(crate) fn keyed(name: &'static str, secret: String) -> Self {
        Self { name, key: Key::Shared(secret) }
    }

    /// Signs with a key pair; the gateway is given the public key in PEM.
    pub(crate) fn ed25519() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        Self { name: "https://ed25519.example", key: Key::Ed25519(key) }
    }

    /// Signs with a key pair; the gateway is given a JWKS document.
    pub(crate) fn rsa() -> Self {
        Self { name: "https://rsa.example", key: Key::Rsa(RsaKeyPair::from_pkcs8(RSA).unwrap()) }
    }

    /// The same key under another name.
    pub(crate) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// A token that is valid but for what these claims change; a `null` takes a claim out.
    pub(crate) fn token(&self, claims: Value) -> String {
        let header = match &self.key {
            Key::Shared(_) => json!({"typ": "JWT", "alg": "HS256"}),
            Key::Ed25519(_) => json!({"typ": "JWT", "alg": "EdDSA"}),
            Key::Rsa(_) => json!({"typ": "JWT", "alg": "RS256", "kid": "one"}),
        };
        self.token_with(header, claims)
    }

    /// The same under any header.
    pub(crate) fn token_with(&self, header: Value, claims: Value) -> String {
        let mut all = json!({"iss": self.name, "aud": "market", "sub": "ann", "exp": now() + 300});
        for (name, value) in claims.as_object().into_iter().flatten() {
            match value {
                Value::Null => all.as_object_mut().unwrap().remove(name),
                _ => all.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        let text = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(all.to_string()));
        let signature = self.sign(text.as_bytes());
        format!("{text}.{}", BASE64.encode(signature))
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::Shared(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text).as_ref().to_vec()
            }
            Key::Ed25519(key) => key.sign(text).as_ref().to_vec(),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
                signature
            }
        }
    }

    /// The public key in PEM; for the issuer that has one.
    pub(crate) fn public_pem(&self) -> String {
        let Key::Ed25519(key) = &self.key else { panic!("no PEM for this issuer") };
        let der = [&ED25519_SPKI, key.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    /// The resource that accepts this issuer's tokens too.
    pub(crate) fn admitted(&self, resource: Resource) -> Resource {
        let mut entry = json!({"issuer": self.name, "audiences": ["market"]});
        let (field, algorithm, value) = match &self.key {
            Key::Shared(secret) => ("secretRef", "HS256", secret.clone()),
            Key::Ed25519(_) => ("publicKeySecretRef", "EdDSA", self.public_pem()),
            Key::Rsa(key) => ("jwksSecretRef", "RS256", jwks(key)),
        };
        let secret = self.name.trim_start_matches("https://").replace('.', "-");
        entry["algorithms"] = json!([algorithm]);
        entry[field] = json!({"name": secret, "key": "key"});
        resource.add("authentication.jwt", entry).secret(&secret, json!({"key": value}))
    }
}

fn jwks(key: &RsaKeyPair) -> String {
    let public = PublicKeyComponents::<Vec<u8>>::from(key.public());
    let (n, e) = (BASE64.encode(public.n), BASE64.encode(public.e));
    json!({"keys": [{"kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", "n": n, "e": e}]}).to_string()
}
