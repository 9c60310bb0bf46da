//! Messages whose headers the NATS client cannot read, though the server lets them through.

use std::sync::Arc;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{Stream, json};
use crate::gateway::{
    backbone::{Feed, shards::PATIENCE},
    history::{Page, Start},
};

/// No UTF-8; a line without a colon; a name with a space; a carriage return within a value, over which the client ends.
const MALFORMED: [&[u8]; 4] = [
    b"NATS/1.0\r\nX: \xff\r\n\r\n",
    b"NATS/1.0\r\nX\r\n\r\n",
    b"NATS/1.0\r\nX Y: z\r\n\r\n",
    b"NATS/1.0\r\nX: y\rz\r\n\r\n",
];

/// Publishes as no client library would.
async fn publish(stream: &Stream, subject: &str, headers: &[u8], body: &str) {
    let address = stream.server.url().trim_start_matches("nats://").to_owned();
    let mut socket = BufReader::new(TcpStream::connect(address).await.unwrap());
    let sizes = format!("{} {}", headers.len(), headers.len() + body.len());
    let start = format!("CONNECT {{\"verbose\":false,\"headers\":true}}\r\nHPUB {subject} {sizes}\r\n");
    let whole = [start.as_bytes(), headers, body.as_bytes(), b"\r\nPING\r\n"].concat();
    socket.write_all(&whole).await.unwrap();
    let mut line = String::new();
    while line.trim() != "PONG" {
        line.clear();
        assert!(socket.read_line(&mut line).await.unwrap() > 0, "{line}");
    }
}

#[tokio::test]
async fn a_message_with_malformed_headers_is_delivered_and_stops_no_other() {
    for headers in MALFORMED {
        let stream = Stream::plain().await;
        let mut rig = stream.gateway().await;
        rig.want("a.x", 0).await.unwrap();
        assert_eq!(rig.handle.status.borrow().feed, Feed::RePublish);
        stream.store("a.x", "1").await;
        publish(&stream, "a.x", headers, "2").await;
        stream.store("a.x", "3").await;
        let arrivals = rig.arrive(0, "a.x", 3).await;
        let data: Vec<_> = arrivals.iter().map(|arrival| json(arrival)["data"].as_u64()).collect();
        assert_eq!(data, [Some(1), Some(2), Some(3)], "{headers:?}");
        // Whoever has to read it finds it as well.
        let mut other = stream.gateway().await;
        other.ready().await;
        let (end, mut page) = (Instant::now() + PATIENCE, Arc::<Page>::default());
        while page.messages.len() < 3 {
            assert!(Instant::now() < end, "{headers:?}: {page:?}");
            page = other.read("a.x", Start::After(0), None).await.unwrap_or_default();
            sleep(std::time::Duration::from_millis(50)).await;
        }
        let read: Vec<_> = page.messages.iter().map(|kept| kept.frame.clone()).collect();
        assert_eq!(read, arrivals.into_iter().map(|arrival| arrival.frame).collect::<Vec<_>>());
    }
}
