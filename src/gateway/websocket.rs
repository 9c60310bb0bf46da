//! The server's side of RFC 6455: bytes in, events out; no I/O.
//!
//! Frames a server sends are not masked, so that one encoded frame serves every client.

pub mod handshake;

mod close;
mod decoder;
mod deflate;
mod encode;
mod header;

pub use close::CloseCode;
pub use decoder::{Decoder, Incoming, MAX_FRAGMENTS};
pub use deflate::Deflate;
pub use encode::{
    PING, close, echo_close, header_len, payload, pong, put_text_header, text_frame, text_with,
};

/// What a client did that ends the connection: close it with this code and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (close {code})")]
pub struct Violation {
    /// The close code to answer with.
    pub code: CloseCode,
    /// What was wrong; fits a close frame.
    pub reason: &'static str,
}
