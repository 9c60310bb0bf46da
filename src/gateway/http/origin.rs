//! Which web pages may open connections (the `Origin` header, RFC 6454).

/// `listeners.allowedOrigins`, parsed. As many as the resource lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<Rule>);

/// Why an entry of `listeners.allowedOrigins` is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "allowedOrigins: {0:?} is not an origin: write it as https://app.example.com, https://*.example.com, \
     http://localhost:* or *, without a path"
)]
pub struct OriginError(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Any,
    Matching { scheme: String, host: Host, port: Port },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Exactly(String),
    /// Any name that ends with this, which begins with a dot.
    Below(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Port {
    Any,
    Exactly(u16),
    /// None was given and the scheme has no usual one.
    Absent,
}

impl Origins {
    /// Parses the entries of `listeners.allowedOrigins`.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, OriginError> {
        let rule = |entry: &S| parse_rule(entry.as_ref()).ok_or_else(|| OriginError(entry.as_ref().into()));
        entries.iter().map(rule).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a page of this origin may connect. `null` (a sandboxed page, a file) only where everybody may.
    pub fn allow(&self, origin: &str) -> bool {
        let parsed = Parts::of(origin).and_then(|parts| Some((parts, parts.exact_port()?)));
        self.0.iter().any(|rule| match (rule, &parsed) {
            (Rule::Any, _) => true,
            (Rule::Matching { scheme, host, port }, Some((parts, actual))) => {
                parts.scheme.eq_ignore_ascii_case(scheme)
                    && host.is(&parts.host.to_ascii_lowercase())
                    && (*port == Port::Any || port == actual)
            }
            (Rule::Matching { .. }, None) => false,
        })
    }
}

impl Host {
    fn is(&self, host: &str) -> bool {
        match self {
            Self::Exactly(own) => own == host,
            Self::Below(end) => host.len() > end.len() && host.ends_with(end.as_str()),
        }
    }
}

fn parse_rule(entry: &str) -> Option<Rule> {
    if entry == "*" {
        return Some(Rule::Any);
    }
    let parts = Parts::of(entry)?;
    let lower = parts.host.to_ascii_lowercase();
    let host = match lower.strip_prefix('*') {
        Some(end) if end.len() > 1 && end.starts_with('.') && !end.contains('*') => Host::Below(end.into()),
        Some(_) => return None,
        None if lower.contains('*') => return None,
        None => Host::Exactly(lower),
    };
    let port = if parts.port == Some("*") { Port::Any } else { parts.exact_port()? };
    Some(Rule::Matching { scheme: parts.scheme.to_ascii_lowercase(), host, port })
}

/// `scheme://host[:port]`, cut but not judged.
#[derive(Clone, Copy)]
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        // An IPv6 address has colons of its own, within brackets.
        let host_end = rest.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match rest[host_end..].find(':') {
            Some(colon) => (&rest[..host_end + colon], Some(&rest[host_end + colon + 1..])),
            None => (rest, None),
        };
        let stray = |c: char| c.is_whitespace() || c.is_control() || "/?#@\\,".contains(c);
        let sound = !scheme.is_empty() && !host.is_empty() && !text.replacen("://", "", 1).contains(stray);
        sound.then_some(Self { scheme, host, port })
    }

    fn exact_port(&self) -> Option<Port> {
        let usual = match self.scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => Port::Exactly(80),
            "https" | "wss" => Port::Exactly(443),
            _ => Port::Absent,
        };
        self.port.map_or(Some(usual), |port| port.parse().ok().map(Port::Exactly))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_allowed_as_the_table_says() {
        for (entry, origin, allowed) in [
            ("https://app.example.com", "https://app.example.com", true),
            ("https://app.example.com", "https://APP.example.com", true),
            ("HTTPS://App.Example.com", "https://app.example.com", true),
            ("https://app.example.com", "https://app.example.com:443", true),
            ("https://app.example.com:443", "https://app.example.com", true),
            ("http://a.test", "http://a.test:80", true),
            ("https://app.example.com", "https://app.example.com:8443", false),
            ("https://app.example.com", "http://app.example.com", false),
            ("https://app.example.com", "https://app.example.com.evil.test", false),
            ("https://app.example.com", "https://evil.test", false),
            ("https://app.example.com", "null", false),
            ("https://app.example.com", "", false),
            ("https://app.example.com", "https://app.example.com/", false),
            ("https://app.example.com", "https://user@app.example.com", false),
            ("https://*.example.com", "https://a.example.com", true),
            ("https://*.example.com", "https://a.b.EXAMPLE.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://.example.com", false),
            ("https://*.example.com", "https://evilexample.com", false),
            ("https://*.example.com", "https://a.example.com:444", false),
            ("https://*.example.com:*", "https://a.example.com:444", true),
            ("https://*.example.com", "https://evil.test/.example.com", false),
            ("https://*.example.com", "https://evil.test#.example.com", false),
            ("http://localhost:*", "http://localhost:5173", true),
            ("http://localhost:*", "http://localhost", true),
            ("http://localhost:*", "https://localhost:5173", false),
            ("http://localhost:*", "http://localhost:x", false),
            ("http://localhost:*", "http://localhost:*", false),
            ("http://[::1]:8080", "http://[::1]:8080", true),
            ("http://[::1]:*", "http://[::1]", true),
            ("app://shell", "app://shell", true),
            ("app://shell", "app://shell:1", false),
            ("*", "https://anything.test:1", true),
            ("*", "null", true),
        ] {
            let origins = Origins::parse(&[entry]).unwrap();
            assert_eq!(origins.allow(origin), allowed, "{entry} and {origin}");
        }
    }

    #[test]
    fn one_entry_of_several_suffices_and_none_allows_nobody() {
        let origins = Origins::parse(&["https://a.test", "https://b.test"]).unwrap();
        assert!(origins.allow("https://b.test"));
        assert!(!Origins::default().allow("https://b.test"));
    }

    #[test]
    fn what_is_not_an_origin_is_refused_by_name() {
        for entry in [
            "",
            "example.com",
            "https://",
            "https://a.test/",
            "https://a.test/x",
            "https://*",
            "https://*.",
            "https://a.*.test",
            "https://*a.test",
            "https://a.test:99999",
            "https://a.test:",
            "https://a b.test",
            "https://u@a.test",
            "://a.test",
        ] {
            assert_eq!(Origins::parse(&[entry]).unwrap_err(), OriginError(entry.into()), "{entry}");
        }
    }
}
