//! The one vocabulary of reasons: conditions, Events and metric labels use nothing else.

/// Why something is as it is. The names are an interface: alerts and scripts look for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// Every wanted pod of this generation serves.
    AllReplicasReady,
    /// No pod is wanted.
    ScaledToZero,
    /// Pods of an earlier generation are being replaced.
    RollingOut,
    /// The number of pods is being changed.
    Scaling,
    /// Pods are taking the new configuration over.
    Reloading,
    /// Pods are not ready yet.
    WaitingForReplicas,
    /// As many pods serve as must.
    MinimumReplicasAvailable,
    /// Fewer pods serve than must.
    MinimumReplicasUnavailable,
    /// Pods did not become ready within the Deployment's deadline.
    ProgressDeadlineExceeded,
    /// A gateway does not take the configuration.
    ConfigRejected,
    /// The spec contradicts itself in a way the API server cannot see.
    InvalidSpec,
    /// Every Secret referred to is there and holds what it should.
    ResolvedRefs,
    /// A Secret referred to is not there.
    SecretNotFound,
    /// A Secret referred to lacks the key.
    KeyMissing,
    /// A value is not what it should be.
    InvalidKey,
    /// A certificate does not parse.
    InvalidCertificate,
    /// Every pod is connected to the backbone.
    Connected,
    /// Some pod is not connected to the backbone.
    NotConnected,
    /// The stream of the backbone is not there, or cannot be used.
    StreamUnavailable,
    /// No pod tells.
    NoReport,
    /// The resource is paused.
    Paused,
    /// Nothing is to be done.
    Settled,
    /// An object of the wanted name belongs to somebody else.
    Conflict,
    /// The controller may not do what it must.
    Forbidden,
    /// The API server could not take a child for the time being.
    ApplyFailed,
    /// The API server does not take a child as the spec wants it.
    Rejected,
    /// A child was made anew or put right.
    Corrected,
    /// A child is being deleted and has to be gone before it can be made anew.
    WaitingForDeletion,
    /// The API server does not answer, or not now.
    ApiUnavailable,
    /// A pass took too long.
    DeadlineExceeded,
    /// A pass panicked: a fault of the controller.
    Panicked,
}

impl Reason {
    /// Whether it stays as it is until somebody changes something; what is not so is tried again.
    pub(crate) fn waits_for_somebody(self) -> bool {
        matches!(
            self,
            Self::InvalidSpec
                | Self::SecretNotFound
                | Self::KeyMissing
                | Self::InvalidKey
                | Self::InvalidCertificate
                | Self::ConfigRejected
                | Self::ProgressDeadlineExceeded
                | Self::Conflict
                | Self::Forbidden
                | Self::Rejected
        )
    }

    /// As conditions, Events and metrics carry it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AllReplicasReady => "AllReplicasReady",
            Self::ScaledToZero => "ScaledToZero",
            Self::RollingOut => "RollingOut",
            Self::Scaling => "Scaling",
            Self::Reloading => "Reloading",
            Self::WaitingForReplicas => "WaitingForReplicas",
            Self::MinimumReplicasAvailable => "MinimumReplicasAvailable",
            Self::MinimumReplicasUnavailable => "MinimumReplicasUnavailable",
            Self::ProgressDeadlineExceeded => "ProgressDeadlineExceeded",
            Self::ConfigRejected => "ConfigRejected",
            Self::InvalidSpec => "InvalidSpec",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::SecretNotFound => "SecretNotFound",
            Self::KeyMissing => "KeyMissing",
            Self::InvalidKey => "InvalidKey",
            Self::InvalidCertificate => "InvalidCertificate",
            Self::Connected => "Connected",
            Self::NotConnected => "NotConnected",
            Self::StreamUnavailable => "StreamUnavailable",
            Self::NoReport => "NoReport",
            Self::Paused => "Paused",
            Self::Settled => "Settled",
            Self::Conflict => "Conflict",
            Self::Forbidden => "Forbidden",
            Self::ApplyFailed => "ApplyFailed",
            Self::Rejected => "Rejected",
            Self::Corrected => "Corrected",
            Self::WaitingForDeletion => "WaitingForDeletion",
            Self::ApiUnavailable => "ApiUnavailable",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::Panicked => "Panicked",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{conditions::conditions, observed::Observed};

    const PAGE: &str = include_str!("../../docs/conditions.md");

    /// What follows `mark` within one function of this file, each up to `end`.
    fn names(function: &str, mark: &str, end: char) -> BTreeSet<String> {
        let (code, _) = include_str!("reason.rs").split_once("#[cfg(test)]").unwrap();
        let (_, body) = code.split_once(&format!("fn {function}(")).unwrap();
        let body = body.split("\n    }\n").next().unwrap();
        let rest = |line: &str| Some(line.split_once(mark)?.1.split(end).next()?.to_owned());
        body.lines().filter_map(rest).collect()
    }

    /// The first column of the tables below a heading of the page; all of them for an empty heading.
    fn rows(heading: &str) -> Vec<String> {
        let sections = PAGE.split("\n## ").skip(1).filter(|section| section.starts_with(heading));
        let lines = sections.flat_map(str::lines).filter_map(|line| line.strip_prefix("| `"));
        lines.map(|line| line.split('`').next().unwrap().to_owned()).collect()
    }

    fn set(names: Vec<String>) -> BTreeSet<String> {
        names.into_iter().collect()
    }

    #[test]
    fn every_reason_is_documented_once() {
        let mut documented = rows("Reason");
        let all = names("as_str", "=> \"", '"');
        assert!(all.len() > 30, "is the search still right? {all:?}");
        documented.sort();
        assert_eq!(documented, all.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_reasons_that_wait_for_somebody_are_documented_as_such() {
        assert_eq!(set(rows("Reasons that wait for somebody")), names("waits_for_somebody", "Self::", '\n'));
    }

    #[test]
    fn every_condition_is_documented() {
        let now = k8s_openapi::jiff::Timestamp::UNIX_EPOCH;
        let all = conditions(&Observed::default(), &[], now).into_iter().map(|it| it.type_).collect();
        assert_eq!(set(rows("Conditions")), all);
    }
}
