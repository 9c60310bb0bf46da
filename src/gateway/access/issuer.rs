//! One entry of `authentication.jwt`: whose tokens are accepted and when.

use std::time::Duration;

use serde_json::Value;

use super::{
    ANONYMOUS, AccessError, AuthError, MAX_USER_BYTES,
    credential::Credential,
    error::KeyError,
    jwks,
    jws::Jws,
    key::{Key, Material},
    object::Object,
    pem,
};
use crate::api::{JwtAlgorithm, JwtIssuer, SecretKeyRef, Secrets};

/// Seconds by which an issuer's clock may be ahead of ours. `exp` has no leeway: ending early harms nobody.
const NOT_BEFORE_LEEWAY: u64 = 30;

/// Keys tried for one token, which bounds the work a token can ask for. More than one only fits where the document
/// gives no key names or the token none.
const MAX_TRIES: usize = 8;

/// Makes keys of what a Secret holds, for these algorithms.
type Reader = fn(&[u8], &[JwtAlgorithm]) -> Result<Vec<Key>, KeyError>;

/// An issuer with its keys.
#[derive(Debug, PartialEq)]
pub(super) struct Issuer {
    /// The `iss` claim.
    pub(super) name: String,
    audiences: Vec<String>,
    /// Empty: whatever the kind of the key allows.
    algorithms: Vec<JwtAlgorithm>,
    user_claim: String,
    keys: Vec<Key>,
}

/// What a token that is accepted says.
pub(super) struct Verified {
    pub(super) user: String,
    pub(super) claims: Object,
    pub(super) expires_at: u64,
    pub(super) credential: Credential,
}

impl Issuer {
    /// Reads the issuer's keys.
    pub(super) fn new(spec: &JwtIssuer, secrets: &Secrets) -> Result<Self, AccessError> {
        if spec.issuer.is_empty() {
            return Err(AccessError::EmptyIssuer);
        }
        let (at, read): (&SecretKeyRef, Reader) =
            match (&spec.jwks_secret_ref, &spec.public_key_secret_ref, &spec.secret_ref) {
                (Some(at), None, None) => (at, |document, _| jwks::keys(document)),
                (None, Some(at), None) => (at, |pem, _| Ok(vec![pem::public_key(pem)?.into()])),
                (None, None, Some(at)) => (at, |bytes, for_| Ok(vec![Material::secret(bytes, for_)?.into()])),
                _ => return Err(AccessError::KeyReference(spec.issuer.clone())),
            };
        let bytes =
            secrets.key(at).map_err(|source| AccessError::Secret { issuer: spec.issuer.clone(), source })?;
        let unfit = |source| AccessError::Key { issuer: spec.issuer.clone(), at: at.clone(), source };
        let keys = read(bytes, &spec.algorithms).map_err(unfit)?;
        let fits = |key: &Key| {
            spec.algorithms.is_empty() || spec.algorithms.iter().any(|algorithm| key.fits(*algorithm, None))
        };
        if !keys.iter().any(fits) {
            return Err(unfit(KeyError::NoneFits));
        }
        Ok(Self {
            name: spec.issuer.clone(),
            audiences: spec.audiences.clone(),
            algorithms: spec.algorithms.clone(),
            user_claim: spec.user_claim.clone(),
            keys,
        })
    }

    /// Accepts a token of this issuer, or says why not; `now` in seconds since 1970. Claims are only judged once the
    /// signature holds, so that who cannot sign learns nothing about them.
    pub(super) fn verify(&self, token: Jws<'_>, now: u64) -> Result<Verified, AuthError> {
        if !self.algorithms.is_empty() && !self.algorithms.contains(&token.algorithm) {
            return Err(AuthError::Algorithm);
        }
        let mut fitting =
            self.keys.iter().filter(|key| key.fits(token.algorithm, token.kid.as_deref())).take(MAX_TRIES);
        if !fitting.any(|key| key.material.verifies(token.algorithm, token.signed, &token.signature)) {
            return Err(AuthError::Signature);
        }
        let credential = Credential::new(token.claims_text, token.algorithm);
        self.accept(token.claims, credential, now)
    }

    /// Accepts a token that was accepted before, maybe under another configuration, or says why not. Its signature held
    /// then, and still does if the key has been replaced since: a key is rotated without ending what it has let in.
    pub(super) fn verify_again(
        &self,
        credential: &Credential,
        claims: Object,
        now: u64,
    ) -> Result<Verified, AuthError> {
        if !self.algorithms.is_empty() && !self.algorithms.contains(&credential.algorithm) {
            return Err(AuthError::Algorithm);
        }
        self.accept(claims, credential.clone(), now)
    }

    /// Judges the claims of a token whose signature holds.
    fn accept(&self, claims: Object, credential: Credential, now: u64) -> Result<Verified, AuthError> {
        let expires_at = time(&claims, "exp")?.ok_or(AuthError::NoExpiry)?;
        if now >= expires_at {
            return Err(AuthError::Expired);
        }
        if time(&claims, "nbf")?.is_some_and(|nbf| now.saturating_add(NOT_BEFORE_LEEWAY) < nbf) {
            return Err(AuthError::NotYetValid);
        }
        if !self.audiences.is_empty() && !self.is_audience(claims.get("aud")) {
            return Err(AuthError::Audience);
        }
        let user = claims.text(&self.user_claim).ok_or(AuthError::NoUser)?.to_owned();
        if user.is_empty() || user.len() > MAX_USER_BYTES {
            return Err(AuthError::NoUser);
        }
        if user == ANONYMOUS {
            return Err(AuthError::Anonymous);
        }
        Ok(Verified { user, claims, expires_at, credential })
    }

    /// RFC 7519 §4.1.3: one text, or a list of them.
    fn is_audience(&self, claim: Option<&Value>) -> bool {
        let accepted =
            |value: &Value| value.as_str().is_some_and(|text| self.audiences.iter().any(|a| a == text));
        match claim {
            Some(Value::Array(list)) => list.iter().any(accepted),
            Some(value) => accepted(value),
            None => false,
        }
    }
}

/// A `NumericDate` (RFC 7519 §2), which may have a fraction.
fn time(claims: &Object, name: &'static str) -> Result<Option<u64>, AuthError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_u64();
    let fraction = || Duration::try_from_secs_f64(value.as_f64()?).ok().map(|time| time.as_secs());
    whole.or_else(fraction).map(Some).ok_or(AuthError::Time(name))
}
