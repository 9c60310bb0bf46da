//! The HTTP request that becomes a WebSocket, and its answer.

use http::{Response, StatusCode, Uri};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::cli::{Failure, client};

/// Most bytes of an answer's head.
const LONGEST_HEAD: usize = 16 * 1024;

/// The request for this address with this key.
pub(super) fn request(url: &Uri, key: &str) -> String {
    let host = url.authority().map_or("", |authority| authority.as_str());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// Reads an answer; how many bytes it has, once its head is whole. Anything but a WebSocket is a failure.
pub(super) fn answer(bytes: &[u8], key: &str, url: &str) -> Result<Option<usize>, Failure> {
    let foreign = || Failure::unavailable(format!("what answers at {url} is no WebSocket: check --url"));
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > LONGEST_HEAD { Err(foreign()) } else { Ok(None) };
    };
    let (head, body) = (&bytes[..end], &bytes[end + 4..]);
    let head = std::str::from_utf8(head).map_err(|_| foreign())?;
    let mut lines = head.split("\r\n");
    let status =
        lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok());
    let status: StatusCode = status.ok_or_else(foreign)?;
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let mut answer = Response::new(Some(body.to_vec()));
        *answer.status_mut() = status;
        return Err(client::declined(url, &answer));
    }
    let accept = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-accept").then_some(value.trim())
    });
    if accept != Some(derive_accept_key(key.as_bytes()).as_str()) {
        return Err(foreign());
    }
    Ok(Some(end + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key and answer of RFC 6455 § 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
        SEC-WEBSOCKET-ACCEPT: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    fn read(bytes: &str) -> Result<Option<usize>, Failure> {
        answer(bytes.as_bytes(), KEY, "ws://gw/ws")
    }

    #[test]
    fn the_request_names_host_and_path() {
        let url = "ws://gw.test:8080/ws?tenant=a".parse().unwrap();
        let request = request(&url, KEY);
        assert!(request.starts_with("GET /ws?tenant=a HTTP/1.1\r\nHost: gw.test:8080\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\n"), "{request}");
    }

    #[test]
    fn an_answer_is_read_once_its_head_is_whole() {
        for end in 0..ACCEPTED.len() {
            assert_eq!(read(&ACCEPTED[..end]), Ok(None), "{end} bytes");
        }
        assert_eq!(read(&format!("{ACCEPTED}frames")), Ok(Some(ACCEPTED.len())));
    }

    #[test]
    fn a_refusal_is_told_in_the_gateways_words() {
        let body = r#"{"error":{"code":"AT_CAPACITY","message":"the gateway is full"}}"#;
        let failure = read(&format!("HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\n{body}")).unwrap_err();
        assert_eq!(failure.code, 69);
        assert!(failure.message.contains("503") && failure.message.contains("gateway is full"), "{failure}");
    }

    #[test]
    fn what_is_no_websocket_is_refused() {
        let wrong_key = ACCEPTED.replace("s3pP", "AAAA");
        let endless = "x".repeat(LONGEST_HEAD + 1);
        for text in [wrong_key.as_str(), &endless, "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 abc\r\n\r\n"] {
            let failure = read(text).unwrap_err();
            assert!(failure.code == 69 && failure.message.contains("ws://gw/ws"), "{failure}");
        }
    }
}
