//! What can be wrong with the configured keys, and why a token is refused.

use crate::api::{JwtAlgorithm, SecretError, SecretKeyRef};

/// Authentication cannot be set up as the resource says; names the issuer, the Secret and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// `issuer` is empty.
    #[error("an entry of authentication.jwt has an empty issuer: write the iss claim of its tokens there")]
    EmptyIssuer,
    /// Two entries have the same `issuer`.
    #[error("issuer {0:?} stands twice in authentication.jwt: keep one entry per issuer")]
    Twice(String),
    /// Not exactly one key reference.
    #[error("issuer {0:?} needs exactly one of jwksSecretRef, publicKeySecretRef and secretRef")]
    KeyReference(String),
    /// The Secret or its key is not there.
    #[error("issuer {issuer:?}: {source}")]
    Secret {
        /// The entry.
        issuer: String,
        /// What is missing.
        source: SecretError,
    },
    /// The Secret holds something else than it should.
    #[error("issuer {issuer:?}: key {:?} of Secret {:?} {source}", at.key, at.name)]
    Key {
        /// The entry.
        issuer: String,
        /// Where the key material is.
        at: SecretKeyRef,
        /// What is wrong with it.
        source: KeyError,
    },
}

/// What is wrong with key material; never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No bytes.
    #[error("is empty: put the shared secret there, 32 random bytes or more")]
    Empty,
    /// RFC 7518 §3.2 asks for as many bytes as the hash has.
    #[error(
        "is a shared secret of {has} bytes, {algorithm:?} needs {needs} or more (RFC 7518 §3.2): put random ones there, \
         as openssl rand -base64 48 makes"
    )]
    TooShort {
        /// Its bytes.
        has: usize,
        /// As many as it should have.
        needs: usize,
        /// What it is to check.
        algorithm: JwtAlgorithm,
    },
    /// Verifying HMAC with a public key would let everybody sign.
    #[error("is a PEM file and no shared secret: refer to a public key with publicKeySecretRef")]
    PemAsSecret,
    /// A gateway has no use for what signs.
    #[error(
        "is a private key: the gateway only verifies, so put the public key there (openssl pkey -pubout)"
    )]
    Private,
    /// Not a PEM file with a key in it.
    #[error("is no public key in PEM: begin it with -----BEGIN PUBLIC KEY-----")]
    NotPem,
    /// RFC 7518 §3.3 asks for 2048 bits; `ring` takes up to 8192.
    #[error("is an RSA key of less than 2048 or more than 8192 bits: use one between")]
    RsaSize,
    /// Another kind of key.
    #[error("is a key of a kind that is not supported: use RSA, EC P-256, EC P-384 or Ed25519")]
    Unsupported,
    /// Not a JWKS document (RFC 7517 §5).
    #[error("is no JWKS document: a JSON object with a list `keys` is expected")]
    NotJwks,
    /// More keys than a gateway looks through.
    #[error("has more than 64 keys: leave those out that no longer sign")]
    TooMany,
    /// Nothing that could verify a token.
    #[error("has no key that fits the issuer's algorithms: add one, or change `algorithms`")]
    NoneFits,
}

/// Why a token is refused: what the client is told with `AUTH_FAILED`. Never holds anything of the token, and does
/// not tell an unknown key from a wrong signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Longer than [`super::MAX_TOKEN_BYTES`].
    #[error("the token is longer than {max} bytes", max = super::MAX_TOKEN_BYTES)]
    TooLong,
    /// Not a compact JWS with a JSON object in it.
    #[error("the token is malformed: three base64url parts divided by dots are expected, each claim once")]
    Malformed,
    /// `crit` (RFC 7515 §4.1.11): what is not understood must be refused.
    #[error("the token asks for an extension that is not supported here (crit)")]
    Critical,
    /// No `iss`, or not a text.
    #[error("the token has no iss claim: it must name its issuer")]
    NoIssuer,
    /// Not in the resource.
    #[error("the token's issuer is not known here")]
    UnknownIssuer,
    /// `none`, an unknown algorithm, or one the issuer may not use.
    #[error("the token's signature algorithm is not allowed for its issuer")]
    Algorithm,
    /// Not signed by the issuer, or by a key that is not known.
    #[error("the token's signature does not hold")]
    Signature,
    /// `exp` is over.
    #[error("the token has expired: get a new one")]
    Expired,
    /// A token that never ends could never be taken back.
    #[error("the token has no exp claim: only tokens that end are accepted")]
    NoExpiry,
    /// `nbf` is still to come.
    #[error("the token is not valid yet (nbf): check the clocks, or wait")]
    NotYetValid,
    /// `exp` or `nbf` is of the wrong kind.
    #[error("the token's {0} claim must be a number of seconds since 1970")]
    Time(&'static str),
    /// `aud` is missing or holds none of the accepted ones.
    #[error("the token is not meant for this gateway (aud)")]
    Audience,
    /// The user claim is missing or unfit.
    #[error("the token names no user: its user claim must be a text of 1 to {max} bytes", max = super::MAX_USER_BYTES)]
    NoUser,
    /// There is no token, and none was needed before.
    #[error("clients without a token are no longer admitted: connect with one")]
    NoToken,
    /// `anonymous` is who comes without a token.
    #[error("the token's user claim must not be \"anonymous\": that name is for clients without a token")]
    Anonymous,
}
