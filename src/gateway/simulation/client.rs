//! A client that keeps the protocol's rule, and sometimes a slow, forgetful or rude one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    checker::ClientLog,
    dice::Dice,
    resource::{AT_LEAST_ONCE, SOMETIMES},
    wire::{Frame, Wire, masked},
};

/// A connection, as the client holds it.
pub(super) struct Connection {
    /// The gateway's name.
    pub(super) gateway: String,
    pub(super) shard: usize,
    pub(super) slot: usize,
    pub(super) wire: Wire,
    /// Sent, and not at the gateway yet.
    pub(super) up: Vec<u8>,
    /// The client has let go of it.
    pub(super) hung_up: bool,
    /// The close frame that came.
    closed: Option<u16>,
}

/// A publish without an answer: to be published again with the same id.
#[derive(Debug, Clone)]
pub(super) struct Unconfirmed {
    pub(super) topic: String,
    pub(super) message: String,
    pub(super) payload: String,
}

pub(super) struct Client {
    pub(super) token: String,
    pub(super) log: ClientLog,
    pub(super) connection: Option<Connection>,
    pub(super) session: Option<String>,
    /// What it wants, and the last number it has of each; none of patterns.
    pub(super) wanted: BTreeMap<String, Option<u64>>,
    /// What these numbers belong to, per topic and as told last.
    pub(super) epochs: BTreeMap<String, String>,
    pub(super) epoch: Option<String>,
    /// What it is subscribed to on this connection.
    pub(super) held: BTreeSet<String>,
    /// Topics for which a command is under way.
    pub(super) busy: BTreeSet<String>,
    pub(super) unconfirmed: BTreeMap<u64, Unconfirmed>,
    pub(super) again: Vec<Unconfirmed>,
    /// Not before this time.
    pub(super) connect_at: u64,
    /// Leaves by itself then, for its gateway goes away.
    pub(super) leave_at: Option<u64>,
    /// It may subscribe to patterns.
    pub(super) patterns: bool,
    /// Bytes it reads at a time.
    pub(super) pace: usize,
    /// What was delivered at least once: number and topic.
    seen: BTreeSet<(String, u64)>,
    commands: u64,
    /// Something came that is no frame.
    pub(super) trouble: Option<String>,
}

impl Client {
    pub(super) fn new(user: &str, log: ClientLog, patterns: bool) -> Self {
        Self {
            patterns,
            token: super::resource::token(user),
            log,
            connection: None,
            session: None,
            wanted: BTreeMap::new(),
            epochs: BTreeMap::new(),
            epoch: None,
            held: BTreeSet::new(),
            busy: BTreeSet::new(),
            unconfirmed: BTreeMap::new(),
            again: Vec::new(),
            connect_at: 0,
            leave_at: None,
            pace: 0,
            seen: BTreeSet::new(),
            commands: 0,
            trouble: None,
        }
    }

    /// A connection is there.
    pub(super) fn connected(&mut self, at: u64, gateway: &str, (shard, slot): (usize, usize), wire: Wire) {
        self.log.connected(at, gateway);
        let (up, hung_up, closed) = (Vec::new(), false, None);
        let gateway = gateway.to_owned();
        self.connection = Some(Connection { gateway, shard, slot, wire, up, hung_up, closed });
        self.held.clear();
        self.busy.clear();
        self.again.extend(std::mem::take(&mut self.unconfirmed).into_values());
        self.leave_at = None;
    }

    /// Sends a command with an id of its own; `rest` are its fields. Answers the id.
    pub(super) fn command(&mut self, at: u64, kind: &str, rest: &str) -> u64 {
        self.commands += 1;
        let text = match kind {
            "ack" => format!(r#"{{"type":"ack",{rest}}}"#),
            _ => format!(
                r#"{{"type":"{kind}","id":{}{}{rest}}}"#,
                self.commands,
                if rest.is_empty() { "" } else { "," }
            ),
        };
        if let Some(connection) = &mut self.connection {
            self.log.sent(at, &text);
            connection.up.extend(masked(1, text.as_bytes()));
        }
        self.commands
    }

    /// Publishes, or publishes again.
    pub(super) fn publish(&mut self, at: u64, publish: Unconfirmed) {
        let Unconfirmed { topic, message, payload } = &publish;
        let rest = format!(r#""topic":"{topic}","messageId":"{message}","payload":{payload}"#);
        let id = self.command(at, "publish", &rest);
        self.unconfirmed.insert(id, publish);
    }

    /// Reads every whole frame that has come, and sees whether the connection has ended. `clock` gives each its time.
    pub(super) fn read(&mut self, now: u64, clock: &mut impl FnMut() -> u64, dice: &mut Dice) {
        while let Some(connection) = &mut self.connection {
            match connection.wire.frame() {
                Err(_) => {
                    self.trouble.get_or_insert("what came is no frame".into());
                    return self.cut(clock(), now, dice);
                }
                Ok(None) if connection.wire.is_finished() => {
                    let code = connection.closed.unwrap_or(1006);
                    self.log.closed(clock(), code);
                    if let Some(connection) = &mut self.connection {
                        connection.hung_up = true;
                    }
                    return self.ended(now, dice);
                }
                Ok(None) => return,
                Ok(Some(Frame::Text(text))) => self.frame(&text, now, clock, dice),
                Ok(Some(Frame::Close(code))) => connection.closed = Some(code),
                Ok(Some(Frame::Ping)) => connection.up.extend(masked(10, &[])),
                Ok(Some(Frame::Pong)) => {}
            }
        }
    }

    /// Lets go of the connection without a word.
    pub(super) fn cut(&mut self, at: u64, now: u64, dice: &mut Dice) {
        self.log.cut(at);
        self.log.closed(at, 1006);
        self.ended(now, dice);
    }

    fn ended(&mut self, now: u64, dice: &mut Dice) {
        self.connect_at = now + dice.below(700) as u64;
        if let Some(connection) = &mut self.connection {
            connection.hung_up = true;
        }
    }

    fn frame(&mut self, text: &str, now: u64, clock: &mut impl FnMut() -> u64, dice: &mut Dice) {
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            self.trouble.get_or_insert(format!("not JSON: {text}"));
            return self.cut(clock(), now, dice);
        };
        self.log.received(clock(), text);
        let topic = frame["topic"].as_str().unwrap_or_default().to_owned();
        let (kind, id) = (frame["type"].as_str().unwrap_or_default(), frame["id"].as_u64());
        match kind {
            "ready" => self.session = frame["sessionId"].as_str().map(Into::into),
            "subscribed" => self.subscribed(&topic, &frame),
            "unsubscribed" => {
                self.busy.remove(&topic);
                self.held.remove(&topic);
                self.wanted.remove(&topic);
            }
            "message" => self.message(&topic, &frame, clock, dice),
            "gap" => self.gap(&topic, &frame, clock, dice),
            "replayed" => drop(self.busy.remove(&topic)),
            "ack" => drop(id.map(|id| self.unconfirmed.remove(&id))),
            "error" => self.error(&topic, &frame, id),
            "draining" => {
                let after = frame["reconnectAfterMs"].as_u64().unwrap_or(0);
                self.leave_at = dice.percent(50).then_some(now + after);
            }
            _ => {}
        }
    }

    fn subscribed(&mut self, topic: &str, frame: &Value) {
        self.busy.remove(topic);
        let again = !self.held.insert(topic.to_owned());
        let own = self.wanted.entry(topic.to_owned()).or_default();
        let anew = frame["recovered"] == false;
        if !topic.contains(['*', '>']) && (!again || anew) {
            *own = frame["seqNo"].as_u64();
            if let Some(epoch) = frame["epoch"].as_str() {
                self.epochs.insert(topic.to_owned(), epoch.to_owned());
                self.epoch = Some(epoch.to_owned());
            }
            if anew {
                self.seen.retain(|(other, _)| other != topic);
            }
        }
    }

    fn message(&mut self, topic: &str, frame: &Value, clock: &mut impl FnMut() -> u64, dice: &mut Dice) {
        let Some(seq) = frame["seqNo"].as_u64() else { return };
        if let Some(Some(last)) = self.wanted.get_mut(topic) {
            *last = seq.max(*last);
        }
        if !topic.starts_with(AT_LEAST_ONCE.trim_end_matches('>')) || !self.held.contains(topic) {
            return;
        }
        // Whoever has forgotten a message gets it again, and tells then.
        let again = !self.seen.insert((topic.to_owned(), seq));
        if !again && dice.percent(35) {
            return;
        }
        match frame["messageId"].as_str().filter(|_| dice.percent(60)) {
            Some(id) => self.command(clock(), "ack", &format!(r#""messageId":"{id}""#)),
            None => self.command(clock(), "ack", &format!(r#""topic":"{topic}","seqNo":{seq}"#)),
        };
    }

    fn gap(&mut self, topic: &str, frame: &Value, clock: &mut impl FnMut() -> u64, dice: &mut Dice) {
        let (from, to) = (frame["fromSeq"].as_u64(), frame["toSeq"].as_u64());
        if let (Some(Some(last)), Some(to)) = (self.wanted.get_mut(topic), to) {
            *last = to.max(*last);
        }
        let Some((from, to)) = from.zip(to).filter(|_| frame["reason"] == "dropped" && dice.percent(50))
        else {
            return;
        };
        if self.held.contains(topic) && self.busy.insert(topic.into()) {
            self.command(clock(), "replay", &format!(r#""topic":"{topic}","fromSeq":{from},"toSeq":{to}"#));
        }
    }

    fn error(&mut self, topic: &str, frame: &Value, id: Option<u64>) {
        let code = frame["code"].as_str().unwrap_or_default();
        if let Some(publish) = id.and_then(|id| self.unconfirmed.remove(&id)) {
            if frame["retryable"] == true {
                self.again.push(publish);
            }
            return;
        }
        match code {
            "SESSION_EXPIRED" => {
                self.session = None;
                // What it was to go on with; what was asked for since is answered for itself.
                self.busy.retain(|topic| !self.wanted.contains_key(topic));
            }
            "ACL_DENIED" => {
                self.held.remove(topic);
                self.wanted.remove(topic);
                self.busy.remove(topic);
            }
            _ => drop(self.busy.remove(topic)),
        }
    }

    /// A right is about to be given, or was taken.
    pub(super) fn right(&mut self, at: u64, granted: bool) {
        for may in [super::checker::May::Subscribe, super::checker::May::Publish] {
            self.log.right(at, may, SOMETIMES, granted);
        }
    }
}
