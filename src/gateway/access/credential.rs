//! What is remembered of a token that was accepted, so that it can be judged anew under another configuration. Not the
//! token itself: whoever reads this cannot show it to anybody.

use std::{fmt, sync::Arc};

use super::{AuthError, object::Object};
use crate::api::JwtAlgorithm;

/// Of one token: at most three quarters of [`super::MAX_TOKEN_BYTES`].
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// In JSON: a fraction of what they are once read, and read only when the configuration changes.
    claims: Arc<[u8]>,
    pub(super) algorithm: JwtAlgorithm,
}

impl Credential {
    pub(super) fn new(claims: Arc<[u8]>, algorithm: JwtAlgorithm) -> Self {
        Self { claims, algorithm }
    }

    pub(super) fn claims(&self) -> Result<Object, AuthError> {
        serde_json::from_slice(&self.claims).map_err(|_| AuthError::Malformed)
    }
}

/// Claims are nobody's business.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}
