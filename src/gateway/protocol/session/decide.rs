//! The rules, one command each. What is checked first is told first.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    Acknowledged, Beginning, CatchUp, Decided, Decision, Held, Policy, Refusal, Session,
    rules::{fits, parse, readable, within_rate, writable},
};
use crate::{
    api::{Filter, Topic},
    gateway::{
        access::{Grants, Identity},
        protocol::{
            ErrorCode,
            command::{Ack, Command, Id, Token},
            event,
            rate::Rate,
        },
    },
};

impl Session {
    pub(super) fn decide(
        &mut self,
        id: Option<Id>,
        command: Command<'_>,
        held: &dyn Held,
        now_ms: u64,
        policy: &Policy,
        out: &mut Vec<u8>,
    ) -> Decided {
        match command {
            Command::Setup { token, topics } => {
                let topics = topics.into_iter().map(Cow::into_owned).collect();
                self.begin(id, token, Beginning::Setup { topics }, now_ms, policy)
            }
            Command::Resume { session_id, last_seq_per_topic, epoch, token } => {
                let session = session_id.into();
                let positions =
                    last_seq_per_topic.into_iter().map(|(topic, seq)| (topic.into_owned(), seq)).collect();
                self.begin(id, token, Beginning::Resume { session, positions, epoch }, now_ms, policy)
            }
            Command::Ping => {
                event::pong(out, id.as_ref());
                Ok(Decision::Answered)
            }
            Command::Subscribe { topic, history, epoch } => {
                let catch_up = history.map(|start| CatchUp { start, resumed: false, epoch });
                let decided = self.may_subscribe(id, &topic, catch_up, held, policy)?;
                self.within_subscribe_rate(now_ms, policy, Some(&topic))?;
                Ok(decided)
            }
            Command::Unsubscribe { topic } => self.unsubscribe(id, &topic, held, now_ms, policy, out),
            Command::Publish { topic, message_id, payload } => {
                self.publish(id, &topic, &message_id, payload, now_ms, policy)
            }
            Command::Ack(ack) => self.known(None).map(|_| {
                Decision::Acknowledge(match ack {
                    Ack::Message { id, topic } => {
                        Acknowledged::Message { id: id.into(), topic: topic.map(Into::into) }
                    }
                    Ack::UpTo { topic, seq } => Acknowledged::UpTo { topic: topic.into(), seq },
                })
            }),
            Command::Replay { topic, from_seq, to_seq } => {
                let parsed = self.replayed(&topic, now_ms, policy)?;
                Ok(Decision::Replay { id, topic: parsed, from: from_seq, to: to_seq })
            }
        }
    }

    fn begin(
        &mut self,
        id: Option<Id>,
        token: Option<Token>,
        beginning: Beginning,
        now_ms: u64,
        policy: &Policy,
    ) -> Decided {
        if token.is_none() {
            self.known(None)?;
        }
        self.within_subscribe_rate(now_ms, policy, None)?;
        Ok(match token {
            Some(token) => Decision::Authenticate { id, token, beginning },
            None => Decision::Begin { id, beginning },
        })
    }

    pub(super) fn may_subscribe(
        &mut self,
        id: Option<Id>,
        topic: &str,
        catch_up: Option<CatchUp>,
        held: &dyn Held,
        policy: &Policy,
    ) -> Decided {
        let filter = self.readable(topic)?;
        if matches!(filter, Filter::Pattern(_)) && catch_up.is_some_and(|catch_up| !catch_up.resumed) {
            return refuse(ErrorCode::HistoryUnavailable, NO_POSITION, Some(topic));
        }
        if !held.holds(topic) && held.count() >= policy.topics_per_connection as usize {
            let message = format!(
                "a connection has at most {} topics: unsubscribe from one",
                policy.topics_per_connection
            );
            return refuse(ErrorCode::LimitExceeded, message, Some(topic));
        }
        Ok(Decision::Subscribe { id, filter, catch_up })
    }

    fn unsubscribe(
        &mut self,
        id: Option<Id>,
        topic: &str,
        held: &dyn Held,
        now_ms: u64,
        policy: &Policy,
        out: &mut Vec<u8>,
    ) -> Decided {
        self.known(Some(topic))?;
        let filter: Filter = parse(topic)?;
        self.within_subscribe_rate(now_ms, policy, Some(topic))?;
        if held.holds(topic) {
            return Ok(Decision::Unsubscribe { id, filter });
        }
        event::unsubscribed(out, id.as_ref(), topic);
        Ok(Decision::Answered)
    }

    fn publish(
        &mut self,
        id: Option<Id>,
        topic: &str,
        message_id: &str,
        payload: &str,
        now_ms: u64,
        policy: &Policy,
    ) -> Decided {
        let grants = self.known(Some(topic))?;
        let parsed = writable(grants, topic)?;
        fits(payload.len(), policy, topic)?;
        within_rate(&mut self.publishes, policy.publish_per_second, now_ms, topic)?;
        Ok(Decision::Publish {
            id,
            topic: parsed,
            message_id: message_id.into(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
        })
    }

    fn replayed(&mut self, topic: &str, now_ms: u64, policy: &Policy) -> Result<Topic, Refusal> {
        self.known(Some(topic))?;
        // Positions are those of one topic: a pattern has none.
        let parsed: Topic = parse(topic)?;
        self.readable(topic)?;
        self.within_subscribe_rate(now_ms, policy, Some(topic))?;
        Ok(parsed)
    }

    /// Takes one setup, subscribe or the like from the rate, if there is one.
    fn within_subscribe_rate(
        &mut self,
        now_ms: u64,
        policy: &Policy,
        topic: Option<&str>,
    ) -> Result<(), Refusal> {
        if self.subscribes.take(Rate::per_second(policy.subscribe_per_second), now_ms) {
            return Ok(());
        }
        Err(Refusal::too_fast(SUBSCRIBE_RATE, topic))
    }

    /// The grants, once somebody is known.
    fn known(&self, topic: Option<&str>) -> Result<&Grants, Refusal> {
        let grants = self.identity.as_deref().map(|Identity { grants, .. }| &**grants);
        grants.ok_or_else(|| {
            let message = "not authenticated: send `setup` with a `token` first";
            Refusal::new(ErrorCode::AuthRequired, message, topic)
        })
    }

    fn readable(&self, topic: &str) -> Result<Filter, Refusal> {
        readable(self.known(Some(topic))?, topic)
    }
}

const NO_POSITION: &str =
    "a pattern has no positions: subscribe without `fromSeq` and `last`, or to each topic for itself";
const SUBSCRIBE_RATE: &str =
    "too many setups, resumes, subscribes, unsubscribes and replays in this second: try again later";

fn refuse<T>(code: ErrorCode, message: impl Into<String>, topic: Option<&str>) -> Result<T, Refusal> {
    Err(Refusal::new(code, message, topic))
}
