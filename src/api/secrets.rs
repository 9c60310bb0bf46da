//! Secret material the resource refers to: never printed, passed by file or from the documents beside the resource.

use std::{collections::BTreeMap, fmt};

use super::{SecretKeyRef, SecretRef};

/// Keys of the Secret with the session keys: the newest, and the optional previous one.
pub const SESSION_KEYS: [&str; 2] = ["key", "previous"];

/// Name of the Secret with the session keys of a gateway.
pub fn session_key_secret(gateway: &str) -> String {
    format!("{gateway}-session-key")
}

/// A reference that leads nowhere; says which object and key are missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is no such Secret.
    #[error("there is no Secret {0:?}: create it, or put it beside the TopicGateway in the same file")]
    NoSecret(String),
    /// The Secret lacks the key.
    #[error("Secret {0:?} has no key {1:?}: it has {2}")]
    NoKey(String, String, String),
}

/// The Secrets at hand, by name and key. Bounded by what the resource refers to (a Secret holds at most 1 MiB).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, BTreeMap<String, Vec<u8>>>);

impl Secrets {
    /// Adds one value.
    pub fn insert(&mut self, name: &str, key: &str, value: Vec<u8>) {
        self.0.entry(name.into()).or_default().insert(key.into(), value);
    }

    /// Whether any value of this Secret is at hand.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value of one key.
    pub fn key(&self, reference: &SecretKeyRef) -> Result<&[u8], SecretError> {
        self.value(&reference.name, &reference.key)
    }

    /// The value of `key` in the Secret that is meant as a whole.
    pub fn key_of(&self, reference: &SecretRef, key: &str) -> Result<&[u8], SecretError> {
        self.value(&reference.name, key)
    }

    /// The value of `key` in the Secret `name`.
    ///
    /// # Errors
    /// There is no such Secret, or it lacks the key.
    pub fn value(&self, name: &str, key: &str) -> Result<&[u8], SecretError> {
        let secret = self.0.get(name).ok_or_else(|| SecretError::NoSecret(name.into()))?;
        secret.get(key).map(Vec::as_slice).ok_or_else(|| {
            let keys: Vec<_> = secret.keys().map(|key| format!("{key:?}")).collect();
            SecretError::NoKey(name.into(), key.into(), keys.join(", "))
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, keys)| (name, keys.keys().collect::<Vec<_>>()));
        f.debug_map().entries(names).finish()
    }
}
