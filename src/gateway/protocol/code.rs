//! The words that errors and gaps are told with.

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// Not JSON, an unknown type, a field missing or of the wrong kind.
    BadRequest,
    /// Only after authentication.
    AuthRequired,
    /// The token was refused.
    AuthFailed,
    /// The policy does not grant this.
    AclDenied,
    /// Not a topic, or a wildcard where a topic is needed.
    TopicInvalid,
    /// The session cannot be resumed.
    SessionExpired,
    /// Topics per connection, rate or size.
    LimitExceeded,
    /// There is no history to read.
    HistoryUnavailable,
    /// The backbone cannot be reached or has not confirmed.
    BackboneUnavailable,
}

impl ErrorCode {
    /// All of them, in the order of the enum; bounds the label values of a metric.
    pub const ALL: [Self; 9] = [
        Self::BadRequest,
        Self::AuthRequired,
        Self::AuthFailed,
        Self::AclDenied,
        Self::TopicInvalid,
        Self::SessionExpired,
        Self::LimitExceeded,
        Self::HistoryUnavailable,
        Self::BackboneUnavailable,
    ];

    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::AuthRequired => "AUTH_REQUIRED",
            Self::AuthFailed => "AUTH_FAILED",
            Self::AclDenied => "ACL_DENIED",
            Self::TopicInvalid => "TOPIC_INVALID",
            Self::SessionExpired => "SESSION_EXPIRED",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::HistoryUnavailable => "HISTORY_UNAVAILABLE",
            Self::BackboneUnavailable => "BACKBONE_UNAVAILABLE",
        }
    }

    /// Whether the same command may succeed later without the client changing anything.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::BackboneUnavailable)
    }
}

/// Why a client will not get some messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// No longer kept.
    Expired,
    /// The connection to the backbone was lost.
    Backbone,
    /// The client was too slow.
    Dropped,
}

impl GapReason {
    /// All of them, in the order of the enum; bounds the label values of a metric.
    pub const ALL: [Self; 3] = [Self::Expired, Self::Backbone, Self::Dropped];

    /// The reason on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Backbone => "backbone",
            Self::Dropped => "dropped",
        }
    }
}
