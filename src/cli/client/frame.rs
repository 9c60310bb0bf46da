//! What a gateway says, as far as the command line is concerned.

use std::time::Duration;

use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes, handshake::client::Response};

use super::Socket;
use crate::cli::Failure;

/// Any frame from the gateway: the fields that some type of frame has and that are used here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::cli) struct Frame {
    #[serde(rename = "type")]
    pub(in crate::cli) kind: String,
    /// Echo of a command's id.
    pub(in crate::cli) id: Option<u64>,
    pub(in crate::cli) topic: Option<String>,
    pub(in crate::cli) seq_no: Option<u64>,
    pub(in crate::cli) prev_seq_no: Option<u64>,
    pub(in crate::cli) message_id: Option<String>,
    pub(in crate::cli) data: Option<Box<RawValue>>,
    pub(in crate::cli) status: Option<String>,
    pub(in crate::cli) from_seq: Option<u64>,
    pub(in crate::cli) to_seq: Option<u64>,
    pub(in crate::cli) reason: Option<String>,
    pub(in crate::cli) reconnect_after_ms: Option<u64>,
    pub(in crate::cli) heartbeat_seconds: Option<u64>,
    pub(in crate::cli) session_id: Option<String>,
    pub(in crate::cli) epoch: Option<String>,
    pub(in crate::cli) recoverable: bool,
    pub(in crate::cli) resumed: bool,
    pub(in crate::cli) code: String,
    pub(in crate::cli) message: String,
    pub(in crate::cli) retryable: bool,
}

/// What comes next on a connection.
#[derive(Debug)]
pub(in crate::cli) enum Event {
    /// A frame, and its text.
    Frame(Box<Frame>, Utf8Bytes),
    /// The connection has ended.
    Closed {
        /// The close code; 1006 where the connection broke.
        code: u16,
        /// In words.
        why: String,
    },
}

/// Waits for the next frame; pings are answered on the way. A connection on which nothing comes for `silence`,
/// not even a ping, is broken. May be given up between frames without loss.
pub(in crate::cli) async fn listen(socket: &mut Socket, silence: Duration) -> Event {
    let broken = |why: String| Event::Closed { code: 1006, why };
    loop {
        let text = match timeout(silence, socket.next()).await {
            Err(_) => return broken(format!("the gateway has been silent for {} s", silence.as_secs())),
            Ok(None) => return broken("the connection was lost".into()),
            Ok(Some(Err(error))) => return broken(error.to_string()),
            Ok(Some(Ok(Message::Close(None)))) => {
                return Event::Closed { code: 1005, why: "closed by the gateway".into() };
            }
            Ok(Some(Ok(Message::Close(Some(frame))))) => {
                let code = frame.code.into();
                return Event::Closed {
                    code,
                    why: format!("closed by the gateway: {} ({code})", frame.reason),
                };
            }
            Ok(Some(Ok(Message::Text(text)))) => text,
            Ok(Some(Ok(_))) => continue,
        };
        return match serde_json::from_str(&text) {
            Ok(frame) => Event::Frame(Box::new(frame), text),
            Err(error) => broken(format!("what answers is not a topic-gateway: {error}")),
        };
    }
}

impl Frame {
    /// The failure an `error` frame means, in the gateway's words.
    pub(in crate::cli) fn failure(&self) -> Failure {
        let Self { code, message, .. } = self;
        let about = self.topic.as_ref().map(|topic| format!("{topic}: ")).unwrap_or_default();
        let hint = match code.as_str() {
            "AUTH_REQUIRED" => "; give a token with --token-file or TOPIC_GATEWAY_TOKEN".into(),
            "AUTH_FAILED" => format!("; {ANOTHER_TOKEN}"),
            "ACL_DENIED" => "; a rule in the gateway's authorization has to allow it, or the token".into(),
            _ => String::new(),
        };
        let sentence = format!("{about}{message} ({code}){hint}");
        match code.as_str() {
            "BAD_REQUEST" | "TOPIC_INVALID" => Failure::usage(sentence),
            // More than there may be, whenever it is tried.
            "LIMIT_EXCEEDED" if !self.retryable => Failure::usage(sentence),
            "AUTH_REQUIRED" | "AUTH_FAILED" | "ACL_DENIED" | "FORBIDDEN" => Failure::refused(sentence),
            _ => Failure::unavailable(sentence),
        }
    }
}

/// The failure that a close means, where coming back would end in the same.
pub(in crate::cli) fn dismissed(code: u16, why: &str) -> Option<Failure> {
    match code {
        1009 => Some(Failure::usage(format!(
            "{why}; send less at once, or raise limits.messageBytes of the gateway"
        ))),
        4401 => Some(Failure::refused(format!("{why}; {ANOTHER_TOKEN}"))),
        4403 => Some(Failure::refused(format!(
            "{why}; {ANOTHER_TOKEN}, or have the gateway's authorization changed"
        ))),
        _ => None,
    }
}

const ANOTHER_TOKEN: &str = "give another token with --token-file or TOPIC_GATEWAY_TOKEN";

/// The failure an HTTP answer instead of a WebSocket means.
pub(in crate::cli) fn declined(url: &str, response: &Response) -> Failure {
    #[derive(Deserialize)]
    struct Answer {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        message: String,
    }
    let status = response.status();
    let body = response.body().as_deref().unwrap_or_default();
    let why = match serde_json::from_slice::<Answer>(body) {
        Ok(answer) => answer.error.message,
        Err(_) => "check the path of --url, the gateway's WebSocket is at /ws".into(),
    };
    let sentence = format!("{url} answered {status}: {why}");
    match status.as_u16() {
        401 | 403 => Failure::refused(sentence),
        _ => Failure::unavailable(sentence),
    }
}

/// Text from elsewhere on one line, without anything a terminal would obey.
pub(in crate::cli) fn tame(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_the_exit_code_of_its_kind() {
        for (code, exit) in [
            ("TOPIC_INVALID", 64),
            ("BAD_REQUEST", 64),
            ("AUTH_REQUIRED", 77),
            ("AUTH_FAILED", 77),
            ("ACL_DENIED", 77),
            ("LIMIT_EXCEEDED", 64),
            ("BACKBONE_UNAVAILABLE", 69),
        ] {
            let frame = Frame { code: code.into(), message: "why".into(), ..Frame::default() };
            assert_eq!(frame.failure().code, exit, "{code}");
            assert!(frame.failure().message.contains("why"), "{code}");
        }
        let later = Frame { code: "LIMIT_EXCEEDED".into(), retryable: true, ..Frame::default() };
        assert_eq!(later.failure().code, 69, "a moment later it may be well");
    }

    #[test]
    fn a_close_that_another_connection_would_end_in_is_a_failure_with_what_to_do() {
        for (close, exit, told) in
            [(1009, 64, "limits.messageBytes"), (4401, 77, "--token-file"), (4403, 77, "authorization")]
        {
            let failure = dismissed(close, "the reason").unwrap();
            assert_eq!(failure.code, exit, "{close}");
            assert!(
                failure.message.starts_with("the reason; ") && failure.message.contains(told),
                "{failure}"
            );
        }
        for passing in [1001, 1006, 1012, 1013, 4408, 4409, 4429] {
            assert_eq!(dismissed(passing, "why"), None, "{passing}");
        }
    }

    #[test]
    fn text_from_elsewhere_cannot_command_the_terminal() {
        assert_eq!(tame("a\u{1b}[31m\r\nb\u{9b}"), "a\u{fffd}[31m  b\u{fffd}");
    }
}
