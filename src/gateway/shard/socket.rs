//! The sockets of a shard: a client's own, with or without TLS, or the shard's end of a pair whose other end is a
//! client's HTTP answer.

mod tls;

use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    os::unix,
};

use mio::{
    Interest, Registry, Token,
    event::Source,
    net::{TcpStream, UnixStream},
};
use rustls::ServerConnection;
use socket2::SockRef;

use super::engine::Socket;
use tls::Tls;
pub use tls::UNSENT;

/// Send buffer of a connection's socket, in bytes. Small: what is not sent yet is in the topic's log, once for all.
pub const SEND_BUFFER: usize = 64 * 1024;
/// Send buffer while last words go to a client that does not read; the kernel caps it.
const LAST_WORDS_BUFFER: usize = 1024 * 1024;

/// A connection's socket, non-blocking.
#[derive(Debug)]
pub enum ClientSocket {
    /// The client itself.
    Tcp(TcpStream),
    /// The client itself, behind TLS.
    Tls(Box<Tls>),
    /// An answer of the HTTP side that passes on what it reads.
    Pair(UnixStream),
}

/// The same for what the system knows of any kind.
macro_rules! any {
    ($socket:expr, $inner:ident => $do:expr) => {
        match $socket {
            ClientSocket::Tcp($inner) => $do,
            ClientSocket::Tls(tls) => {
                let $inner = tls.tcp_mut();
                $do
            }
            ClientSocket::Pair($inner) => $do,
        }
    };
}

impl ClientSocket {
    /// A client's socket, which must not block and has a send buffer of [`SEND_BUFFER`], by its listener.
    pub fn tcp(socket: std::net::TcpStream) -> Self {
        Self::Tcp(TcpStream::from_std(socket))
    }

    /// Like [`Self::tcp`], with the TLS session that was begun on the socket.
    pub fn tls(socket: std::net::TcpStream, session: ServerConnection) -> Self {
        Self::Tls(Box::new(Tls::new(session, TcpStream::from_std(socket))))
    }

    /// Whether there may be something to read that the poller does not tell of.
    pub(super) fn has_more(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.has_more())
    }

    /// A pair: the shard's end and the other one, neither of which blocks.
    pub fn pair() -> io::Result<(Self, unix::net::UnixStream)> {
        let (own, other) = unix::net::UnixStream::pair()?;
        own.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        SockRef::from(&own).set_send_buffer_size(SEND_BUFFER)?;
        Ok((Self::Pair(UnixStream::from_std(own)), other))
    }
}

impl Socket for ClientSocket {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => send(socket, slices),
            Self::Tls(tls) => tls.send(slices),
            Self::Pair(socket) => send(socket, slices),
        }
    }

    fn flush(&mut self) -> io::Result<bool> {
        if let Self::Tls(tls) = self { tls.flush() } else { Ok(true) }
    }

    fn make_room(&mut self) {
        // Best effort: without it the last words have to wait until the client reads.
        let _ = any!(self, socket => SockRef::from(&*socket).set_send_buffer_size(LAST_WORDS_BUFFER));
    }

    fn finish(&mut self) {
        if let Self::Tls(tls) = self {
            return tls.finish();
        }
        // An error means that the other side is gone already.
        let _ = any!(self, socket => socket.shutdown(Shutdown::Write));
    }
}

fn send(socket: &mut impl Write, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        let sent = match slices {
            [one] => socket.write(one),
            many => socket.write_vectored(many),
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Read for ClientSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
            Self::Pair(socket) => socket.read(buffer),
        }
    }
}

impl Source for ClientSocket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        any!(self, socket => socket.register(registry, token, interests))
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        any!(self, socket => socket.reregister(registry, token, interests))
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        any!(self, socket => socket.deregister(registry))
    }
}
