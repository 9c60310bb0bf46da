//! How a command ends when it cannot do its work: one sentence and an exit code, never a backtrace.

/// A sentence for the user and the exit code that goes with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Exit code: 64 bad usage or input, 65 a measurement that does not count, 69 a service that is not there, 70 our own
    /// fault, 77 refused.
    pub code: u8,
    /// Names the thing and the next action.
    pub message: String,
}

impl Failure {
    /// Bad usage, a bad file, a bad value (exit code 64).
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 64, message: message.into() }
    }

    /// A measurement that does not count (exit code 65).
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { code: 65, message: message.into() }
    }

    /// A service that cannot be reached, or cannot do it now (exit code 69): the same may succeed later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { code: 69, message: message.into() }
    }

    /// Our own fault (exit code 70).
    pub fn internal(message: impl Into<String>) -> Self {
        Self { code: 70, message: message.into() }
    }

    /// Whoever is asked does not let us, and will not (exit code 77): another token or another rule is needed.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { code: 77, message: message.into() }
    }
}
