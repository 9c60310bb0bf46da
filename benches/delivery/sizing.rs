//! The formula of `docs/operations.md` against what a gateway really takes, with what the kernel holds for it.

use std::fs;

use serde_json::json;

use crate::{
    generator::Bed,
    measure::Figure,
    placing::SERVER_CORE,
    support::{Issuer, NatsServer, RawSocket, Resource, now},
};

const CONNECTIONS: usize = 6_000;
const TOPICS: usize = 2_000;

const KIB: f64 = 1024.0;
/// The formula's terms, in bytes.
const BASE: f64 = 12.0 * KIB * KIB;
const CONNECTION: f64 = 5.4 * KIB;
const TOKEN: f64 = 0.4 * KIB;
const TOPIC: f64 = 8.5 * KIB;

/// Connections with a token of their own, subscribed to topics on NATS.
pub(crate) fn run(raw: &mut Vec<String>) -> Vec<Figure> {
    let tokens = Issuer::shared();
    let nats = NatsServer::start();
    let resource = Resource::with_tokens(&tokens).on(&nats);
    let bed = Bed::run(nats, resource, SERVER_CORE);
    let kernel = kernel_memory();
    let connect = |number: usize| {
        let token = tokens.token(json!({"sub": format!("user-{number}"), "exp": now() + 3_600}));
        let mut socket = RawSocket::open(bed.gateway.address);
        socket.text(&json!({"type": "setup", "token": token}).to_string());
        socket.text(
            &json!({"type": "subscribe", "topic": format!("bench.{:06}", number % TOPICS)}).to_string(),
        );
        while socket.json()["type"] != "subscribed" {}
        socket
    };
    let clients: Vec<RawSocket> = (0..CONNECTIONS).map(connect).collect();
    // Both ends of a connection are on this machine, and cost it about the same.
    let kernel = kernel_memory().saturating_sub(kernel) / 2;
    let own = bed.status("VmRSS:");
    drop(clients);
    let measured = (own + kernel) as f64;
    let predicted = BASE + CONNECTIONS as f64 * (CONNECTION + TOKEN) + TOPICS as f64 * TOPIC;
    raw.push(format!("{own} bytes of its own, {kernel} of the kernel's"));
    let ratio = predicted / measured;
    let text = format!(
        "memory of {CONNECTIONS} connections with tokens and {TOPICS} topics on NATS, kernel and all: {:.1} MB, the \
         formula says {ratio:.2} x (bar 0.85 to 1.15)",
        measured / 1e6
    );
    vec![Figure { text, good: (0.85..=1.15).contains(&ratio) }]
}

/// Bytes of what the kernel holds for sockets, files and polls; of all that runs on this machine.
fn kernel_memory() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap();
    let kilobytes = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    (kilobytes("SUnreclaim:") + kilobytes("SReclaimable:")) * 1024
}
