//! What is remembered of a token that was accepted, so that it can be judged anew under another configuration. Not the
//! token itself: whoever reads this cannot show it to anybody.

use std::{fmt, sync::Arc};

use super::{AuthError, key::Key, object::Object};
use crate::api::JwtAlgorithm;

/// Of one token: at most three quarters of [`super::MAX_TOKEN_BYTES`]. The key is shared with its issuer.
#[derive(PartialEq, Eq)]
pub struct Credential {
    /// In JSON: a fraction of what they are once read, and read only when the configuration changes.
    claims: Box<[u8]>,
    pub(super) algorithm: JwtAlgorithm,
    kid: Option<Box<str>>,
    signer: Arc<Key>,
}

impl Credential {
    pub(super) fn new(
        claims: Box<[u8]>,
        algorithm: JwtAlgorithm,
        kid: Option<String>,
        signer: Arc<Key>,
    ) -> Self {
        Self { claims, algorithm, kid: kid.map(Into::into), signer }
    }

    pub(super) fn claims(&self) -> Result<Object, AuthError> {
        serde_json::from_slice(&self.claims).map_err(|_| AuthError::Malformed)
    }

    /// Whether this is the key that signed the token, and still may sign such ones.
    pub(super) fn is_signed_by(&self, key: &Key) -> bool {
        key.fits(self.algorithm, self.kid.as_deref()) && key.material == self.signer.material
    }
}

/// Claims are nobody's business.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}
