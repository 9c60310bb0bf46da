//! permessage-deflate (RFC 7692) without context takeover: each message stands for itself, so that one compressed frame
//! serves every client, as one plain frame does, and a client costs no memory of its own.

use std::{fmt, io};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{CloseCode, Violation, encode};

/// What ends the compressed bytes of each message, and is not sent (RFC 7692 § 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Of zlib's levels the one behind which a longer search gains little on JSON.
const LEVEL: u32 = 4;
/// Bytes that a message begins with when it is inflated; it doubles from there.
const STEP: usize = 4096;

/// Compresses and inflates, one message after the other. Holds zlib's two states: about 300 KiB, whatever comes.
pub struct Deflate {
    compress: Compress,
    inflate: Decompress,
}

impl Default for Deflate {
    fn default() -> Self {
        Self { compress: Compress::new(Compression::new(LEVEL), false), inflate: Decompress::new(false) }
    }
}

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deflate")
    }
}

impl Deflate {
    /// Appends a whole text frame that was made here, compressed if its payload has at least `least` bytes and becomes
    /// shorter; else as it is.
    pub fn pack(&mut self, frame: &[u8], least: usize, out: &mut Vec<u8>) {
        let payload = encode::payload(frame).unwrap_or_default();
        if payload.len() < least.max(1) || !encode::is_text(frame) {
            return out.extend_from_slice(frame);
        }
        match self.compressed(payload) {
            Ok(packed) if packed.len() < payload.len() => {
                encode::put_compressed_header(out, packed.len());
                out.extend_from_slice(&packed);
            }
            _ => out.extend_from_slice(frame),
        }
    }

    fn compressed(&mut self, payload: &[u8]) -> io::Result<Vec<u8>> {
        self.compress.reset();
        let mut out = Vec::with_capacity(payload.len() + 64);
        loop {
            let taken = usize::try_from(self.compress.total_in()).unwrap_or(usize::MAX);
            let rest = payload.get(taken..).unwrap_or_default();
            self.compress.compress_vec(rest, &mut out, FlushCompress::Sync).map_err(io::Error::other)?;
            // Room that is left says that all has been flushed.
            if out.len() < out.capacity() {
                break;
            }
            out.reserve(STEP);
        }
        if !out.ends_with(&TAIL) {
            return Err(io::Error::other("a flush that does not end as it should"));
        }
        out.truncate(out.len() - TAIL.len());
        Ok(out)
    }

    /// The message that a client has compressed. It may have `limit` bytes; a larger one ends the connection before more
    /// than that is held, however small it came.
    ///
    /// # Errors
    /// The message is larger (1009), or was not compressed at all (1007).
    pub fn inflated(&mut self, payload: &[u8], limit: usize) -> Result<Vec<u8>, Violation> {
        self.inflate.reset(false);
        let mut out = Vec::new();
        for input in [payload, &TAIL] {
            if self.inflate_into(input, limit, &mut out)? {
                break;
            }
        }
        Ok(out)
    }

    /// Inflates a piece; `true`: the compressed bytes say themselves that they end here (RFC 7692 § 7.2.3.4).
    fn inflate_into(&mut self, input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<bool, Violation> {
        let mut rest = input;
        loop {
            // One byte more than is allowed shows that there is more.
            out.reserve_exact(STEP.max(out.len()).min((limit + 1).saturating_sub(out.len())).max(1));
            let (before, length) = (self.inflate.total_in(), out.len());
            let status =
                self.inflate.decompress_vec(rest, out, FlushDecompress::Sync).map_err(|_| broken())?;
            let taken = usize::try_from(self.inflate.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            if out.len() > limit {
                return Err(Violation {
                    code: CloseCode::TooBig,
                    reason: "message over limits.messageBytes",
                });
            }
            if status == Status::StreamEnd {
                return Ok(true);
            }
            if rest.is_empty() && out.len() < out.capacity() {
                return Ok(false);
            }
            if taken == 0 && out.len() == length {
                return Err(broken());
            }
        }
    }
}

fn broken() -> Violation {
    Violation { code: CloseCode::Utf8, reason: "a compressed message that cannot be inflated" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::websocket::text_frame;

    /// A frame packed, and what a client makes of it.
    fn there_and_back(deflate: &mut Deflate, text: &str, least: usize) -> (bool, usize, String) {
        let mut packed = Vec::new();
        deflate.pack(&text_frame(text), least, &mut packed);
        let payload = encode::payload(&packed).unwrap();
        let compressed = packed[0] & 0x40 != 0;
        let read = if compressed { deflate.inflated(payload, text.len()).unwrap() } else { payload.to_vec() };
        (compressed, packed.len(), String::from_utf8(read).unwrap())
    }

    #[test]
    fn a_message_is_shorter_on_its_way_and_the_same_at_its_end() {
        let mut deflate = Deflate::default();
        for length in [200, 1000, 70_000] {
            let text = r#"{"type":"message","topic":"a"}"#.repeat(length / 30);
            let (compressed, bytes, read) = there_and_back(&mut deflate, &text, 100);
            assert!(compressed && bytes < text.len() / 2, "{length}: {bytes}");
            assert_eq!(read, text);
        }
    }

    #[test]
    fn what_is_short_or_does_not_shrink_and_what_is_no_text_stays_as_it_is() {
        let mut deflate = Deflate::default();
        assert!(!there_and_back(&mut deflate, &"a".repeat(99), 100).0);
        assert!(there_and_back(&mut deflate, &"a".repeat(100), 100).0);
        assert!(!there_and_back(&mut deflate, "abcdefghijklm", 0).0);
        assert!(!there_and_back(&mut deflate, "", 0).0);
        let ping = [&[0x89, 100][..], &[b'a'; 100]].concat();
        let mut packed = Vec::new();
        deflate.pack(&ping, 10, &mut packed);
        assert_eq!(packed, ping);
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let mut deflate = Deflate::default();
        let hello = |deflate: &mut Deflate, bytes: &[u8]| deflate.inflated(bytes, 5);
        // RFC 7692 § 7.2.3.1, .3 and .4 (no compression; a final block), and .5 (two blocks).
        let one = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
        for bytes in [&one[..], &stored, &last, &two, &one] {
            assert_eq!(hello(&mut deflate, bytes).unwrap(), b"Hello");
        }
        assert_eq!(deflate.inflated(&[0x00], 5).unwrap(), b"", "an empty message is one byte");
    }

    #[test]
    fn a_small_message_that_grows_large_is_refused_before_it_is_held() {
        let mut deflate = Deflate::default();
        let mut packed = Vec::new();
        deflate.pack(&text_frame(&"a".repeat(1_000_000)), 0, &mut packed);
        let bomb = encode::payload(&packed).unwrap();
        assert!(bomb.len() < 2000);
        for limit in [0, 1, 4095, 4096, 4097, 999_999] {
            assert_eq!(deflate.inflated(bomb, limit).unwrap_err().code, CloseCode::TooBig, "{limit}");
        }
        assert_eq!(deflate.inflated(bomb, 1_000_000).unwrap().len(), 1_000_000);
    }

    #[test]
    fn a_message_that_is_not_compressed_at_all_is_refused() {
        let mut deflate = Deflate::default();
        for bytes in [&[0x07][..], &[0xff, 0xff, 0xff]] {
            let refused = deflate.inflated(bytes, 100).unwrap_err();
            assert_eq!(refused.code.code(), 1007, "{bytes:x?}");
        }
        assert_eq!(
            there_and_back(&mut deflate, &"b".repeat(100), 10).2,
            "b".repeat(100),
            "and the next is read"
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_no_bytes_do_harm(text in ".{0,2000}", noise: Vec<u8>) {
            let mut deflate = Deflate::default();
            prop_assert_eq!(&there_and_back(&mut deflate, &text, 0).2, &text);
            if let Ok(read) = deflate.inflated(&noise, 100) {
                prop_assert!(read.len() <= 100);
            }
            prop_assert_eq!(&there_and_back(&mut deflate, &text, 0).2, &text);
        }
    }
}
