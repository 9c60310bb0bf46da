//! Plain HTTP over a plain socket: enough for the admin port, the public port and NATS' monitoring.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::DEADLINE;

/// Longest wait until somebody takes a connection: twice a lost SYN. A pod that is gone refuses none, so that the system
/// would try for two minutes.
const CONNECTED: Duration = Duration::from_secs(4);

/// An HTTP answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The header lines, names in lower case.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Reads the text of a whole answer.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let (line, head) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let head = head
            .lines()
            .map(|line| match line.split_once(':') {
                Some((name, value)) => format!("{}:{value}\n", name.to_lowercase()),
                None => format!("{line}\n"),
            })
            .collect();
        Some(Self { status, head, body: body.into() })
    }
}

/// `GET path`; `None` if nobody answers. HTTP/1.0, so that the body ends with the connection and is not chunked.
pub(crate) fn try_get(address: SocketAddr, path: &str) -> Option<Answer> {
    let mut socket = TcpStream::connect_timeout(&address, CONNECTED).ok()?;
    socket.set_read_timeout(Some(DEADLINE)).ok()?;
    write!(socket, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut text = Vec::new();
    socket.read_to_end(&mut text).ok()?;
    Answer::parse(&String::from_utf8_lossy(&text))
}

/// Any request; panics if nobody answers.
#[track_caller]
pub(crate) fn request(
    address: SocketAddr,
    line: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Answer {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut head =
        format!("{line} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n", body.as_ref().len());
    head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
    // An answer may come before the whole request is taken.
    let _ = socket.write_all(&[format!("{head}\r\n").as_bytes(), body.as_ref()].concat());
    let mut text = Vec::new();
    let read = socket.read_to_end(&mut text);
    Answer::parse(&String::from_utf8_lossy(&text)).unwrap_or_else(|| panic!("{line}: no answer, {read:?}"))
}

/// `GET path`; panics if nobody answers.
#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    try_get(address, path).unwrap_or_else(|| panic!("no answer to GET http://{address}{path}"))
}
