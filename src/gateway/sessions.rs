//! Session tokens: what a client shows to go on where an earlier connection ended.
//!
//! A token is authenticated with a key that all gateways of one resource share, so that any of them honours it and none
//! has to store it. It is bound to its user by the code it ends with and holds nothing of the user:
//!
//! ```text
//! base64url( version 1 B │ issued 8 B, seconds since 1970 │ epoch 8 B │ random 8 B
//!          │ HMAC-SHA-256( all before it │ user ) 32 B )
//! ```
//!
//! The epoch is that of the stream whose numbers the client was told; zeros where it was not known.

#[cfg(test)]
mod tests;

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ring::hmac;

use super::history::Epoch;

/// Characters of a token.
pub const TOKEN_LENGTH: usize = BYTES / 3 * 4;
/// Fewest bytes of a key.
pub const MIN_KEY_BYTES: usize = 16;

const VERSION: u8 = 2;
/// Where the epoch begins.
const EPOCH: usize = 9;
/// Where what makes each token another begins.
const RANDOM: usize = EPOCH + Epoch::BYTES;
/// Bytes before the code.
const HEAD: usize = RANDOM + 8;
/// Bytes of a token; a multiple of three, so that its text has no bits to spare.
const BYTES: usize = HEAD + 32;
const _: () = assert!(BYTES.is_multiple_of(3));
/// Seconds by which another gateway's clock may be ahead of ours.
const LEEWAY: u64 = 60;
/// For an epoch that was not known.
const UNKNOWN: [u8; Epoch::BYTES] = [0; Epoch::BYTES];
/// What the keys of tokens are derived for: the Secret's own bytes authenticate nothing.
const PURPOSE: &[u8] = b"topic-gateway session token 1";

/// A session token that is not honoured, whatever is wrong with it: forged, cut, another user's, another key's, or old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this session cannot be resumed here: subscribe to its topics instead")]
pub struct Expired;

/// A key with fewer than [`MIN_KEY_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has {0} bytes, {MIN_KEY_BYTES} are the fewest")]
pub struct KeyTooShort(usize);

/// The bytes that tokens are authenticated with, as a Secret holds them; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKeys {
    newest: Vec<u8>,
    previous: Option<Vec<u8>>,
}

/// Issues and verifies the tokens of one gateway.
#[derive(Debug)]
pub struct Sessions {
    newest: hmac::Key,
    previous: Option<hmac::Key>,
    seconds: u64,
}

impl SessionKeys {
    /// The newest key authenticates new tokens; those of the previous one are honoured too.
    ///
    /// # Errors
    /// A key is too short to keep anybody from guessing it.
    pub fn new(newest: Vec<u8>, previous: Option<Vec<u8>>) -> Result<Self, KeyTooShort> {
        for key in std::iter::once(&newest).chain(&previous) {
            if key.len() < MIN_KEY_BYTES {
                return Err(KeyTooShort(key.len()));
            }
        }
        Ok(Self { newest, previous })
    }

    /// A key of this process alone: its sessions end with it.
    pub fn random() -> Self {
        Self { newest: rand::random::<[u8; 32]>().into(), previous: None }
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(…)")
    }
}

impl Sessions {
    /// Tokens of these keys, honoured for so many seconds from their issue on.
    pub fn new(keys: &SessionKeys, seconds: u64) -> Self {
        Self { newest: derived(&keys.newest), previous: keys.previous.as_deref().map(derived), seconds }
    }

    /// A token for this user: [`TOKEN_LENGTH`] characters, no two alike; `now` in seconds since 1970.
    pub fn issue(&self, user: &str, now: u64, epoch: Option<Epoch>) -> String {
        let mut token = [0; BYTES];
        token[0] = VERSION;
        token[1..EPOCH].copy_from_slice(&now.to_be_bytes());
        token[EPOCH..RANDOM].copy_from_slice(&epoch.map_or(UNKNOWN, Epoch::to_bytes));
        token[RANDOM..HEAD].copy_from_slice(&rand::random::<[u8; HEAD - RANDOM]>());
        let code = hmac::sign(&self.newest, &signed(&token[..HEAD], user));
        token[HEAD..].copy_from_slice(code.as_ref());
        BASE64URL.encode(token)
    }

    /// Whether this user may go on with the session, and the epoch of the positions it has, where that was known when
    /// it began; `now` in seconds since 1970. Codes are compared in constant time.
    ///
    /// # Errors
    /// It may not; why is told to nobody.
    pub fn verify(&self, token: &str, user: &str, now: u64) -> Result<Option<Epoch>, Expired> {
        // Longer ones are not even decoded.
        let token = if token.len() == TOKEN_LENGTH { BASE64URL.decode(token).ok() } else { None };
        let token: [u8; BYTES] = token.and_then(|token| token.try_into().ok()).ok_or(Expired)?;
        let (head, code) = token.split_at(HEAD);
        let signed = signed(head, user);
        let authentic = |key: &hmac::Key| hmac::verify(key, &signed, code).is_ok();
        if !(authentic(&self.newest) || self.previous.as_ref().is_some_and(authentic)) || token[0] != VERSION
        {
            return Err(Expired);
        }
        let issued = token[1..EPOCH].iter().fold(0, |time, byte| time << 8 | u64::from(*byte));
        let honoured = issued <= now.saturating_add(LEEWAY) && now.saturating_sub(issued) <= self.seconds;
        let epoch = token[EPOCH..RANDOM].try_into().ok().filter(|bytes| *bytes != UNKNOWN);
        if honoured { Ok(epoch.map(Epoch::from_bytes)) } else { Err(Expired) }
    }
}

fn derived(key: &[u8]) -> hmac::Key {
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), PURPOSE);
    hmac::Key::new(hmac::HMAC_SHA256, code.as_ref())
}

/// What a code is made of. The head has one length, so that nothing of it can pass for a part of the user.
fn signed(head: &[u8], user: &str) -> Vec<u8> {
    [head, user.as_bytes()].concat()
}
