//! TLS as clients have it: certificates made with `openssl`, and sessions of rustls over plain sockets.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::Command,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::{Answer, DEADLINE, Resource};

/// A session, and the socket below it.
pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A CA of its own, whose clients trust nobody else.
pub(crate) struct Authority(TempDir);

impl Authority {
    /// Another one each time.
    pub(crate) fn new() -> Self {
        let own = Self(TempDir::new().unwrap());
        own.openssl("-days 30 -subj /CN=ca -keyout ca.key -out ca.crt");
        own
    }

    /// The values of a Secret of type `kubernetes.io/tls`, for 127.0.0.1 and so many days.
    pub(crate) fn pair(&self, days: u32) -> Value {
        self.openssl(&format!(
            "-days {days} -subj /CN=gateway -addext subjectAltName=IP:127.0.0.1 \
             -addext basicConstraints=critical,CA:FALSE -CA ca.crt -CAkey ca.key -keyout tls.key -out tls.crt"
        ));
        let read = |name: &str| fs::read_to_string(self.0.path().join(name)).unwrap();
        json!({"tls.crt": read("tls.crt"), "tls.key": read("tls.key")})
    }

    /// This resource with TLS, and a certificate from here in the Secret `gateway-tls`.
    pub(crate) fn on(&self, resource: Resource) -> Resource {
        let tls = json!({"secretRef": {"name": "gateway-tls"}});
        resource.set("listeners.tls", tls).secret("gateway-tls", self.pair(30))
    }

    /// File with its certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("ca.crt")
    }

    /// What a client is set up with that trusts it.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }

    /// A session with the server there, which is begun with the first bytes.
    pub(crate) fn open(&self, address: SocketAddr) -> TlsStream {
        self.session(TcpStream::connect(address).unwrap())
    }

    /// The same with the smallest receive buffer there is, for a client that is to be slow.
    pub(crate) fn open_small(&self, address: SocketAddr) -> TlsStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        self.session(socket.into())
    }

    fn session(&self, socket: TcpStream) -> TlsStream {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let name = ServerName::from(socket.peer_addr().unwrap().ip());
        StreamOwned::new(ClientConnection::new(self.client(), name).unwrap(), socket)
    }

    /// The answer to a request over a session of its own.
    #[track_caller]
    pub(crate) fn request(&self, address: SocketAddr, line: &str, body: &str) -> Answer {
        use std::io::{Read, Write};
        let mut stream = self.open(address);
        let length = body.len();
        write!(stream, "{line} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut text = String::new();
        // To the end that is told within TLS.
        stream.read_to_string(&mut text).unwrap();
        Answer::parse(&text).unwrap_or_else(|| panic!("{line}: {text}"))
    }

    fn openssl(&self, what: &str) {
        let command = format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes {what}");
        let output =
            Command::new("openssl").args(command.split(' ')).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
