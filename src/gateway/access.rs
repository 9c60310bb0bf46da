//! Who a client is and what it may do.

use std::sync::Arc;

use crate::api::{Filter, Pattern, Topic};

/// An authenticated client: shared by everything that holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The user's name, as the token's user claim gives it; `anonymous` without a token.
    pub user: Arc<str>,
    /// What the user may do: rules and token taken together, already cut to what the gateway offers at all.
    pub grants: Grants,
    /// When the token ends, in seconds since 1970; `None` for anonymous clients and tokens without `exp`.
    pub expires_at: Option<u64>,
}

/// Topics a client may subscribe to and publish to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Subscribe to these.
    pub subscribe: Vec<Pattern>,
    /// Publish to these.
    pub publish: Vec<Pattern>,
    /// What the gateway offers at all, in topics (the backbone's subjects without their prefix).
    pub scope: Arc<[Pattern]>,
}

impl Grants {
    /// Whether the topic, or every topic of the pattern, may be subscribed to.
    pub fn may_subscribe(&self, filter: &Filter) -> bool {
        covered(&self.subscribe, filter.as_str()) && covered(&self.scope, filter.as_str())
    }

    /// Whether the topic may be published to.
    pub fn may_publish(&self, topic: &Topic) -> bool {
        covered(&self.publish, topic.as_str()) && covered(&self.scope, topic.as_str())
    }
}

fn covered(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches_str(text))
}
