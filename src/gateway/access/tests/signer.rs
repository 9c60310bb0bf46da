//! Makes tokens of every kind, good and bad. The keys are those of `fixtures`: for tests only.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use serde_json::Value;

use super::SECRET;

pub(super) struct Signer(Box<Sign>);

type Sign = dyn Fn(&[u8]) -> Vec<u8>;

const RSA: &[u8] = include_bytes!("../fixtures/rsa.pk8");
const P256: &[u8] = include_bytes!("../fixtures/p256.pk8");
const P384: &[u8] = include_bytes!("../fixtures/p384.pk8");
const ED25519: &[u8] = include_bytes!("../fixtures/ed25519.pk8");

impl Signer {
    /// For one of the algorithms by name, with the fixture's key of that kind.
    pub(super) fn of(algorithm: &str) -> Self {
        match algorithm {
            "HS256" => Self::hmac(hmac::HMAC_SHA256, SECRET),
            "HS384" => Self::hmac(hmac::HMAC_SHA384, SECRET),
            "HS512" => Self::hmac(hmac::HMAC_SHA512, SECRET),
            "RS256" => Self::rsa(&signature::RSA_PKCS1_SHA256),
            "RS384" => Self::rsa(&signature::RSA_PKCS1_SHA384),
            "RS512" => Self::rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => Self::rsa(&signature::RSA_PSS_SHA256),
            "PS384" => Self::rsa(&signature::RSA_PSS_SHA384),
            "PS512" => Self::rsa(&signature::RSA_PSS_SHA512),
            "ES256" => Self::ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, P256),
            "ES384" => Self::ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, P384),
            "EdDSA" => Self(Box::new(|message| ed25519().sign(message).as_ref().into())),
            other => panic!("no signer for {other}"),
        }
    }

    /// HMAC-SHA-256 with the shared secret of the tests.
    pub(super) fn secret() -> Self {
        Self::of("HS256")
    }

    pub(super) fn hmac(algorithm: hmac::Algorithm, secret: &[u8]) -> Self {
        let key = hmac::Key::new(algorithm, secret);
        Self(Box::new(move |message| hmac::sign(&key, message).as_ref().into()))
    }

    fn rsa(padding: &'static dyn RsaEncoding) -> Self {
        let key = RsaKeyPair::from_pkcs8(RSA).unwrap();
        Self(Box::new(move |message| {
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        }))
    }

    fn ecdsa(algorithm: &'static signature::EcdsaSigningAlgorithm, pkcs8: &[u8]) -> Self {
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &SystemRandom::new()).unwrap();
        Self(Box::new(move |message| key.sign(&SystemRandom::new(), message).unwrap().as_ref().into()))
    }
}

fn ed25519() -> Ed25519KeyPair {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(ED25519).unwrap()
}

/// Modulus and exponent of the fixture's RSA key, in base64url.
pub(super) fn rsa_numbers() -> (String, String) {
    let key = RsaKeyPair::from_pkcs8(RSA).unwrap();
    let numbers: RsaPublicKeyComponents<Vec<u8>> = key.public().into();
    (BASE64URL.encode(numbers.n), BASE64URL.encode(numbers.e))
}

/// The public point of the fixture's key for ES256, ES384 or `EdDSA`.
pub(super) fn point(algorithm: &str) -> Vec<u8> {
    let ecdsa = |algorithm, pkcs8| {
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &SystemRandom::new()).unwrap();
        key.public_key().as_ref().to_vec()
    };
    match algorithm {
        "ES256" => ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, P256),
        "ES384" => ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, P384),
        _ => ed25519().public_key().as_ref().to_vec(),
    }
}

/// A token whose header and claims are these.
pub(super) fn token(signer: &Signer, header: &Value, claims: &Value) -> String {
    token_of(signer, &header.to_string(), &claims.to_string())
}

/// A token whose header and claims are these texts, JSON or not.
pub(super) fn token_of(signer: &Signer, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(claims));
    let signature = BASE64URL.encode((signer.0)(message.as_bytes()));
    format!("{message}.{signature}")
}
