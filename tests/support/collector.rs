//! A collector of traces, which keeps what it is sent by OTLP over HTTP.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode},
};
use prost::Message as _;

use super::wait_for;

/// Takes traces on a free port until it is dropped.
pub(crate) struct Collector {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A span. Ids are written as hexadecimal digits.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Its name.
    pub(crate) name: String,
    /// The trace it belongs to.
    pub(crate) trace: String,
    /// Its own id.
    pub(crate) id: String,
    /// The id of the span it is a part of; empty at the root.
    pub(crate) parent: String,
    /// What it says.
    pub(crate) attributes: BTreeMap<String, String>,
    /// What is said of who sent it.
    pub(crate) resource: BTreeMap<String, String>,
    /// Whether it is marked as failed.
    pub(crate) failed: bool,
}

impl Collector {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, stopped) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (kept, end) = (Arc::clone(&seen), stopped.clone());
        let thread = thread::spawn(move || {
            for socket in listener.incoming() {
                if end.load(Relaxed) {
                    return;
                }
                take(socket.unwrap(), &kept);
            }
        });
        Self { address, seen, stopped, thread: Some(thread) }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` says to reach it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for a span that `wanted` accepts.
    #[track_caller]
    pub(crate) fn wait_for_span(&self, what: &str, wanted: impl Fn(&Seen) -> bool) -> Seen {
        wait_for(&format!("a span: {what}"), || self.seen().into_iter().find(&wanted))
    }

    /// All spans so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stopped.store(true, Relaxed);
        // Whoever waits in `accept` is woken by a connection.
        if TcpStream::connect(self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn take(mut socket: TcpStream, seen: &Mutex<Vec<Seen>>) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), "POST /v1/traces HTTP/1.1");
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    for part in ExportTraceServiceRequest::decode(&*body).unwrap().resource_spans {
        let resource = texts(&part.resource.unwrap().attributes);
        let spans = part.scope_spans.into_iter().flat_map(|scope| scope.spans);
        seen.lock().unwrap().extend(spans.map(|span| read(span, &resource)));
    }
    write!(socket, "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
}

fn read(span: Span, resource: &BTreeMap<String, String>) -> Seen {
    Seen {
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        attributes: texts(&span.attributes),
        resource: resource.clone(),
        failed: span.status.is_some_and(|status| status.code == StatusCode::Error as i32),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn texts(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    };
    of.iter().filter_map(|pair| Some((pair.key.clone(), text(pair)?))).collect()
}
