//! What holds for every way in: frames of a WebSocket and requests of HTTP are refused for the same, in the same words.

use std::str::FromStr;

use super::Policy;
use crate::{
    api::{Filter, Topic, TopicError},
    gateway::{
        access::Grants,
        protocol::{
            ErrorCode,
            rate::{Bucket, Rate},
        },
    },
};

/// Why a command is refused; becomes an `error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub code: ErrorCode,
    /// The same in words, and what to do.
    pub message: String,
    /// The topic as the client wrote it.
    pub topic: Option<String>,
    /// The same command may succeed later, though the code alone does not say so.
    pub later: bool,
}

impl Refusal {
    /// A refusal that would be the same later, unless its code says otherwise.
    pub fn new(code: ErrorCode, message: impl Into<String>, topic: Option<&str>) -> Self {
        Self { code, message: message.into(), topic: topic.map(Into::into), later: false }
    }

    /// Over a rate: the same command may succeed later.
    pub fn too_fast(message: &str, topic: Option<&str>) -> Self {
        Self { later: true, ..Self::new(ErrorCode::LimitExceeded, message, topic) }
    }
}

/// A topic, or one and a pattern where `T` is a filter.
pub(super) fn parse<T: FromStr<Err = TopicError>>(topic: &str) -> Result<T, Refusal> {
    topic
        .parse()
        .map_err(|error: TopicError| Refusal::new(ErrorCode::TopicInvalid, error.to_string(), Some(topic)))
}

/// What may be subscribed to with these grants.
pub fn readable(grants: &Grants, topic: &str) -> Result<Filter, Refusal> {
    let filter = parse(topic)?;
    if grants.may_subscribe(&filter) {
        return Ok(filter);
    }
    let message = "the policy does not let this user subscribe to this";
    Err(Refusal::new(ErrorCode::AclDenied, message, Some(topic)))
}

/// What may be published to with these grants.
pub fn writable(grants: &Grants, topic: &str) -> Result<Topic, Refusal> {
    let parsed = parse(topic)?;
    if grants.may_publish(&parsed) {
        return Ok(parsed);
    }
    let message = "the policy does not let this user publish here";
    Err(Refusal::new(ErrorCode::AclDenied, message, Some(topic)))
}

/// Whether a payload of so many bytes is not too large.
pub fn fits(bytes: usize, policy: &Policy, topic: &str) -> Result<(), Refusal> {
    if bytes <= policy.message_bytes {
        return Ok(());
    }
    let message = format!("`payload` must have at most {} bytes", policy.message_bytes);
    Err(Refusal::new(ErrorCode::LimitExceeded, message, Some(topic)))
}

/// Takes one of so many publishes per second (0 = no limit), if there is one.
pub fn within_rate(publishes: &mut Bucket, per_second: u32, now_ms: u64, topic: &str) -> Result<(), Refusal> {
    if publishes.take(Rate::per_second(per_second), now_ms) {
        return Ok(());
    }
    let message = "too many publishes in this second: publish it again later with the same messageId";
    Err(Refusal::too_fast(message, Some(topic)))
}
