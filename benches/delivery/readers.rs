//! Many sockets read by one thread, cheaply: frames of a known length are cut and counted, pings answered, numbers and
//! times looked at only where asked.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token};

use crate::body::digits;

/// First byte of a message's frame (text, whole).
const TEXT: u8 = 0x81;
/// A ping as the gateway sends it, and a masked pong.
const PING: [u8; 2] = [0x89, 0];
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// What a frame of a topic looks like: only the digits differ from one to the next.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// A whole frame.
    pub(crate) sample: Vec<u8>,
    number_at: usize,
    time_at: usize,
}

impl Shape {
    /// From a frame seen on a socket (payload; the header is that of an unmasked text frame).
    pub(crate) fn of(payload: &[u8]) -> Self {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let sample = [&[TEXT, 126], &length[..], payload].concat();
        let find =
            |key: &[u8]| sample.windows(key.len()).position(|window| window == key).unwrap() + key.len();
        let (number_at, time_at) = (find(b"\"n\":\""), find(b"\"t\":\""));
        Self { sample, number_at, time_at }
    }

    fn len(&self) -> usize {
        self.sample.len()
    }
}

/// What to make of the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing: they are counted.
    Count,
    /// Each socket's numbers must go 0, 1, 2, …
    Order,
    /// Time since the frame's time is noted.
    Latency,
}

struct Reader {
    socket: mio::net::TcpStream,
    topic: usize,
    /// The beginning of a frame; shorter than one.
    carry: Vec<u8>,
    next: u64,
}

/// All sockets.
pub(crate) struct Readers {
    poll: Poll,
    events: Events,
    sockets: Vec<Reader>,
    shapes: Vec<Shape>,
    buffer: Vec<u8>,
    look: Look,
    began: Instant,
    /// Messages received, per topic.
    received: Vec<u64>,
    /// Noted latencies, in microseconds.
    pub(crate) latencies: Vec<u32>,
    /// Sockets that ended.
    pub(crate) ended: usize,
}

impl Readers {
    /// Reads frames of these shapes, one per topic.
    pub(crate) fn new(shapes: Vec<Shape>, look: Look) -> Self {
        let (poll, events) = (Poll::new().unwrap(), Events::with_capacity(4096));
        let (received, buffer) = (vec![0; shapes.len()], vec![0; 256 * 1024]);
        let (sockets, latencies, began) = (Vec::new(), Vec::new(), Instant::now());
        Self { poll, events, sockets, shapes, buffer, look, began, received, latencies, ended: 0 }
    }

    /// Takes over a socket that is subscribed to a topic (by its index).
    pub(crate) fn add(&mut self, socket: TcpStream, topic: usize) {
        socket.set_nonblocking(true).unwrap();
        let mut socket = mio::net::TcpStream::from_std(socket);
        let token = Token(self.sockets.len());
        self.poll.registry().register(&mut socket, token, Interest::READABLE).unwrap();
        self.sockets.push(Reader { socket, topic, carry: Vec::new(), next: 0 });
    }

    /// The clock that bodies carry.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Messages received, over all topics.
    pub(crate) fn messages(&self) -> u64 {
        self.received.iter().sum()
    }

    /// Messages that every subscriber of a topic has got, on average.
    pub(crate) fn depth(&self, topic: usize) -> u64 {
        let subscribers = self.sockets.iter().filter(|reader| reader.topic == topic).count() as u64;
        self.received[topic] / subscribers
    }

    /// Reads what there is, waiting at most so long for something.
    pub(crate) fn read(&mut self, wait: Duration) {
        self.poll.poll(&mut self.events, Some(wait)).unwrap();
        for event in &self.events {
            let reader = &mut self.sockets[event.token().0];
            let shape = &self.shapes[reader.topic];
            loop {
                match reader.socket.read(&mut self.buffer) {
                    Ok(0) => {
                        self.ended += 1;
                        break;
                    }
                    Ok(count) => {
                        let (now, look, noted) = (self.began.elapsed(), self.look, &mut self.latencies);
                        let received = &mut self.received[reader.topic];
                        reader.frames(&self.buffer[..count], shape.len(), |next, frame| {
                            *received += 1;
                            match look {
                                Look::Count => {}
                                Look::Order => {
                                    let number = digits(frame, shape.number_at);
                                    assert_eq!(number, *next, "a message is missing or out of order");
                                    *next += 1;
                                }
                                Look::Latency => {
                                    let sent = Duration::from_nanos(digits(frame, shape.time_at));
                                    noted.push(now.saturating_sub(sent).as_micros() as u32);
                                }
                            }
                        });
                        if count < self.buffer.len() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("a subscriber was cut off: {error}"),
                }
            }
        }
    }
}

impl Reader {
    /// Cuts a chunk into messages of this length and answers the pings between them.
    fn frames(&mut self, mut chunk: &[u8], length: usize, mut each: impl FnMut(&mut u64, &[u8])) {
        while let Some(first) = self.carry.first().or(chunk.first()) {
            let whole = match *first {
                TEXT => length,
                first if first == PING[0] => PING.len(),
                _ => panic!("neither a message nor a ping: {:?}", String::from_utf8_lossy(chunk)),
            };
            let (part, rest) = chunk.split_at((whole - self.carry.len()).min(chunk.len()));
            chunk = rest;
            if part.len() == whole {
                self.frame(part, &mut each);
                continue;
            }
            self.carry.extend_from_slice(part);
            if self.carry.len() < whole {
                return;
            }
            let mut frame = std::mem::take(&mut self.carry);
            self.frame(&frame, &mut each);
            frame.clear();
            self.carry = frame;
        }
    }

    fn frame(&mut self, frame: &[u8], each: &mut impl FnMut(&mut u64, &[u8])) {
        if frame[0] == TEXT {
            each(&mut self.next, frame);
        } else {
            self.socket.write_all(&PONG).unwrap();
        }
    }
}
