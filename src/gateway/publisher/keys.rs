//! Names messages in 16 bytes, however long user, topic and id are.

use std::fmt::{self, Write as _};

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
    /// The key of a message: the same for the same three texts only.
    pub fn key(&self, user: &str, topic: &str, message_id: &str) -> Key {
        let mut mac = hmac::Context::with_key(&self.0);
        write([user, topic, message_id], |bytes| mac.update(bytes));
        let tag = mac.sign();
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

/// Names a message the same way in every gateway: 128 bits of SHA-256 in hexadecimal. Whoever looks for two messages
/// with one name finds them, at best, among their own: the user is part of the name.
pub(super) fn unique_id(user: &str, topic: &str, message_id: &str) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    write([user, topic, message_id], |bytes| hash.update(bytes));
    let hash = hash.finish();
    hash.as_ref()[..16].iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Texts preceded by their lengths, so that no two triples read the same.
fn write(texts: [&str; 3], mut to: impl FnMut(&[u8])) {
    for text in texts {
        to(&(text.len() as u64).to_le_bytes());
        to(text.as_bytes());
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
    fn every_gateway_names_a_message_the_same_and_no_other_so() {
        let id = unique_id("ann", "a.b", "1");
        assert_eq!(id, "aea8b09e8edf7c22eb571a6fa7242ffa");
        for other in [("bob", "a.b", "1"), ("anna", ".b", "1"), ("ann", "a.", "b1"), ("ann", "a.b", "2")] {
            assert_ne!(id, unique_id(other.0, other.1, other.2), "{other:?}");
        }
    }

    #[test]
    fn another_process_has_other_keys() {
        assert_ne!(Keys::default().key("ann", "a", "1"), Keys::default().key("ann", "a", "1"));
    }
}
