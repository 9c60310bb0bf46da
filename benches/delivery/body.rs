//! What messages hold: their number, and when they were sent.

use std::time::Duration;

/// Length of a message's body, as in the measurements that the bars come from.
const BODY: usize = 216;
/// Digits of a number or time.
const DIGITS: usize = 16;

/// A message's body: a number, a time in nanoseconds, and filling.
pub(crate) fn body(number: u64, time: Duration) -> String {
    let nanos = time.as_nanos() as u64;
    let start = format!(r#"{{"n":"{number:016}","t":"{nanos:016}","x":""#);
    format!(r#"{start}{}"}}"#, "x".repeat(BODY - start.len() - 2))
}

/// The number of [`DIGITS`] digits at a place.
pub(crate) fn digits(frame: &[u8], at: usize) -> u64 {
    frame[at..at + DIGITS].iter().fold(0, |number, digit| {
        assert!(digit.is_ascii_digit(), "not a message frame: {:?}", String::from_utf8_lossy(frame));
        number * 10 + u64::from(digit - b'0')
    })
}
