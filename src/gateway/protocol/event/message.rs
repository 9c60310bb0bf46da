//! The frame that is sent most: encoded once per message, whoever receives it.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use crate::{
    api::Seq,
    gateway::{
        protocol::{body::Scan, json},
        websocket,
    },
};

const HEAD: &str = r#"{"type":"message","topic":"#;
const SEQ: &str = r#","seqNo":"#;
const PREV: &str = r#","prevSeqNo":"#;
const ID: &str = r#","messageId":"#;
const BASE64: &str = r#","encoding":"base64","data":""#;
const DATA: &str = r#","data":"#;

/// One message as a whole WebSocket frame in one allocation of the right size. `scan` is that of this very
/// `body`: a JSON body becomes `data` byte for byte, any other is base64 with `encoding` saying so.
pub fn message(
    topic: &str,
    seq_no: Option<Seq>,
    prev_seq_no: Option<Seq>,
    message_id: Option<&str>,
    body: &[u8],
    scan: &Scan<'_>,
) -> Bytes {
    let numbers = [(SEQ, seq_no), (PREV, prev_seq_no)];
    let data = if scan.json { DATA.len() + body.len() } else { BASE64.len() + base64_len(body.len()) + 1 };
    let len = HEAD.len()
        + json::text_len(topic)
        + numbers
            .iter()
            .map(|(key, number)| number.map_or(0, |n| key.len() + json::number_len(n)))
            .sum::<usize>()
        + message_id.map_or(0, |id| ID.len() + json::text_len(id))
        + data
        + 1;
    let mut out = Vec::with_capacity(websocket::header_len(len) + len);
    websocket::put_text_header(&mut out, len);
    out.extend_from_slice(HEAD.as_bytes());
    json::put_text(&mut out, topic);
    for (key, number) in numbers {
        if let Some(number) = number {
            out.extend_from_slice(key.as_bytes());
            json::put_number(&mut out, number);
        }
    }
    if let Some(id) = message_id {
        out.extend_from_slice(ID.as_bytes());
        json::put_text(&mut out, id);
    }
    if scan.json {
        out.extend_from_slice(DATA.as_bytes());
        out.extend_from_slice(body);
    } else {
        out.extend_from_slice(BASE64.as_bytes());
        put_base64(&mut out, body);
        out.push(b'"');
    }
    out.push(b'}');
    out.into()
}

/// The `messageId` of a frame made by [`message`].
pub fn message_id(frame: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        #[serde(rename = "messageId")]
        message_id: Option<String>,
    }
    serde_json::from_slice::<Named>(websocket::payload(frame)?).ok()?.message_id
}

/// Topic and number of a `message`, read from the JSON of a frame made by [`message`] without looking at its data, which
/// may be long; `None` for any other event.
pub fn message_position(json: &str) -> Option<(&str, Option<Seq>)> {
    // No character of a topic needs escaping.
    let (topic, rest) = json.strip_prefix(HEAD)?.strip_prefix('"')?.split_once('"')?;
    let number = rest.strip_prefix(SEQ).and_then(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        rest[..end].parse().ok()
    });
    Some((topic, number))
}

const fn base64_len(len: usize) -> usize {
    len.div_ceil(3) * 4
}

/// Through a small buffer on the stack, so that nothing is allocated.
fn put_base64(out: &mut Vec<u8>, body: &[u8]) {
    const PIECE: usize = 768;
    let mut buffer = [0; base64_len(PIECE)];
    // A multiple of three: only the last piece is padded. The buffer is large enough for every piece.
    for piece in body.chunks(PIECE) {
        let len = STANDARD.encode_slice(piece, &mut buffer).unwrap_or(0);
        out.extend_from_slice(&buffer[..len]);
    }
}
