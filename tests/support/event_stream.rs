//! A client of Server-Sent Events that reads HTTP/1.1 and the format of the HTML standard (§ 9.2) by itself.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::{Answer, DEADLINE};

/// An open stream.
pub(crate) struct EventStream {
    /// The answer's head; its body is the stream.
    pub(crate) head: Answer,
    /// Comments seen so far.
    pub(crate) comments: u32,
    /// The id of the last event that had one, as it would be sent back.
    pub(crate) last_id: String,
    reader: BufReader<TcpStream>,
    /// Of the body, and not read yet.
    text: Vec<u8>,
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// `event:`.
    pub(crate) name: String,
    /// `id:`.
    pub(crate) id: Option<String>,
    /// `retry:`.
    pub(crate) retry: Option<u64>,
    /// `data:`, lines joined.
    pub(crate) data: String,
}

impl Event {
    /// The data as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl EventStream {
    /// Opens a stream, which must begin.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::try_open(address, path, headers).unwrap_or_else(|answer| panic!("{path}: {answer:?}"))
    }

    /// Opens a stream, or gives the answer that came in its place.
    #[track_caller]
    pub(crate) fn try_open(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Answer> {
        Self::on(TcpStream::connect(address).unwrap(), address, path, headers)
    }

    /// Opens a stream with the smallest receive buffer there is, for a client that is to be slow.
    #[track_caller]
    pub(crate) fn open_small(address: SocketAddr, path: &str) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::on(socket.into(), address, path, &[]).unwrap_or_else(|answer| panic!("{path}: {answer:?}"))
    }

    #[track_caller]
    fn on(
        mut socket: TcpStream,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Answer> {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n");
        request.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
        socket.write_all(format!("{request}\r\n").as_bytes()).unwrap();
        let mut reader = BufReader::with_capacity(512, socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "no answer to {path}: {head:?}");
        }
        let mut head = Answer::parse(&head).expect("the head of an answer");
        if head.status != 200 {
            let length = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            head.body = String::from_utf8(body).unwrap();
            return Err(head);
        }
        assert_eq!(head.header("transfer-encoding"), Some("chunked"), "{head:?}");
        Ok(Self { head, comments: 0, last_id: String::new(), reader, text: Vec::new() })
    }

    /// The next event; `None` at the end of the stream.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(event) = self.read_block(std::str::from_utf8(&block).expect("UTF-8")) {
                    return Some(event);
                }
            } else if !self.chunk() {
                assert!(self.text.is_empty(), "half an event at the end: {:?}", self.text);
                return None;
            }
        }
    }

    /// `None` where there are only comments.
    fn read_block(&mut self, block: &str) -> Option<Event> {
        let (mut event, mut data) = (Event::default(), Vec::new());
        for line in block.lines().filter(|line| !line.is_empty()) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" => self.comments += 1,
                "event" => event.name = value.into(),
                "id" => event.id = Some(value.into()),
                "retry" => event.retry = Some(value.parse().expect("a number of milliseconds")),
                "data" => data.push(value),
                other => panic!("no field of an event: {other:?} in {block:?}"),
            }
        }
        if data.is_empty() {
            return None;
        }
        event.data = data.join("\n");
        if let Some(id) = &event.id {
            self.last_id.clone_from(id);
        }
        Some(event)
    }

    /// Reads a chunk; `false` at the end, whether said or not.
    fn chunk(&mut self) -> bool {
        let mut size = String::new();
        match self.reader.read_line(&mut size) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
            read => {
                if read.expect("something of the stream in time") == 0 {
                    return false;
                }
            }
        }
        let size =
            usize::from_str_radix(size.trim_end(), 16).unwrap_or_else(|_| panic!("no chunk: {size:?}"));
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk).expect("a whole chunk");
        assert!(chunk.ends_with(b"\r\n"), "a chunk ends with a line");
        self.text.extend_from_slice(&chunk[..size]);
        size > 0
    }

    /// The next event, which must have this name and a frame of this type; gives the frame.
    #[track_caller]
    pub(crate) fn expect(&mut self, name: &str) -> Value {
        let event = self.next().unwrap_or_else(|| panic!("{name} was to come, not the end"));
        assert_eq!(event.name, name, "{event:?}");
        let json = event.json();
        assert_eq!(json["type"], name, "{event:?}");
        json
    }
}
