//! Which life of the numbers a position belongs to.

use std::{fmt, str::FromStr};

use ring::digest::{SHA256, digest};

/// Names the run of numbers that the backbone gives: a stream that was made anew, or a memory that began empty, numbers
/// from 1 again, and a position of the one before means nothing in it. The same on every gateway of one stream.
///
/// Opaque to clients: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

/// A text that is no epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an epoch is the one that `subscribed` told")]
pub struct NoEpoch;

impl Epoch {
    /// Bytes of an epoch.
    pub const BYTES: usize = 8;

    /// That of the stream with this name that was created at this time.
    pub fn of_stream(name: &str, created: &str) -> Self {
        let digest = digest(&SHA256, format!("{name} {created}").as_bytes());
        let first = digest.as_ref().iter().take(Self::BYTES);
        Self(first.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// One that no other has.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// As bytes, for what carries it.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0.to_be_bytes()
    }

    /// From those bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Epoch {
    type Err = NoEpoch;

    fn from_str(text: &str) -> Result<Self, NoEpoch> {
        let own = text.len() == 2 * Self::BYTES
            && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(text, 16).ok().filter(|_| own).map(Self).ok_or(NoEpoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gateway_calls_the_same_stream_the_same_and_another_one_otherwise() {
        let stream = |created| Epoch::of_stream("PRICES", created);
        assert_eq!(stream("2026-01-01T00:00:00.1Z"), stream("2026-01-01T00:00:00.1Z"));
        assert_ne!(stream("2026-01-01T00:00:00.1Z"), stream("2026-01-01T00:00:00.2Z"));
        assert_ne!(stream("2026-01-01T00:00:00.1Z"), Epoch::of_stream("NEWS", "2026-01-01T00:00:00.1Z"));
    }

    #[test]
    fn the_text_of_an_epoch_is_read_again_and_no_other_is() {
        for number in [0, 7, u64::MAX] {
            let epoch = Epoch(number);
            assert_eq!(epoch.to_string().parse(), Ok(epoch));
            assert_eq!(Epoch::from_bytes(epoch.to_bytes()), epoch);
        }
        for text in
            ["", "7", "000000000000000A", "+00000000000007f", "00000000000000001", "ffffffffffffffffff"]
        {
            assert_eq!(text.parse::<Epoch>(), Err(NoEpoch), "{text}");
        }
    }
}
