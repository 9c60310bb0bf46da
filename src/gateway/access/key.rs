//! Keys that verify tokens. The kind of a key decides which algorithms it may be used with, never the token: an HMAC
//! made with a public key as its secret has nowhere to pass.

use std::fmt;

use ring::{
    hmac,
    signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm},
};

use super::error::KeyError;
use crate::api::JwtAlgorithm;

/// A key and what the document it comes from says about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Its name; a key without one may have signed any token.
    pub(super) kid: Option<String>,
    /// The only algorithm it is for, where the document says so.
    pub(super) only: Option<JwtAlgorithm>,
    /// What verifies.
    pub(super) material: Material,
}

/// What verifies.
#[derive(PartialEq, Eq)]
pub(super) enum Material {
    /// A shared secret.
    Secret(Vec<u8>),
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// A key that knows one algorithm only (ES256, ES384, `EdDSA`): the point, as `ring` wants it.
    Point(JwtAlgorithm, Vec<u8>),
}

impl From<Material> for Key {
    fn from(material: Material) -> Self {
        Self { kid: None, only: None, material }
    }
}

impl Key {
    /// Whether tokens of this algorithm, and of this key name, could be signed by the key.
    pub(super) fn fits(&self, algorithm: JwtAlgorithm, kid: Option<&str>) -> bool {
        self.material.fits(algorithm)
            && self.only.is_none_or(|only| only == algorithm)
            && match (&self.kid, kid) {
                (Some(own), Some(wanted)) => own == wanted,
                _ => true,
            }
    }
}

impl Material {
    /// A shared secret, byte for byte, long enough for each of these algorithms; where there are none, for the least
    /// demanding one.
    pub(super) fn secret(bytes: &[u8], algorithms: &[JwtAlgorithm]) -> Result<Self, KeyError> {
        if bytes.is_empty() {
            return Err(KeyError::Empty);
        }
        if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Err(KeyError::PemAsSecret);
        }
        let algorithms = if algorithms.is_empty() { &[JwtAlgorithm::HS256] } else { algorithms };
        let demanding =
            algorithms.iter().filter_map(|algorithm| Some((hash_length(*algorithm)?, *algorithm)));
        if let Some((needs, algorithm)) = demanding.max_by_key(|(needs, _)| *needs)
            && bytes.len() < needs
        {
            return Err(KeyError::TooShort { has: bytes.len(), needs, algorithm });
        }
        Ok(Self::Secret(bytes.into()))
    }

    /// An RSA key.
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        // A modulus begins with a set bit in practice; counting bytes is exact enough to tell 1024 from 2048 bits.
        if !(256..=1024).contains(&n.len()) {
            return Err(KeyError::RsaSize);
        }
        Ok(Self::Rsa { n: n.into(), e: e.into() })
    }

    /// An uncompressed point (SEC 1 §2.3.3) of the curve whose coordinates have as many bytes as the algorithm's.
    pub(super) fn curve(algorithm: JwtAlgorithm, point: &[u8]) -> Result<Self, KeyError> {
        let fits = match algorithm {
            JwtAlgorithm::ES256 => point.len() == 65 && point.starts_with(&[4]),
            JwtAlgorithm::ES384 => point.len() == 97 && point.starts_with(&[4]),
            JwtAlgorithm::EdDSA => point.len() == 32,
            _ => false,
        };
        if fits { Ok(Self::Point(algorithm, point.into())) } else { Err(KeyError::Unsupported) }
    }

    fn fits(&self, algorithm: JwtAlgorithm) -> bool {
        match self {
            Self::Secret(bytes) => hash_length(algorithm).is_some_and(|needs| bytes.len() >= needs),
            Self::Rsa { .. } => rsa(algorithm).is_some(),
            Self::Point(own, _) => *own == algorithm,
        }
    }

    /// Whether `signature` is this key's for `message`; in constant time where the key is secret.
    pub(super) fn verifies(&self, algorithm: JwtAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Secret(secret) => hmac(algorithm)
                .is_some_and(|hmac| hmac::verify(&hmac::Key::new(hmac, secret), message, signature).is_ok()),
            Self::Rsa { n, e } => rsa(algorithm).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }),
            Self::Point(own, point) => {
                let scheme: &'static dyn VerificationAlgorithm = match own {
                    JwtAlgorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
                    JwtAlgorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
                    _ => &signature::ED25519,
                };
                *own == algorithm && UnparsedPublicKey::new(scheme, point).verify(message, signature).is_ok()
            }
        }
    }
}

/// Names the kind and nothing else.
impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::Rsa { .. } => "Rsa",
            Self::Point(..) => "Point",
        })
    }
}

/// The HMAC of RFC 7518 §3.2, where the algorithm is one.
pub(super) fn hmac(algorithm: JwtAlgorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        JwtAlgorithm::HS256 => Some(hmac::HMAC_SHA256),
        JwtAlgorithm::HS384 => Some(hmac::HMAC_SHA384),
        JwtAlgorithm::HS512 => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}

/// Bytes of an HMAC, and the fewest its key may have.
fn hash_length(algorithm: JwtAlgorithm) -> Option<usize> {
    Some(hmac(algorithm)?.digest_algorithm().output_len())
}

fn rsa(algorithm: JwtAlgorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        JwtAlgorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        JwtAlgorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        JwtAlgorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        JwtAlgorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        JwtAlgorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        JwtAlgorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}
