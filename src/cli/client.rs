//! What `sub`, `pub` and `bench` share: how to reach a gateway, and what to make of its answers.

mod address;
#[cfg(test)]
pub(super) mod fake;
mod frame;
mod trust;

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write as _},
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use futures_util::SinkExt;
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    select,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{Error, Message, error::ProtocolError},
};

pub(super) use frame::{Event, Frame, declined, dismissed, listen, tame};
#[cfg(test)]
pub(super) use trust::trusting;

use super::Failure;
use crate::api::Seq;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Longest wait for a connection, and for an answer to a command.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// Waits that are no longer are not told of.
const SUSPENSE: Duration = Duration::from_secs(2);
/// Id of the `setup` command; other commands count from 1.
pub(super) const SETUP: u64 = 0;
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Options that say which gateway to talk to, and as whom.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Connection {
    /// Address of the gateway; http(s):// is taken for ws(s)://, and /ws is added where there is no path
    #[arg(long, env = "TOPIC_GATEWAY_URL", default_value = "ws://127.0.0.1:8080/ws", value_name = "URL")]
    pub url: String,
    /// Token to authenticate with; other users of this machine can see it: prefer --token-file
    #[arg(long, env = "TOPIC_GATEWAY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<Token>,
    /// File that holds the token; counts before --token
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// File with the CA certificates, in PEM, that the gateway's may be from [default: those that browsers trust]
    #[arg(long, env = "TOPIC_GATEWAY_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// A token. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl FromStr for Token {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.trim().into()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A gateway, and who we are to it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// `ws://` or `wss://`; holds no secret.
    pub(super) url: String,
    /// For `wss://`.
    pub(super) tls: Arc<ClientConfig>,
    token: Option<Token>,
}

impl Connection {
    /// Checks the options and reads the files they name.
    pub(super) fn target(&self) -> Result<Target, Failure> {
        let url = address::websocket(&self.url)?;
        let tls = trust::trusting(self.ca_file.as_deref())?;
        let Some(path) = &self.token_file else { return Ok(Target { url, tls, token: self.token.clone() }) };
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("cannot read the token from {}: {error}", path.display()))
        })?;
        Ok(Target { url, tls, token: Some(Token(text.trim().into())) })
    }
}

impl Target {
    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<Socket, Failure> {
        let url = &self.url;
        let connector = Connector::Rustls(self.tls.clone());
        let connecting = connect_async_tls_with_config(url.as_str(), None, false, Some(connector));
        match said(url, Box::pin(timeout(PATIENCE, connecting))).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(unreachable(url, &error)),
            Err(_) => Err(absent(url, &format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    /// Authenticates and subscribes to the topics. The token travels here and nowhere else.
    pub(super) async fn set_up(&self, socket: &mut Socket, topics: &[String]) -> Result<(), Error> {
        socket.send(Message::text(self.set_up_command(topics))).await
    }

    /// The command that does so. It holds the token.
    pub(super) fn set_up_command(&self, topics: &[String]) -> String {
        self.with_token(json!({"type": "setup", "id": SETUP, "topics": topics}))
    }

    /// Authenticates and goes on with an earlier connection's session.
    pub(super) async fn resume(
        &self,
        socket: &mut Socket,
        session: &str,
        positions: &BTreeMap<&str, Seq>,
        epoch: Option<&str>,
    ) -> Result<(), Error> {
        let mut resume =
            json!({"type": "resume", "id": SETUP, "sessionId": session, "lastSeqPerTopic": positions});
        if let Some(epoch) = epoch {
            resume["epoch"] = epoch.into();
        }
        socket.send(Message::text(self.with_token(resume))).await
    }

    fn with_token(&self, mut command: Value) -> String {
        if let Some(Token(token)) = &self.token {
            command["token"] = token.as_str().into();
        }
        command.to_string()
    }
}

/// Says who is waited for, where that takes long enough to be wondered at.
async fn said<T>(whom: &str, waited: impl Future<Output = T>) -> T {
    tokio::pin!(waited);
    select! {
        done = &mut waited => return done,
        () = sleep(SUSPENSE) => {
            // Nobody is left to be told if standard error is gone.
            let _ = writeln!(io::stderr(), "waiting for {whom}, up to {} s", PATIENCE.as_secs());
        }
    }
    waited.await
}

/// Why there is no connection, and what to do about it.
fn unreachable(url: &str, error: &Error) -> Failure {
    match error {
        Error::Http(response) => frame::declined(url, response),
        Error::Io(error) => broken(url, error),
        // An alert of TLS, which is no HTTP.
        Error::Protocol(ProtocolError::HttparseError(_)) if url.starts_with("ws://") => {
            foreign(url, "does not speak HTTP: if it speaks TLS, try https:// or wss://")
        }
        other => absent(url, &other.to_string()),
    }
}

/// The same where the socket tells.
pub(super) fn broken(url: &str, error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => distrusted(url, why),
        Some(rustls::Error::InvalidMessage(_)) => foreign(url, "does not speak TLS: try http:// or ws://"),
        _ => absent(url, &in_words(error)),
    }
}

fn foreign(url: &str, what: &str) -> Failure {
    Failure::unavailable(format!("cannot reach a gateway at {url}: what answers there {what}"))
}

fn distrusted(url: &str, why: &rustls::CertificateError) -> Failure {
    let why = why.to_string();
    let advice = if why.contains("CaUsedAsEndEntity") {
        "it is that of a CA: make one that is none (basicConstraints=critical,CA:FALSE)"
    } else {
        "name the file of its CA with --ca-file, or the gateway as its certificate does"
    };
    Failure::unavailable(format!("the certificate of the gateway at {url} is not trusted: {why}; {advice}"))
}

fn absent(url: &str, why: &str) -> Failure {
    Failure::unavailable(format!(
        "cannot reach a gateway at {url}: {why}; start one with `topic-gateway dev`, or name another with --url"
    ))
}

/// A number of something that there is at least one of.
pub(super) fn positive(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("a whole number of 1 or more is expected")
}

/// Why a connection failed, without the number that the system has for it.
pub(super) fn in_words(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return "nothing listens there".into();
    }
    let text = error.to_string();
    if text.contains("lookup address") {
        return "no such host is known".into();
    }
    text.split(" (os error ").next().unwrap_or_default().into()
}

/// Runs a command on a small runtime of its own. Does not wait for a read from the terminal that is under way.
pub(super) fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::internal(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}

/// The pause before the attempt after `failures` in a row: 250 ms, doubled each time up to 15 s, and shortened by
/// up to half at random (`chance` from 0 to 1) so that clients do not come back at once.
pub(super) fn pause(failures: u32, chance: f64) -> Duration {
    let full = Duration::from_millis(250).saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
    full.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Connection {
        Connection { url: url.into(), token: None, token_file: None, ca_file: None }
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_are_cut_by_half_at_most() {
        let millis = |failures, chance| pause(failures, chance).as_millis();
        assert_eq!(
            [millis(0, 0.0), millis(1, 0.0), millis(3, 0.0), millis(99, 0.0)],
            [250, 500, 2000, 15_000]
        );
        assert_eq!([millis(0, 1.0), millis(99, 0.5)], [125, 11_250]);
    }

    #[test]
    fn a_token_file_counts_before_the_token_and_loses_its_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "from-file\n").unwrap();
        let token = Some(Token("from-option".into()));
        let both = Connection { token, token_file: Some(file.path().into()), ..options("ws://gw") };
        assert_eq!(both.target().unwrap().token, Some(Token("from-file".into())));
    }

    #[test]
    fn a_token_file_that_is_not_there_is_bad_usage_and_named() {
        let failure =
            Connection { token_file: Some("/no/such".into()), ..options("ws://gw") }.target().unwrap_err();
        assert_eq!(failure.code, 64);
        assert!(failure.message.contains("/no/such"), "{failure}");
    }

    #[test]
    fn a_token_is_not_printed() {
        let secret = Connection { token: Some(Token("hush".into())), ..options("ws://gw") };
        assert!(!format!("{secret:?} {:?}", secret.target().unwrap()).contains("hush"));
    }

    #[tokio::test]
    async fn where_nobody_listens_the_failure_names_the_address_and_the_next_action() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let failure = options(&format!("http://{free}")).target().unwrap().connect().await.unwrap_err();
        assert_eq!(failure.code, 69);
        assert!(failure.message.contains(&format!("ws://{free}/ws")), "{failure}");
        assert!(failure.message.contains("topic-gateway dev"), "{failure}");
    }

    #[tokio::test]
    async fn a_tls_address_is_spoken_to_with_tls() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = options(&format!("https://{}", listener.local_addr().unwrap())).target().unwrap();
        let first_byte = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            tokio::io::AsyncReadExt::read_u8(&mut peer).await.unwrap()
        };
        let (connected, first_byte) = tokio::join!(target.connect(), first_byte);
        assert_eq!(first_byte, 22, "a TLS handshake record");
        assert_eq!(connected.unwrap_err().code, 69);
    }

    #[tokio::test]
    async fn who_takes_tls_for_plain_or_plain_for_tls_is_told_which_to_try() {
        // An alert of TLS, and an answer of HTTP.
        let answers: [(&str, &[u8], &str); 2] = [
            ("http", &[21, 3, 3, 0, 2, 2, 10], "https://"),
            ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "http://"),
        ];
        for (scheme, answer, expected) in answers {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let target = options(&format!("{scheme}://{}", listener.local_addr().unwrap())).target().unwrap();
            let peer = async {
                let (mut peer, _) = listener.accept().await.unwrap();
                tokio::io::AsyncReadExt::read_u8(&mut peer).await.unwrap();
                tokio::io::AsyncWriteExt::write_all(&mut peer, answer).await.unwrap();
                peer
            };
            let (connected, _peer) = tokio::join!(target.connect(), peer);
            let failure = connected.unwrap_err();
            assert!(failure.code == 69 && failure.message.contains(expected), "{failure}");
        }
    }

    #[test]
    fn a_certificate_that_is_of_no_use_is_said_to_be_so_with_what_to_do() {
        let other = rustls::CertificateError::UnknownIssuer;
        assert!(distrusted("wss://gw/ws", &other).message.contains("--ca-file"));
        let why = std::io::Error::other("CaUsedAsEndEntity");
        let authority = rustls::CertificateError::Other(rustls::OtherError(Arc::new(why)));
        assert!(distrusted("wss://gw/ws", &authority).message.contains("CA:FALSE"));
    }
}
