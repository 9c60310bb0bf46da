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
    (1..=MAX_MESSAGE_ID).contains(&id.len()).then_some(id)
}
