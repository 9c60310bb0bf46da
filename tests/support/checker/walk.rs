//! One client's records from first to last: what each frame means where it comes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{
    acknowledgements::{Flights, Waits},
    answers::{Answers, Command, Wrong},
    attempts::epoch_at,
    complete,
    frames::{covers, text},
    gaps::{Reason, Told},
    history::{History, Limits, Mark, May, Message, Nanos, Seq, Track, What},
    position::{Position, Subscribed},
    replays::{Copy, Replay},
    report::{Report, Rule, Violation},
    rights::Rights,
    truth::{Key, Truth},
};

/// Codes with which a connection may end; 1005 is a close frame without one.
const CODES: [u16; 14] = [1000, 1001, 1002, 1003, 1005, 1007, 1009, 1012, 1013, 4401, 4403, 4408, 4409, 4429];
const WITHOUT_CLOSE: u16 = 1006;
const DRAIN: u16 = 1012;

#[derive(Debug, Default)]
struct Connection {
    opened: Nanos,
    gateway: String,
    draining: bool,
    cut: bool,
    /// When the client began to read again; it may still have to.
    stalled: Option<Nanos>,
    answers: Answers,
    /// Topics and patterns.
    held: BTreeSet<String>,
    ever_held: BTreeSet<String>,
    /// The position that was named with the latest request for a topic.
    asked: HashMap<String, Option<Seq>>,
    replays: Vec<Replay>,
    flights: BTreeMap<String, Flights>,
}

impl Connection {
    fn holds(&self, topic: &str) -> bool {
        self.held.iter().any(|filter| covers(filter, topic))
    }
}

/// The state of one client while its records are read.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    track: &'a Track,
    history: &'a History,
    truth: &'a Truth,
    report: &'a mut Report,
    now: Nanos,
    rights: Rights,
    connection: Option<Connection>,
    positions: BTreeMap<String, Position>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        track: &'a Track,
        history: &'a History,
        truth: &'a Truth,
        report: &'a mut Report,
    ) -> Self {
        let (rights, positions) = (Rights::default(), BTreeMap::new());
        Self { track, history, truth, report, now: 0, rights, connection: None, positions }
    }

    /// Reads everything.
    pub(super) fn run(mut self) {
        for record in &self.track.records {
            self.now = record.at;
            match &record.what {
                What::Connected(gateway) => self.connected(gateway),
                What::Sent(command) => self.sent(command),
                What::Message(message) => self.message(*message),
                What::Received(frame) => self.received(frame),
                What::Closed(code) => self.closed(*code),
                What::Cut => {
                    if let Some(connection) = &mut self.connection {
                        connection.cut = true;
                    }
                }
                What::Stalled(stalled) => self.stalled(*stalled),
                What::Right(right) => self.rights.change(record.at, right),
            }
        }
        self.now = self.history.end;
        self.finish();
    }

    fn wrong(&mut self, topic: &str, (rule, seq, what): Wrong) {
        let (who, topic) = (self.track.client.clone(), topic.into());
        self.report.add(Violation { rule, who, topic, seq, at: self.now, what });
    }

    fn all_wrong(&mut self, topic: &str, wrong: Vec<Wrong>) {
        for wrong in wrong {
            self.wrong(topic, wrong);
        }
    }

    fn connected(&mut self, gateway: &str) {
        self.report.connections += 1;
        for position in self.positions.values_mut() {
            position.disconnected();
        }
        self.connection =
            Some(Connection { opened: self.now, gateway: gateway.into(), ..Connection::default() });
    }

    fn stalled(&mut self, stalled: bool) {
        let now = self.now;
        if let Some(connection) = &mut self.connection {
            connection.stalled = Some(if stalled { Nanos::MAX } else { now });
        }
    }

    // --- What the client says ------------------------------------------------------------------------------------

    fn sent(&mut self, command: &str) {
        let (Some(connection), Ok(frame)) = (&mut self.connection, serde_json::from_str::<Value>(command))
        else {
            return;
        };
        let order = connection.answers.sent(&frame, self.now);
        let topic = text(&frame, "topic").to_owned();
        match text(&frame, "type") {
            "subscribe" => {
                let asked = frame["fromSeq"].as_u64().map(|from| from.saturating_sub(1));
                connection.asked.insert(topic, asked);
            }
            "resume" => {
                let positions = frame["lastSeqPerTopic"].as_object().into_iter().flatten();
                connection.asked.extend(positions.map(|(topic, seq)| (topic.clone(), seq.as_u64())));
            }
            "replay" => connection.replays.push(Replay {
                id: frame.get("id").map(Value::to_string),
                held: connection.held.contains(&topic),
                topic,
                from: frame["fromSeq"].as_u64().unwrap_or(0),
                to: frame["toSeq"].as_u64(),
                sent: self.now,
                seen: Vec::new(),
                epoch: None,
            }),
            "ack" => self.acknowledges(&topic, &frame, order),
            _ => {}
        }
    }

    fn acknowledges(&mut self, topic: &str, frame: &Value, order: usize) {
        let Some(connection) = &mut self.connection else { return };
        let mut wrong = Vec::new();
        for (own, flights) in &mut connection.flights {
            let late = match (frame["messageId"].as_str(), frame["seqNo"].as_u64()) {
                (Some(id), _) => flights.one(id, self.now, order, &self.history.limits).into_iter().collect(),
                (None, Some(seq)) if own == topic => {
                    flights.up_to(seq, self.now, order, &self.history.limits)
                }
                _ => continue,
            };
            wrong.extend(late.into_iter().map(|wrong| (own.clone(), wrong)));
        }
        for (topic, wrong) in wrong {
            self.wrong(&topic, wrong);
        }
    }

    // --- What the gateway says -----------------------------------------------------------------------------------

    fn received(&mut self, text_frame: &str) {
        let Some(connection) = &mut self.connection else { return };
        let frame: Value = serde_json::from_str(text_frame).unwrap_or_default();
        let topic = text(&frame, "topic").to_owned();
        let command = match connection.answers.received(&frame) {
            Ok(command) => command,
            Err(what) => {
                self.wrong(&topic, (Rule::WrongAnswer, None, what));
                None
            }
        };
        match text(&frame, "type") {
            "subscribed" => self.subscribed(&topic, &frame),
            "unsubscribed" => self.unsubscribed(&topic),
            "gap" => self.gap(&topic, &frame),
            "replayed" => self.replayed(&topic, &frame),
            "error" => self.error(&topic, &frame, command.as_ref()),
            "ack" => self.published(command.as_ref()),
            "draining" => self.connection.iter_mut().for_each(|connection| connection.draining = true),
            "ready" | "pong" => {}
            _ => self.wrong(&topic, (Rule::Malformed, None, text_frame.chars().take(200).collect())),
        }
    }

    fn check_right(&mut self, may: May, topic: &str, seq: Option<Seq>, frame: &str) {
        let limits = &self.history.limits;
        // What was published while the right was there is confirmed later, as any command is answered.
        let grace = if may == May::Publish { limits.grace } else { limits.rights };
        if !self.rights.allow(may, topic, self.now, grace) {
            self.wrong(topic, (Rule::NoRight, seq, format!("`{frame}` without the right to it")));
        }
    }

    fn published(&mut self, command: Option<&Command>) {
        if let Some(command) = command {
            self.check_right(May::Publish, &command.topic, None, "ack");
        }
    }

    fn subscribed(&mut self, topic: &str, frame: &Value) {
        self.check_right(May::Subscribe, topic, None, "subscribed");
        let Some(connection) = &mut self.connection else { return };
        let others = connection.held.iter().any(|filter| filter != topic && covers(filter, topic));
        let again = !connection.held.insert(topic.into());
        connection.ever_held.insert(topic.into());
        let asked = connection.asked.remove(topic).flatten();
        if topic.contains(['*', '>']) {
            return;
        }
        let subscribed = Subscribed {
            seq: frame["seqNo"].as_u64().unwrap_or(0),
            recoverable: frame["recoverable"] == true,
            recovered: frame["recovered"].as_bool(),
            at: self.now,
        };
        let position = self.positions.entry(topic.into()).or_default();
        match asked {
            _ if again => {
                if position.confirmed(subscribed) {
                    // What was under way is gone with the earlier numbers.
                    connection.flights.remove(topic);
                }
            }
            Some(asked) => position.resumed(asked, subscribed),
            None => position.fresh(subscribed, others),
        }
    }

    fn unsubscribed(&mut self, topic: &str) {
        let Some(connection) = &mut self.connection else { return };
        connection.held.remove(topic);
        let others = connection.holds(topic);
        let late =
            connection.flights.remove(topic).map(|flights| flights.end(self.now, &self.history.limits));
        if let Some(position) = self.positions.get_mut(topic) {
            position.unsubscribed(others);
        }
        // Topics that came by a pattern alone may come by one again, from anywhere on.
        for (own, position) in &mut self.positions {
            if own != topic && covers(topic, own) && !connection.holds(own) {
                position.unsubscribed(false);
            }
        }
        self.all_wrong(topic, late.unwrap_or_default());
    }

    fn error(&mut self, topic: &str, frame: &Value, command: Option<&Command>) {
        let Some(connection) = &mut self.connection else { return };
        let id = frame.get("id").map(Value::to_string);
        let refused = |replay: &Replay| replay.id == id && (id.is_some() || replay.topic == topic);
        if let Some(place) = connection.replays.iter().position(refused) {
            connection.replays.remove(place);
        }
        let ends = command.is_none_or(|command| command.kind == "subscribe");
        if text(frame, "code") == "ACL_DENIED" && ends && connection.held.contains(topic) {
            self.unsubscribed(topic);
        }
    }

    fn gap(&mut self, topic: &str, frame: &Value) {
        self.check_right(May::Subscribe, topic, None, "gap");
        let Some(reason) = Reason::parse(text(frame, "reason")) else {
            return self.wrong(topic, (Rule::Malformed, None, "a gap without a known reason".into()));
        };
        let stalled = self.connection.as_ref().is_some_and(|connection| connection.stalled.is_some());
        let (from, to) = (frame["fromSeq"].as_u64(), frame["toSeq"].as_u64());
        let told = Told { from, to, reason, at: self.now, stalled };
        for (_, position) in self.positions.iter_mut().filter(|(own, _)| covers(topic, own)) {
            position.gap(told);
        }
        let flights = self.connection.as_mut().and_then(|connection| connection.flights.get_mut(topic));
        let late = flights.map(|flights| flights.gap(to, self.now, &self.history.limits));
        self.all_wrong(topic, late.unwrap_or_default());
    }

    fn replayed(&mut self, topic: &str, frame: &Value) {
        self.check_right(May::Subscribe, topic, None, "replayed");
        let Some(connection) = &mut self.connection else { return };
        let id = frame.get("id").map(Value::to_string);
        let Some(place) =
            connection.replays.iter().position(|replay| replay.topic == topic && replay.id == id)
        else {
            return;
        };
        let replay = connection.replays.remove(place);
        let complete = frame["complete"] == true;
        let life = epoch_at(self.history, replay.sent);
        let life = (life == epoch_at(self.history, self.now)).then_some(life);
        let held = replay.held || connection.held.contains(topic);
        let to = frame["toSeq"].as_u64().filter(|_| held);
        let wrong = replay.judge(frame["fromSeq"].as_u64(), complete, to, self.truth.on(topic), life);
        self.all_wrong(topic, wrong);
    }

    // --- Messages ------------------------------------------------------------------------------------------------

    fn message(&mut self, message: Message) {
        self.report.received += 1;
        let content = &self.history.contents[message.content as usize];
        let topic = content.topic.as_str();
        self.check_right(May::Subscribe, topic, message.seq(), "message");
        let Some(connection) = &mut self.connection else { return };
        let held = connection.holds(topic);
        let Some(seq) = message.seq() else { return self.is_held(topic, None, held) };
        let position = self.positions.entry(topic.into()).or_default();
        let epoch = self.truth.epochs[message.content as usize].unwrap_or(position.epoch());
        let (key, new) = ((epoch, seq), held && position.is_new(seq));
        let copy = copy_of(&mut connection.replays, position, topic, key, message.prev(), new);
        match copy {
            Copy::Replayed => {}
            Copy::Live if !held => self.is_held(topic, Some(seq), held),
            Copy::Live if !new => self.again(topic, seq),
            Copy::Live | Copy::Either => {
                let wrong = position.live(key, message.prev());
                if self.history.limits.at_least_once.iter().any(|pattern| covers(pattern, topic)) {
                    let flights = connection.flights.entry(topic.into()).or_default();
                    flights.delivered(seq, content.id.as_deref(), self.now);
                }
                self.all_wrong(topic, wrong);
            }
        }
    }

    fn is_held(&mut self, topic: &str, seq: Option<Seq>, held: bool) {
        let Some(connection) = self.connection.as_ref().filter(|_| !held) else { return };
        let before = connection.ever_held.iter().any(|filter| covers(filter, topic));
        let (rule, what) = if before {
            (Rule::AfterUnsubscribed, "a message after the subscription had ended")
        } else {
            (Rule::NotSubscribed, "a message before `subscribed`")
        };
        self.wrong(topic, (rule, seq, what.into()));
    }

    /// A number that is not larger than the last one.
    fn again(&mut self, topic: &str, seq: Seq) {
        let Some((connection, position)) = self.connection.as_mut().zip(self.positions.get_mut(topic)) else {
            return;
        };
        let last = position.last().unwrap_or(0);
        let limits = &self.history.limits;
        let stalled = was_too_slow(connection.stalled, self.now, limits);
        let waits = Waits { answers: &connection.answers, stalled };
        let wrong = match connection.flights.get_mut(topic) {
            Some(flights) if flights.has(seq) => flights.again(seq, self.now, waits, limits),
            _ if position.expected_twice(seq) => Vec::new(),
            _ => vec![(Rule::Order, Some(seq), format!("came behind {last}: twice, or out of order"))],
        };
        self.all_wrong(topic, wrong);
    }

    // --- The end -------------------------------------------------------------------------------------------------

    fn closed(&mut self, code: u16) {
        let Some(connection) = self.connection.take() else { return };
        let slow = was_too_slow(connection.stalled, self.now, &self.history.limits);
        let excused = connection.cut || self.was_killed(&connection) || slow;
        if code == WITHOUT_CLOSE && !excused {
            self.wrong("", (Rule::Closed, None, "without a close frame, and nobody cut or killed it".into()));
        } else if code != WITHOUT_CLOSE && !CODES.contains(&code) {
            self.wrong("", (Rule::Closed, None, format!("with {code}, which is not in the protocol")));
        } else if code == DRAIN && !connection.draining {
            self.wrong("", (Rule::NotDraining, None, "1012 without `draining` before it".into()));
        }
        self.ended(&connection, excused && code == WITHOUT_CLOSE);
    }

    fn was_killed(&self, connection: &Connection) -> bool {
        let during = connection.opened..=self.now;
        self.history.marks.iter().any(|(at, mark)| match mark {
            Mark::GatewayKilled(gateway) => {
                let same =
                    gateway.is_empty() || connection.gateway.is_empty() || *gateway == connection.gateway;
                during.contains(at) && same
            }
            _ => false,
        })
    }

    /// What a connection leaves behind; nobody answers for one that was cut.
    fn ended(&mut self, connection: &Connection, cut: bool) {
        let limits = &self.history.limits;
        if cut {
            return;
        }
        if let Some(until) = self.now.checked_sub(limits.answer) {
            for Command { kind, topic, at, .. } in connection.answers.unanswered(until) {
                let seconds = at / 1_000_000_000;
                let what = format!("`{kind}`, sent in second {seconds}, has no answer");
                self.wrong(topic, (Rule::Unanswered, None, what));
            }
        }
        for (topic, flights) in &connection.flights {
            self.all_wrong(topic, flights.end(self.now, limits));
        }
    }

    fn finish(&mut self) {
        let connection = self.connection.take().filter(|connection| !connection.cut);
        let mut positions = std::mem::take(&mut self.positions);
        if let Some(connection) = connection {
            for (topic, position) in &mut positions {
                if let Some(wrong) = position.lasts_to_the_end(connection.held.contains(topic)) {
                    self.wrong(topic, wrong);
                }
            }
            self.ended(&connection, false);
        }
        for (topic, position) in &positions {
            for span in &position.spans {
                let (facts, gaps) = (self.truth.on(topic), &position.gaps[span.gaps.clone()]);
                let owed = complete::owed(topic, span, facts, gaps, self.history);
                self.report.owed += owed.total;
                self.report.told += owed.told;
                for fact in owed.missing {
                    self.now = fact.confirmed;
                    let what = "confirmed then, but it never came and no gap names it";
                    self.wrong(topic, (Rule::Missing, Some(fact.key.1), what.into()));
                }
                for fact in owed.unexplained {
                    self.now = fact.confirmed;
                    let what = "confirmed then; a gap names it, and nothing was done that could be the cause";
                    self.wrong(topic, (Rule::Unexplained, Some(fact.key.1), what.into()));
                }
            }
        }
    }
}

/// What comes may be old, and a close frame cannot reach a client whose buffers are full because it does not read.
fn was_too_slow(stalled: Option<Nanos>, now: Nanos, limits: &Limits) -> bool {
    stalled.is_some_and(|until| until.saturating_add(limits.answer) >= now)
}

/// Whether a message is live or belongs to a replay, in which case it is noted there.
fn copy_of(
    replays: &mut [Replay],
    position: &mut Position,
    topic: &str,
    key: Key,
    prev: Option<Seq>,
    new: bool,
) -> Copy {
    let Some(replay) = replays.iter_mut().find(|replay| replay.takes(topic, key.1)) else {
        return Copy::Live;
    };
    let copy = replay.tell_apart(prev, new && !position.given_up(key.1), position.last());
    if copy != Copy::Live {
        replay.seen.push(key.1);
        replay.epoch = Some(key.0);
        position.replayed(key, copy == Copy::Either);
    }
    copy
}
