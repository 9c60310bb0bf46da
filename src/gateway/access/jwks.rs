//! JWKS documents (RFC 7517 §5). Keys of unknown kinds, for other uses or unfit are passed over, as §5 asks.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde::Deserialize;
use serde_json::Value;

use super::{
    error::KeyError,
    key::{Key, Material},
};
use crate::api::JwtAlgorithm;

/// Most keys of one document.
const MAX_KEYS: usize = 64;

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

/// The keys of a document that can verify tokens.
pub(super) fn keys(document: &[u8]) -> Result<Vec<Key>, KeyError> {
    let document: Document = serde_json::from_slice(document).map_err(|_| KeyError::NotJwks)?;
    if document.keys.len() > MAX_KEYS {
        return Err(KeyError::TooMany);
    }
    let jwks = document.keys.into_iter().filter_map(|key| Jwk::deserialize(key).ok());
    Ok(jwks.filter_map(Jwk::key).collect())
}

impl Jwk {
    /// `None` where it is of no use here.
    fn key(self) -> Option<Key> {
        let for_encryption = self.r#use.as_ref().is_some_and(|purpose| purpose != "sig");
        let verifies_not = self.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify"));
        if for_encryption || verifies_not {
            return None;
        }
        let only = match &self.alg {
            None => None,
            Some(name) => Some(JwtAlgorithm::deserialize(Value::from(name.as_str())).ok()?),
        };
        Some(Key { only, material: self.material()?, kid: self.kid })
    }

    fn material(&self) -> Option<Material> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Material::rsa(&bytes(self.n.as_ref())?, &bytes(self.e.as_ref())?).ok(),
            ("EC", Some("P-256")) => self.point(JwtAlgorithm::ES256, 32),
            ("EC", Some("P-384")) => self.point(JwtAlgorithm::ES384, 48),
            ("OKP", Some("Ed25519")) => Material::curve(JwtAlgorithm::EdDSA, &bytes(self.x.as_ref())?).ok(),
            ("oct", _) => Material::secret(&bytes(self.k.as_ref())?, &[]).ok(),
            _ => None,
        }
    }

    /// RFC 7518 §6.2.1: both coordinates have the full length.
    fn point(&self, algorithm: JwtAlgorithm, length: usize) -> Option<Material> {
        let (x, y) = (bytes(self.x.as_ref())?, bytes(self.y.as_ref())?);
        if x.len() != length {
            return None;
        }
        Material::curve(algorithm, &[&[4], x.as_slice(), y.as_slice()].concat()).ok()
    }
}

fn bytes(text: Option<&String>) -> Option<Vec<u8>> {
    BASE64URL.decode(text?).ok()
}
