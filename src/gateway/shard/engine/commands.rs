//! From a client's bytes to what is done about them, and the control plane's answers.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Control, Engine, Socket,
    connection::{Held, IN_FLIGHT, Pause, Setup},
    table::Table,
};
use crate::{
    api::Topic,
    gateway::{
        access::Identity,
        history::{Epoch, Start},
        metrics::Resumed,
        protocol::{
            ErrorCode,
            command::Id,
            event,
            session::{self, Beginning, CatchUp, Decision, Reached},
        },
        sessions::Expired,
        shard::inbox::{ConnectionId, PublishAnswer, Request},
        websocket::{self, CloseCode, Incoming, Violation},
    },
};

/// What the session asks of a connection's subscriptions.
struct Holdings<'a> {
    table: &'a Table,
    held: &'a [Held],
    waiting: u16,
    connection: ConnectionId,
}

impl session::Held for Holdings<'_> {
    fn count(&self) -> usize {
        self.held.len() + usize::from(self.waiting)
    }

    fn holds(&self, filter: &str) -> bool {
        let Some(index) = self.table.find(filter) else { return false };
        self.held.iter().any(|held| held.socket == index)
            || self.table.get(index).is_some_and(|socket| socket.is_awaited_by(self.connection))
    }
}

const EXPIRED: &str = "this session cannot be resumed: subscribe to its topics instead";

/// What one piece of input asks for.
enum Step {
    /// Nothing more in it.
    Done,
    /// The client closes.
    Closed(Option<u16>),
    /// A command has been looked at.
    Decided(Decision),
    /// Ping or pong: dealt with.
    Heartbeat,
}

impl<S: Socket, C: Control> Engine<S, C> {
    /// Takes in what a client sent. Stops where the connection has to wait for an answer; the rest is kept and
    /// the connection is not [`Engine::is_reading`] until then.
    pub fn received(&mut self, slot: usize, mut input: &mut [u8]) {
        self.judge_anew(slot);
        while self.is_reading(slot) {
            match self.step(slot, input) {
                Ok((used, step)) => {
                    input = &mut input[used..];
                    match step {
                        Step::Done => return,
                        Step::Heartbeat => {}
                        Step::Closed(code) => self.closed_by_client(slot, code),
                        Step::Decided(decision) => self.carry_out(slot, decision),
                    }
                }
                Err(violation) => self.close(slot, violation.code, violation.reason),
            }
        }
        if let Some(pause) = self.connections.get_mut(slot).and_then(|connection| connection.pause.as_mut()) {
            pause.bytes.extend_from_slice(input);
        }
    }

    /// Whether input of this connection is looked at now. While it is not, the thread leaves it in the kernel.
    pub fn is_reading(&self, slot: usize) -> bool {
        self.connections
            .get(slot)
            .is_some_and(|connection| connection.is_open() && connection.pause.is_none())
    }

    /// The socket, if there is something to be read from it now: commands, or the end of a connection that closes.
    pub fn readable_socket(&mut self, slot: usize) -> Option<&mut S> {
        let connection = self.connections.get_mut(slot)?;
        connection.pause.is_none().then_some(&mut connection.socket)
    }

    /// Takes the connections that go on reading: the thread reads their sockets.
    pub fn take_unread(&mut self, into: &mut Vec<usize>) {
        into.append(&mut self.unread);
    }

    fn step(&mut self, slot: usize, input: &mut [u8]) -> Result<(usize, Step), Violation> {
        let Some(connection) = self.connections.get_mut(slot) else { return Ok((0, Step::Done)) };
        let (used, incoming) = connection.decoder.decode(
            input,
            self.settings.message_bytes,
            self.packing.inflating(connection.deflate),
        )?;
        let step = match incoming {
            None => Step::Done,
            Some(Incoming::Text(text)) => {
                let id = connection.id(slot);
                let (held, waiting) = (&connection.held, connection.waiting);
                let holdings = Holdings { table: &self.table, held, waiting, connection: id };
                let (now, policy) = (self.now.ms, &self.settings.session);
                let decision =
                    connection.session.command(&text, &holdings, now, policy, &mut connection.outbox);
                Step::Decided(decision)
            }
            Some(Incoming::Ping(payload)) => {
                websocket::pong(&mut connection.outbox, &payload);
                Step::Heartbeat
            }
            Some(Incoming::Pong) => {
                connection.pong_by = 0;
                Step::Heartbeat
            }
            Some(Incoming::Close { code }) => Step::Closed(code),
        };
        if !connection.outbox.is_empty() {
            self.owing.push(slot);
        }
        Ok((used, step))
    }

    fn carry_out(&mut self, slot: usize, decision: Decision) {
        match decision {
            Decision::Answered => {}
            Decision::Refused(code) => self.counts.error(code),
            Decision::Close { code, reason } => self.close(slot, code, reason),
            Decision::Authenticate { id, token, beginning } => {
                self.authenticate(slot, Setup { id, beginning }, token.0);
            }
            Decision::Begin { id, beginning } => self.begin(slot, Setup { id, beginning }),
            Decision::Subscribe { id, filter, catch_up } => self.subscribe(slot, id, filter, catch_up),
            Decision::Acknowledge(acknowledged) => self.acknowledge(slot, &acknowledged),
            Decision::Replay { id, topic, from, to } => self.replay(slot, id, topic, from, to),
            Decision::Unsubscribe { id, filter } => self.unsubscribe(slot, id.as_ref(), &filter),
            Decision::Publish { id, topic, message_id, payload } => {
                self.publish(slot, id, topic, message_id, payload);
            }
        }
    }

    /// Writes an error answer.
    pub(super) fn error(
        &mut self,
        slot: usize,
        id: Option<&Id>,
        code: ErrorCode,
        message: &str,
        topic: Option<&str>,
    ) {
        if let Some(connection) = self.connections.get_mut(slot).filter(|connection| connection.is_open()) {
            event::error(&mut connection.outbox, id, code, message, topic, None);
            self.counts.error(code);
            self.owing.push(slot);
        }
    }

    fn authenticate(&mut self, slot: usize, setup: Setup, token: String) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let request = Request::Authenticate { shard: self.shard, connection: connection.id(slot), token };
        if self.control.request(request).is_err() {
            let message = "the gateway is busy with other clients: send setup again";
            self.error(slot, setup.id.as_ref(), ErrorCode::BackboneUnavailable, message, None);
        } else {
            // Commands behind the setup are to be judged by the new identity: they wait.
            connection.pause = Some(Box::new(Pause { bytes: Vec::new(), setup: Some(setup) }));
        }
    }

    /// The control plane has checked a token.
    pub(super) fn authenticated(&mut self, id: ConnectionId, result: Result<Arc<Identity>, String>) {
        let Some(slot) = self.slot(id) else { return };
        let pause = self.connections.get_mut(slot).and_then(|connection| connection.pause.as_mut());
        let Some(setup) = pause.and_then(|pause| pause.setup.take()) else { return };
        match result.and_then(|identity| self.judged(identity).map_err(|error| error.to_string())) {
            Err(message) => self.error(slot, setup.id.as_ref(), ErrorCode::AuthFailed, &message, None),
            Ok(identity) => {
                if self.adopt(slot, identity) {
                    self.begin(slot, setup);
                    self.check_rights(slot);
                }
            }
        }
        self.go_on(slot);
    }

    /// Gives the connection its user; closes it where the user has too many.
    pub(super) fn adopt(&mut self, slot: usize, identity: Arc<Identity>) -> bool {
        let Some(connection) = self.connections.get_mut(slot) else { return false };
        if !connection.seat.claim(&identity.user) {
            let message = "this user is at its limit of connections: close another one first";
            self.error(slot, None, ErrorCode::LimitExceeded, message, None);
            self.close(slot, CloseCode::Capacity, "the user is at its limit of connections");
            return false;
        }
        connection.ends(identity.expires_at, self.now.second(), self.now.unix);
        connection.session.authenticated(identity);
        true
    }

    /// Answers `setup` or `resume`, and subscribes to what it names and what the URL names.
    pub(super) fn begin(&mut self, slot: usize, Setup { id, beginning }: Setup) {
        match beginning {
            Beginning::Setup { topics } => {
                self.ready(slot, id.as_ref(), false);
                self.subscribe_from_url(slot);
                for topic in topics {
                    self.subscribe_text(slot, &topic, None);
                }
            }
            Beginning::Resume { session, positions, epoch } => {
                let Ok(begun) = self.may_resume(slot, &session) else {
                    self.counts.resumed(Resumed::Expired);
                    return self.error(slot, id.as_ref(), ErrorCode::SessionExpired, EXPIRED, None);
                };
                let epoch = epoch.or(begun);
                self.ready(slot, id.as_ref(), true);
                let url = self.connections.get(slot).and_then(|connection| connection.topic.as_deref());
                // From where the client stands, and not from now on, where it says where it stands.
                let url_is_named = positions.iter().any(|(topic, _)| Some(&**topic) == url);
                if !url_is_named {
                    self.subscribe_from_url(slot);
                }
                for (topic, seq) in positions {
                    self.let_go(slot, &topic);
                    self.subscribe_text(slot, &topic, Some(after(Reached { seq, epoch })));
                }
            }
            Beginning::Stream { topics } => {
                self.ready(slot, None, topics.iter().any(|(_, reached)| reached.is_some()));
                for (topic, reached) in topics {
                    self.subscribe_text(slot, topic.as_str(), reached.map(after));
                }
            }
        }
    }

    /// The epoch that the session began with, where it was known.
    fn may_resume(&self, slot: usize, session: &str) -> Result<Option<Epoch>, Expired> {
        let identity = self.connections.get(slot).and_then(|connection| connection.session.identity());
        let user = &identity.ok_or(Expired)?.user;
        self.settings.sessions.verify(session, user, self.now.unix)
    }

    fn ready(&mut self, slot: usize, id: Option<&Id>, resumed: bool) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Some(identity) = connection.session.identity() else { return };
        let (user, expires) = (identity.user.clone(), identity.expires_at);
        let session = self.settings.sessions.issue(&user, self.now.unix, self.epoch);
        let heartbeat = self.settings.heartbeat_seconds;
        event::ready(&mut connection.outbox, id, &session, &user, heartbeat, resumed, expires);
        self.owing.push(slot);
    }

    /// Subscribes to the topic of `/ws/sub/{topic}`, as if the client had asked for it.
    pub(super) fn subscribe_from_url(&mut self, slot: usize) {
        let topic = self.connections.get(slot).and_then(|connection| connection.topic.clone());
        if let Some(topic) = topic {
            self.subscribe_text(slot, &topic, None);
        }
    }

    /// A subscribe that is part of something else: no id, and no token of the rate.
    fn subscribe_text(&mut self, slot: usize, topic: &str, catch_up: Option<CatchUp>) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let id = connection.id(slot);
        let (held, waiting) = (&connection.held, connection.waiting);
        let holdings = Holdings { table: &self.table, held, waiting, connection: id };
        let (now, policy) = (self.now.ms, &self.settings.session);
        let out = &mut connection.outbox;
        let decision = connection.session.subscribe(topic, catch_up, &holdings, now, policy, out);
        self.owing.push(slot);
        self.carry_out(slot, decision);
    }

    fn publish(&mut self, slot: usize, id: Option<Id>, topic: Topic, message_id: Arc<str>, payload: Bytes) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Some(identity) = connection.session.identity() else { return };
        let request = Request::Publish {
            shard: self.shard,
            connection: connection.id(slot),
            id,
            user: identity.user.clone(),
            topic,
            message_id,
            payload,
        };
        match self.control.request(request) {
            Ok(()) => {
                connection.in_flight += 1;
                if connection.in_flight >= IN_FLIGHT {
                    connection.pause = Some(Box::default());
                }
            }
            Err(Request::Publish { id, topic, .. }) => {
                let message =
                    "the gateway is busy with other publishes: publish again with the same messageId";
                self.error(slot, id.as_ref(), ErrorCode::BackboneUnavailable, message, Some(topic.as_str()));
            }
            Err(_) => {}
        }
    }

    /// The backbone has confirmed a publish, or not.
    pub(super) fn published(
        &mut self,
        id: ConnectionId,
        command: Option<&Id>,
        topic: &Topic,
        message_id: &str,
        answer: PublishAnswer,
    ) {
        let Some(slot) = self.slot(id) else { return };
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.in_flight -= 1;
        let outbox = &mut connection.outbox;
        match answer {
            PublishAnswer::Accepted(seq) => event::ack(outbox, command, message_id, false, seq),
            PublishAnswer::Duplicate(seq) => event::ack(outbox, command, message_id, true, seq),
            PublishAnswer::Unavailable(why) => {
                self.error(slot, command, ErrorCode::BackboneUnavailable, &why, Some(topic.as_str()));
            }
            PublishAnswer::Limited(why) => {
                self.error(slot, command, ErrorCode::LimitExceeded, &why, Some(topic.as_str()));
            }
        }
        self.owing.push(slot);
        self.go_on(slot);
    }

    /// Goes on with a connection that waited, if it need not wait any longer.
    fn go_on(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let waits = connection.in_flight >= IN_FLIGHT / 2
            || connection.pause.as_ref().is_some_and(|pause| pause.setup.is_some());
        if waits {
            return;
        }
        if let Some(mut pause) = connection.pause.take() {
            self.received(slot, &mut pause.bytes);
            if self.is_reading(slot) {
                self.unread.push(slot);
            }
        }
    }
}

/// What was before, from where a client stands.
fn after(Reached { seq, epoch }: Reached) -> CatchUp {
    CatchUp { start: Start::After(seq), resumed: true, epoch }
}
