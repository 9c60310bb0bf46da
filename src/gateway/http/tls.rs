//! TLS of the public port: the handshake, here in tokio; an upgraded connection takes its session along to its shard.
//!
//! A pod has TLS for all its life or not at all. The certificate is looked up at each handshake, so that it can be
//! changed while connections are open.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{
    Error, InvalidMessage, ServerConfig,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::gateway::{
    certificate::{self, Certificate},
    shard::UNSENT,
};

/// The one protocol spoken behind TLS (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";
/// Tickets a client gets to come back with. They are encrypted and not kept here (RFC 5077): nothing grows with them.
const TICKETS: usize = 1;

/// The TLS of a pod.
pub struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    failures: Counts,
}

/// Of each reason.
type Counts = [AtomicU64; Failure::ALL.len()];

/// The certificate in force.
#[derive(Debug)]
struct Current(ArcSwap<Certificate>);

/// Why there was no TLS connection with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The client was gone before the end of the handshake.
    Closed,
    /// It speaks no version, cipher or protocol that is spoken here.
    Incompatible,
    /// What it sent breaks the rules of TLS.
    Invalid,
    /// What it sent is no TLS at all, as plain HTTP.
    NotTls,
    /// It does not take what it was shown: most often it does not trust the certificate.
    Refused,
    /// It took too long.
    Timeout,
}

impl Failure {
    /// All there are.
    pub const ALL: [Self; 6] =
        [Self::Closed, Self::Incompatible, Self::Invalid, Self::NotTls, Self::Refused, Self::Timeout];

    /// As the metric's label has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Incompatible => "incompatible",
            Self::Invalid => "invalid",
            Self::NotTls => "not_tls",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
        }
    }

    fn of(error: &io::Error) -> Self {
        let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return Self::Closed;
        };
        match error {
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::AlertReceived(_) => Self::Refused,
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) => Self::NotTls,
            _ => Self::Invalid,
        }
    }
}

impl Tls {
    /// TLS with this certificate, until another takes its place.
    ///
    /// # Errors
    /// The system has no random numbers for the keys of tickets.
    pub fn new(certificate: Certificate) -> Result<Self, Error> {
        let current = Arc::new(Current(ArcSwap::from_pointee(certificate)));
        let mut config = ServerConfig::builder_with_provider(certificate::provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![HTTP_1_1.into()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        config.send_tls13_tickets = TICKETS;
        let failures = [const { AtomicU64::new(0) }; Failure::ALL.len()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current, failures })
    }

    /// The certificate in force.
    pub fn certificate(&self) -> Arc<Certificate> {
        self.current.0.load_full()
    }

    /// Shows this certificate from the next handshake on.
    pub fn replace(&self, certificate: Arc<Certificate>) {
        self.current.0.store(certificate);
    }

    /// Handshakes that failed for this reason.
    pub fn failures(&self, why: Failure) -> u64 {
        self.failures[why as usize].load(Relaxed)
    }

    /// Shakes hands; `None`: that failed and is counted.
    pub(super) async fn accept(&self, socket: TcpStream, within: Duration) -> Option<TlsStream<TcpStream>> {
        let shaken = self.acceptor.accept_with(socket, |session| session.set_buffer_limit(Some(UNSENT)));
        let mut underway = Underway { counts: &self.failures, failure: Some(Failure::Timeout) };
        match timeout(within, shaken).await {
            Ok(Ok(stream)) => {
                underway.failure = None;
                return Some(stream);
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS connection with a client");
                underway.failure = Some(Failure::of(&error));
            }
            Err(_) => tracing::debug!("no TLS connection with a client: it took too long"),
        }
        None
    }
}

/// Counts a handshake that fails; so does one that is given up, because others need its place, for it took too long.
struct Underway<'a> {
    counts: &'a Counts,
    failure: Option<Failure>,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if let Some(why) = self.failure {
            self.counts[why as usize].fetch_add(1, Relaxed);
        }
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("current", &self.current).finish_non_exhaustive()
    }
}
