//! Who a client is and what it may do.
//!
//! A token is a JWT in compact form. Its `iss` claim chooses the issuer among those of the resource, and from there on
//! only that issuer's algorithms, keys and audiences count:
//!
//! ```text
//! token ─► jws (apart) ─► issuer (signature, then exp, nbf, aud, user) ─► policy (rules + `topics` claim) ─► Identity
//! ```
//!
//! When the configuration changes, who is connected is judged anew ([`Access::judge_again`]) by what is remembered of
//! the token.
//!
//! Verification is `ring`'s. The clock is the caller's: `now` is passed in.

use std::sync::Arc;

use crate::api::{Anonymous, Filter, Pattern, Secrets, Topic, TopicGatewaySpec};

mod credential;
mod error;
mod issuer;
mod jwks;
mod jws;
mod key;
mod object;
mod pem;
mod policy;
mod sharing;
mod signing;
#[cfg(test)]
mod tests;

use issuer::{Issuer, Verified};
use jws::Jws;
use policy::Policy;
use sharing::Given;

pub use credential::Credential;
pub use error::{AccessError, AuthError, KeyError};
pub use jws::unverified_claims;
pub use signing::{SigningKey, SigningKeyError, sign};

/// Longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8192;
/// Longest user name, in bytes.
pub const MAX_USER_BYTES: usize = 256;
/// The user of a client without a token. A token that names it is refused.
pub const ANONYMOUS: &str = "anonymous";

/// Tells who a client is: one per gateway and configuration, shared by all that ask.
#[derive(Debug)]
pub struct Access {
    issuers: Vec<Issuer>,
    policy: Policy,
    anonymous: Option<Arc<Identity>>,
    given: Given,
    /// Which of those that took each other's place it is.
    version: u32,
}

impl Access {
    /// Reads the issuers' keys; fails where a Secret is missing or holds something else than it should.
    ///
    /// An issuer without `algorithms` may use every one its keys are fit for. An HMAC is only ever verified with a
    /// shared secret, a signature only with a public key, whatever is listed.
    pub fn new(spec: &TopicGatewaySpec, secrets: &Secrets) -> Result<Self, AccessError> {
        let mut issuers: Vec<Issuer> = Vec::new();
        for entry in &spec.authentication.jwt {
            if issuers.iter().any(|issuer| issuer.name == entry.issuer) {
                return Err(AccessError::Twice(entry.issuer.clone()));
            }
            issuers.push(Issuer::new(entry, secrets)?);
        }
        let policy = Policy::new(spec);
        let anonymous = (spec.authentication.anonymous == Anonymous::Allow).then(|| {
            let grants = Arc::new(policy.grants(ANONYMOUS, &object::Object::default()));
            Arc::new(Identity { user: ANONYMOUS.into(), grants, expires_at: None, basis: Basis::default() })
        });
        Ok(Self { issuers, policy, anonymous, given: Given::default(), version: 0 })
    }

    /// The same, to take the place of another one: whom that one has let in is to be judged anew.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        let version = before.version + 1;
        let anonymous = self.anonymous.map(|anonymous| {
            let basis = Basis { credential: None, version };
            Arc::new(Identity { basis, ..Arc::unwrap_or_clone(anonymous) })
        });
        Self { anonymous, version, ..self }
    }

    /// Whether both let in the same clients and grant them the same.
    pub fn judges_like(&self, other: &Self) -> bool {
        (&self.issuers, &self.policy, self.anonymous.is_some())
            == (&other.issuers, &other.policy, other.anonymous.is_some())
    }

    /// Whether the client was let in before this took its place.
    pub fn is_newer_than(&self, identity: &Identity) -> bool {
        identity.basis.version < self.version
    }

    /// Who a client without a token is, where such clients are admitted.
    pub fn anonymous(&self) -> Option<Arc<Identity>> {
        self.anonymous.clone()
    }

    /// Who holds this token, or why it is refused; `now` in seconds since 1970 (wall clock).
    ///
    /// A token must have an `exp` claim that lies ahead of `now`, no `nbf` claim more than 30 s ahead, and one of the
    /// issuer's audiences where it has any.
    pub fn authenticate(&self, token: &str, now: u64) -> Result<Arc<Identity>, AuthError> {
        let token = Jws::parse(token)?;
        let name = token.claims.text("iss").ok_or(AuthError::NoIssuer)?;
        let verified = self.issuer(name)?.verify(token, now)?;
        Ok(self.identity(verified))
    }

    /// Judges a client anew that another configuration has let in: as if it came now, with the token it showed then.
    /// Takes some microseconds, for no signature is verified.
    pub fn judge_again(&self, identity: &Identity, now: u64) -> Result<Arc<Identity>, AuthError> {
        let Some(credential) = &identity.basis.credential else {
            return self.anonymous().ok_or(AuthError::NoToken);
        };
        let claims = credential.claims()?;
        let name = claims.text("iss").ok_or(AuthError::NoIssuer)?;
        let verified = self.issuer(name)?.verify_again(credential, claims, now)?;
        Ok(self.identity(verified))
    }

    fn issuer(&self, name: &str) -> Result<&Issuer, AuthError> {
        self.issuers.iter().find(|issuer| issuer.name == name).ok_or(AuthError::UnknownIssuer)
    }

    fn identity(&self, verified: Verified) -> Arc<Identity> {
        let Verified { user, claims, expires_at, credential } = verified;
        let grants = self.given.share(self.policy.grants(&user, &claims));
        let basis = Basis { credential: Some(credential), version: self.version };
        Arc::new(Identity { user: user.into(), grants, expires_at: Some(expires_at), basis })
    }
}

/// An authenticated client: shared by everything that holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The user's name, as the token's user claim gives it; `anonymous` without a token.
    pub user: Arc<str>,
    /// What the user may do: rules and token taken together, already cut to what the gateway offers at all.
    pub grants: Arc<Grants>,
    /// When the token ends, in seconds since 1970; `None` for anonymous clients.
    pub expires_at: Option<u64>,
    /// What it was let in for.
    pub basis: Basis,
}

/// What a client was let in for, and by which [`Access`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Basis {
    credential: Option<Credential>,
    version: u32,
}

/// Topics a client may subscribe to and publish to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Subscribe to these.
    pub subscribe: Vec<Pattern>,
    /// Publish to these.
    pub publish: Vec<Pattern>,
    /// What the gateway offers at all, in topics (the backbone's subjects without their prefix).
    pub scope: Arc<[Pattern]>,
}

impl Grants {
    /// Whether the topic, or every topic of the pattern, may be subscribed to.
    pub fn may_subscribe(&self, filter: &Filter) -> bool {
        covered(&self.subscribe, filter.as_str()) && covered(&self.scope, filter.as_str())
    }

    /// Whether the topic may be published to.
    pub fn may_publish(&self, topic: &Topic) -> bool {
        covered(&self.publish, topic.as_str()) && covered(&self.scope, topic.as_str())
    }
}

fn covered(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches_str(text))
}
