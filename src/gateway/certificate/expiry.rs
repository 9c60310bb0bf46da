//! Until when a certificate holds: the one date in it that somebody has to act upon.

use crate::{
    api::Stamp,
    gateway::der::{Der, GENERALIZED_TIME, INTEGER, Malformed, SEQUENCE, UTC_TIME, VERSION},
};

/// Seconds from 1970 to the end of a certificate's validity (`notAfter`, RFC 5280 § 4.1.2.5); `None` where it says none
/// that can be read.
pub(super) fn ends_at(certificate: &[u8]) -> Option<u64> {
    let time = not_after(certificate).ok()?;
    Some(Stamp::parse(&time)?.micros() / 1_000_000)
}

/// The time as RFC 3339 writes it.
fn not_after(certificate: &[u8]) -> Result<String, Malformed> {
    let mut signed = Der::new(Der::new(Der::new(certificate).take(SEQUENCE)?).take(SEQUENCE)?);
    signed.skip(VERSION)?;
    // Serial number, algorithm and issuer stand before the validity.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        signed.take(tag)?;
    }
    let mut validity = Der::new(signed.take(SEQUENCE)?);
    // When it begins: of the same two kinds.
    time(&mut validity)?;
    time(&mut validity)
}

/// `YYMMDDhhmmssZ`, of which the years below 50 are of this century, or `YYYYMMDDhhmmssZ`.
fn time(validity: &mut Der<'_>) -> Result<String, Malformed> {
    let text = match validity.take(UTC_TIME) {
        Ok(short) => {
            let century = if short.first().is_some_and(|digit| *digit < b'5') { "20" } else { "19" };
            [century.as_bytes(), short].concat()
        }
        Err(Malformed) => validity.take(GENERALIZED_TIME)?.to_vec(),
    };
    let text = std::str::from_utf8(&text).map_err(|_| Malformed)?;
    if text.len() != "YYYYMMDDhhmmssZ".len() || !text.is_ascii() {
        return Err(Malformed);
    }
    let (date, time) = text.split_at(8);
    let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
    Ok(format!("{year}-{month}-{day}T{}:{}:{}", &time[..2], &time[2..4], &time[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outermost parts of a certificate whose validity ends with this element.
    fn certificate(end: &[u8]) -> Vec<u8> {
        let element =
            |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let begin = element(UTC_TIME, b"200101000000Z");
        let parts = [
            element(VERSION, &element(INTEGER, &[2])),
            element(INTEGER, &[1]),
            element(SEQUENCE, &[]),
            element(SEQUENCE, &[]),
            element(SEQUENCE, &[&begin, end].concat()),
        ];
        element(SEQUENCE, &element(SEQUENCE, &parts.concat()))
    }

    fn time(tag: u8, text: &str) -> Vec<u8> {
        [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    #[test]
    fn both_ways_to_write_the_end_are_read() {
        let end = |tag, text| ends_at(&certificate(&time(tag, text)));
        assert_eq!(end(UTC_TIME, "300102030405Z"), Some(1_893_553_445));
        assert_eq!(end(UTC_TIME, "990101000000Z"), Some(915_148_800));
        assert_eq!(end(GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000));
        assert_eq!(end(GENERALIZED_TIME, "20500101000000Z0"), None);
        assert_eq!(end(GENERALIZED_TIME, "205001010000000Z"), None);
        assert_eq!(end(GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799));
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let whole = certificate(&time(UTC_TIME, "300102030405Z"));
        for cut in 0..whole.len() {
            assert_eq!(ends_at(&whole[..cut]), None);
        }
        assert_eq!(ends_at(&certificate(&time(UTC_TIME, "äääääääZ"))), None);
    }
}
