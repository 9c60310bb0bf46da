//! Keys of every kind, from PEM and JWKS, and the confusion of algorithms.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ring::hmac;

use super::{
    signer::{point, rsa_numbers},
    *,
};

const RSA_PEM: &[u8] = include_bytes!("../fixtures/rsa.pem");
const RSA: &[&str] = &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const HMAC: &[&str] = &["HS256", "HS384", "HS512"];
const ALL: &[&str] = &[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
    "EdDSA",
];

fn signed_by(algorithm: &str, kid: Option<&str>) -> String {
    let mut header = json!({"alg": algorithm});
    if let Some(kid) = kid {
        header["kid"] = kid.into();
    }
    token(&Signer::of(algorithm), &header, &claims(&json!({})))
}

fn jwk(algorithm: &str) -> Value {
    let encode = |bytes: &[u8]| BASE64URL.encode(bytes);
    let point = || point(algorithm);
    match algorithm {
        "HS256" => json!({"kty": "oct", "k": encode(SECRET)}),
        "ES256" => {
            json!({"kty": "EC", "crv": "P-256", "x": encode(&point()[1..33]), "y": encode(&point()[33..])})
        }
        "ES384" => {
            json!({"kty": "EC", "crv": "P-384", "x": encode(&point()[1..49]), "y": encode(&point()[49..])})
        }
        "EdDSA" => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&point())}),
        _ => {
            let (n, e) = rsa_numbers();
            json!({"kty": "RSA", "n": n, "e": e})
        }
    }
}

/// An issuer with a JWKS of these keys, each with these members put in.
fn jwks(keys: &[(&str, Value)]) -> Result<Access, AccessError> {
    let keys: Vec<_> = keys
        .iter()
        .map(|(algorithm, members)| {
            let mut key = jwk(algorithm);
            key.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            key
        })
        .collect();
    access("jwksSecretRef", &[], json!({"keys": keys}).to_string().as_bytes())
}

/// Asserts that of all algorithms, each rightly signed with the fixtures, exactly these get through.
fn assert_accepts(access: &Access, accepted: &[&str], what: &str) {
    for algorithm in ALL {
        let expected = (!accepted.contains(algorithm)).then_some(AuthError::Signature);
        assert_eq!(refusal(access, &signed_by(algorithm, None)), expected, "{algorithm} with {what}");
    }
}

#[test]
fn a_key_in_pem_verifies_what_its_kind_can_sign() {
    for (pem, accepted, what) in [
        (RSA_PEM, RSA, "an RSA key"),
        (include_bytes!("../fixtures/rsa-pkcs1.pem"), RSA, "an RSA key in PKCS#1"),
        (include_bytes!("../fixtures/rsa-certificate.pem"), RSA, "a certificate"),
        (include_bytes!("../fixtures/p256.pem"), &["ES256"], "a P-256 key"),
        (include_bytes!("../fixtures/p384.pem"), &["ES384"], "a P-384 key"),
        (include_bytes!("../fixtures/ed25519.pem"), &["EdDSA"], "an Ed25519 key"),
    ] {
        assert_accepts(&access("publicKeySecretRef", &[], pem).unwrap(), accepted, what);
    }
}

#[test]
fn a_key_in_a_jwks_verifies_what_its_kind_can_sign() {
    for (kind, accepted) in
        [("RS256", RSA), ("HS256", HMAC), ("ES256", &["ES256"]), ("ES384", &["ES384"]), ("EdDSA", &["EdDSA"])]
    {
        assert_accepts(&jwks(&[(kind, json!({}))]).unwrap(), accepted, kind);
    }
}

#[test]
fn a_shared_secret_verifies_hmac_only() {
    assert_accepts(&access("secretRef", &[], SECRET).unwrap(), HMAC, "a secret");
}

#[test]
fn an_hmac_with_the_public_key_as_its_secret_is_refused_even_where_hmac_is_listed() {
    let access = access("publicKeySecretRef", &["RS256", "HS256"], RSA_PEM).unwrap();
    let forger = Signer::hmac(hmac::HMAC_SHA256, RSA_PEM);
    let confused = token(&forger, &json!({"alg": "HS256"}), &claims(&json!({})));
    assert_eq!(refusal(&access, &confused), Some(AuthError::Signature));
    assert_eq!(refusal(&access, &signed_by("RS256", None)), None);
}

#[test]
fn only_listed_algorithms_are_allowed() {
    let access = access("publicKeySecretRef", &["RS512"], RSA_PEM).unwrap();
    assert_eq!(refusal(&access, &signed_by("RS512", None)), None);
    assert_eq!(refusal(&access, &signed_by("RS256", None)), Some(AuthError::Algorithm));
    assert_eq!(refusal(&access, &signed_by("PS512", None)), Some(AuthError::Algorithm));
}

#[test]
fn the_key_name_chooses_within_the_jwks() {
    let access = jwks(&[("RS256", json!({"kid": "r"})), ("ES256", json!({"kid": "e"}))]).unwrap();
    for (algorithm, kid, expected) in [
        ("RS256", Some("r"), None),
        ("RS256", None, None),
        ("ES256", Some("e"), None),
        ("RS256", Some("e"), Some(AuthError::Signature)),
        ("RS256", Some("gone"), Some(AuthError::Signature)),
        ("RS256", Some(""), Some(AuthError::Signature)),
    ] {
        assert_eq!(refusal(&access, &signed_by(algorithm, kid)), expected, "{algorithm} {kid:?}");
    }
}

#[test]
fn a_key_without_a_name_may_have_signed_any_token() {
    let access = access("publicKeySecretRef", &[], RSA_PEM).unwrap();
    assert_eq!(refusal(&access, &signed_by("RS256", Some("whatever"))), None);
}

#[test]
fn a_jwk_is_used_for_what_it_says_only() {
    let key = |members| jwks(&[("RS256", members), ("ES256", json!({}))]).unwrap();
    for (members, expected) in [
        (json!({"use": "sig", "key_ops": ["verify"], "alg": "RS256"}), None),
        (json!({"use": "enc"}), Some(AuthError::Signature)),
        (json!({"key_ops": ["encrypt"]}), Some(AuthError::Signature)),
        (json!({"alg": "RS512"}), Some(AuthError::Signature)),
        (json!({"alg": "RSA-OAEP"}), Some(AuthError::Signature)),
        (json!({"kty": "AKP"}), Some(AuthError::Signature)),
        (json!({"kty": 1}), Some(AuthError::Signature)),
        (json!({"n": "AQAB"}), Some(AuthError::Signature)),
        (json!({"n": "not base64url!"}), Some(AuthError::Signature)),
        (json!({"e": null}), Some(AuthError::Signature)),
    ] {
        let access = key(members.clone());
        assert_eq!(refusal(&access, &signed_by("RS256", None)), expected, "{members}");
        assert_eq!(refusal(&access, &signed_by("ES256", None)), None, "{members}");
    }
}

#[test]
fn unfit_points_are_passed_over() {
    for (kind, members) in [
        ("ES256", json!({"crv": "P-521"})),
        ("ES256", json!({"crv": "P-384"})),
        ("ES256", json!({"x": ""})),
        ("ES256", json!({"y": "AAAA"})),
        ("EdDSA", json!({"crv": "Ed448"})),
        ("EdDSA", json!({"x": "AAAA"})),
        ("HS256", json!({"k": ""})),
    ] {
        let error = jwks(&[(kind, members.clone())]).unwrap_err();
        assert!(matches!(error, AccessError::Key { source: KeyError::NoneFits, .. }), "{members}: {error}");
    }
}

#[test]
fn not_more_than_eight_keys_are_tried_for_a_token() {
    let other = BASE64URL.encode("another secret of 32 bytes or more");
    let at = |place: usize| {
        let mut keys = vec![("HS256", json!({"k": other})); 12];
        keys[place].1 = json!({});
        refusal(&jwks(&keys).unwrap(), &signed_by("HS256", None))
    };
    assert_eq!((at(7), at(8)), (None, Some(AuthError::Signature)));
}
