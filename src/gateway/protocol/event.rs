//! What the gateway says: each function appends one complete WebSocket text frame (header and JSON) to `out`.

mod message;

pub use message::{message, message_id, message_position};

use super::{ErrorCode, GapReason, command::Id, json};
use crate::{
    api::Seq,
    gateway::{history::Epoch, websocket},
};

/// Authentication is done (or was not needed): the connection can be used. `expires_at` is in seconds since 1970.
pub fn ready(
    out: &mut Vec<u8>,
    id: Option<&Id>,
    session_id: &str,
    user_id: &str,
    heartbeat_seconds: u32,
    resumed: bool,
    expires_at: Option<u64>,
) {
    event(out, "ready", id, |object| {
        object
            .text("sessionId", session_id)
            .text("userId", user_id)
            .number("heartbeatSeconds", heartbeat_seconds.into())
            .flag("resumed", resumed)
            .maybe("expiresAt", expires_at);
    });
}

/// What was asked for arrives from now on; `seq_no` is the position it starts after, 0 where unknown. `epoch`: what it is
/// a position of; absent where there is no history. `recovered`, where what was before was asked for: whether all of it
/// follows.
pub fn subscribed(
    out: &mut Vec<u8>,
    id: Option<&Id>,
    topic: &str,
    seq_no: Seq,
    epoch: Option<Epoch>,
    recoverable: bool,
    recovered: Option<bool>,
) {
    event(out, "subscribed", id, |object| {
        object.text("topic", topic).number("seqNo", seq_no).flag("recoverable", recoverable);
        if let Some(recovered) = recovered {
            object.flag("recovered", recovered);
        }
        if let Some(epoch) = epoch.filter(|_| recoverable) {
            object.text("epoch", &epoch.to_string());
        }
    });
}

/// A part of a topic has been sent again, `complete` or without what is not kept any longer.
pub fn replayed(out: &mut Vec<u8>, id: Option<&Id>, topic: &str, from_seq: Seq, to_seq: Seq, complete: bool) {
    event(out, "replayed", id, |object| {
        object
            .text("topic", topic)
            .number("fromSeq", from_seq)
            .number("toSeq", to_seq)
            .flag("complete", complete);
    });
}

/// Nothing more of this topic will come.
pub fn unsubscribed(out: &mut Vec<u8>, id: Option<&Id>, topic: &str) {
    event(out, "unsubscribed", id, |object| {
        object.text("topic", topic);
    });
}

/// The backbone has accepted a published message, now or (`duplicate`) before.
pub fn ack(out: &mut Vec<u8>, id: Option<&Id>, message_id: &str, duplicate: bool, seq_no: Option<Seq>) {
    event(out, "ack", id, |object| {
        let status = if duplicate { "duplicate" } else { "ok" };
        object.text("messageId", message_id).text("status", status).maybe("seqNo", seq_no);
    });
}

/// A command was refused, or something ended. `retryable` overrides what the code says of itself.
pub fn error(
    out: &mut Vec<u8>,
    id: Option<&Id>,
    code: ErrorCode,
    message: &str,
    topic: Option<&str>,
    retryable: Option<bool>,
) {
    event(out, "error", id, |object| {
        object.text("code", code.as_str()).text("message", message);
        if let Some(topic) = topic {
            object.text("topic", topic);
        }
        object.flag("retryable", retryable.unwrap_or(code.retryable()));
    });
}

/// Answer to the command `ping` (not to a WebSocket ping).
pub fn pong(out: &mut Vec<u8>, id: Option<&Id>) {
    event(out, "pong", id, |_| {});
}

/// Messages this client will not get, as far as their numbers are known.
pub fn gap(out: &mut Vec<u8>, topic: &str, from_seq: Option<Seq>, to_seq: Option<Seq>, reason: GapReason) {
    event(out, "gap", None, |object| {
        object
            .text("topic", topic)
            .maybe("fromSeq", from_seq)
            .maybe("toSeq", to_seq)
            .text("reason", reason.as_str());
    });
}

/// The gateway goes away: connect again after so many milliseconds.
pub fn draining(out: &mut Vec<u8>, reconnect_after_ms: u64) {
    event(out, "draining", None, |object| {
        object.number("reconnectAfterMs", reconnect_after_ms);
    });
}

fn event(out: &mut Vec<u8>, name: &str, id: Option<&Id>, fields: impl FnOnce(&mut Object<'_>)) {
    websocket::text_with(out, |out| {
        out.extend_from_slice(br#"{"type":"#);
        let mut object = Object { out };
        json::put_text(object.out, name);
        if let Some(id) = id {
            object.key("id").extend_from_slice(id.as_bytes());
        }
        fields(&mut object);
        out.push(b'}');
    });
}

/// An object of which the first field has been written. Keys need no escaping.
struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl Object<'_> {
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn text(&mut self, key: &str, value: &str) -> &mut Self {
        json::put_text(self.key(key), value);
        self
    }

    fn number(&mut self, key: &str, value: u64) -> &mut Self {
        json::put_number(self.key(key), value);
        self
    }

    fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key).extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    fn maybe(&mut self, key: &str, value: Option<u64>) -> &mut Self {
        if let Some(value) = value {
            self.number(key, value);
        }
        self
    }
}

#[cfg(test)]
mod tests;
