//! What the user of `sub` sees.

use std::{
    collections::HashMap,
    io::{self, Write},
    time::Duration,
};

use crate::{
    api::Seq,
    cli::client::{Frame, tame},
};

/// Topics whose last number is remembered, to see gaps; what comes beyond is printed all the same.
const REMEMBERED: usize = 10_000;

/// What is shown, and how.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    /// The frames themselves on `out`, one a line.
    pub(super) json: bool,
    pub(super) colour: bool,
    /// Whether a subscription that has begun is told of.
    pub(super) subscriptions: bool,
}

/// Prints messages on `out` and everything about them on `err`.
pub(super) struct View<O, E> {
    out: O,
    err: E,
    style: Style,
    /// Number of the last message per topic; at most [`REMEMBERED`].
    last: HashMap<String, Seq>,
}

impl<O: Write, E: Write> View<O, E> {
    pub(super) fn new(out: O, err: E, style: Style) -> Self {
        Self { out, err, style, last: HashMap::new() }
    }

    /// A remark. That it cannot be written is no reason to stop.
    pub(super) fn say(&mut self, remark: &str) {
        let _ = writeln!(self.err, "{}", tame(remark));
    }

    /// Shows a frame, whose text is `text`. An error means that nobody reads `out` any more.
    pub(super) fn frame(&mut self, frame: &Frame, text: &str) -> io::Result<()> {
        self.remark(frame);
        if self.style.json {
            // Between JSON's tokens a line end is only space, within strings there is none.
            return writeln!(self.out, "{}", text.replace(['\n', '\r'], " "));
        }
        if frame.kind != "message" {
            return Ok(());
        }
        let seq = frame.seq_no.map_or("-".into(), |seq| seq.to_string());
        let topic = tame(frame.topic.as_deref().unwrap_or_default());
        let data = tame(frame.data.as_ref().map_or("null", |data| data.get()));
        if self.style.colour {
            writeln!(self.out, "\x1b[36m{topic}\x1b[0m \x1b[2m{seq}\x1b[0m {data}")
        } else {
            writeln!(self.out, "{topic} {seq} {data}")
        }
    }

    fn remark(&mut self, frame: &Frame) {
        let topic = frame.topic.as_deref().unwrap_or_default();
        match frame.kind.as_str() {
            "message" => self.look_for_gap(topic, frame),
            "subscribed" if self.style.subscriptions => self.say(&format!("subscribed to {topic}")),
            "gap" => {
                let reason = frame.reason.as_deref().unwrap_or("unknown reason");
                let range = match (frame.from_seq, frame.to_seq) {
                    (Some(from), Some(to)) => format!("messages {from} to {to}"),
                    _ => "messages".into(),
                };
                self.say(&format!("gap on {topic}: {range} will not come ({reason})"));
                // What follows begins anew: the same gap must not be told twice.
                self.last.remove(topic);
            }
            "draining" => {
                let seconds = Duration::from_millis(frame.reconnect_after_ms.unwrap_or(0)).as_secs_f64();
                self.say(&format!("this gateway is going away: changing to another in {seconds:.1} s"));
            }
            _ => {}
        }
    }

    /// An `error` that does not end the command.
    pub(super) fn error(&mut self, frame: &Frame) {
        let again = if frame.retryable { "; trying again" } else { "" };
        self.say(&format!("error: {}{again}", frame.failure()));
    }

    fn look_for_gap(&mut self, topic: &str, frame: &Frame) {
        let Some(seq) = frame.seq_no else { return };
        let Some(last) = self.last.get_mut(topic) else {
            if self.last.len() < REMEMBERED {
                self.last.insert(topic.into(), seq);
            }
            return;
        };
        let missed = frame.prev_seq_no.filter(|prev| *prev > *last).map(|prev| (*last + 1, prev));
        *last = seq;
        if let Some((from, to)) = missed {
            self.say(&format!("gap on {topic}: messages {from} to {to} did not come"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed on either side for these frames.
    fn shown(json: bool, colour: bool, frames: &[&str]) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut view = View::new(&mut out, &mut err, Style { json, colour, subscriptions: false });
        for text in frames {
            view.frame(&serde_json::from_str(text).unwrap(), text).unwrap();
        }
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    const FIRST: &str = r#"{"type":"message","topic":"t","seqNo":1,"prevSeqNo":0,"data":{"a": 1}}"#;
    const SECOND: &str = r#"{"type":"message","topic":"t","seqNo":2,"prevSeqNo":1,"data":2}"#;
    const FIFTH: &str = r#"{"type":"message","topic":"t","seqNo":5,"prevSeqNo":4,"data":5}"#;

    #[test]
    fn a_message_is_topic_number_and_data() {
        assert_eq!(shown(false, false, &[FIRST, SECOND]), ("t 1 {\"a\": 1}\nt 2 2\n".into(), String::new()));
    }

    #[test]
    fn a_message_without_a_number_has_a_dash() {
        assert_eq!(shown(false, false, &[r#"{"type":"message","topic":"t","data":"x"}"#]).0, "t - \"x\"\n");
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        assert!(shown(false, true, &[FIRST]).0.contains("\x1b[36mt\x1b[0m"));
        assert!(!shown(false, false, &[FIRST]).0.contains('\x1b'));
    }

    #[test]
    fn a_subscription_is_told_of_where_somebody_looks_on() {
        let begun = r#"{"type":"subscribed","topic":"prices.*","seqNo":0,"recoverable":false}"#;
        assert_eq!(shown(false, false, &[begun]), (String::new(), String::new()));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let style = Style { subscriptions: true, ..Style::default() };
        View::new(&mut out, &mut err, style).frame(&serde_json::from_str(begun).unwrap(), begun).unwrap();
        assert_eq!((out, String::from_utf8(err).unwrap()), (Vec::new(), "subscribed to prices.*\n".into()));
    }

    #[test]
    fn json_is_the_frames_one_a_line() {
        let spread = "{\"type\":\"message\",\"topic\":\"t\",\"data\":[1,\n2]}";
        assert_eq!(
            shown(true, true, &[spread]).0,
            "{\"type\":\"message\",\"topic\":\"t\",\"data\":[1, 2]}\n"
        );
    }

    #[test]
    fn a_hole_in_the_numbers_is_told() {
        assert_eq!(shown(false, false, &[SECOND, FIFTH]).1, "gap on t: messages 3 to 4 did not come\n");
    }

    #[test]
    fn a_gap_the_gateway_tells_is_told_once() {
        let gap = r#"{"type":"gap","topic":"t","fromSeq":3,"toSeq":4,"reason":"dropped"}"#;
        let told = shown(false, false, &[SECOND, gap, FIFTH]).1;
        assert_eq!(told, "gap on t: messages 3 to 4 will not come (dropped)\n");
    }

    #[test]
    fn draining_and_errors_are_told_in_words() {
        let told = shown(false, false, &[r#"{"type":"draining","reconnectAfterMs":1500}"#]).1;
        assert!(told.contains("1.5 s"), "{told}");
        let error = |retryable| Frame {
            code: "ACL_DENIED".into(),
            message: "not yours".into(),
            topic: Some("t".into()),
            retryable,
            ..Frame::default()
        };
        let mut err = Vec::new();
        let mut view = View::new(Vec::new(), &mut err, Style::default());
        view.error(&error(false));
        view.error(&error(true));
        let told = String::from_utf8(err).unwrap();
        let lines: Vec<_> = told.lines().collect();
        assert!(lines.iter().all(|line| line.starts_with("error: t: not yours (ACL_DENIED); ")), "{told}");
        let again: Vec<_> = lines.iter().map(|line| line.ends_with("; trying again")).collect();
        assert_eq!(again, [false, true], "{told}");
    }
}
