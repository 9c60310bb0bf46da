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

/// The value of `Sec-WebSocket-Extensions` that accepts one of a client's offers to compress messages, if one of them
/// can be kept: neither side takes a context over, and the server's window is the largest.
pub fn deflate(headers: &HeaderMap) -> Option<&'static str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    let mut offers = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    offers.find_map(kept)
}

/// The answer to an offer of permessage-deflate with parameters that are known, given once, and within reach (RFC 7692
/// § 7.1). No value has a comma in it, so that offers can be told apart by them.
fn kept(offer: &str) -> Option<&'static str> {
    let mut parts = offer.split(';').map(str::trim);
    if parts.next() != Some("permessage-deflate") {
        return None;
    }
    let mut seen = Vec::new();
    let known = parts.all(|parameter| {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (parameter, None),
        };
        let fits = match (name, value) {
            (
                "server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits",
                None,
            )
            | ("server_max_window_bits", Some("15")) => true,
            ("client_max_window_bits", Some(bits)) => {
                matches!(bits, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
            }
            _ => false,
        };
        fits && !seen.contains(&name) && {
            seen.push(name);
            true
        }
    });
    // Who asks for a window is told which one it is.
    let windowed = seen.contains(&"server_max_window_bits");
    known.then_some(if windowed {
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15"
    } else {
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 § 1.3.
    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in list {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        assert_eq!(accept(&Method::GET, &headers(&GOOD)).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let mut split = GOOD.to_vec();
        split[0].1 = "keep-alive";
        split.push(("connection", "UPGRADE"));
        assert!(accept(&Method::GET, &headers(&split)).is_ok());
    }

    #[test]
    fn each_header_is_needed_as_it_should_be() {
        for (index, wrong, refusal, status) in [
            (0, "close", Refusal::NotUpgrade, 426),
            (0, "notupgrade", Refusal::NotUpgrade, 426),
            (1, "h2c", Refusal::NotUpgrade, 426),
            (2, "8", Refusal::Version, 426),
            (3, "", Refusal::Key, 400),
            (3, "not base64!", Refusal::Key, 400),
            (3, "dGhlIHNhbXBsZQ==", Refusal::Key, 400),
        ] {
            let mut list = GOOD.to_vec();
            list[index].1 = wrong;
            assert_eq!(accept(&Method::GET, &headers(&list)).unwrap_err(), refusal, "{wrong}");
            list.remove(index);
            assert_eq!(accept(&Method::GET, &headers(&list)).unwrap_err(), refusal, "without {index}");
            assert_eq!(refusal.status(), status);
        }
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let mut list = GOOD.to_vec();
        list.push(GOOD[3]);
        assert_eq!(accept(&Method::GET, &headers(&list)).unwrap_err(), Refusal::Key);
    }

    #[test]
    fn an_offer_to_compress_is_accepted_if_it_can_be_kept() {
        for (offer, accepted) in [
            ("permessage-deflate", true),
            ("permessage-deflate; client_max_window_bits", true),
            ("permessage-deflate;client_max_window_bits=\"10\" ; server_no_context_takeover", true),
            ("permessage-deflate; server_max_window_bits=15", true),
            ("permessage-deflate; server_max_window_bits=10", false),
            ("permessage-deflate; server_max_window_bits=10, permessage-deflate", true),
            ("x-webkit-deflate-frame, permessage-deflate; client_no_context_takeover", true),
            ("permessage-deflate; client_max_window_bits=7", false),
            ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", false),
            ("permessage-deflate; server_no_context_takeover=1", false),
            ("permessage-deflate; other", false),
            ("permessage-deflate; ", false),
            ("permessage-bzip2", false),
            ("", false),
        ] {
            let list = headers(&[("sec-websocket-extensions", offer)]);
            assert_eq!(deflate(&list).is_some(), accepted, "{offer}");
        }
        assert_eq!(deflate(&HeaderMap::new()), None);
        let mut twice = headers(&[("sec-websocket-extensions", "unknown")]);
        twice.append("sec-websocket-extensions", "permessage-deflate".parse().unwrap());
        assert!(deflate(&twice).is_some());
    }

    #[test]
    fn only_get_is_upgraded_and_a_refusal_says_what_to_send() {
        let refusal = accept(&Method::POST, &headers(&GOOD)).unwrap_err();
        assert_eq!((refusal.status().as_u16(), refusal.headers()), (405, &[(header::ALLOW, "GET")][..]));
        assert!(Refusal::Version.headers().contains(&(header::SEC_WEBSOCKET_VERSION, "13")));
        assert!(Refusal::NotUpgrade.headers().contains(&(header::UPGRADE, "websocket")));
        assert!(Refusal::Key.headers().is_empty());
    }
}
