//! The NATS client protocol by hand: publishes from outside without a library the gateway shares.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::{Value, json};

use super::DEADLINE;

/// A message from NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NatsMessage {
    /// The subject.
    pub(crate) subject: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// A connection to a NATS server.
pub(crate) struct NatsClient {
    reader: BufReader<TcpStream>,
    unsent: Vec<u8>,
    arrived: VecDeque<NatsMessage>,
    subscriptions: u32,
}

/// Bytes gathered before they are written.
const BATCH: usize = 64 * 1024;

impl NatsClient {
    /// Connects; `credentials` are fields of the CONNECT line (`{"user": …, "pass": …}`).
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr, credentials: Value) -> Self {
        let socket = TcpStream::connect(address).expect("nats-server listens");
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_nodelay(true).unwrap();
        let (reader, arrived) = (BufReader::new(socket), VecDeque::new());
        let mut client = Self { reader, unsent: Vec::new(), arrived, subscriptions: 0 };
        let info = client.line();
        assert!(info.starts_with("INFO "), "{info}");
        let mut options = json!({"verbose": false, "pedantic": false, "headers": true, "name": "outside"});
        for (name, value) in credentials.as_object().into_iter().flatten() {
            options[name] = value.clone();
        }
        client.unsent.extend_from_slice(format!("CONNECT {options}\r\n").as_bytes());
        client.flush();
        client
    }

    /// Queues a message; [`NatsClient::flush`] makes sure that the server has it.
    pub(crate) fn publish(&mut self, subject: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        self.unsent.extend_from_slice(format!("PUB {subject} {}\r\n", body.len()).as_bytes());
        self.queue(body);
    }

    /// The same with headers.
    pub(crate) fn publish_with_headers(&mut self, subject: &str, headers: &[(&str, &str)], body: &str) {
        let mut head = String::from("NATS/1.0\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head += "\r\n";
        let line = format!("HPUB {subject} {} {}\r\n", head.len(), head.len() + body.len());
        self.unsent.extend_from_slice(line.as_bytes());
        self.unsent.extend_from_slice(head.as_bytes());
        self.queue(body.as_bytes());
    }

    fn queue(&mut self, body: &[u8]) {
        self.unsent.extend_from_slice(body);
        self.unsent.extend_from_slice(b"\r\n");
        if self.unsent.len() > BATCH {
            self.send();
        }
    }

    /// Subscribes and waits until the server has taken it.
    pub(crate) fn subscribe(&mut self, subject: &str) {
        self.subscriptions += 1;
        self.unsent.extend_from_slice(format!("SUB {subject} {}\r\n", self.subscriptions).as_bytes());
        self.flush();
    }

    /// Asks, and waits for the answer; to be used by a client that has no other subscriptions. Where nobody listens
    /// the answer is empty, if `CONNECT` asks for that (`no_responders`).
    #[track_caller]
    pub(crate) fn request(&mut self, subject: &str, body: &str) -> Vec<u8> {
        const INBOX: &str = "_INBOX.outside";
        if self.subscriptions == 0 {
            self.subscribe(INBOX);
        }
        self.unsent.extend_from_slice(format!("PUB {subject} {INBOX} {}\r\n", body.len()).as_bytes());
        self.queue(body.as_bytes());
        self.send();
        self.next().body
    }

    /// The next message.
    #[track_caller]
    pub(crate) fn next(&mut self) -> NatsMessage {
        while self.arrived.is_empty() {
            self.take();
        }
        self.arrived.pop_front().unwrap()
    }

    /// Sends what is queued and waits until the server has processed it.
    #[track_caller]
    pub(crate) fn flush(&mut self) {
        self.unsent.extend_from_slice(b"PING\r\n");
        self.send();
        while self.take() != "PONG" {}
    }

    /// Sends what is queued; the server may take its time.
    pub(crate) fn send(&mut self) {
        self.reader.get_mut().write_all(&self.unsent).expect("nats-server takes bytes");
        self.unsent.clear();
    }

    /// Takes one protocol line; keeps a message, answers a ping.
    #[track_caller]
    fn take(&mut self) -> String {
        let line = self.line();
        let words: Vec<_> = line.split(' ').collect();
        match words[0] {
            "MSG" | "HMSG" => {
                let length: usize = words.last().unwrap().parse().unwrap();
                let head: usize =
                    if words[0] == "HMSG" { words[words.len() - 2].parse().unwrap() } else { 0 };
                let mut bytes = vec![0; length + 2];
                self.reader.read_exact(&mut bytes).unwrap();
                let body = bytes[head..length].to_vec();
                self.arrived.push_back(NatsMessage { subject: words[1].into(), body });
            }
            "PING" => self.reader.get_mut().write_all(b"PONG\r\n").unwrap(),
            "-ERR" => panic!("nats-server: {line}"),
            _ => {}
        }
        line
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line from nats-server");
        line.trim_end().into()
    }
}
