//! Whether a gateway could be served from a spec and its Secrets: everything that [`super::pod::Pod::start`] reads,
//! without starting anything. For the controller, so that what it lets through is what pods take.

use super::{
    access::{Access, AccessError},
    backbone::nats::{self, BackboneError},
    certificate::CertificateError,
    http::Origins,
    parts::{self, PartsError},
};
use crate::api::{Secrets, TopicGatewaySpec};

/// Why a gateway would not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unfit {
    /// What is at fault.
    pub part: Part,
    /// Names the Secret or field and what is wrong with it; never shows a value.
    pub message: String,
}

/// What is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The value of a key in a Secret.
    Key,
    /// A certificate in a Secret.
    Certificate,
    /// The spec.
    Spec,
}

/// Judges a spec with the values of every key it refers to.
pub fn examine(spec: &TopicGatewaySpec, secrets: &Secrets) -> Result<(), Unfit> {
    Access::new(spec, secrets).map_err(|error| {
        let part = if matches!(error, AccessError::Twice(_)) { Part::Spec } else { Part::Key };
        Unfit { part, message: error.to_string() }
    })?;
    Origins::parse(&spec.listeners.allowed_origins)
        .map_err(|error| Unfit { part: Part::Spec, message: error.to_string() })?;
    parts::certificate(spec, secrets)
        .map_err(|error| Unfit { part: certificate(&error), message: PartsError::from(error).to_string() })?;
    match &spec.backbone.nats {
        Some(nats) => nats::examine(nats, secrets)
            .map_err(|error| Unfit { part: part(&error), message: error.to_string() }),
        None => Ok(()),
    }
}

fn part(error: &BackboneError) -> Part {
    match error {
        BackboneError::NoServers | BackboneError::Address(..) | BackboneError::Client(_) => Part::Spec,
        BackboneError::Tls(_) => Part::Certificate,
        BackboneError::Certificate(error) => certificate(error),
        BackboneError::Value { .. } | BackboneError::Secret(_) => Part::Key,
    }
}

fn certificate(error: &CertificateError) -> Part {
    match error {
        CertificateError::Secret(_) => Part::Key,
        CertificateError::Value { .. } | CertificateError::Pair { .. } | CertificateError::Expired => {
            Part::Certificate
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateway::certificate::fixture::{Authority, secret};

    #[test]
    fn the_certificate_for_clients_is_judged_as_a_pod_does() {
        let spec = json!({"backbone": {"memory": {}}, "listeners": {"tls": {"secretRef": {"name": "t"}}}});
        let spec: TopicGatewaySpec = serde_json::from_value(spec).unwrap();
        let authority = Authority::new();
        let (good, other) = (authority.pair(7), authority.pair(7));
        assert_eq!(examine(&spec, &secret("t", &good)), Ok(()));
        let unfit = examine(&spec, &secret("t", &(good.0, other.1))).unwrap_err();
        assert_eq!(unfit.part, Part::Certificate);
        assert!(
            unfit.message.starts_with("spec.listeners.tls: certificate and key in Secret \"t\""),
            "{unfit}"
        );
        assert_eq!(examine(&spec, &Secrets::default()).unwrap_err().part, Part::Key);
    }
}
