//! A subscriber's connection, in the clear or within TLS.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

/// A connection over a socket of this kind.
pub(crate) enum Wire<S: Read + Write> {
    Plain(S),
    Tls(Box<StreamOwned<ClientConnection, S>>),
}

impl Wire<TcpStream> {
    /// Over this socket, which is connected; within TLS if there is something to set it up with.
    pub(crate) fn over(socket: TcpStream, tls: Option<&Arc<ClientConfig>>) -> Self {
        let Some(tls) = tls else { return Self::Plain(socket) };
        // The handshake's last flight and the request behind it are two writes: the second is not to wait for an answer.
        socket.set_nodelay(true).unwrap();
        let name = ServerName::from(socket.peer_addr().unwrap().ip());
        Self::Tls(Box::new(StreamOwned::new(ClientConnection::new(tls.clone(), name).unwrap(), socket)))
    }

    /// The same, to be read when the poller says so.
    pub(crate) fn polled(self) -> Wire<mio::net::TcpStream> {
        let polled = |socket: TcpStream| {
            socket.set_nonblocking(true).unwrap();
            mio::net::TcpStream::from_std(socket)
        };
        match self {
            Self::Plain(socket) => Wire::Plain(polled(socket)),
            Self::Tls(stream) => Wire::Tls(Box::new(StreamOwned::new(stream.conn, polled(stream.sock)))),
        }
    }
}

impl<S: Read + Write> Wire<S> {
    /// The socket itself.
    pub(crate) fn socket(&mut self) -> &mut S {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    /// Whether a read that has not filled its buffer has left nothing: within TLS it ends with a record.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

impl<S: Read + Write> Read for Wire<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl<S: Read + Write> Write for Wire<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
