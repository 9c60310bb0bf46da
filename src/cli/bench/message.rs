//! A `message` frame, read without a parser where it looks as the gateway writes it.

use super::{
    body::{self, Run},
    plan::Plan,
};
use crate::cli::client::Frame;

/// What counts of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    /// One of the plan's, by its number.
    pub(super) topic: u64,
    pub(super) seq: Option<u64>,
    pub(super) prev_seq: Option<u64>,
    /// Number on the topic and due time in nanoseconds; `None` where it is of another run.
    pub(super) body: Option<(u64, u64)>,
}

/// Knows what messages of a run look like.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// The beginning of every message, up to its topic's number.
    head: Vec<u8>,
    /// What topics begin with.
    prefix: String,
    run: Run,
    size: usize,
}

impl Reading {
    pub(super) fn new(plan: &Plan, run: Run) -> Self {
        let prefix = format!("{}.", plan.prefix);
        // No character of a topic needs escaping.
        let head = format!(r#"{{"type":"message","topic":"{prefix}"#).into_bytes();
        Self { head, prefix, run, size: plan.size.max(body::SHORTEST) }
    }

    /// The message in a text frame; `None` where it is no message, or one of no topic of the plan's prefix.
    pub(super) fn message(&self, text: &[u8]) -> Option<Message> {
        self.at_a_glance(text).or_else(|| self.parsed(text))
    }

    /// The number of a topic.
    pub(super) fn topic(&self, name: &str) -> Option<u64> {
        name.strip_prefix(&self.prefix)?.parse().ok()
    }

    /// Everything has its place: head, numbers, and the body at the end.
    fn at_a_glance(&self, text: &[u8]) -> Option<Message> {
        let (topic, rest) = digits(text.strip_prefix(self.head.as_slice())?)?;
        let rest = rest.strip_prefix(b"\"")?;
        let (seq, rest) = field(rest, br#","seqNo":"#);
        let (prev_seq, _) = field(rest, br#","prevSeqNo":"#);
        let (before, body) =
            text.strip_suffix(b"}")?.split_at_checked(text.len().checked_sub(self.size + 1)?)?;
        let body = body::read(body, &self.run).filter(|_| before.ends_with(br#","data":"#))?;
        Some(Message { topic, seq, prev_seq, body: Some(body) })
    }

    /// Any other form of the same.
    fn parsed(&self, text: &[u8]) -> Option<Message> {
        let frame: Frame = serde_json::from_slice(text).ok()?;
        if frame.kind != "message" {
            return None;
        }
        let topic = self.topic(frame.topic.as_deref()?)?;
        let body = frame.data.and_then(|data| body::read(data.get().as_bytes(), &self.run));
        Some(Message { topic, seq: frame.seq_no, prev_seq: frame.prev_seq_no, body })
    }
}

/// A number, and what follows it.
fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = text.split_at(end);
    let number = digits
        .iter()
        .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    (!digits.is_empty()).then_some((number?, rest))
}

/// A numeric field that may be here, and what follows.
fn field<'a>(text: &'a [u8], key: &[u8]) -> (Option<u64>, &'a [u8]) {
    match text.strip_prefix(key).and_then(digits) {
        Some((number, rest)) => (Some(number), rest),
        None => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::plan::tests::plan, *};
    use crate::gateway::protocol::{body::scan, event};

    fn reading() -> Reading {
        Reading::new(&plan(), Run::new(1))
    }

    fn body(run: u64) -> Vec<u8> {
        let mut body = Vec::new();
        body::write(&mut body, &Run::new(run), 42, Duration::from_nanos(7), plan().size);
        body
    }

    /// The text of a message as the gateway writes it.
    fn frame(topic: &str, numbers: Option<(u64, u64)>, id: Option<&str>, body: &[u8]) -> String {
        let (seq, prev) = (numbers.map(|numbers| numbers.0), numbers.map(|numbers| numbers.1));
        let frame = event::message(topic, seq, prev, id, body, &scan(body));
        let text = String::from_utf8_lossy(&frame).into_owned();
        text[text.find('{').unwrap()..].into()
    }

    #[test]
    fn what_the_gateway_writes_is_read_at_a_glance() {
        for (numbers, id) in
            [(None, None), (Some((5, 4)), None), (Some((1, 0)), Some("m-1")), (None, Some("m"))]
        {
            let text = frame("bench.3", numbers, id, &body(1));
            let message = Message {
                topic: 3,
                seq: numbers.map(|numbers| numbers.0),
                prev_seq: numbers.map(|numbers| numbers.1),
                body: Some((42, 7)),
            };
            assert_eq!(reading().at_a_glance(text.as_bytes()), Some(message), "{text}");
            assert_eq!(reading().parsed(text.as_bytes()), Some(message), "{text}");
        }
    }

    #[test]
    fn another_order_of_fields_is_read_as_well() {
        let body = String::from_utf8(body(1)).unwrap();
        let text = format!(r#"{{"data":{body},"prevSeqNo":4,"seqNo":5,"topic":"bench.3","type":"message"}}"#);
        let message = Message { topic: 3, seq: Some(5), prev_seq: Some(4), body: Some((42, 7)) };
        assert_eq!(reading().at_a_glance(text.as_bytes()), None);
        assert_eq!(reading().message(text.as_bytes()), Some(message));
    }

    #[test]
    fn messages_of_others_have_no_body_of_this_run() {
        for body in [&body(2)[..], b"{}", b"1", b"not json"] {
            let text = frame("bench.3", Some((5, 4)), None, body);
            let message = Message { topic: 3, seq: Some(5), prev_seq: Some(4), body: None };
            assert_eq!(reading().message(text.as_bytes()), Some(message), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_of_these_topics_is_none() {
        let elsewhere = frame("other.3", None, None, &body(1));
        let unnumbered = frame("bench.x", None, None, &body(1));
        for text in [elsewhere.as_str(), &unnumbered, r#"{"type":"gap","topic":"bench.3"}"#, "", "{", "[]"] {
            assert_eq!(reading().message(text.as_bytes()), None, "{text}");
        }
    }
}
