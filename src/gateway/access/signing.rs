//! Signs tokens, for trials: a gateway only verifies them.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Map, Value, json};

use super::key;
use crate::api::JwtAlgorithm;

/// What signs: a shared secret, or a private key.
pub struct SigningKey(Kind);

enum Kind {
    Secret(Vec<u8>),
    Rsa(Box<RsaKeyPair>),
    Curve(JwtAlgorithm, Box<EcdsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// Why a file signs nothing; never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Not a PEM file with a private key in it.
    #[error(
        "is no private key in PEM: it begins with -----BEGIN PRIVATE KEY-----, as openssl genpkey writes it"
    )]
    NotPem,
    /// What verifies.
    #[error("is a public key, which signs nothing: give the private key that belongs to it")]
    Public,
    /// With a passphrase.
    #[error("is encrypted: take the passphrase off with openssl pkey -in FILE -out PLAIN")]
    Encrypted,
    /// SEC 1, which does not say its curve where it is looked for.
    #[error("is a key in an older format: convert it with openssl pkey -in FILE -out KEY")]
    Older,
    /// Another kind of key, or one that is too short.
    #[error(
        "is a key of a kind that is not supported: use RSA of 2048 bits or more, EC P-256, EC P-384 or Ed25519"
    )]
    Unsupported,
}

impl SigningKey {
    /// A shared secret, byte for byte.
    pub fn secret(bytes: &[u8]) -> Self {
        Self(Kind::Secret(bytes.into()))
    }

    /// The first private key of a PEM file: PKCS#8 (RFC 5958), or PKCS#1 for RSA.
    ///
    /// # Errors
    /// There is none that a gateway would verify tokens of.
    pub fn pem(pem: &[u8]) -> Result<Self, SigningKeyError> {
        let has = |label: &str| pem.windows(label.len()).any(|window| window == label.as_bytes());
        match PrivateKeyDer::from_pem_slice(pem) {
            Ok(PrivateKeyDer::Pkcs8(key)) => {
                pkcs8(key.secret_pkcs8_der()).ok_or(SigningKeyError::Unsupported)
            }
            Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der())
                .map(|pair| Self(Kind::Rsa(Box::new(pair))))
                .map_err(|_| SigningKeyError::Unsupported),
            Ok(_) => Err(SigningKeyError::Older),
            Err(_) if has("BEGIN ENCRYPTED PRIVATE KEY") => Err(SigningKeyError::Encrypted),
            Err(_) if has("BEGIN PUBLIC KEY") || has("BEGIN CERTIFICATE") => Err(SigningKeyError::Public),
            Err(_) => Err(SigningKeyError::NotPem),
        }
    }

    /// What it can sign with, the usual one first.
    pub fn algorithms(&self) -> &[JwtAlgorithm] {
        use JwtAlgorithm::{EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512};
        match &self.0 {
            Kind::Secret(_) => &[HS256, HS384, HS512],
            Kind::Rsa(_) => &[RS256, RS384, RS512, PS256, PS384, PS512],
            Kind::Curve(own, _) => std::slice::from_ref(own),
            Kind::Ed25519(_) => &[EdDSA],
        }
    }

    /// A token with these claims; `kid` is what the key is called where its public half is published. `None` for an
    /// algorithm that is none of this key's.
    pub fn sign(
        &self,
        algorithm: JwtAlgorithm,
        kid: Option<&str>,
        claims: &Map<String, Value>,
    ) -> Option<String> {
        let mut header = json!({"alg": algorithm, "typ": "JWT"});
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        let claims = Value::Object(claims.clone()).to_string();
        let signed = format!("{}.{}", BASE64URL.encode(header.to_string()), BASE64URL.encode(claims));
        let signature = self.signature(algorithm, signed.as_bytes())?;
        Some(format!("{signed}.{}", BASE64URL.encode(signature)))
    }

    fn signature(&self, algorithm: JwtAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.0 {
            Kind::Secret(secret) => {
                let key = hmac::Key::new(key::hmac(algorithm)?, secret);
                Some(hmac::sign(&key, message).as_ref().into())
            }
            Kind::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding(algorithm)?, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Kind::Curve(own, pair) if *own == algorithm => {
                pair.sign(&random, message).ok().map(|signature| signature.as_ref().into())
            }
            Kind::Ed25519(pair) if algorithm == JwtAlgorithm::EdDSA => {
                Some(pair.sign(message).as_ref().into())
            }
            Kind::Curve(..) | Kind::Ed25519(_) => None,
        }
    }

    /// The public half as a JWKS document (RFC 7517 §5); `None` for a shared secret, which has none.
    pub fn jwks(&self, kid: Option<&str>) -> Option<Value> {
        let mut jwk = match &self.0 {
            Kind::Secret(_) => return None,
            Kind::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": BASE64URL.encode(public.n), "e": BASE64URL.encode(public.e)})
            }
            Kind::Curve(algorithm, pair) => {
                let curve = if *algorithm == JwtAlgorithm::ES256 { "P-256" } else { "P-384" };
                // Behind the first byte, which says that both are there (SEC 1 §2.3.3).
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({
                    "kty": "EC", "crv": curve, "alg": algorithm, "x": BASE64URL.encode(x), "y": BASE64URL.encode(y),
                })
            }
            Kind::Ed25519(pair) => json!({
                "kty": "OKP", "crv": "Ed25519", "alg": JwtAlgorithm::EdDSA, "x": BASE64URL.encode(pair.public_key()),
            }),
        };
        jwk["use"] = "sig".into();
        if let Some(kid) = kid {
            jwk["kid"] = kid.into();
        }
        Some(json!({"keys": [jwk]}))
    }
}

/// Signs claims with a shared secret; `None` for an algorithm that is not HMAC.
pub fn sign(algorithm: JwtAlgorithm, secret: &[u8], claims: &Map<String, Value>) -> Option<String> {
    SigningKey::secret(secret).sign(algorithm, None, claims)
}

/// Whichever kind it is of: each refuses the others'.
fn pkcs8(der: &[u8]) -> Option<SigningKey> {
    let curve = |algorithm, scheme| {
        let pair = EcdsaKeyPair::from_pkcs8(scheme, der, &SystemRandom::new()).ok()?;
        Some(Kind::Curve(algorithm, Box::new(pair)))
    };
    let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Kind::Ed25519);
    ed25519
        .or_else(|| curve(JwtAlgorithm::ES256, &ECDSA_P256_SHA256_FIXED_SIGNING))
        .or_else(|| curve(JwtAlgorithm::ES384, &ECDSA_P384_SHA384_FIXED_SIGNING))
        .or_else(|| RsaKeyPair::from_pkcs8(der).ok().map(|pair| Kind::Rsa(Box::new(pair))))
        .map(SigningKey)
}

fn padding(algorithm: JwtAlgorithm) -> Option<&'static dyn RsaEncoding> {
    match algorithm {
        JwtAlgorithm::RS256 => Some(&signature::RSA_PKCS1_SHA256),
        JwtAlgorithm::RS384 => Some(&signature::RSA_PKCS1_SHA384),
        JwtAlgorithm::RS512 => Some(&signature::RSA_PKCS1_SHA512),
        JwtAlgorithm::PS256 => Some(&signature::RSA_PSS_SHA256),
        JwtAlgorithm::PS384 => Some(&signature::RSA_PSS_SHA384),
        JwtAlgorithm::PS512 => Some(&signature::RSA_PSS_SHA512),
        _ => None,
    }
}

/// Names the algorithms and nothing else.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.algorithms()).finish()
    }
}
