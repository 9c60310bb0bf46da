//! What the shards need of the resource.

use std::sync::Arc;

use crate::{
    api::{Delivery, Filter, Pattern, SlowConsumer, TopicGatewaySpec, TopicRule},
    gateway::{
        log::Window,
        protocol::{command::MAX_TOPICS, session::Policy},
        sessions::{SessionKeys, Sessions},
    },
};

/// Bytes that may be owed in any case.
const OUTBOX_BYTES: usize = 64 * 1024;
/// Most bytes of what a `subscribed` and a `gap` say beside their topic.
const ANSWER_BYTES: usize = 320;

/// The part of the resource that decides how a shard treats its connections.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seconds between two pings to a client.
    pub heartbeat_seconds: u32,
    /// Bytes of one message from a client.
    pub message_bytes: usize,
    /// What a log keeps for those who are behind.
    pub window: Window,
    /// Bytes the gateway may owe a connection beside topic data; more closes it with 4429. There is room for all answers
    /// to the longest command, which names each topic that they name again.
    pub outbox_bytes: usize,
    /// Bytes from which on a message is compressed for those who have agreed on it; absent: none is.
    pub compress_from: Option<usize>,
    /// Limits of one connection.
    pub session: Policy,
    /// Issues and verifies session tokens.
    pub sessions: Arc<Sessions>,
    /// How topics behave; the first match wins.
    pub rules: Vec<(Pattern, Rule)>,
}

/// How a topic behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rule {
    /// What happens to a subscriber that falls out of the window.
    pub slow_consumer: SlowConsumer,
    /// It is delivered at least once: seconds after which what is not acknowledged is sent again.
    pub ack_seconds: Option<u32>,
}

impl Settings {
    /// The settings a resource asks for. Values are those its schema lets through.
    pub fn new(spec: &TopicGatewaySpec, keys: &SessionKeys) -> Self {
        let limits = &spec.limits;
        let natural = |value: i32| u32::try_from(value).unwrap_or(0);
        Self {
            heartbeat_seconds: natural(spec.heartbeat_seconds).max(1),
            message_bytes: natural(limits.message_bytes) as usize,
            window: Window {
                bytes: natural(limits.window_bytes).into(),
                seconds: natural(limits.window_seconds),
            },
            outbox_bytes: OUTBOX_BYTES
                + natural(limits.message_bytes) as usize
                + ANSWER_BYTES * (natural(limits.topics_per_connection) as usize).min(MAX_TOPICS),
            compress_from: spec
                .listeners
                .compression
                .map(|compression| natural(compression.min_bytes) as usize),
            session: Policy {
                topics_per_connection: natural(limits.topics_per_connection),
                publish_per_second: natural(limits.publish_per_second),
                subscribe_per_second: natural(limits.subscribe_per_second),
                message_bytes: natural(limits.message_bytes) as usize,
            },
            sessions: Arc::new(Sessions::new(keys, natural(spec.session_seconds).into())),
            rules: spec.topics.iter().map(|rule| (rule.pattern.clone(), Rule::from(rule))).collect(),
        }
    }

    /// How this topic (or pattern, as a whole) behaves.
    pub fn rule(&self, filter: &Filter) -> Rule {
        let rule = self.rules.iter().find(|(pattern, _)| pattern.matches_str(filter.as_str()));
        rule.map_or_else(Rule::default, |(_, rule)| *rule)
    }
}

impl From<&TopicRule> for Rule {
    fn from(rule: &TopicRule) -> Self {
        let seconds = u32::try_from(rule.ack_timeout_seconds).unwrap_or(1);
        let ack_seconds = (rule.delivery == Delivery::AtLeastOnce).then_some(seconds);
        Self { slow_consumer: rule.slow_consumer, ack_seconds }
    }
}
