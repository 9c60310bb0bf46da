//! WebSocket from the client's side (RFC 6455 § 5): bytes of the server to frames, and frames to the server. A server's
//! frames are not masked and lie in the input as they are, so that what is whole in it is not copied.

use std::borrow::Cow;

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
const LAST: u8 = 0x80;
const MASKED: u8 = 0x80;
/// In the place of a length: it follows, in so many bytes.
const TWO_BYTES: u8 = 0x7e;
const EIGHT_BYTES: u8 = 0x7f;
/// Most bytes of a frame's header.
const LONGEST_HEADER: usize = 10;
/// Most bytes of a frame: the largest body of this program in base64, and what goes with it.
const LONGEST: usize = 2 << 20;
/// What is kept of a buffer for the next frame that comes in pieces.
const KEPT: usize = 4096;

/// What a server has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Incoming<'a> {
    Text(&'a [u8]),
    /// To be answered with its payload.
    Ping(&'a [u8]),
    Pong,
    /// 1005 where the server gave no code.
    Close {
        code: u16,
        reason: Cow<'a, str>,
    },
}

/// Cuts one connection's bytes into frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The beginning of a frame.
    partial: Vec<u8>,
}

/// What cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(&'static str);

impl Frames {
    /// Calls `each` with every frame that `bytes` complete; the first error ends it.
    pub(super) fn feed<E: From<Unreadable>>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Incoming<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !self.partial.is_empty() && !bytes.is_empty() {
            let Some(length) = length(&self.partial)? else {
                // Byte by byte until the header is there; it has ten at most.
                self.partial.push(bytes[0]);
                bytes = &bytes[1..];
                continue;
            };
            let missing = (length.whole - self.partial.len()).min(bytes.len());
            self.partial.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.partial.len() == length.whole {
                each(incoming(&self.partial, length)?)?;
                self.partial.clear();
                self.partial.shrink_to(KEPT);
            }
        }
        while let Some(length) = length(bytes)?
            && let Some((frame, rest)) = bytes.split_at_checked(length.whole)
        {
            each(incoming(frame, length)?)?;
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
struct Length {
    header: usize,
    whole: usize,
}

/// Of the frame that begins here, as soon as its header is there. A header with no payload is whole at once, so that a
/// frame that `partial` holds is never complete but in the moment it becomes so.
fn length(bytes: &[u8]) -> Result<Option<Length>, Unreadable> {
    let [_, second, rest @ ..] = bytes else { return Ok(None) };
    if second & MASKED != 0 {
        return Err(Unreadable("a masked frame, which no server may send"));
    }
    let (header, payload) = match *second {
        TWO_BYTES => match rest.first_chunk::<2>() {
            Some(length) => (4, u64::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        EIGHT_BYTES => match rest.first_chunk::<8>() {
            Some(length) => (LONGEST_HEADER, u64::from_be_bytes(*length)),
            None => return Ok(None),
        },
        short => (2, u64::from(short)),
    };
    match usize::try_from(payload) {
        Ok(payload) if payload <= LONGEST => Ok(Some(Length { header, whole: header + payload })),
        _ => Err(Unreadable("a frame of more than 2 MiB")),
    }
}

fn incoming(frame: &[u8], length: Length) -> Result<Incoming<'_>, Unreadable> {
    let (first, payload) = (frame[0], &frame[length.header..]);
    if first & 0x70 != 0 || first & LAST == 0 {
        return Err(Unreadable("a frame that is compressed or comes in parts, which was not agreed on"));
    }
    match first & 0x0f {
        TEXT => Ok(Incoming::Text(payload)),
        PING => Ok(Incoming::Ping(payload)),
        PONG => Ok(Incoming::Pong),
        CLOSE => Ok(match payload.split_first_chunk::<2>() {
            Some((code, reason)) => {
                Incoming::Close { code: u16::from_be_bytes(*code), reason: String::from_utf8_lossy(reason) }
            }
            None => Incoming::Close { code: 1005, reason: Cow::Borrowed("") },
        }),
        _ => Err(Unreadable("a frame that is no text")),
    }
}

/// Appends a text frame, masked as a client's must be.
pub(super) fn text(out: &mut Vec<u8>, payload: &[u8], mask: [u8; 4]) {
    put(out, TEXT, payload, mask);
}

/// Appends the answer to a ping.
pub(super) fn pong(out: &mut Vec<u8>, payload: &[u8], mask: [u8; 4]) {
    put(out, PONG, payload, mask);
}

/// Appends a close: the client has what it wanted.
pub(super) fn close(out: &mut Vec<u8>, mask: [u8; 4]) {
    put(out, CLOSE, &1000_u16.to_be_bytes(), mask);
}

fn put(out: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: [u8; 4]) {
    out.push(LAST | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..=125), _) => out.push(MASKED | short),
        (_, Ok(long)) => {
            out.push(MASKED | TWO_BYTES);
            out.extend_from_slice(&long.to_be_bytes());
        }
        _ => {
            out.push(MASKED | EIGHT_BYTES);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::websocket::{self, CloseCode, Decoder};

    /// The frames in these bytes, given in pieces of `piece` bytes.
    fn frames(bytes: &[u8], piece: usize) -> Result<Vec<String>, Unreadable> {
        let (mut cutter, mut found) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            cutter.feed(piece, |frame| {
                found.push(match frame {
                    Incoming::Text(text) => format!("text of {}", text.len()),
                    other => format!("{other:?}"),
                });
                Ok::<_, Unreadable>(())
            })?;
        }
        assert!(cutter.partial.is_empty());
        Ok(found)
    }

    #[test]
    fn frames_are_cut_wherever_the_input_is() {
        let mut bytes = Vec::new();
        for length in [0, 1, 125, 126, 300, 70_000] {
            bytes.extend_from_slice(&websocket::text_frame(&"x".repeat(length)));
        }
        bytes.extend_from_slice(websocket::PING);
        websocket::pong(&mut bytes, b"abc");
        websocket::close(&mut bytes, CloseCode::Drain, "bye");
        let expected = [
            "text of 0",
            "text of 1",
            "text of 125",
            "text of 126",
            "text of 300",
            "text of 70000",
            "Ping([])",
            "Pong",
            "Close { code: 1012, reason: \"bye\" }",
        ];
        for piece in [1, 2, 3, 7, 64, 1000, bytes.len()] {
            assert_eq!(frames(&bytes, piece).unwrap(), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_close_without_a_code_is_1005() {
        assert_eq!(frames(&[0x88, 0], 2).unwrap(), ["Close { code: 1005, reason: \"\" }"]);
    }

    #[test]
    fn what_no_gateway_sends_is_refused() {
        for (bytes, word) in [
            (&[0x81, 0x81, 1, 2, 3, 4, 5][..], "masked"),
            (&[0xc1, 1, 0], "compressed"),
            (&[0x01, 1, 0], "parts"),
            (&[0x82, 1, 0], "no text"),
            (&[0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0], "2 MiB"),
        ] {
            let why = frames(bytes, bytes.len()).unwrap_err().to_string();
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn the_gateway_reads_what_is_sent_to_it() {
        for length in [0, 1, 125, 126, 5_000, 70_000] {
            let (mut out, payload) = (Vec::new(), "y".repeat(length));
            text(&mut out, payload.as_bytes(), [1, 2, 3, 4]);
            let length = out.len();
            let (used, event) = Decoder::default().decode(&mut out, 1 << 20, None).unwrap();
            assert_eq!((used, event), (length, Some(websocket::Incoming::Text(payload.into()))));
        }
        let mut out = Vec::new();
        close(&mut out, [9; 4]);
        let event = Decoder::default().decode(&mut out, 100, None).unwrap().1;
        assert_eq!(event, Some(websocket::Incoming::Close { code: Some(1000) }));
    }
}
