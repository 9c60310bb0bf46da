//! Compact JWS (RFC 7515 §3.1), taken apart.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{AuthError, MAX_TOKEN_BYTES, object::Object};
use crate::api::JwtAlgorithm;

/// A token taken apart. Nothing of it is trusted before the signature is verified.
pub(super) struct Jws<'a> {
    /// From the header; `none` and unknown ones do not get this far.
    pub(super) algorithm: JwtAlgorithm,
    /// The key's name, from the header.
    pub(super) kid: Option<String>,
    /// The claims.
    pub(super) claims: Object,
    /// The claims as they stand in the token, in JSON.
    pub(super) claims_text: Arc<[u8]>,
    /// What was signed: header and claims as they stand in the token.
    pub(super) signed: &'a [u8],
    /// The signature's bytes.
    pub(super) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart. `jwk`, `jku` and `x5u` in the header are never looked at: keys come from the resource.
    pub(super) fn parse(token: &'a str) -> Result<Self, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(AuthError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(AuthError::Malformed)?;
        // Should there be more dots, they are among the claims and no base64url.
        let claims_text: Arc<[u8]> = decoded(claims)?.into();
        let (header, claims) = (object(&decoded(header)?)?, object(&claims_text)?);
        if header.get("crit").is_some() {
            return Err(AuthError::Critical);
        }
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(AuthError::Malformed),
        };
        let algorithm = header.get("alg").ok_or(AuthError::Malformed)?;
        let algorithm = JwtAlgorithm::deserialize(algorithm).map_err(|_| AuthError::Algorithm)?;
        let signature = decoded(signature)?;
        Ok(Self { algorithm, kid, claims, claims_text, signed: signed.as_bytes(), signature })
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, AuthError> {
    BASE64URL.decode(part).map_err(|_| AuthError::Malformed)
}

fn object(json: &[u8]) -> Result<Object, AuthError> {
    serde_json::from_slice(json).map_err(|_| AuthError::Malformed)
}

/// A token's claims as they stand there, whoever signed them: to show them to the one who holds the token, never to
/// act upon them.
pub fn unverified_claims(token: &str) -> Result<Map<String, Value>, AuthError> {
    Ok(Jws::parse(token)?.claims.0.into_iter().collect())
}
