//! A client's arrival: connection, upgrade, `setup` with a token of its own, and a subscription.

use std::{
    hint::black_box,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use ring::hmac;
use serde_json::json;

use crate::{
    floor::Floor,
    generator::Bed,
    measure::{Figure, median},
    placing::{SERVER_CORE, cpu},
    support::{DEADLINE, Issuer, NatsServer, RawSocket, Resource, frame, now},
};

const CLIENTS: usize = 2_000;
/// As in a wave after a rollout: the gateway always has the next one waiting.
const AT_ONCE: usize = 100;
const TOPIC: &str = "bench.hot";
/// 25 us where plain `accept` took 3: so the bar was set, and so it is kept on any machine.
const BAR: f64 = 25.0 / 3.0;

/// CPU time of an arrival without the check of its token's signature, against `accept` alone, A B A B.
pub(crate) fn run(rounds: usize, raw: &mut Vec<String>) -> Vec<Figure> {
    let tokens = Issuer::shared();
    let nats = NatsServer::start();
    let resource = Resource::with_tokens(&tokens).on(&nats);
    let bed = Bed::run(nats, resource, SERVER_CORE);
    let token = |number| tokens.token(json!({"sub": format!("user-{number}"), "exp": now() + 3_600}));
    let tokens: Vec<String> = (0..CLIENTS).map(token).collect();
    let check = signature(&tokens[0]);
    let (mut ratios, mut micros) = (Vec::new(), [Vec::new(), Vec::new()]);
    // One round more, which warms up and does not count.
    for round in 0..=rounds {
        let before = bed.cpu();
        let clients: Vec<_> =
            tokens.chunks(AT_ONCE).flat_map(|some| arrive(bed.gateway.address, some)).collect();
        let ours = each(bed.cpu().saturating_sub(before));
        drop(clients);
        bed.gateway.wait_for_metric("topicgateway_connections", &[("transport", "websocket")], 0.0);
        let least = accepts();
        if round > 0 {
            ratios.push((ours - check) / least);
            micros[0].push(ours);
            micros[1].push(least);
        }
    }
    raw.push(format!("gateway, us per arrival: {:.1?}; {check:.1} of it for the signature", micros[0]));
    raw.push(format!("accept alone, us:        {:.1?}", micros[1]));
    let ratio = median(&mut ratios);
    let text = format!(
        "CPU per connect with a token and a subscription, without the signature's check: {ratio:.1} x `accept` alone \
         (bar {BAR:.1}: 25 us where that takes 3)"
    );
    vec![Figure { text, good: ratio <= BAR }]
}

fn each(all: Duration) -> f64 {
    all.as_secs_f64() * 1e6 / CLIENTS as f64
}

/// As many clients as there are tokens, none of whom waits for another.
fn arrive(address: SocketAddr, tokens: &[String]) -> Vec<RawSocket> {
    let mut sockets: Vec<TcpStream> = tokens.iter().map(|_| connect(address)).collect();
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    for socket in &mut sockets {
        socket.write_all(request.as_bytes()).unwrap();
    }
    let mut sockets: Vec<_> = sockets.into_iter().map(upgraded).collect();
    for (socket, token) in sockets.iter_mut().zip(tokens) {
        let setup = json!({"type": "setup", "token": token}).to_string();
        let subscribe = json!({"type": "subscribe", "topic": TOPIC}).to_string();
        socket.write(&[frame(0x81, setup.as_bytes()), frame(0x81, subscribe.as_bytes())].concat());
    }
    for socket in &mut sockets {
        while socket.json()["type"] != "subscribed" {}
    }
    sockets
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// Nothing comes unasked behind the answer to the upgrade.
fn upgraded(mut socket: TcpStream) -> RawSocket {
    let (mut answer, mut bytes) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(b"\r\n\r\n") {
        let count = socket.read(&mut bytes).unwrap();
        assert_ne!(count, 0, "closed instead of upgraded");
        answer.extend_from_slice(&bytes[..count]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    RawSocket { socket }
}

/// Microseconds of a process that does nothing but accept.
fn accepts() -> f64 {
    let mut floor = Floor::start(b"", CLIENTS);
    let before = cpu(floor.process.id());
    let sockets: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(floor.address).unwrap()).collect();
    floor.ready();
    let took = cpu(floor.process.id()).saturating_sub(before);
    drop(sockets);
    each(took)
}

/// Microseconds of the check of a token's signature itself.
fn signature(token: &str) -> f64 {
    const TIMES: u32 = 10_000;
    let (text, _) = token.rsplit_once('.').unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let signature = hmac::sign(&key, text.as_bytes());
    let before = cpu(std::process::id());
    for _ in 0..TIMES {
        hmac::verify(black_box(&key), black_box(text.as_bytes()), signature.as_ref()).unwrap();
    }
    (cpu(std::process::id()).saturating_sub(before)).as_secs_f64() * 1e6 / f64::from(TIMES)
}
