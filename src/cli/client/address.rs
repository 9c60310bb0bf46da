//! From what a user types to the address of a gateway's WebSocket.

use axum::http::Uri;

use crate::cli::Failure;

/// `ws://` or `wss://`, with a path. A host alone will do; tokens do not belong into addresses.
pub(super) fn websocket(text: &str) -> Result<String, Failure> {
    let bad = |why: &str| {
        Failure::usage(format!("the gateway's address {why}: write it like ws://127.0.0.1:8080/ws"))
    };
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("ws://{text}") };
    let uri: Uri = with_scheme.parse().map_err(|_| bad("is not a URL"))?;
    let scheme = match uri.scheme_str().map(str::to_ascii_lowercase).as_deref() {
        Some("ws" | "http") => "ws",
        Some("wss" | "https") => "wss",
        _ => return Err(bad("must begin with ws://, wss://, http:// or https://")),
    };
    let authority = uri.authority().filter(|authority| !authority.host().is_empty());
    let authority = authority.ok_or_else(|| bad("names no host"))?;
    let query = uri.query().unwrap_or_default();
    if authority.as_str().contains('@') || query.split('&').any(|pair| pair.starts_with("access_token")) {
        return Err(bad("must not hold a secret; use --token-file or TOPIC_GATEWAY_TOKEN"));
    }
    let path = if matches!(uri.path(), "" | "/") { "/ws" } else { uri.path() };
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    Ok(format!("{scheme}://{authority}{path}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_completed_as_the_table_says() {
        for (typed, meant) in [
            ("ws://127.0.0.1:8080/ws", "ws://127.0.0.1:8080/ws"),
            ("http://gw.test", "ws://gw.test/ws"),
            ("https://gw.test/", "wss://gw.test/ws"),
            ("HTTPS://gw.test:8443", "wss://gw.test:8443/ws"),
            ("wss://gw.test/market/ws", "wss://gw.test/market/ws"),
            ("ws://gw.test?tenant=a", "ws://gw.test/ws?tenant=a"),
            ("localhost:8080", "ws://localhost:8080/ws"),
            ("gw.test", "ws://gw.test/ws"),
            ("http://[::1]:8080", "ws://[::1]:8080/ws"),
            ("ws://gw.test/ws#top", "ws://gw.test/ws"),
        ] {
            assert_eq!(websocket(typed).as_deref(), Ok(meant), "{typed}");
        }
    }

    #[test]
    fn what_is_no_address_is_bad_usage_and_secrets_in_it_are_not_repeated() {
        for typed in [
            "",
            "ftp://gw.test",
            "ws://",
            "ws://a b",
            "ws://u:hush@gw.test",
            "ws://gw.test/ws?access_token=hush",
        ] {
            let failure = websocket(typed).unwrap_err();
            assert_eq!(failure.code, 64, "{typed}");
            assert!(!failure.message.contains("hush"), "{failure}");
        }
    }
}
