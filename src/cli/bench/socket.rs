//! Sockets to a gateway that never block, with TLS or without.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::Instant,
};

use http::Uri;
use mio::{Interest, Registry, Token, net::TcpStream};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use super::{
    link::{Ending, Link},
    upgrade,
};
use crate::cli::{Failure, client};

/// Opens connections to one gateway, or to all that its name leads to, in turn.
#[derive(Debug)]
pub(super) struct Dialer {
    url: String,
    uri: Uri,
    addresses: Vec<SocketAddr>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// A connection with its socket.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    link: Link,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
}

/// Whoever a connection is read for.
pub(super) trait Owner {
    /// The command that it asks with for what it is to hold.
    fn set_up(&self) -> String;

    /// A text came, and was read at this moment.
    fn hear(&mut self, text: &[u8], at: Instant);
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Dialer {
    /// For an address as `client::Target` has it, whose name is looked up once.
    pub(super) fn new(url: &str, tls: &Arc<ClientConfig>) -> Result<Self, Failure> {
        let bad =
            |why: &str| Failure::usage(format!("the gateway's address {url} {why}: give another with --url"));
        let uri: Uri = url.parse().map_err(|_| bad("is not a URL"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let secure = uri.scheme_str() == Some("wss");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let addresses: Vec<_> = (host.as_str(), port)
            .to_socket_addrs()
            .map_err(|error| {
                let why = client::in_words(&error);
                Failure::unavailable(format!(
                    "cannot reach a gateway at {url}: {why}; name another with --url"
                ))
            })?
            .collect();
        if addresses.is_empty() {
            return Err(bad("leads nowhere"));
        }
        let tls = if secure {
            Some((tls.clone(), ServerName::try_from(host).map_err(|_| bad("names no host"))?))
        } else {
            None
        };
        Ok(Self { url: url.into(), uri, addresses, tls })
    }

    /// The gateway's address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Begins to open the connection of this number, which is to hold so many topics; tells of its socket by this token.
    pub(super) fn dial(&self, number: u64, topics: u64, registry: &Registry) -> Result<Wire, Failure> {
        let at = usize::try_from(number).unwrap_or(0) % self.addresses.len();
        self.open(self.addresses[at], number, topics, registry).map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::AddrNotAvailable => {
                    "all local ports are in use: raise net.ipv4.ip_local_port_range, or use more machines"
                }
                _ if error.raw_os_error() == Some(TOO_MANY_FILES) => {
                    "raise the limit of open files (ulimit -n)"
                }
                _ => "is a gateway there? Start one with `topic-gateway dev`, or name another with --url",
            };
            let why = client::in_words(&error);
            Failure::unavailable(format!("cannot open connection {number} to {}: {why}; {hint}", self.url))
        })
    }

    fn open(&self, address: SocketAddr, number: u64, topics: u64, registry: &Registry) -> io::Result<Wire> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let token = Token(usize::try_from(number).unwrap_or(usize::MAX));
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let stream = match &self.tls {
            None => Stream::Plain(socket),
            Some((config, name)) => {
                let session =
                    ClientConnection::new(config.clone(), name.clone()).map_err(io::Error::other)?;
                Stream::Tls(Box::new(StreamOwned::new(session, socket)))
            }
        };
        let key = generate_key();
        let unsent = upgrade::request(&self.uri, &key).into_bytes();
        Ok(Wire { stream, link: Link::new(key, topics, rand::random()), unsent })
    }
}

/// `EMFILE` on every system this runs on.
const TOO_MANY_FILES: i32 = 24;

impl Wire {
    /// Its socket is ready for something: writes what is to be written, asks for what it is to hold once it is upgraded,
    /// reads what there is. `all`: to the end, where the other side has closed.
    pub(super) fn serve(
        &mut self,
        dialer: &Dialer,
        buffer: &mut [u8],
        all: bool,
        owner: &mut impl Owner,
    ) -> Result<(), Failure> {
        match self.exchange(dialer, buffer, all, owner) {
            Ok(()) => Ok(()),
            Err(Trouble::Refused(failure)) => Err(failure),
            Err(Trouble::Lost(why)) if self.link.is_upgrading() => Err(client::broken(dialer.url(), &why)),
            Err(Trouble::Lost(why)) => self.link.lost(&client::in_words(&why), dialer.url()),
        }
    }

    fn exchange(
        &mut self,
        dialer: &Dialer,
        buffer: &mut [u8],
        all: bool,
        owner: &mut impl Owner,
    ) -> Result<(), Trouble> {
        self.flush()?;
        while self.link.ending().is_none() {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::other("the gateway ended the connection").into()),
                Ok(count) => count,
                Err(error) if is_later(&error) => break,
                Err(error) => return Err(error.into()),
            };
            let at = Instant::now();
            let hear = |text: &[u8]| owner.hear(text, at);
            self.link.receive(&buffer[..count], dialer.url(), &mut self.unsent, hear)?;
            if self.link.wants_set_up() {
                self.link.set_up(&owner.set_up(), &mut self.unsent);
            }
            // Less than there is room for is all there was; more makes another event.
            if count < buffer.len() && self.stream.is_plain() && !all {
                break;
            }
        }
        self.flush()?;
        Ok(())
    }

    /// Queues a command.
    pub(super) fn say(&mut self, command: &[u8]) {
        self.link.say(command, &mut self.unsent);
    }

    /// Queues a farewell.
    pub(super) fn close(&mut self) {
        self.link.close(&mut self.unsent);
    }

    /// Bytes that wait for the socket to take them.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.len()
    }

    pub(super) fn is_live(&self) -> bool {
        self.link.is_live()
    }

    pub(super) fn ending(&self) -> Option<&Ending> {
        self.link.ending()
    }

    /// Writes as much as the socket takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        let mut result = Ok(());
        while written < self.unsent.len() {
            match self.stream.write(&self.unsent[written..]) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if is_later(&error) => break,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.unsent.drain(..written);
        result
    }
}

/// What the poll tells of when it is time.
fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

/// Why a connection cannot go on.
enum Trouble {
    Refused(Failure),
    Lost(io::Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl Stream {
    fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(session) => session.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(session) => session.write(bytes),
        }
    }
}

#[cfg(test)]
mod tests;
