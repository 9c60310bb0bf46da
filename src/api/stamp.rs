//! When a message was published.

use std::{
    fmt,
    num::NonZeroU64,
    time::{SystemTime, UNIX_EPOCH},
};

const MICROS: u64 = 1_000_000;
const MINUTES_PER_DAY: i64 = 24 * 60;

/// When a message was published, in microseconds since 1970 (UTC). As text it is a time stamp of RFC 3339, which is
/// what NATS writes into the header `Nats-Time-Stamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(NonZeroU64);

impl Stamp {
    /// So many microseconds after 1970 began; `None` for 0.
    pub fn from_micros(micros: u64) -> Option<Self> {
        NonZeroU64::new(micros).map(Self)
    }

    /// This time; `None` if it is before 1970.
    pub fn at(time: SystemTime) -> Option<Self> {
        let since = time.duration_since(UNIX_EPOCH).ok()?;
        Self::from_micros(u64::try_from(since.as_micros()).ok()?)
    }

    /// Microseconds since 1970.
    pub fn micros(self) -> u64 {
        self.0.get()
    }

    /// Microseconds from this time to `now`; 0 where it is later, which happens when clocks differ.
    pub fn age(self, now: Self) -> u64 {
        now.micros().saturating_sub(self.micros())
    }

    /// Reads an RFC 3339 time stamp (§ 5.6) down to the microsecond, without allocating. `None`: it is none, or one of
    /// before 1970.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, rest) = text.as_bytes().split_at_checked("YYYY-MM-DDThh:mm:ss".len())?;
        let separated = whole[4] == b'-'
            && whole[7] == b'-'
            && matches!(whole[10], b'T' | b't')
            && whole[13] == b':'
            && whole[16] == b':';
        let (year, month, day) = (number(&whole[..4])?, number(&whole[5..7])?, number(&whole[8..10])?);
        let (hour, minute, second) =
            (number(&whole[11..13])?, number(&whole[14..16])?, number(&whole[17..])?);
        // Second 60 is a leap second.
        let exists = (1..=12).contains(&month)
            && (1..=days_of(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        if !separated || !exists {
            return None;
        }
        let (micros, zone) = fraction(rest)?;
        let minutes = days_before(year, month, day) * MINUTES_PER_DAY + hour * 60 + minute - offset(zone)?;
        let seconds = u64::try_from(minutes * 60 + second).ok()?;
        Self::from_micros(seconds * MICROS + micros)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.micros() / MICROS, self.micros() % MICROS);
        let (minutes, second) = (seconds / 60, seconds % 60);
        let (hours, minute) = (minutes / 60, minutes % 60);
        let (year, month, day) = date(i64::try_from(hours / 24).unwrap_or(i64::MAX));
        let hour = hours % 24;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// A number of nothing but digits, at most six.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

/// Microseconds of `.123456789`, the rest of them cut off, and what follows.
fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else { return Some((0, text)) };
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let micros =
        (0..6).fold(0, |sum, at| sum * 10 + u64::from(digits.get(at).map_or(0, |digit| digit - b'0')));
    (!digits.is_empty()).then_some((micros, rest))
}

/// Minutes by which local time is ahead: `Z`, `+01:00`.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            let ahead = hours * 60 + minutes;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -ahead } else { ahead })
        }
        _ => None,
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March here, so that the leap day is the
/// last one, and 400 of them have always 146 097 days.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + days - 719_468
}

/// The date so many days after 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn micros(text: &str) -> Option<u64> {
        Stamp::parse(text).map(Stamp::micros)
    }

    #[test]
    fn time_stamps_are_read_to_the_microsecond() {
        for (text, expected) in [
            // As NATS writes them: Go leaves out zeros at the end, and the point with them.
            ("2026-11-25T22:53:01.123456789Z", 1_795_647_181_123_456),
            ("2026-11-25T22:53:01.12Z", 1_795_647_181_120_000),
            ("2026-11-25T22:53:01Z", 1_795_647_181_000_000),
            ("1970-01-01T00:00:00.000001Z", 1),
            ("1970-01-01T00:00:00.0000019999999999Z", 1),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000_000),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999_999),
            ("2026-11-25t22:53:01.5z", 1_795_647_181_500_000),
            ("2026-11-25T23:53:01+01:00", 1_795_647_181_000_000),
            ("2026-11-25T17:23:01.25-05:30", 1_795_647_181_250_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ] {
            assert_eq!(micros(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_stamp_is_none() {
        for text in [
            "",
            "Z",
            "now",
            "1795647181",
            "2026-11-25",
            "2026-11-25T22:53:01",
            "2026-11-25 22:53:01Z",
            "2026-11-25T22:53Z",
            "2026-11-25T22:53:01.Z",
            "2026-11-25T22:53:01,5Z",
            "2026-11-25T22:53:01.5",
            "2026-11-25T22:53:01ZZ",
            "2026-11-25T22:53:01+0100",
            "2026-11-25T22:53:01+24:00",
            "2026-11-25T22:53:01+01:60",
            "2026-00-25T22:53:01Z",
            "2026-13-25T22:53:01Z",
            "2026-11-31T22:53:01Z",
            "2026-11-00T22:53:01Z",
            "2026-02-29T22:53:01Z",
            "2100-02-29T22:53:01Z",
            "2026-11-25T24:00:00Z",
            "2026-11-25T22:60:01Z",
            "2026-11-25T22:53:61Z",
            "+026-11-25T22:53:01Z",
            "2026-1 -25T22:53:01Z",
            "２026-11-25T22:53:01Z",
            "1969-12-31T23:59:59.999999Z",
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:59:59+01:00",
        ] {
            assert_eq!(Stamp::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_a_time_stamp() {
        let stamp = Stamp::at(UNIX_EPOCH + Duration::from_nanos(1_795_647_181_023_456_789));
        assert_eq!(stamp.unwrap().to_string(), "2026-11-25T22:53:01.023456Z");
        assert_eq!(Stamp::at(UNIX_EPOCH - Duration::from_secs(1)), None);
    }

    #[test]
    fn a_time_that_is_still_to_come_has_no_age() {
        let [early, late] = [5, 7].map(|micros| Stamp::from_micros(micros).unwrap());
        assert_eq!((early.age(late), late.age(early)), (2, 0));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(micros in 1..253_402_300_800_000_000_u64) {
            let stamp = Stamp::from_micros(micros).unwrap();
            prop_assert_eq!(Stamp::parse(&stamp.to_string()), Some(stamp));
        }

        #[test]
        fn nothing_can_be_written_that_harms(text in r"[0-9TZ:.+-]{0,40}|\PC{0,40}") {
            let _ = Stamp::parse(&text);
        }
    }
}
