//! From frames to events: what is in `data:` is the frame, whatever the transport (HTML standard § 9.2).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use super::positions::Positions;
use crate::{
    api::Seq,
    gateway::{
        history::{Epoch, NOWHERE},
        protocol::{event::message_position, session::Reached},
    },
};

/// Comment that shows the client, and proxies, that the stream lives.
const KEEP_ALIVE: &[u8] = b":\n\n";

/// Translates the frames of one connection.
#[derive(Debug)]
pub(super) struct Translator {
    positions: Positions,
    /// Milliseconds after which a client comes back that lost its stream.
    retry_ms: u64,
}

/// What a frame says that decides over its event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
    seq_no: Option<Seq>,
    to_seq: Option<Seq>,
    #[serde(default)]
    recoverable: bool,
    #[serde(borrow)]
    epoch: Option<Cow<'a, str>>,
    reconnect_after_ms: Option<u64>,
}

impl Told<'_> {
    /// Where a subscription begins. Without a history there is nowhere to go on from.
    fn reached(&self) -> Reached {
        let epoch: Option<Epoch> = self.epoch.as_deref().and_then(|epoch| epoch.parse().ok());
        Reached { seq: self.seq_no.filter(|_| self.recoverable).unwrap_or(NOWHERE), epoch }
    }
}

impl Translator {
    pub(super) fn new(positions: Positions, retry_ms: u64) -> Self {
        Self { positions, retry_ms }
    }

    /// Appends the event of a frame (its JSON). Every `message`, `subscribed` and `gap` carries the position after it.
    pub(super) fn frame(&mut self, frame: &str, out: &mut Vec<u8>) {
        if let Some((topic, seq)) = message_position(frame) {
            if let Some(seq) = seq {
                self.positions.set(topic, seq);
            }
            return self.event("message", true, None, frame, out);
        }
        let Ok(told) = serde_json::from_str::<Told<'_>>(frame) else {
            return self.event("message", false, None, frame, out);
        };
        match (&*told.r#type, told.topic.as_deref()) {
            ("subscribed", Some(topic)) => self.positions.begin(topic, told.reached()),
            ("error", Some(topic)) => self.positions.end(topic),
            ("gap", Some(topic)) => {
                if let Some(seq) = told.to_seq {
                    self.positions.set(topic, seq);
                }
            }
            _ => {}
        }
        let positioned = matches!(&*told.r#type, "subscribed" | "gap");
        let retry = match &*told.r#type {
            "ready" => Some(self.retry_ms),
            _ => told.reconnect_after_ms,
        };
        self.event(&told.r#type, positioned, retry, frame, out);
    }

    /// Appends the last event: why the gateway ends the stream, as it would close a WebSocket.
    pub(super) fn closed(&self, code: u16, reason: &str, out: &mut Vec<u8>) {
        let data = format!(r#"{{"type":"closed","code":{code},"reason":{}}}"#, json!(reason));
        self.event("closed", false, Some(self.retry_ms), &data, out);
    }

    fn event(&self, name: &str, positioned: bool, retry: Option<u64>, data: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        if positioned {
            out.extend_from_slice(b"\nid: ");
            self.positions.put(out);
        }
        if let Some(retry) = retry {
            out.extend_from_slice(format!("\nretry: {retry}").as_bytes());
        }
        put_data(data, out);
        out.extend_from_slice(b"\n\n");
    }
}

/// Appends a sign of life.
pub(super) fn keep_alive(out: &mut Vec<u8>) {
    out.extend_from_slice(KEEP_ALIVE);
}

/// A line end within the data (a body may be JSON in several lines) begins another field, and reaches the client as LF.
fn put_data(mut data: &str, out: &mut Vec<u8>) {
    loop {
        out.extend_from_slice(b"\ndata: ");
        let Some(end) = data.find(['\r', '\n']) else { break };
        out.extend_from_slice(&data.as_bytes()[..end]);
        let (first, rest) = data[end..].split_at(1);
        data = if first == "\r" { rest.strip_prefix('\n').unwrap_or(rest) } else { rest };
    }
    out.extend_from_slice(data.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn translator(topics: &[(&str, Option<Seq>)]) -> Translator {
        let reached = |seq: &Option<Seq>| seq.map(|seq| Reached { seq, epoch: None });
        let topics: Vec<_> =
            topics.iter().map(|(topic, seq)| (topic.parse().unwrap(), reached(seq))).collect();
        Translator::new(Positions::new(&topics), 1500)
    }

    fn told(translator: &mut Translator, frame: &str) -> String {
        let mut out = Vec::new();
        translator.frame(frame, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_frame_is_an_event_of_its_type_with_itself_as_data() {
        let mut translator = translator(&[("a", None), ("b", Some(3))]);
        let anew =
            r#"{"type":"subscribed","topic":"b","seqNo":2,"recoverable":true,"epoch":"00000000000000ff"}"#;
        for (frame, before) in [
            (r#"{"type":"ready","sessionId":"s"}"#, "event: ready\nretry: 1500\n"),
            (
                r#"{"type":"subscribed","topic":"a","seqNo":0,"recoverable":true}"#,
                "event: subscribed\nid: a=0,b=3\n",
            ),
            (
                r#"{"type":"message","topic":"a","seqNo":1,"prevSeqNo":0,"data":1}"#,
                "event: message\nid: a=1,b=3\n",
            ),
            (r#"{"type":"message","topic":"x","seqNo":9,"data":1}"#, "event: message\nid: a=1,b=3\n"),
            (
                r#"{"type":"message","topic":"b","messageId":"m","data":{"seqNo":8}}"#,
                "event: message\nid: a=1,b=3\n",
            ),
            (
                r#"{"type":"message","topic":"b","seqNo":5,"prevSeqNo":4,"data":1}"#,
                "event: message\nid: a=1,b=3\n",
            ),
            (
                r#"{"type":"subscribed","topic":"b","seqNo":3,"recoverable":true}"#,
                "event: subscribed\nid: a=1,b=3\n",
            ),
            (
                r#"{"type":"gap","topic":"b","fromSeq":4,"toSeq":6,"reason":"expired"}"#,
                "event: gap\nid: a=1,b=6\n",
            ),
            (r#"{"type":"gap","topic":"b","reason":"backbone"}"#, "event: gap\nid: a=1,b=6\n"),
            (r#"{"type":"error","code":"ACL_DENIED","topic":"a","retryable":false}"#, "event: error\n"),
            (r#"{"type":"draining","reconnectAfterMs":250}"#, "event: draining\nretry: 250\n"),
            (anew, "event: subscribed\nid: a=1,00000000000000ff,b=2\n"),
            (
                r#"{"type":"subscribed","topic":"a","seqNo":0,"recoverable":false}"#,
                "event: subscribed\nid: a=-,00000000000000ff,b=2\n",
            ),
            (
                r#"{"type":"message","topic":"a","seqNo":7,"data":1}"#,
                "event: message\nid: a=-,00000000000000ff,b=2\n",
            ),
        ] {
            assert_eq!(told(&mut translator, frame), format!("{before}data: {frame}\n\n"));
        }
    }

    #[test]
    fn the_end_says_why() {
        let mut out = Vec::new();
        translator(&[]).closed(4409, "too \"slow\"", &mut out);
        let expected = "event: closed\nretry: 1500\ndata: {\"type\":\"closed\",\"code\":4409,\"reason\":\"too \\\"slow\\\"\"}\n\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    /// The data of one event as the standard reads it.
    fn read(event: &str) -> String {
        let event = event.replace("\r\n", "\n").replace('\r', "\n");
        let data: Vec<_> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        data.join("\n")
    }

    proptest! {
        #[test]
        fn line_ends_in_the_data_never_end_the_event(data in "[a-z \\r\\n:]{0,30}") {
            let mut out = Vec::new();
            translator(&[]).event("x", false, None, &data, &mut out);
            let event = String::from_utf8(out).unwrap();
            prop_assert_eq!(event.replace("\r\n", "\n").find("\n\n"), Some(event.len() - 2));
            prop_assert_eq!(read(&event), data.replace("\r\n", "\n").replace('\r', "\n"));
        }
    }
}
