//! Frames and commands as they are read from their text.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::history::{Content, Seq};

/// A frame's fields, as far as messages have them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Incoming<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
    seq_no: Option<Seq>,
    prev_seq_no: Option<Seq>,
    #[serde(borrow)]
    message_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    encoding: Option<Cow<'a, str>>,
}

impl Incoming<'_> {
    /// Content, `seqNo` and `prevSeqNo` of a `message` frame; `None` for any other, and for one that is malformed.
    pub(super) fn message(text: &str) -> Option<(Content, Option<Seq>, Option<Seq>)> {
        let frame: Incoming<'_> = serde_json::from_str(text).ok()?;
        let (topic, data) = (frame.topic?, frame.data?);
        let base64 = match frame.encoding.as_deref() {
            None => false,
            Some("base64") => true,
            Some(_) => return None,
        };
        let content = Content {
            topic: topic.into_owned(),
            id: frame.message_id.map(Cow::into_owned),
            data: exact(text, data.get()).to_owned(),
            base64,
        };
        (frame.kind == "message").then_some((content, frame.seq_no, frame.prev_seq_no))
    }
}

/// A value with the white space around it, which belongs to the published body too. `value` is a part of `text`.
fn exact<'a>(text: &'a str, value: &str) -> &'a str {
    let from = value.as_ptr() as usize - text.as_ptr() as usize;
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let before = text[..from].trim_end_matches(is_space).len();
    let behind = &text[from + value.len()..];
    let to = text.len() - behind.trim_start_matches(is_space).len();
    &text[before..to]
}

/// The `payload` of a `publish` as the client wrote it.
pub(super) fn payload(command: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Command<'a> {
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    serde_json::from_str::<Command<'_>>(command).ok().map(|command| command.payload.get().to_owned())
}

/// A text field of a frame or command; empty where there is none.
pub(super) fn text<'a>(frame: &'a Value, key: &str) -> &'a str {
    frame[key].as_str().unwrap_or_default()
}

/// Whether what an `error` answers may have been done all the same.
pub(super) fn leaves_open(error: &Value) -> bool {
    text(error, "code") == "BACKBONE_UNAVAILABLE"
}

/// Whether a pattern (or topic) includes a topic (or pattern).
pub(super) fn covers(pattern: &str, topic: &str) -> bool {
    let (mut own, mut other) = (pattern.split('.'), topic.split('.'));
    loop {
        match (own.next(), other.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(own), Some(token)) if own == token && own != ">" => {}
            _ => return false,
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 (RFC 4648) with padding, written here so that an error of the gateway's encoder shows.
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) & 63;
            out.push(if place <= three.len() { ALPHABET[index as usize].into() } else { '=' });
        }
    }
    out
}
