//! Client bytes to events. Idle connections cost one pointer; a frame that is whole in the input is not copied.

use std::borrow::Cow;

use super::{
    CloseCode, Deflate, Violation,
    header::{Header, MAX_HEADER, Opcode, Open, protocol},
};

/// Fragments of one message; more end the connection, so that empty ones cannot come for ever.
pub const MAX_FRAGMENTS: u32 = 1024;

/// What a client has sent. Borrowed from the input where the frame was whole in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message, its fragments put together.
    Text(Cow<'a, str>),
    /// A ping, to be answered with a pong of the same payload (at most 125 bytes).
    Ping(Cow<'a, [u8]>),
    /// A pong; its payload does not matter here.
    Pong,
    /// The client closes: answer with a close and end. Nothing that follows counts (RFC 6455 § 5.5.1).
    Close {
        /// The client's reason as a number, if it gave one.
        code: Option<u16>,
    },
}

/// Decodes one client's frames. Holds memory only between the first and the last byte of a message or frame
/// that has not come in one piece: at most twice the bytes that came, of which the limit allows no more than one
/// message and one control frame. A length that is merely announced allocates nothing.
#[derive(Debug, Default)]
pub struct Decoder(Option<Box<Partial>>);

#[derive(Debug, Default)]
struct Partial {
    /// Bytes of a header that is not complete.
    head: [u8; MAX_HEADER],
    head_len: usize,
    /// The frame whose payload is coming, and how much of it has come.
    frame: Option<(Header, usize)>,
    /// Text so far, unmasked.
    message: Vec<u8>,
    /// Frames that are complete of the message that is not.
    fragments: u32,
    /// That message is compressed.
    compressed: bool,
    /// Payload of a control frame so far, unmasked; at most 125 bytes.
    control: Vec<u8>,
}

enum Step {
    /// So many bytes taken in, nothing to report yet.
    Took(usize),
    /// A frame that is whole in the input: payload unmasked from `start` to `end`.
    InPlace { header: Header, start: usize, end: usize },
    /// A frame or message that came in pieces, and how many bytes its last piece had.
    Built(usize, Incoming<'static>),
}

impl Decoder {
    /// Takes bytes from the beginning of `input` and returns how many, with the first event they make. No event
    /// means that all of `input` was taken. `limit` is the most bytes of one message. `input` is unmasked in place.
    /// `deflate` is there where the client may compress its messages; what they become counts against the limit, too.
    ///
    /// After an error the connection is lost; what the decoder says afterwards has no meaning.
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        limit: usize,
        mut deflate: Option<&mut Deflate>,
    ) -> Result<(usize, Option<Incoming<'a>>), Violation> {
        let mut used = 0;
        while used < input.len() {
            match self.step(&mut input[used..], limit, &mut deflate)? {
                Step::Took(count) => used += count,
                Step::Built(count, event) => return Ok((used + count, Some(event))),
                Step::InPlace { header, start, end } => {
                    let payload = &input[used + start..used + end];
                    let event = match deflate {
                        Some(deflate) if header.compressed => text(deflate.inflated(payload, limit)?)?,
                        _ => borrowed(header.opcode, payload)?,
                    };
                    return Ok((used + end, Some(event)));
                }
            }
        }
        Ok((used, None))
    }

    /// Whether a frame or a message has begun and not ended.
    pub fn is_partial(&self) -> bool {
        self.0.is_some()
    }

    fn step(
        &mut self,
        input: &mut [u8],
        limit: usize,
        deflate: &mut Option<&mut Deflate>,
    ) -> Result<Step, Violation> {
        let open = match &self.0 {
            None => Open::default(),
            Some(partial) if partial.within_frame() => return self.absorb(input, limit, deflate),
            Some(partial) => partial.open(),
        };
        if let Some((header, start)) = Header::parse(input, open, limit, deflate.is_some())?
            && header.last
            && header.opcode != Opcode::Continuation
            && let Some(payload) = input.get_mut(start..).and_then(|rest| rest.get_mut(..header.len))
        {
            unmask(payload, header.mask, 0);
            return Ok(Step::InPlace { header, start, end: start + header.len });
        }
        self.absorb(input, limit, deflate)
    }

    /// Takes a piece of a frame in.
    fn absorb(
        &mut self,
        input: &mut [u8],
        limit: usize,
        deflate: &mut Option<&mut Deflate>,
    ) -> Result<Step, Violation> {
        let partial = self.0.get_or_insert_default();
        let (used, frame) = match partial.frame {
            Some(frame) => (0, Some(frame)),
            None => partial.header(input, limit, deflate.is_some())?,
        };
        let Some((header, got)) = frame else { return Ok(Step::Took(used)) };
        let piece = &mut input[used..];
        let take = piece.len().min(header.len - got);
        unmask(&mut piece[..take], header.mask, got);
        let buffer = if header.opcode.is_control() { &mut partial.control } else { &mut partial.message };
        buffer.extend_from_slice(&piece[..take]);
        if got + take < header.len {
            partial.frame = Some((header, got + take));
            return Ok(Step::Took(used + take));
        }
        partial.frame = None;
        partial.head_len = 0;
        let event = partial.complete(header, limit, deflate)?;
        if partial.fragments == 0 {
            self.0 = None;
        }
        Ok(event.map_or(Step::Took(used + take), |event| Step::Built(used + take, event)))
    }
}

impl Partial {
    fn within_frame(&self) -> bool {
        self.frame.is_some() || self.head_len > 0
    }

    fn open(&self) -> Open {
        Open { bytes: self.message.len(), fragments: self.fragments, compressed: self.compressed }
    }

    /// Takes header bytes in; the header once it is complete, with nothing of its payload.
    fn header(
        &mut self,
        input: &[u8],
        limit: usize,
        deflate: bool,
    ) -> Result<(usize, Option<(Header, usize)>), Violation> {
        for (index, byte) in input.iter().enumerate() {
            self.head[self.head_len] = *byte;
            self.head_len += 1;
            if let Some((header, _)) =
                Header::parse(&self.head[..self.head_len], self.open(), limit, deflate)?
            {
                return Ok((index + 1, Some((header, 0))));
            }
        }
        Ok((input.len(), None))
    }

    /// The last byte of a frame has come.
    fn complete(
        &mut self,
        header: Header,
        limit: usize,
        deflate: &mut Option<&mut Deflate>,
    ) -> Result<Option<Incoming<'static>>, Violation> {
        if header.opcode.is_control() {
            return owned_control(header.opcode, std::mem::take(&mut self.control)).map(Some);
        }
        if !header.last {
            self.fragments += 1;
            self.compressed = header.compressed;
            return Ok(None);
        }
        self.fragments = 0;
        let message = std::mem::take(&mut self.message);
        match deflate {
            Some(deflate) if header.compressed => text(deflate.inflated(&message, limit)?).map(Some),
            _ => text(message).map(Some),
        }
    }
}

fn text(message: Vec<u8>) -> Result<Incoming<'static>, Violation> {
    Ok(Incoming::Text(String::from_utf8(message).map_err(|_| not_utf8())?.into()))
}

fn borrowed(opcode: Opcode, payload: &[u8]) -> Result<Incoming<'_>, Violation> {
    Ok(match opcode {
        Opcode::Text | Opcode::Continuation => {
            Incoming::Text(std::str::from_utf8(payload).map_err(|_| not_utf8())?.into())
        }
        Opcode::Ping => Incoming::Ping(payload.into()),
        Opcode::Pong => Incoming::Pong,
        Opcode::Close => Incoming::Close { code: close_code(payload)? },
    })
}

fn owned_control(opcode: Opcode, payload: Vec<u8>) -> Result<Incoming<'static>, Violation> {
    Ok(match opcode {
        Opcode::Ping => Incoming::Ping(payload.into()),
        Opcode::Close => Incoming::Close { code: close_code(&payload)? },
        _ => Incoming::Pong,
    })
}

/// RFC 6455 § 5.5.1 and § 7.4.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let (code, reason) = match *payload {
        [] => return Ok(None),
        [_] => return Err(protocol("a close payload of one byte")),
        [high, low, ref reason @ ..] => (u16::from_be_bytes([high, low]), reason),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(protocol("close code that must not be sent"));
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(not_utf8());
    }
    Ok(Some(code))
}

fn not_utf8() -> Violation {
    Violation { code: CloseCode::Utf8, reason: CloseCode::Utf8.reason() }
}

/// Applies the mask (RFC 6455 § 5.3); `offset` is the place of the first byte within its frame's payload.
fn unmask(payload: &mut [u8], mask: [u8; 4], offset: usize) {
    let mut turned = mask;
    turned.rotate_left(offset % 4);
    let [a, b, c, d] = turned;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(turned.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests;
