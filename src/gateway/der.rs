//! DER (X.690 § 8.1), as far as keys and certificates are looked into here.

/// SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// BIT STRING.
pub(super) const BIT_STRING: u8 = 0x03;
/// OBJECT IDENTIFIER.
pub(super) const OBJECT_ID: u8 = 0x06;
/// The version of a certificate (RFC 5280 § 4.1), which those of the first version leave out.
pub(super) const VERSION: u8 = 0xa0;
/// `UTCTime`.
pub(super) const UTC_TIME: u8 = 0x17;
/// `GeneralizedTime`.
pub(super) const GENERALIZED_TIME: u8 = 0x18;

/// Bytes that are not what was to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads one element after another.
pub(super) struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Elements that stand in these bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let (&[found, first], rest) = self.0.split_first_chunk::<2>().ok_or(Malformed)?;
        let long = usize::from(first & 0x7f);
        let (length, rest) = match first {
            0..=0x7f => (long, rest),
            // Up to 65 535 bytes, more than any key or certificate takes here.
            0x81 | 0x82 if rest.len() >= long => {
                let (bytes, rest) = rest.split_at(long);
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return Err(Malformed),
        };
        if found != tag || length > rest.len() {
            return Err(Malformed);
        }
        let (content, rest) = rest.split_at(length);
        self.0 = rest;
        Ok(content)
    }

    /// Passes over the next element if it has this tag.
    pub(super) fn skip(&mut self, tag: u8) -> Result<(), Malformed> {
        if self.0.first() == Some(&tag) {
            self.take(tag)?;
        }
        Ok(())
    }
}
