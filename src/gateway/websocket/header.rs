//! The header of one client frame, with every check that it alone allows (RFC 6455 § 5.2).

use super::{
    CloseCode, Violation,
    decoder::MAX_FRAGMENTS,
    encode::{COMPRESSED, MAX_CONTROL},
};

/// Longest header: two bytes, eight of length, four of mask.
pub(super) const MAX_HEADER: usize = 14;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Close,
    Ping,
    Pong,
}

/// A frame's header that has passed every check.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) last: bool,
    /// The message that this frame begins, or goes on with, is compressed.
    pub(super) compressed: bool,
    pub(super) len: usize,
    pub(super) mask: [u8; 4],
}

/// The text message that earlier fragments have begun; `fragments` = 0 if there is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Open {
    pub(super) bytes: usize,
    pub(super) fragments: u32,
    pub(super) compressed: bool,
}

impl Opcode {
    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl Header {
    /// Reads a header from the beginning of `bytes` and says how long it is; `None`: more bytes are needed.
    /// Refuses as soon as the bytes at hand allow it, in an order that does not depend on how they arrive.
    /// `deflate`: the client may compress its messages.
    pub(super) fn parse(
        bytes: &[u8],
        open: Open,
        limit: usize,
        deflate: bool,
    ) -> Result<Option<(Self, usize)>, Violation> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        let opcode = opcode(first, deflate)?;
        // Only a message's first frame says so (RFC 7692 § 6.1).
        let compressed = first & COMPRESSED != 0 || opcode == Opcode::Continuation && open.compressed;
        let last = first & 0x80 != 0;
        if second & 0x80 == 0 {
            return Err(protocol("a client must mask its frames"));
        }
        sequence(opcode, last, open)?;
        let short = usize::from(second & 0x7f);
        if opcode.is_control() && short > MAX_CONTROL {
            return Err(protocol("a control frame has at most 125 bytes"));
        }
        let (len, extra) = match short {
            126 => match rest.first_chunk() {
                Some(&wide) => (minimal(u16::from_be_bytes(wide).into(), MAX_CONTROL as u64)?, 2),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(&wide) => (minimal(u64::from_be_bytes(wide), 0xffff)?, 8),
                None => return Ok(None),
            },
            _ => (short, 0),
        };
        if !opcode.is_control() && len > limit.saturating_sub(open.bytes) {
            return Err(Violation { code: CloseCode::TooBig, reason: "message over limits.messageBytes" });
        }
        let Some(&mask) = rest.get(extra..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
        Ok(Some((Self { opcode, last, compressed, len, mask }, 2 + extra + 4)))
    }
}

pub(super) fn protocol(reason: &'static str) -> Violation {
    Violation { code: CloseCode::Protocol, reason }
}

fn opcode(first: u8, deflate: bool) -> Result<Opcode, Violation> {
    let agreed = if deflate { COMPRESSED } else { 0 };
    if first & 0x70 & !agreed != 0 {
        return Err(protocol("reserved bits are set, but no extension was agreed on"));
    }
    let opcode = first & 0x0f;
    if first & COMPRESSED != 0 && !matches!(opcode, 1 | 2) {
        return Err(protocol("only the first frame of a message says that it is compressed"));
    }
    Ok(match opcode {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => return Err(Violation { code: CloseCode::Binary, reason: CloseCode::Binary.reason() }),
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(protocol("reserved opcode")),
    })
}

/// Whether the frame may stand here (RFC 6455 § 5.4).
fn sequence(opcode: Opcode, last: bool, open: Open) -> Result<(), Violation> {
    match opcode {
        Opcode::Continuation if open.fragments == 0 => {
            Err(protocol("continuation without a message to continue"))
        }
        Opcode::Text if open.fragments != 0 => Err(protocol("new message within a fragmented one")),
        Opcode::Continuation if open.fragments >= MAX_FRAGMENTS => {
            Err(Violation { code: CloseCode::TooBig, reason: "message of too many fragments" })
        }
        _ if opcode.is_control() && !last => Err(protocol("a control frame must not be fragmented")),
        _ => Ok(()),
    }
}

/// A long form of the length must be needed: more than `short` can say.
fn minimal(len: u64, short: u64) -> Result<usize, Violation> {
    if len <= short {
        return Err(protocol("length not written in the shortest form"));
    }
    if len >> 63 != 0 {
        return Err(protocol("length over 63 bits"));
    }
    // Only fails on a 32-bit machine, where no limit reaches that far.
    Ok(usize::try_from(len).unwrap_or(usize::MAX))
}
