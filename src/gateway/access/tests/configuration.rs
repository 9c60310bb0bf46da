//! Key material that is missing or unfit is told by name.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};

use super::*;

fn problem(reference: &str, algorithms: &[&str], bytes: &[u8]) -> KeyError {
    match access(reference, algorithms, bytes) {
        Err(AccessError::Key { issuer, at, source }) => {
            assert_eq!((&*issuer, at), ("home", SecretKeyRef { name: "keys".into(), key: "key".into() }));
            source
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn unfit_key_material_is_refused() {
    let pem: &[u8] = include_bytes!("../fixtures/rsa.pem");
    let text = std::str::from_utf8(pem).unwrap();
    let private = text.replace("PUBLIC KEY", "PRIVATE KEY");
    let cut = text.replace("MIIB", "MIIF");
    let many = json!({"keys": vec![json!({}); 65]}).to_string();
    let encrypted = text.replace("PUBLIC KEY", "ENCRYPTED PRIVATE KEY");
    let labelled = text.replace("PUBLIC KEY", "PGP KEY");
    let x25519 =
        format!("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEA{}=\n-----END PUBLIC KEY-----", "A".repeat(43));
    for (reference, bytes, expected) in [
        ("secretRef", &b""[..], KeyError::Empty),
        ("secretRef", pem, KeyError::PemAsSecret),
        ("publicKeySecretRef", b"", KeyError::NotPem),
        ("publicKeySecretRef", b"\xff", KeyError::NotPem),
        ("publicKeySecretRef", SECRET, KeyError::NotPem),
        ("publicKeySecretRef", b"-----BEGIN PUBLIC KEY-----", KeyError::NotPem),
        ("publicKeySecretRef", b"-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----", KeyError::NotPem),
        ("publicKeySecretRef", b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", KeyError::NotPem),
        (
            "publicKeySecretRef",
            b"-----BEGIN PUBLIC KEY-----\nMIMA\n-----END PUBLIC KEY-----",
            KeyError::NotPem,
        ),
        ("publicKeySecretRef", cut.as_bytes(), KeyError::NotPem),
        ("publicKeySecretRef", labelled.as_bytes(), KeyError::NotPem),
        ("publicKeySecretRef", private.as_bytes(), KeyError::Private),
        ("publicKeySecretRef", encrypted.as_bytes(), KeyError::Private),
        ("publicKeySecretRef", include_bytes!("../fixtures/rsa-1024.pem"), KeyError::RsaSize),
        ("publicKeySecretRef", include_bytes!("../fixtures/p521.pem"), KeyError::Unsupported),
        ("publicKeySecretRef", x25519.as_bytes(), KeyError::Unsupported),
        ("jwksSecretRef", pem, KeyError::NotJwks),
        ("jwksSecretRef", b"{\"keys\":{}}", KeyError::NotJwks),
        ("jwksSecretRef", many.as_bytes(), KeyError::TooMany),
        ("jwksSecretRef", b"{\"keys\":[]}", KeyError::NoneFits),
    ] {
        assert_eq!(problem(reference, &[], bytes), expected, "{reference} {expected}");
    }
}

#[test]
fn a_shared_secret_must_be_as_long_as_the_hash() {
    for (algorithms, needs, algorithm) in [
        (&[][..], 32, JwtAlgorithm::HS256),
        (&["HS256"], 32, JwtAlgorithm::HS256),
        (&["HS256", "HS384"], 48, JwtAlgorithm::HS384),
        (&["HS512", "HS256"], 64, JwtAlgorithm::HS512),
    ] {
        let short = KeyError::TooShort { has: needs - 1, needs, algorithm };
        assert_eq!(problem("secretRef", algorithms, &SECRET[..needs - 1]), short);
        assert!(access("secretRef", algorithms, &SECRET[..needs]).is_ok(), "{algorithms:?}");
    }
    let k = BASE64URL.encode(&SECRET[..31]);
    let jwks = json!({"keys": [{"kty": "oct", "k": k}]}).to_string();
    assert_eq!(problem("jwksSecretRef", &[], jwks.as_bytes()), KeyError::NoneFits);
}

#[test]
fn without_algorithms_a_shared_secret_checks_those_it_is_long_enough_for() {
    let access = access("secretRef", &[], &SECRET[..48]).unwrap();
    let minted = claims(&json!({}));
    for (algorithm, expected) in [
        (JwtAlgorithm::HS256, None),
        (JwtAlgorithm::HS384, None),
        (JwtAlgorithm::HS512, Some(AuthError::Signature)),
    ] {
        let token = sign(algorithm, &SECRET[..48], minted.as_object().unwrap()).unwrap();
        assert_eq!(refusal(&access, &token), expected, "{algorithm:?}");
    }
}

#[test]
fn a_key_that_no_listed_algorithm_can_use_is_refused() {
    let pem = include_bytes!("../fixtures/rsa.pem");
    assert_eq!(problem("publicKeySecretRef", &["HS256", "ES256"], pem), KeyError::NoneFits);
    assert_eq!(problem("secretRef", &["RS256"], SECRET), KeyError::NoneFits);
    let p256 = include_bytes!("../fixtures/p256.pem");
    assert_eq!(problem("publicKeySecretRef", &["ES384", "EdDSA"], p256), KeyError::NoneFits);
}

#[test]
fn an_entry_must_name_one_issuer_and_one_key() {
    let at = json!({"name": "keys", "key": "key"});
    let good = issuer("secretRef", &[]);
    for (entries, expected) in [
        (json!([{"issuer": "", "secretRef": at}]), AccessError::EmptyIssuer),
        (json!([good, good]), AccessError::Twice("home".into())),
        (json!([{"issuer": "home"}]), AccessError::KeyReference("home".into())),
        (
            json!([{"issuer": "home", "secretRef": at, "publicKeySecretRef": at}]),
            AccessError::KeyReference("home".into()),
        ),
    ] {
        assert_eq!(Access::new(&spec(&json!({"jwt": entries})), &secrets(SECRET)).unwrap_err(), expected);
    }
}

#[test]
fn a_missing_secret_is_named() {
    let spec = spec(&json!({"jwt": [issuer("secretRef", &[])]}));
    let error = Access::new(&spec, &Secrets::default()).unwrap_err().to_string();
    assert!(error.contains("issuer \"home\"") && error.contains("no Secret \"keys\""), "{error}");
}

#[test]
fn key_material_is_never_printed() {
    let shown = format!("{:?} {:?}", shared_secret(), access("publicKeySecretRef", &[], SECRET).unwrap_err());
    let bytes = format!("{:?}", &SECRET[..4]);
    assert!(
        !shown.contains("32 bytes for testing") && !shown.contains(bytes.trim_matches(['[', ']'])),
        "{shown}"
    );
    let point = access("publicKeySecretRef", &[], include_bytes!("../fixtures/p256.pem")).unwrap();
    let rsa = access("publicKeySecretRef", &[], include_bytes!("../fixtures/rsa.pem")).unwrap();
    assert!(
        format!("{point:?}").contains("material: Point }") && format!("{rsa:?}").contains("material: Rsa }")
    );
}
