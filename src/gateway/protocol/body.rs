//! One look at a message from the backbone: is it JSON, and does it carry its own number and id?

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json;
use crate::api::Seq;

/// Longest `messageId`, in bytes.
pub const MAX_MESSAGE_ID: usize = 256;

/// What a body says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan<'a> {
    /// Valid UTF-8 and exactly one JSON value.
    pub json: bool,
    /// Top-level `seqNo`, if it is a non-negative integer.
    pub seq_no: Option<Seq>,
    /// Top-level `messageId`, if it is a string (1 to 256 bytes) or an integer.
    pub message_id: Option<Cow<'a, str>>,
}

/// Looks at a body once, building no tree. Any depth of nesting is fine: what is skipped is skipped in a loop.
pub fn scan(body: &[u8]) -> Scan<'_> {
    let Ok(text) = std::str::from_utf8(body) else { return Scan::default() };
    let mut found = Scan::default();
    let mut source = serde_json::Deserializer::from_str(text);
    // Asking for a map lets through neither an array nor a number out of range by accident.
    let is_object = text.trim_ascii_start().starts_with('{');
    let read = if is_object {
        source.deserialize_map(TopLevel(&mut found))
    } else {
        source.deserialize_ignored_any(IgnoredAny).map(|_| ())
    };
    if read.and_then(|()| source.end()).is_err() {
        return Scan::default();
    }
    Scan { json: true, ..found }
}

/// Whether a body is exactly one JSON value, or where it is not. Any depth of nesting is fine, as in [`scan`].
pub fn check(body: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(body)
        .map_err(|error| format!("no UTF-8 from byte {} on", error.valid_up_to() + 1))?;
    let mut source = serde_json::Deserializer::from_str(text);
    source.deserialize_ignored_any(IgnoredAny).and_then(|_| source.end()).map_err(|error| error.to_string())
}

struct TopLevel<'s, 'a>(&'s mut Scan<'a>);

impl<'a> Visitor<'a> for TopLevel<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        // Keys are taken raw: decoding them would refuse lone surrogates, which JSON's grammar allows.
        while let Some(key) = map.next_key::<&RawValue>()? {
            match json::as_text(key.get()).as_deref() {
                Some("seqNo") => self.0.seq_no = map.next_value::<&RawValue>()?.get().parse().ok(),
                Some("messageId") => self.0.message_id = message_id(map.next_value::<&RawValue>()?.get()),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

fn message_id(raw: &str) -> Option<Cow<'_, str>> {
    let id = if json::is_integer(raw) { Cow::Borrowed(raw) } else { json::as_text(raw)? };
    is_message_id(&id).then_some(id)
}

/// Whether a text has the length of an id.
pub fn is_message_id(text: &str) -> bool {
    (1..=MAX_MESSAGE_ID).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(seq_no: Option<Seq>, message_id: Option<&str>) -> Scan<'_> {
        Scan { json: true, seq_no, message_id: message_id.map(Cow::Borrowed) }
    }

    #[test]
    fn the_top_level_number_and_id_are_found() {
        for (body, seq_no, message_id) in [
            (r#"{"seqNo":7,"messageId":"m"}"#, Some(7), Some("m")),
            (r#" { "messageId" : "m" , "x":[{"seqNo":1}], "seqNo" : 7 } "#, Some(7), Some("m")),
            (r#"{"s\u0065qNo":7,"messageId":"\u006d"}"#, Some(7), Some("m")),
            (r#"{"messageId":42}"#, None, Some("42")),
            (r#"{"messageId":-42}"#, None, Some("-42")),
            (r#"{"messageId":123456789012345678901234567890}"#, None, Some("123456789012345678901234567890")),
            (r#"{"seqNo":18446744073709551615}"#, Some(u64::MAX), None),
            (r#"{"seqNo":1,"seqNo":2,"messageId":"a","messageId":"b"}"#, Some(2), Some("b")),
            (r#"{"seqNo":1,"seqNo":"x","messageId":"a","messageId":null}"#, None, None),
            (r#"{"data":{"seqNo":1,"messageId":"m"}}"#, None, None),
            (r#"[{"seqNo":1}]"#, None, None),
            ("{}", None, None),
            ("\"seqNo\"", None, None),
            ("1e999", None, None),
            (r#"{"\ud800":"\ud800","seqNo":1}"#, Some(1), None),
        ] {
            assert_eq!(scan(body.as_bytes()), found(seq_no, message_id), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_used_counts_as_absent() {
        for value in ["-1", "1.0", "1e3", "18446744073709551616", "\"1\"", "null", "true", "[1]", "{}"] {
            let body = format!(r#"{{"seqNo":{value}}}"#);
            assert_eq!(scan(body.as_bytes()), found(None, None), "{body}");
        }
        for value in ["1.5", "\"\"", "null", "true", "[\"m\"]", "{}", r#""\ud800""#] {
            let body = format!(r#"{{"messageId":{value}}}"#);
            assert_eq!(scan(body.as_bytes()), found(None, None), "{body}");
        }
        let (fits, long) = ("m".repeat(256), "m".repeat(257));
        assert_eq!(scan(format!(r#"{{"messageId":"{fits}"}}"#).as_bytes()), found(None, Some(&fits)));
        assert_eq!(scan(format!(r#"{{"messageId":"{long}"}}"#).as_bytes()), found(None, None));
    }

    #[test]
    fn what_is_not_exactly_one_json_value_is_not_json() {
        for body in [
            &b""[..],
            b" ",
            b"{",
            b"{}{}",
            b"{\"seqNo\":1}x",
            b"{\"seqNo\":1,}",
            b"{\"seqNo\":01}",
            b"1 2",
            b"nul",
            b"NaN",
            b"'a'",
            b"\"\xff\"",
            b"\xef\xbb\xbf{}",
            b"\"a\x01\"",
            b"{\"a\x01\":1}",
            b"\"\\x\"",
            b"[1,]",
        ] {
            assert_eq!(scan(body), Scan::default(), "{body:?}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_with_its_place() {
        for (body, place) in [
            (&b""[..], "line 1 column 0"),
            (b"{\"a\":\n1,}", "line 2 column 3"),
            (b"1 2", "line 1 column 3"),
            (b"\"a\xff\"", "byte 3"),
        ] {
            let why = check(body).unwrap_err();
            assert!(why.contains(place), "{why}");
        }
        assert_eq!(check(" [1] \n".as_bytes()), Ok(()));
        assert_eq!(check(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes()), Ok(()));
    }

    #[test]
    fn any_depth_is_json() {
        let deep = format!(
            r#"{{"seqNo":{0}{1},"x":{0}{1},"messageId":"m"}}"#,
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        assert_eq!(scan(deep.as_bytes()), found(None, Some("m")));
        assert!(scan(deep.split_once(':').unwrap().1.split_once(',').unwrap().0.as_bytes()).json);
        assert!(!scan("[".repeat(200_000).as_bytes()).json);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_judged_as_a_whole_parser_would(
            body in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                r#"[\[\]{},:"\\ a0-9.eE+-]{0,12}"#.prop_map(String::into_bytes),
                r#"\{"(seqNo|messageId)":[0-9"a.-]{0,5}\}"#.prop_map(String::into_bytes),
            ]
        ) {
            let value = std::str::from_utf8(&body).ok().and_then(|text| serde_json::from_str::<Box<RawValue>>(text).ok());
            let scan = scan(&body);
            prop_assert_eq!(scan.json, value.is_some());
            prop_assert_eq!(check(&body).is_ok(), value.is_some());
            prop_assert!(scan.json || (scan.seq_no.is_none() && scan.message_id.is_none()));
        }
    }
}
