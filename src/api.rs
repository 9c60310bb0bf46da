//! The resource, the gateway's configuration and the names everything shares. Knows nobody else in the crate.

mod secrets;
mod spec;
mod topic;

pub use secrets::{SecretError, Secrets};
pub use spec::*;
pub use topic::{Filter, MAX_TOPIC_BYTES, MAX_TOPIC_TOKENS, Pattern, Seq, Topic, TopicError};
