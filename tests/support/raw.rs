//! A WebSocket client that can break every rule: frames are bytes.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use socket2::{Domain, Socket, Type};

use super::{Answer, DEADLINE};

/// A socket after the upgrade.
pub(crate) struct RawSocket<S = TcpStream> {
    /// The socket itself.
    pub(crate) socket: S,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With a close frame.
    Close(u16, String),
    /// Without one.
    Cut,
}

impl End {
    /// The close code, if there was a close frame.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Close(code, _) => Some(*code),
            Self::Cut => None,
        }
    }
}

/// A masked frame; `head` is the first byte (FIN, RSV, opcode).
pub(crate) fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![head];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 + u8::try_from(short).unwrap()),
        middle @ 126..65_536 => {
            bytes.push(0x80 + 126);
            bytes.extend_from_slice(&u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0x80 + 127);
            bytes.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

impl RawSocket {
    /// Upgrades on `/ws`.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::open_with(address, b"")
    }

    /// Upgrades on `/ws` with these bytes right behind the request, in the same write.
    #[track_caller]
    pub(crate) fn open_with(address: SocketAddr, early: &[u8]) -> Self {
        Self::upgrade(TcpStream::connect(address).unwrap(), address, early)
    }

    /// Upgrades on `/ws` with the smallest receive buffer there is, for a client that is to be slow.
    #[track_caller]
    pub(crate) fn open_small(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::upgrade(socket.into(), address, b"")
    }

    #[track_caller]
    fn upgrade(socket: TcpStream, address: SocketAddr, early: &[u8]) -> Self {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self::upgrade_in(socket, address, early)
    }
}

impl<S: Read + Write> RawSocket<S> {
    /// Upgrades on `/ws` within this stream, with these bytes right behind the request, in the same write.
    #[track_caller]
    pub(crate) fn upgrade_in(mut socket: S, address: SocketAddr, early: &[u8]) -> Self {
        let mut request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(early);
        socket.write_all(&request).unwrap();
        let answer = Answer::parse(&head(&mut socket)).expect("an HTTP answer");
        assert_eq!(answer.status, 101, "{answer:?}");
        // The accept value of RFC 6455 section 1.3 for the key above.
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        Self { socket }
    }

    /// Writes bytes as they are; the other side may have closed already.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        match self.socket.write_all(bytes) {
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            result => result.unwrap(),
        }
    }

    /// Sends a whole text frame.
    pub(crate) fn text(&mut self, text: &str) {
        self.write(&frame(0x81, text.as_bytes()));
    }

    /// The next frame: first byte and payload. `None` at the end.
    pub(crate) fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut start = [0; 2];
        self.fill(&mut start)?;
        assert_eq!(start[1] & 0x80, 0, "a server must not mask");
        let length = match start[1] {
            126 => {
                let mut bytes = [0; 2];
                self.fill(&mut bytes)?;
                u16::from_be_bytes(bytes).into()
            }
            127 => {
                let mut bytes = [0; 8];
                self.fill(&mut bytes)?;
                usize::try_from(u64::from_be_bytes(bytes)).unwrap()
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.fill(&mut payload)?;
        Some((start[0], payload))
    }

    /// The next text frame as JSON, past pings.
    #[track_caller]
    pub(crate) fn json(&mut self) -> serde_json::Value {
        loop {
            match self.read() {
                Some((0x81, payload)) => return serde_json::from_slice(&payload).unwrap(),
                Some((0x89 | 0x8a, _)) => {}
                other => panic!("a text frame was to come, not {other:?}"),
            }
        }
    }

    /// Reads past everything up to the end.
    pub(crate) fn end(&mut self) -> End {
        while let Some((head, payload)) = self.read() {
            if head == 0x88 && payload.len() >= 2 {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                return End::Close(
                    code,
                    String::from_utf8(payload[2..].to_vec()).expect("a reason in UTF-8"),
                );
            }
        }
        End::Cut
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Option<()> {
        match self.socket.read_exact(bytes) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                None
            }
            Err(error) => panic!("no frame and no end: {error}"),
        }
    }
}

/// The answer's head, byte by byte so that nothing behind it is taken.
fn head(socket: &mut impl Read) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") && socket.read(&mut byte).is_ok_and(|count| count == 1) {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}
