//! Messages out of the bytes that servers send: WebSocket frames (RFC 6455 §5.2), and what each peer puts into them.

use crate::body::digits;

/// How messages lie in frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// One in each frame.
    Single,
    /// One in each line of a frame; an empty object is a ping (Centrifuge's JSON protocol).
    Lines,
    /// One behind the other, whatever the frames: NATS' own protocol.
    Nats,
}

/// What a message of a peer looks like: only digits differ from one to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    packing: Packing,
    /// Bytes of a message with all that the peer puts around it, but the frame's header.
    length: usize,
    /// Where its time stands.
    time_at: usize,
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// A message.
    Message(&'a [u8]),
    /// A WebSocket ping with this payload.
    Ping(&'a [u8]),
    /// A ping of the peer's own protocol.
    OwnPing,
    /// Something else.
    Other,
    /// The server says goodbye.
    Close,
}

const PING_OF_NATS: &[u8] = b"PING\r\n";
const PING_OF_CENTRIFUGE: &[u8] = b"{}";

impl Shape {
    /// From the payload of a frame that holds one message.
    pub(crate) fn of(payload: &[u8], packing: Packing) -> Self {
        let key = b"\"t\":\"";
        let time_at =
            payload.windows(key.len()).position(|window| window == key).expect("a time") + key.len();
        Self { packing, length: payload.len(), time_at }
    }

    /// The time of a message, in nanoseconds.
    pub(crate) fn time(&self, message: &[u8]) -> u64 {
        digits(message, self.time_at)
    }

    /// How to answer the peer's own ping.
    pub(crate) fn own_pong(&self) -> (u8, &'static [u8]) {
        if self.packing == Packing::Nats { (0x82, b"PONG\r\n") } else { (0x81, PING_OF_CENTRIFUGE) }
    }

    /// What stands at the beginning of a payload, and its length.
    fn piece<'a>(&self, payload: &'a [u8]) -> (usize, Seen<'a>) {
        let message = || Seen::Message(&payload[..self.length.min(payload.len())]);
        match self.packing {
            Packing::Single if payload.len() == self.length => (self.length, message()),
            Packing::Single => (payload.len(), Seen::Other),
            Packing::Lines if payload.starts_with(PING_OF_CENTRIFUGE) => (2, Seen::OwnPing),
            Packing::Lines if payload[0] == b'\n' => (1, Seen::Other),
            Packing::Nats if payload[0] == b'P' => (PING_OF_NATS.len(), Seen::OwnPing),
            Packing::Lines | Packing::Nats => (self.length, message()),
        }
    }
}

/// What a socket has read in part.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    /// The beginning of a frame.
    frame: Vec<u8>,
    /// The beginning of a message whose rest is in the next frame (NATS).
    message: Vec<u8>,
}

impl Partial {
    /// Goes through what was read next.
    pub(crate) fn read(&mut self, mut chunk: &[u8], shape: &Shape, mut each: impl FnMut(Seen<'_>)) {
        while !chunk.is_empty() {
            if self.frame.is_empty()
                && let Some((start, end)) = header(chunk)
                && let Some(frame) = chunk.get(..end)
            {
                self.frame(frame[0], &frame[start..], shape, &mut each);
                chunk = &chunk[end..];
                continue;
            }
            // The header first, byte by byte, then all that it announces.
            let wanted = header(&self.frame).map_or(self.frame.len() + 1, |(_, end)| end);
            let (part, rest) = chunk.split_at((wanted - self.frame.len()).min(chunk.len()));
            self.frame.extend_from_slice(part);
            chunk = rest;
            if let Some((start, end)) = header(&self.frame)
                && end == self.frame.len()
            {
                let mut frame = std::mem::take(&mut self.frame);
                self.frame(frame[0], &frame[start..], shape, &mut each);
                frame.clear();
                self.frame = frame;
            }
        }
    }

    fn frame(&mut self, head: u8, payload: &[u8], shape: &Shape, each: &mut impl FnMut(Seen<'_>)) {
        match head & 0xf {
            0x0..=0x2 => self.payload(payload, shape, each),
            0x8 => each(Seen::Close),
            0x9 => each(Seen::Ping(payload)),
            _ => each(Seen::Other),
        }
    }

    fn payload(&mut self, payload: &[u8], shape: &Shape, each: &mut impl FnMut(Seen<'_>)) {
        let mut joined = std::mem::take(&mut self.message);
        let mut rest = if joined.is_empty() {
            payload
        } else {
            joined.extend_from_slice(payload);
            &joined
        };
        while !rest.is_empty() {
            let (length, seen) = shape.piece(rest);
            let Some(behind) = rest.get(length..) else {
                assert!(
                    shape.packing == Packing::Nats,
                    "part of a message: {}",
                    String::from_utf8_lossy(rest)
                );
                self.message = rest.to_vec();
                return;
            };
            each(seen);
            rest = behind;
        }
    }
}

/// Where a frame's payload begins and ends; `None` while too little of it is there to know.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let (start, length) = match *bytes.get(1)? {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    Some((start, start + usize::try_from(length).ok()?))
}
