//! What is signed here is what a gateway accepts.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;

const RSA: &[u8] = include_bytes!("../fixtures/rsa.pk8");
const P256: &[u8] = include_bytes!("../fixtures/p256.pk8");
const P384: &[u8] = include_bytes!("../fixtures/p384.pk8");
const ED25519: &[u8] = include_bytes!("../fixtures/ed25519.pk8");

fn pem(label: &str, der: &[u8]) -> String {
    format!("for tests\n-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn key(pkcs8: &[u8]) -> SigningKey {
    SigningKey::pem(pem("PRIVATE KEY", pkcs8).as_bytes()).unwrap()
}

fn minted(key: &SigningKey, algorithm: JwtAlgorithm, kid: Option<&str>) -> String {
    key.sign(algorithm, kid, claims(&json!({})).as_object().unwrap()).unwrap()
}

#[test]
fn a_shared_secret_signs_what_it_verifies() {
    let key = SigningKey::secret(SECRET);
    for algorithm in key.algorithms() {
        let name = json!(algorithm);
        let access = access("secretRef", &[name.as_str().unwrap()], SECRET).unwrap();
        assert_eq!(refusal(&access, &minted(&key, *algorithm, None)), None, "{algorithm:?}");
    }
    assert_eq!(key.jwks(None), None, "nothing of it is to be published");
}

#[test]
fn a_private_key_signs_what_its_public_half_verifies_in_pem_and_in_the_jwks_it_makes() {
    for (pkcs8, public) in [
        (RSA, &include_bytes!("../fixtures/rsa.pem")[..]),
        (P256, include_bytes!("../fixtures/p256.pem")),
        (P384, include_bytes!("../fixtures/p384.pem")),
        (ED25519, include_bytes!("../fixtures/ed25519.pem")),
    ] {
        let key = key(pkcs8);
        let in_pem = access("publicKeySecretRef", &[], public).unwrap();
        let jwks = key.jwks(Some("one")).unwrap().to_string();
        let in_jwks = access("jwksSecretRef", &[], jwks.as_bytes()).unwrap();
        for algorithm in key.algorithms() {
            assert_eq!(refusal(&in_pem, &minted(&key, *algorithm, None)), None, "{algorithm:?}");
            assert_eq!(refusal(&in_jwks, &minted(&key, *algorithm, Some("one"))), None, "{algorithm:?}");
            let other = minted(&key, *algorithm, Some("two"));
            assert_eq!(refusal(&in_jwks, &other), Some(AuthError::Signature), "{algorithm:?}");
        }
    }
}

#[test]
fn a_key_does_not_sign_with_what_is_not_its_own() {
    let claims = serde_json::Map::new();
    for (key, other) in [
        (SigningKey::secret(SECRET), JwtAlgorithm::RS256),
        (key(RSA), JwtAlgorithm::HS256),
        (key(P256), JwtAlgorithm::ES384),
        (key(ED25519), JwtAlgorithm::ES256),
    ] {
        assert_eq!(key.sign(other, None, &claims), None, "{key:?} with {other:?}");
    }
}

#[test]
fn an_rsa_key_in_its_own_format_is_taken_too() {
    // PKCS#8 (RFC 5958 §2) holds it behind version and algorithm, which take these bytes.
    let pkcs1 = &RSA[26..];
    let key = SigningKey::pem(pem("RSA PRIVATE KEY", pkcs1).as_bytes()).unwrap();
    assert_eq!(key.jwks(None), self::key(RSA).jwks(None));
}

#[test]
fn what_cannot_sign_is_refused_with_what_to_do() {
    for (text, expected) in [
        (String::new(), SigningKeyError::NotPem),
        ("a shared secret".into(), SigningKeyError::NotPem),
        (pem("PRIVATE KEY", b"nonsense"), SigningKeyError::Unsupported),
        (pem("RSA PRIVATE KEY", b"nonsense"), SigningKeyError::Unsupported),
        (pem("EC PRIVATE KEY", P256), SigningKeyError::Older),
        (pem("ENCRYPTED PRIVATE KEY", P256), SigningKeyError::Encrypted),
        (pem("PUBLIC KEY", P256), SigningKeyError::Public),
        (pem("CERTIFICATE", P256), SigningKeyError::Public),
    ] {
        assert_eq!(SigningKey::pem(text.as_bytes()).unwrap_err(), expected, "{text}");
    }
    let told = format!("{:?}", key(P256));
    assert_eq!(told, "SigningKey([ES256])");
}
