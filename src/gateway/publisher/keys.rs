//! Names messages for the window in 16 bytes, however long user, topic and id are.

use std::fmt;

use ring::{digest, hmac};

use super::Key;

/// Makes keys: 128 bits of an HMAC-SHA-256 whose secret is random per process.
///
/// Two messages with the same key would make the second a false duplicate. Among a million remembered messages that
/// has a chance of 2⁻⁸⁸ (birthday bound 2⁴⁰ / 2¹²⁹), and nobody can look for such messages without the secret.
pub struct Keys(hmac::Key);

impl Default for Keys {
    fn default() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; digest::SHA256_OUTPUT_LEN]>()))
    }
}

impl Keys {
    /// The key of a message: the same for the same three texts only. User and topic are preceded by their lengths, so
    /// that no two triples read the same.
    pub fn key(&self, user: &str, topic: &str, message_id: &str) -> Key {
        let mut mac = hmac::Context::with_key(&self.0);
        for text in [user, topic, message_id] {
            mac.update(&text.len().to_le_bytes());
            mac.update(text.as_bytes());
        }
        let tag = mac.sign();
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

/// The secret stays out of sight.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_user_topic_and_id_and_on_where_each_ends() {
        let keys = Keys::default();
        let key = keys.key("ann", "a.b", "1");
        assert_eq!(key, keys.key("ann", "a.b", "1"));
        for other in [
            ("bob", "a.b", "1"),
            ("ann", "a.c", "1"),
            ("ann", "a.b", "2"),
            ("anna", ".b", "1"),
            ("ann", "a.", "b1"),
        ] {
            assert_ne!(key, keys.key(other.0, other.1, other.2), "{other:?}");
        }
    }

    #[test]
    fn another_process_has_other_keys() {
        assert_ne!(Keys::default().key("ann", "a", "1"), Keys::default().key("ann", "a", "1"));
    }
}
