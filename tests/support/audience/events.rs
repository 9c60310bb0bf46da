//! Server-Sent Events as a client reads them: the chunks of HTTP/1.1 (RFC 9112 § 7.1), and in them events
//! (HTML standard § 9.2).

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{balancer::Balancer, wire::UPGRADING};

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// `event:`.
    pub(crate) name: String,
    /// `id:`.
    pub(crate) id: Option<String>,
    /// `data:`, lines joined.
    pub(crate) data: String,
}

/// An open stream.
pub(crate) struct Events {
    stream: TcpStream,
    /// The client's address.
    pub(crate) own: SocketAddr,
    /// The gateway's name.
    pub(crate) gateway: String,
    body: Body,
}

/// Why there is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nobody is there, or nobody answers.
    Unanswered,
    /// With this status.
    Status(u16),
}

impl Events {
    /// Asks for a stream.
    pub(crate) async fn open(
        balancer: &Balancer,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Refused> {
        let asked = timeout(UPGRADING, Self::ask(balancer, path, headers)).await;
        asked.ok().flatten().unwrap_or(Err(Refused::Unanswered))
    }

    /// `None` where the connection ends before the answer begins.
    async fn ask(balancer: &Balancer, path: &str, headers: &[(&str, &str)]) -> Option<Result<Self, Refused>> {
        let mut stream = balancer.connect().await?;
        let own = stream.local_addr().ok()?;
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", balancer.address);
        request.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
        stream.write_all(format!("{request}\r\n").as_bytes()).await.ok()?;
        let (mut head, mut body) = (Vec::new(), Body::default());
        let end = loop {
            if stream.read_buf(&mut head).await.ok()? == 0 {
                return None;
            }
            if let Some(end) = find(&head, b"\r\n\r\n") {
                break end;
            }
        };
        body.raw = head.split_off(end);
        let head = String::from_utf8(head).ok()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        if status != 200 {
            return Some(Err(Refused::Status(status)));
        }
        Some(Ok(Self { stream, own, gateway: balancer.backend_of(own), body }))
    }

    /// The next event; `None` at the end of the stream, whether said or not. What is given up loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            self.body.unpack();
            if let Some(event) = self.body.event() {
                return Some(event);
            }
            if self.body.ended || self.stream.read_buf(&mut self.body.raw).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// What has come of a body. Pure.
#[derive(Debug, Default)]
struct Body {
    /// As it came, from the beginning of a chunk on.
    raw: Vec<u8>,
    /// Out of whole chunks, and not read yet.
    text: Vec<u8>,
    /// The last chunk has come.
    ended: bool,
}

impl Body {
    /// Takes the whole chunks out of what has come. What is no chunk ends it.
    fn unpack(&mut self) {
        while !self.ended
            && let Some(line) = find(&self.raw, b"\r\n")
        {
            let size = std::str::from_utf8(&self.raw[..line - 2]).unwrap_or_default();
            let size = usize::from_str_radix(size, 16).unwrap_or(0);
            if self.raw.len() < line + size + 2 {
                return;
            }
            self.text.extend_from_slice(&self.raw[line..line + size]);
            self.raw.drain(..line + size + 2);
            self.ended = size == 0;
        }
    }

    fn event(&mut self) -> Option<Event> {
        loop {
            let end = find(&self.text, b"\n\n")?;
            let block: Vec<u8> = self.text.drain(..end).collect();
            let (mut event, mut data) = (Event::default(), Vec::new());
            for line in String::from_utf8_lossy(&block).lines() {
                let (field, value) = line.split_once(": ").unwrap_or((line, ""));
                match field {
                    "event" => event.name = value.into(),
                    "id" => event.id = Some(value.into()),
                    "data" => data.push(value.to_owned()),
                    _ => {}
                }
            }
            // A comment has no data, and is no event.
            if !data.is_empty() {
                event.data = data.join("\n");
                return Some(event);
            }
        }
    }
}

/// Where this ends for the first time.
fn find(bytes: &[u8], end: &[u8]) -> Option<usize> {
    bytes.windows(end.len()).position(|window| window == end).map(|start| start + end.len())
}

#[test]
fn events_are_read_whole_wherever_chunks_and_packets_end() {
    let parts = [":\n\n", "event: gap\nid: a=1\nda", "ta: {}\n\n", "event: x\ndata: 1\ndata: 2\n\n"];
    let chunk = |part: &&str| format!("{:x}\r\n{part}\r\n", part.len());
    let chunks = parts.iter().map(chunk).collect::<Vec<_>>().concat();
    let stream = format!("{chunks}0\r\n\r\n");
    for packet in 1..stream.len() {
        let (mut body, mut events) = (Body::default(), Vec::new());
        for bytes in stream.as_bytes().chunks(packet) {
            body.raw.extend_from_slice(bytes);
            body.unpack();
            events.extend(std::iter::from_fn(|| body.event()));
        }
        let event = |name: &str, id: Option<&str>, data: &str| Event {
            name: name.into(),
            id: id.map(Into::into),
            data: data.into(),
        };
        assert_eq!(
            events,
            [event("gap", Some("a=1"), "{}"), event("x", None, "1\n2")],
            "packets of {packet}"
        );
        assert!(body.ended && body.text.is_empty());
    }
}
