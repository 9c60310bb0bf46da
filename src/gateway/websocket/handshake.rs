//! Whether an HTTP request may become a WebSocket (RFC 6455 § 4.2).

use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Why a request is not upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a GET.
    #[error("a websocket begins with GET: open this address with a websocket client")]
    Method,
    /// No `Connection: Upgrade` or no `Upgrade: websocket`.
    #[error("this address speaks websocket: open it with a websocket client, not as a page")]
    NotUpgrade,
    /// Not version 13.
    #[error("only websocket version 13 is spoken here: send Sec-WebSocket-Version: 13")]
    Version,
    /// No key, several, or not 16 bytes in base64.
    #[error("Sec-WebSocket-Key must be given once and be 16 bytes in base64")]
    Key,
}

impl Refusal {
    /// The HTTP status to answer with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotUpgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Key => StatusCode::BAD_REQUEST,
        }
    }

    /// The headers that belong to the status (RFC 9110 § 15.5.6, § 15.5.22; RFC 6455 § 4.4).
    pub fn headers(self) -> &'static [(HeaderName, &'static str)] {
        match self {
            Self::Method => &[(header::ALLOW, "GET")],
            Self::NotUpgrade | Self::Version => &[
                (header::UPGRADE, "websocket"),
                (header::CONNECTION, "Upgrade"),
                (header::SEC_WEBSOCKET_VERSION, "13"),
            ],
            Self::Key => &[],
        }
    }
}

/// The value of `Sec-WebSocket-Accept` for a request that may be upgraded.
pub fn accept(method: &Method, headers: &HeaderMap) -> Result<String, Refusal> {
    if method != Method::GET {
        return Err(Refusal::Method);
    }
    if !lists(headers, &header::CONNECTION, "upgrade") || !lists(headers, &header::UPGRADE, "websocket") {
        return Err(Refusal::NotUpgrade);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::Version);
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else { return Err(Refusal::Key) };
    match STANDARD.decode(key.as_bytes()) {
        Ok(bytes) if bytes.len() == 16 => Ok(derive_accept_key(key.as_bytes())),
        _ => Err(Refusal::Key),
    }
}

/// Whether a header, which may be given several times, lists the token.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}
