//! The body of a message: which run it is of, its number on its topic, and when it was due; the rest is filling.
//!
//! Everything has a fixed place, so that reading it is looking at it.

use std::{fmt::Write as _, time::Duration};

const RUN: &[u8] = br#"{"bench":""#;
const NUMBER: &[u8] = br#"","n":""#;
const DUE: &[u8] = br#"","t":""#;
const FILLING: &[u8] = br#"","x":""#;
const END: &[u8] = br#""}"#;
/// Characters of the run's name, and digits of a number; as nanoseconds they are enough for 115 days.
const WIDTH: usize = 16;
/// Bytes of a body without filling.
pub(super) const SHORTEST: usize =
    RUN.len() + NUMBER.len() + DUE.len() + FILLING.len() + END.len() + 3 * WIDTH;

/// The name of a run: messages of others on the same topics are told apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run([u8; WIDTH]);

impl Run {
    /// One that no other run has, made of a number at random.
    pub(super) fn new(chance: u64) -> Self {
        let mut text = String::with_capacity(WIDTH);
        // Writing to a string cannot fail.
        let _ = write!(text, "{chance:016x}");
        let mut name = [b'0'; WIDTH];
        name.copy_from_slice(&text.as_bytes()[..WIDTH]);
        Self(name)
    }

    /// As text.
    pub(super) fn name(&self) -> &str {
        // Only digits and letters are in it.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Appends a body of `size` bytes, at least [`SHORTEST`].
pub(super) fn write(out: &mut Vec<u8>, run: &Run, number: u64, due: Duration, size: usize) {
    let end = out.len() + size.max(SHORTEST);
    out.extend_from_slice(RUN);
    out.extend_from_slice(&run.0);
    out.extend_from_slice(NUMBER);
    put(out, number);
    out.extend_from_slice(DUE);
    put(out, u64::try_from(due.as_nanos()).unwrap_or(u64::MAX));
    out.extend_from_slice(FILLING);
    out.resize(end - END.len(), b'x');
    out.extend_from_slice(END);
}

/// Number and due time, in nanoseconds, of a body of this run.
pub(super) fn read(body: &[u8], run: &Run) -> Option<(u64, u64)> {
    let rest = body.strip_prefix(RUN)?.strip_prefix(&run.0)?.strip_prefix(NUMBER)?;
    let (number, rest) = take(rest)?;
    let (due, rest) = take(rest.strip_prefix(DUE)?)?;
    rest.starts_with(FILLING).then_some((number, due))
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789"[(number % 10) as usize];
        number /= 10;
    }
    out.extend_from_slice(&digits);
}

fn take(text: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, rest) = text.split_at_checked(WIDTH)?;
    let number = digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(number: u64, due: Duration, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, &Run::new(7), number, due, size);
        out
    }

    #[test]
    fn a_body_is_json_of_the_size_asked_for_and_is_read_as_it_was_written() {
        for (number, due, size) in
            [(0, 0, SHORTEST), (7, 1, SHORTEST + 1), (9_999_999_999_999_999, 86_400_000_000_000, 4096)]
        {
            let body = body(number, Duration::from_nanos(due), size);
            assert_eq!(body.len(), size);
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["bench"], "0000000000000007");
            assert_eq!(read(&body, &Run::new(7)), Some((number, due)));
        }
    }

    #[test]
    fn what_is_not_of_this_run_is_not_read() {
        let body = body(1, Duration::ZERO, 200);
        assert_eq!(read(&body, &Run::new(8)), None, "another run");
        assert_eq!(read(&body[..SHORTEST - 10], &Run::new(7)), None, "a part");
        assert_eq!(read(b"{}", &Run::new(7)), None);
        let letters = String::from_utf8(body).unwrap().replace("\"n\":\"0", "\"n\":\"a");
        assert_eq!(read(letters.as_bytes(), &Run::new(7)), None, "no number");
    }
}
