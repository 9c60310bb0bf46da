//! JSON text: written without a tree, read without a copy where nothing is escaped.

use std::borrow::Cow;

/// Bytes that `text` takes as a JSON string, quotes included.
pub(super) fn text_len(text: &str) -> usize {
    2 + text.bytes().map(escaped_len).sum::<usize>()
}

const fn escaped_len(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// Appends `text` as a JSON string.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| escaped_len(*byte) != 1) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        match tail[0] {
            quote @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', quote]),
            control => out.extend_from_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                HEX[usize::from(control >> 4)],
                HEX[usize::from(control & 15)],
            ]),
        }
        rest = &tail[1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Digits of `number`.
pub(super) fn number_len(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Appends `number` in decimal.
pub(super) fn put_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut at) = (number, digits.len());
    loop {
        at -= 1;
        // A remainder of ten.
        digits[at] += (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The text of a JSON value, if it is a string of valid Unicode. `raw` is valid JSON without space around it.
pub(super) fn as_text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Whether a valid JSON value is a number without fraction and exponent.
pub(super) fn is_integer(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_written_is_the_text_read_and_its_length_was_known(text in ".*|[\\x00-\\x7f]*") {
            let mut out = Vec::new();
            put_text(&mut out, &text);
            prop_assert_eq!(out.len(), text_len(&text));
            let raw = String::from_utf8(out).unwrap();
            prop_assert_eq!(&serde_json::from_str::<String>(&raw).unwrap(), &text);
            prop_assert_eq!(as_text(&raw).unwrap(), text);
        }

        #[test]
        fn a_number_is_written_in_as_many_digits_as_foretold(number: u64, shift in 0_u32..64) {
            for number in [number >> shift, 0, u64::MAX] {
                let mut out = Vec::new();
                put_number(&mut out, number);
                prop_assert_eq!(out.len(), number_len(number));
                prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
            }
        }
    }

    #[test]
    fn only_a_string_of_valid_unicode_is_text() {
        for raw in ["1", "null", "{}", r#""\ud800""#] {
            assert_eq!(as_text(raw), None, "{raw}");
        }
        assert_eq!(as_text(r#""\u00e9\"""#).unwrap(), "é\"");
        assert!(matches!(as_text(r#""plain""#), Some(Cow::Borrowed("plain"))));
    }
}
