//! Frames from the gateway to a client: never masked, never fragmented (RFC 6455 § 5.1, § 5.2).

use super::CloseCode;

/// A ping without payload; one constant for every connection.
pub const PING: &[u8] = &[0x89, 0];

const TEXT: u8 = 0x81;
/// The bit of a compressed message (RFC 7692 § 6).
pub(super) const COMPRESSED: u8 = 0x40;
const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;
/// Payload of a control frame, in bytes (RFC 6455 § 5.5).
pub(super) const MAX_CONTROL: usize = 125;

/// Bytes of the header before a payload of `len` bytes.
pub const fn header_len(len: usize) -> usize {
    match len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// The header of a text frame, and how many bytes of it count.
fn text_header(len: usize) -> ([u8; 10], usize) {
    let mut header = [TEXT, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let wide = (len as u64).to_be_bytes();
    match header_len(len) {
        2 => header[1] = wide[7],
        4 => {
            header[1] = 126;
            header[2..4].copy_from_slice(&wide[6..]);
        }
        _ => {
            header[1] = 127;
            header[2..].copy_from_slice(&wide);
        }
    }
    (header, header_len(len))
}

/// The payload of a whole frame that was made here.
pub fn payload(frame: &[u8]) -> Option<&[u8]> {
    // Lengths of one byte are those up to 125 (RFC 6455 § 5.2). One of them is `{`: the header cannot be searched.
    let header = match frame.get(1)? {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    frame.get(header..)
}

/// Whether a frame that was made here is a text message that is not compressed.
pub(super) fn is_text(frame: &[u8]) -> bool {
    frame.first() == Some(&TEXT)
}

/// Appends the header of a text frame whose compressed payload has `len` bytes.
pub(super) fn put_compressed_header(out: &mut Vec<u8>, len: usize) {
    let start = out.len();
    put_text_header(out, len);
    out[start] |= COMPRESSED;
}

/// Appends the header of a text frame whose payload has `len` bytes.
pub fn put_text_header(out: &mut Vec<u8>, len: usize) {
    let (header, used) = text_header(len);
    out.extend_from_slice(&header[..used]);
}

/// A whole text frame.
pub fn text_frame(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(header_len(text.len()) + text.len());
    put_text_header(&mut out, text.len());
    out.extend_from_slice(text.as_bytes());
    out
}

/// Appends a text frame whose payload `write` appends; what is short is not moved.
pub fn text_with(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[TEXT, 0]);
    write(out);
    let (header, used) = text_header(out.len() - start - 2);
    out.splice(start..start + 2, header[..used].iter().copied());
}

/// Appends a pong; `payload` is that of the ping and is cut to 125 bytes, which no valid ping exceeds.
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    control(out, PONG, &[], payload);
}

/// Appends a close frame; `reason` is cut to 123 bytes at a character boundary.
pub fn close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let end = reason.floor_char_boundary(MAX_CONTROL - 2);
    control(out, CLOSE, &code.code().to_be_bytes(), &reason.as_bytes()[..end]);
}

/// Appends the answer to a client's close: the same code, or none where it gave none (RFC 6455 § 5.5.1).
pub fn echo_close(out: &mut Vec<u8>, code: Option<u16>) {
    match code {
        Some(code) => control(out, CLOSE, &code.to_be_bytes(), b""),
        None => control(out, CLOSE, b"", b""),
    }
}

fn control(out: &mut Vec<u8>, opcode: u8, head: &[u8], payload: &[u8]) {
    let payload = &payload[..payload.len().min(MAX_CONTROL - head.len())];
    // At most 125, so that nothing is cut off.
    let len = u8::try_from(head.len() + payload.len()).unwrap_or(0);
    out.extend_from_slice(&[opcode, len]);
    out.extend_from_slice(head);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_as_short_as_it_can_be() {
        for (len, header) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (0xffff, &[0x81, 126, 0xff, 0xff]),
            (0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            put_text_header(&mut out, len);
            assert_eq!(out, header);
            assert_eq!(header_len(len), header.len());
            let mut out = vec![7];
            text_with(&mut out, |out| out.resize(3 + len, b'x'));
            assert_eq!((out[0], &out[1..=header.len()], out.len()), (7, header, 1 + header.len() + len));
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        close(&mut out, CloseCode::Normal, &"é".repeat(100));
        assert_eq!(&out[..4], &[0x88, 124, 0x03, 0xe8]);
        assert_eq!(std::str::from_utf8(&out[4..]).unwrap(), "é".repeat(61));
    }

    #[test]
    fn a_close_is_echoed_with_its_code_or_without_one() {
        let echoed = |code| {
            let mut out = Vec::new();
            echo_close(&mut out, code);
            out
        };
        assert_eq!(echoed(Some(4000)), [0x88, 2, 0x0f, 0xa0]);
        assert_eq!(echoed(None), [0x88, 0]);
    }

    #[test]
    fn a_pong_is_never_longer_than_a_control_frame() {
        let mut out = Vec::new();
        pong(&mut out, &[1; 200]);
        assert_eq!(out.len(), 127);
        assert_eq!(&out[..3], &[0x8a, 125, 1]);
    }
}
