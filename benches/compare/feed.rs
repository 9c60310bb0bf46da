//! How messages get into a peer: over one connection each, in the way that is its own.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::{floor::Floor, support::NatsClient};

/// Where messages are written to.
pub(crate) enum Feed {
    /// NATS, which the peer is, or subscribes to.
    Nats {
        client: NatsClient,
        /// With the time of it, from which topic-gateway makes its latency metric.
        stamped: bool,
    },
    /// Requests over a connection that stays, one behind the other.
    Http { socket: TcpStream, unsent: Vec<u8> },
    /// Orders to the floor; the messages are there already.
    Floor {
        floor: Floor,
        messages: usize,
        /// Each message is for one subscriber, not for all.
        in_turn: bool,
    },
}

impl Feed {
    /// A connection for requests to this server.
    pub(crate) fn http(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        Self::Http { socket, unsent: Vec::new() }
    }

    /// Queues a message.
    pub(crate) fn publish(&mut self, topic: &str, body: &str) {
        match self {
            Self::Nats { client, stamped: true } => {
                let now = k8s_openapi::jiff::Timestamp::now().to_string();
                client.publish_with_headers(topic, &[("Nats-Time-Stamp", &now)], body);
            }
            Self::Nats { client, .. } => client.publish(topic, body),
            Self::Http { unsent, .. } => {
                let head = format!(
                    "POST /pub/{topic} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                unsent.extend_from_slice(head.as_bytes());
                unsent.extend_from_slice(body.as_bytes());
            }
            Self::Floor { messages, .. } => *messages += 1,
        }
    }

    /// Sends what is queued.
    pub(crate) fn send(&mut self) {
        match self {
            Self::Nats { client, .. } => client.send(),
            Self::Http { socket, unsent } => {
                socket.write_all(unsent).unwrap();
                unsent.clear();
                forget_answers(socket);
            }
            Self::Floor { floor, messages, in_turn: true } => floor.send_in_turn(std::mem::take(messages)),
            Self::Floor { floor, messages, .. } => {
                while *messages > 0 {
                    let some = u8::try_from(*messages).unwrap_or(u8::MAX);
                    floor.send(some);
                    *messages -= usize::from(some);
                }
            }
        }
    }

    /// Answers what the other side has asked meanwhile.
    pub(crate) fn keep_alive(&mut self) {
        if let Self::Nats { client, .. } = self {
            client.flush();
        }
    }
}

/// Reads what has been answered so far, so that the server can go on answering.
fn forget_answers(socket: &mut TcpStream) {
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 16 * 1024];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => panic!("the server does not take requests any more"),
            Ok(count) => assert!(
                !buffer[..count].starts_with(b"HTTP/1.1 4") && !buffer[..count].starts_with(b"HTTP/1.1 5"),
                "{}",
                String::from_utf8_lossy(&buffer[..count])
            ),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("requests are not answered: {error}"),
        }
    }
    socket.set_nonblocking(false).unwrap();
}
