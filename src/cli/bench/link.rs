//! The life of one connection, without its socket: upgrade, set-up, then what the gateway sends.

use super::{
    frame::{self, Frames, Incoming, Unreadable},
    upgrade,
};
use crate::cli::{
    Failure,
    client::{self, Frame, tame},
};

/// One connection to a gateway.
#[derive(Debug)]
pub(super) struct Link {
    stage: Stage,
    frames: Frames,
    /// What its frames are masked with.
    mask: [u8; 4],
}

#[derive(Debug)]
enum Stage {
    Upgrading(Box<Upgrading>),
    SettingUp(SettingUp),
    Live,
    Ended(Box<Ending>),
}

/// The answer to the upgrade is coming.
#[derive(Debug)]
struct Upgrading {
    key: String,
    /// What there is of it.
    answer: Vec<u8>,
    topics: u64,
}

/// The gateway is told who we are and what we want.
#[derive(Debug, Clone, Copy)]
struct SettingUp {
    asked: bool,
    ready: bool,
    /// Topics that are not subscribed yet.
    topics: u64,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    /// The close code; 1006 where the connection broke.
    pub(super) code: u16,
    pub(super) reason: String,
}

impl Link {
    /// A connection that has asked for its upgrade with this key, and is to hold so many topics.
    pub(super) fn new(key: String, topics: u64, mask: [u8; 4]) -> Self {
        let stage = Stage::Upgrading(Box::new(Upgrading { key, answer: Vec::new(), topics }));
        Self { stage, frames: Frames::default(), mask }
    }

    /// Whether it is upgraded and has not asked for anything yet.
    pub(super) fn wants_set_up(&self) -> bool {
        matches!(self.stage, Stage::SettingUp(SettingUp { asked: false, .. }))
    }

    /// Asks with this command, whose answers are awaited.
    pub(super) fn set_up(&mut self, command: &str, out: &mut Vec<u8>) {
        if let Stage::SettingUp(setting_up) = &mut self.stage {
            setting_up.asked = true;
        }
        self.say(command.as_bytes(), out);
    }

    /// Appends a command.
    pub(super) fn say(&self, command: &[u8], out: &mut Vec<u8>) {
        frame::text(out, command, self.mask);
    }

    /// Appends a farewell.
    pub(super) fn close(&self, out: &mut Vec<u8>) {
        frame::close(out, self.mask);
    }

    /// Whether it is no WebSocket yet.
    pub(super) fn is_upgrading(&self) -> bool {
        matches!(self.stage, Stage::Upgrading(_))
    }

    /// Whether everything asked for is there.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Live)
    }

    /// How it ended, if it has.
    pub(super) fn ending(&self) -> Option<&Ending> {
        if let Stage::Ended(ending) = &self.stage { Some(ending) } else { None }
    }

    /// Takes what the gateway has sent: answers to what was asked for are awaited here, pings are answered on `out`, any
    /// other text goes to `hear`. A connection that cannot be set up is a failure; one that was may end.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        url: &str,
        out: &mut Vec<u8>,
        mut hear: impl FnMut(&[u8]),
    ) -> Result<(), Failure> {
        let rest;
        let mut bytes = bytes;
        if let Stage::Upgrading(upgrading) = &mut self.stage {
            upgrading.answer.extend_from_slice(bytes);
            let Some(used) = upgrade::answer(&upgrading.answer, &upgrading.key, url)? else { return Ok(()) };
            rest = upgrading.answer.split_off(used);
            bytes = &rest;
            let topics = upgrading.topics;
            self.stage = Stage::SettingUp(SettingUp { asked: false, ready: false, topics });
        }
        let (stage, mask) = (&mut self.stage, self.mask);
        let heard = self.frames.feed(bytes, |frame| {
            match frame {
                Incoming::Text(text) => stage.text(text, &mut hear)?,
                Incoming::Ping(payload) => frame::pong(out, payload, mask),
                Incoming::Pong => {}
                Incoming::Close { code, reason } => {
                    return Err(Trouble::End(Ending { code, reason: tame(&reason) }));
                }
            }
            Ok(())
        });
        match heard {
            Ok(()) => Ok(()),
            Err(Trouble::Refused(failure)) => Err(failure),
            Err(Trouble::End(ending)) => self.end(ending, url),
        }
    }

    /// The socket says that it is over.
    pub(super) fn lost(&mut self, why: &str, url: &str) -> Result<(), Failure> {
        self.end(Ending { code: 1006, reason: why.into() }, url)
    }

    fn end(&mut self, ending: Ending, url: &str) -> Result<(), Failure> {
        match self.stage {
            Stage::Live => self.stage = Stage::Ended(Box::new(ending)),
            Stage::Ended(_) => {}
            Stage::Upgrading(_) => {
                let Ending { reason, .. } = ending;
                return Err(Failure::unavailable(format!(
                    "cannot reach a gateway at {url}: {reason}; start one with `topic-gateway dev`, or name another \
                     with --url"
                )));
            }
            Stage::SettingUp(_) => {
                let Ending { code, reason } = ending;
                let why = format!("a connection to {url} ended before it was set up: {reason} ({code})");
                return Err(client::dismissed(code, &why)
                    .unwrap_or_else(|| Failure::unavailable(format!("{why}; look at the gateway's log"))));
            }
        }
        Ok(())
    }
}

/// Why no more of a connection is read.
enum Trouble {
    Refused(Failure),
    End(Ending),
}

impl From<Unreadable> for Trouble {
    fn from(unreadable: Unreadable) -> Self {
        Self::End(Ending { code: 1006, reason: format!("the gateway sent {unreadable}") })
    }
}

impl Stage {
    fn text(&mut self, text: &[u8], hear: &mut impl FnMut(&[u8])) -> Result<(), Trouble> {
        let Self::SettingUp(wanted) = self else {
            hear(text);
            return Ok(());
        };
        let frame: Frame = serde_json::from_slice(text).map_err(|error| {
            Trouble::Refused(Failure::unavailable(format!("what answers is not a topic-gateway: {error}")))
        })?;
        match frame.kind.as_str() {
            "ready" => wanted.ready = true,
            "subscribed" => wanted.topics = wanted.topics.saturating_sub(1),
            "error" => return Err(Trouble::Refused(frame.failure())),
            // Others may publish meanwhile.
            _ => hear(text),
        }
        if wanted.ready && wanted.topics == 0 {
            *self = Self::Live;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

    use super::*;
    use crate::gateway::websocket::{self, CloseCode};

    const URL: &str = "ws://gw/ws";
    const READY: &str =
        r#"{"type":"ready","id":0,"sessionId":"s","userId":"u","heartbeatSeconds":25,"resumed":false}"#;

    fn subscribed(topic: &str) -> String {
        format!(r#"{{"type":"subscribed","id":0,"topic":"{topic}","seqNo":0,"recoverable":false}}"#)
    }

    /// A connection for two topics, and what it has heard.
    struct Trial {
        link: Link,
        out: Vec<u8>,
        heard: Vec<String>,
    }

    impl Trial {
        fn new() -> Self {
            Self { link: Link::new("key".into(), 2, [0; 4]), out: Vec::new(), heard: Vec::new() }
        }

        fn upgraded() -> Self {
            let mut trial = Self::new();
            trial.receive(Self::accepted().as_bytes()).unwrap();
            trial.link.set_up("{}", &mut trial.out);
            trial
        }

        fn live() -> Self {
            let mut trial = Self::upgraded();
            for text in [READY, &subscribed("a"), &subscribed("b")] {
                trial.text(text).unwrap();
            }
            trial
        }

        fn accepted() -> String {
            let accept = derive_accept_key(b"key");
            format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
        }

        fn receive(&mut self, bytes: &[u8]) -> Result<(), Failure> {
            let heard = &mut self.heard;
            let hear = |text: &[u8]| heard.push(String::from_utf8_lossy(text).into_owned());
            self.link.receive(bytes, URL, &mut self.out, hear)
        }

        fn text(&mut self, text: &str) -> Result<(), Failure> {
            self.receive(&websocket::text_frame(text))
        }
    }

    #[test]
    fn a_connection_is_live_when_it_is_ready_and_all_topics_are_subscribed() {
        let mut trial = Trial::new();
        assert!(!trial.link.wants_set_up());
        trial.receive(Trial::accepted().as_bytes()).unwrap();
        assert!(trial.link.wants_set_up());
        trial.link.set_up("{}", &mut trial.out);
        assert!(!trial.link.wants_set_up());
        for text in [READY, &subscribed("a"), &subscribed("b")] {
            assert!(!trial.link.is_live(), "before {text}");
            trial.text(text).unwrap();
        }
        assert!(trial.link.is_live());
    }

    #[test]
    fn frames_that_come_with_the_upgrade_are_not_lost() {
        let mut trial = Trial::new();
        let mut bytes = Trial::accepted().into_bytes();
        for text in [READY, &subscribed("a"), &subscribed("b"), r#"{"type":"gap"}"#] {
            bytes.extend_from_slice(&websocket::text_frame(text));
        }
        for piece in bytes.chunks(5) {
            trial.receive(piece).unwrap();
        }
        assert!(trial.link.is_live());
        assert_eq!(trial.heard, [r#"{"type":"gap"}"#]);
    }

    #[test]
    fn messages_of_others_may_come_before_the_set_up_is_done() {
        let mut trial = Trial::upgraded();
        let message = r#"{"type":"message","topic":"a","data":1}"#;
        for text in [READY, &subscribed("a"), message] {
            trial.text(text).unwrap();
        }
        assert!(!trial.link.is_live());
        assert_eq!(trial.heard, [message]);
    }

    #[test]
    fn what_is_refused_is_a_failure_in_the_gateways_words() {
        let mut trial = Trial::upgraded();
        trial.text(READY).unwrap();
        let error = r#"{"type":"error","id":0,"code":"ACL_DENIED","message":"not yours","topic":"a","retryable":false}"#;
        let failure = trial.text(error).unwrap_err();
        assert!(failure.code == 77 && failure.message.contains("a: not yours (ACL_DENIED)"), "{failure}");
    }

    #[test]
    fn a_close_before_the_set_up_is_a_failure_and_after_it_an_ending() {
        let mut close = Vec::new();
        websocket::close(&mut close, CloseCode::SlowConsumer, "too slow");
        let failure = Trial::upgraded().receive(&close).unwrap_err();
        assert!(failure.message.contains("too slow (4409)") && failure.message.contains(URL), "{failure}");
        let mut trial = Trial::live();
        trial.receive(&close).unwrap();
        assert_eq!(trial.link.ending(), Some(&Ending { code: 4409, reason: "too slow".into() }));
        assert!(Trial::new().link.lost("refused", URL).is_err());
        let mut trial = Trial::live();
        trial.link.lost("reset", URL).unwrap();
        assert_eq!(trial.link.ending().map(|ending| ending.code), Some(1006));
    }

    #[test]
    fn a_ping_is_answered_at_any_time() {
        let mut trial = Trial::live();
        trial.out.clear();
        trial.receive(&[0x89, 2, b'h', b'i']).unwrap();
        assert_eq!(trial.out, [0x8a, 0x82, 0, 0, 0, 0, b'h', b'i']);
    }

    #[test]
    fn nonsense_ends_the_connection() {
        let mut trial = Trial::live();
        trial.receive(&[0x82, 0]).unwrap();
        let ending = trial.link.ending().unwrap();
        assert!(ending.code == 1006 && ending.reason.contains("no text"), "{ending:?}");
    }
}
