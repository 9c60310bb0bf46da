//! The rules, one command each. What is checked first is told first.

use std::{borrow::Cow, str::FromStr};

use bytes::Bytes;

use super::{Decided, Decision, Held, Policy, Refusal, Session};
use crate::{
    api::{Filter, Topic, TopicError},
    gateway::{
        access::{Grants, Identity},
        protocol::{
            ErrorCode,
            command::{Command, Id, Token},
            event,
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
            Command::Setup { token, topics } => self.setup(id, token, topics, now_ms),
            Command::Ping => {
                event::pong(out, id.as_ref());
                Ok(Decision::Answered)
            }
            Command::Subscribe { topic, history } => {
                let decided = self.may_subscribe(id, &topic, history, held, policy)?;
                if !self.subscribes.take(now_ms) {
                    return refuse(ErrorCode::LimitExceeded, SUBSCRIBE_RATE, Some(&topic));
                }
                Ok(decided)
            }
            Command::Unsubscribe { topic } => self.unsubscribe(id, &topic, held, now_ms, out),
            Command::Publish { topic, message_id, payload } => {
                self.publish(id, &topic, &message_id, payload, now_ms, policy)
            }
            Command::Ack => self.known(None).map(|_| Decision::Answered),
            Command::Replay { topic, .. } => self.replay(&topic),
            Command::Resume { .. } => self.known(None).and_then(|_| {
                refuse(
                    ErrorCode::SessionExpired,
                    "this session cannot be resumed here: subscribe to its topics instead",
                    None,
                )
            }),
        }
    }

    fn setup(
        &mut self,
        id: Option<Id>,
        token: Option<Token>,
        topics: Vec<Cow<'_, str>>,
        now_ms: u64,
    ) -> Decided {
        if token.is_none() {
            self.known(None)?;
        }
        if !self.subscribes.take(now_ms) {
            return refuse(ErrorCode::LimitExceeded, SUBSCRIBE_RATE, None);
        }
        let topics = topics.into_iter().map(Cow::into_owned).collect();
        Ok(match token {
            Some(token) => Decision::Authenticate { id, token, topics },
            None => Decision::Ready { id, topics },
        })
    }

    pub(super) fn may_subscribe(
        &mut self,
        id: Option<Id>,
        topic: &str,
        history: bool,
        held: &dyn Held,
        policy: &Policy,
    ) -> Decided {
        let filter = self.readable(topic)?;
        if history {
            return refuse(ErrorCode::HistoryUnavailable, NO_HISTORY, Some(topic));
        }
        if !held.holds(topic) && held.count() >= policy.topics_per_connection as usize {
            let message = format!(
                "a connection has at most {} topics: unsubscribe from one",
                policy.topics_per_connection
            );
            return refuse(ErrorCode::LimitExceeded, message, Some(topic));
        }
        Ok(Decision::Subscribe { id, filter })
    }

    fn unsubscribe(
        &mut self,
        id: Option<Id>,
        topic: &str,
        held: &dyn Held,
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Decided {
        self.known(Some(topic))?;
        let filter: Filter = parse(topic)?;
        if !self.subscribes.take(now_ms) {
            return refuse(ErrorCode::LimitExceeded, SUBSCRIBE_RATE, Some(topic));
        }
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
        let parsed: Topic = parse(topic)?;
        if !grants.may_publish(&parsed) {
            return refuse(
                ErrorCode::AclDenied,
                "the policy does not let this user publish here",
                Some(topic),
            );
        }
        if payload.len() > policy.message_bytes {
            let message = format!("`payload` must have at most {} bytes", policy.message_bytes);
            return refuse(ErrorCode::LimitExceeded, message, Some(topic));
        }
        if !self.publishes.take(now_ms) {
            let message = "too many publishes in this second: publish it again later with the same messageId";
            return refuse(ErrorCode::LimitExceeded, message, Some(topic));
        }
        Ok(Decision::Publish {
            id,
            topic: parsed,
            message_id: message_id.into(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
        })
    }

    fn replay(&self, topic: &str) -> Decided {
        self.known(Some(topic))?;
        // Positions are those of one topic: a pattern has none.
        let _: Topic = parse(topic)?;
        self.readable(topic)?;
        refuse(ErrorCode::HistoryUnavailable, NO_HISTORY, Some(topic))
    }

    /// The grants, once somebody is known.
    fn known(&self, topic: Option<&str>) -> Result<&Grants, Refusal> {
        let grants = self.identity.as_deref().map(|Identity { grants, .. }| grants);
        grants.ok_or_else(|| {
            refusal(ErrorCode::AuthRequired, "not authenticated: send `setup` with a `token` first", topic)
        })
    }

    fn readable(&self, topic: &str) -> Result<Filter, Refusal> {
        let grants = self.known(Some(topic))?;
        let filter = parse(topic)?;
        if !grants.may_subscribe(&filter) {
            let message = "the policy does not let this user subscribe to this";
            return Err(refusal(ErrorCode::AclDenied, message, Some(topic)));
        }
        Ok(filter)
    }
}

const NO_HISTORY: &str = "this gateway keeps no history: subscribe without `fromSeq` and `last`";
const SUBSCRIBE_RATE: &str = "too many setups, subscribes and unsubscribes in this second: try again later";

fn parse<T: FromStr<Err = TopicError>>(topic: &str) -> Result<T, Refusal> {
    topic
        .parse()
        .map_err(|error: TopicError| refusal(ErrorCode::TopicInvalid, error.to_string(), Some(topic)))
}

fn refuse<T>(code: ErrorCode, message: impl Into<String>, topic: Option<&str>) -> Result<T, Refusal> {
    Err(refusal(code, message, topic))
}

fn refusal(code: ErrorCode, message: impl Into<String>, topic: Option<&str>) -> Refusal {
    Refusal { code, message: message.into(), topic: topic.map(Into::into) }
}
