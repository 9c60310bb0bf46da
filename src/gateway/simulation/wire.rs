//! Sockets without a network: what a client has not made room for is not taken, whatever the length.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    rc::Rc,
};

use crate::gateway::shard::engine::Socket;

/// A socket's send buffer, as the client empties it.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// Bytes that it still takes.
    room: usize,
    /// It took less than it was given: it tells when there is room.
    blocked: bool,
    /// Taken, and not looked at by the client yet.
    bytes: Vec<u8>,
    finished: bool,
    broken: bool,
}

/// One end at the gateway, the other at the client.
#[derive(Debug, Clone, Default)]
pub(super) struct Wire(Rc<RefCell<Buffer>>);

/// A frame as the client sees it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Text(String),
    Close(u16),
    Ping,
    Pong,
}

/// What there is is no frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Wire {
    /// The client reads on: `true` if the gateway waits for that.
    pub(super) fn make(&self, room: usize) -> bool {
        let mut buffer = self.0.borrow_mut();
        buffer.room = buffer.room.saturating_add(room);
        room > 0 && std::mem::take(&mut buffer.blocked)
    }

    /// Every write fails from now on.
    pub(super) fn break_off(&self) {
        self.0.borrow_mut().broken = true;
    }

    /// The gateway has let go of its end.
    pub(super) fn is_dropped(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    /// Nothing more will be written.
    pub(super) fn is_finished(&self) -> bool {
        self.0.borrow().finished || self.is_dropped()
    }

    /// The next whole frame.
    pub(super) fn frame(&self) -> Result<Option<Frame>, Broken> {
        let mut buffer = self.0.borrow_mut();
        let Some((frame, len)) = parse(&buffer.bytes)? else { return Ok(None) };
        buffer.bytes.drain(..len);
        Ok(Some(frame))
    }
}

impl Socket for Wire {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut buffer = self.0.borrow_mut();
        if buffer.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut taken = 0;
        for slice in slices {
            let some = slice.len().min(buffer.room);
            buffer.bytes.extend_from_slice(&slice[..some]);
            buffer.room -= some;
            taken += some;
            if some < slice.len() {
                buffer.blocked = true;
                break;
            }
        }
        Ok(taken)
    }

    fn make_room(&mut self) {
        self.0.borrow_mut().room += 100_000;
    }

    fn finish(&mut self) {
        self.0.borrow_mut().finished = true;
    }
}

/// The first frame and its length.
fn parse(bytes: &[u8]) -> Result<Option<(Frame, usize)>, Broken> {
    let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
    let (len, start) = match (second, rest) {
        (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
        (126, _) => return Ok(None),
        // Longer ones are not published here, and those that are masked are a client's.
        (127.., _) => return Err(Broken),
        (short, _) => (usize::from(short), 2),
    };
    if ![0x81, 0x88, 0x89, 0x8a].contains(&first) {
        return Err(Broken);
    }
    let Some(payload) = bytes.get(start..start + len) else { return Ok(None) };
    let frame = match first {
        0x81 => Frame::Text(String::from_utf8(payload.to_vec()).map_err(|_| Broken)?),
        0x88 => Frame::Close(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))),
        0x89 => Frame::Ping,
        _ => Frame::Pong,
    };
    Ok(Some((frame, start + len)))
}

/// A client's frame: masked.
pub(super) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x5a, 0, 0xff, 0x0f];
    let mut frame = vec![0x80 | opcode];
    if let Ok(short @ 0..126) = u8::try_from(payload.len()) {
        frame.push(0x80 | short);
    } else {
        frame.push(0x80 | 0x7e);
        frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
