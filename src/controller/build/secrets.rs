//! The Secrets the pods mount: the session key, and a copy of exactly the keys that the spec refers to.
//!
//! A copy, so that a new reference or a rotated value reaches running pods: their template names one Secret, always the
//! same.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{Child, parent::Parent};
use crate::{
    api::{SESSION_KEYS, SecretError, Secrets, session_key_secret},
    controller::{kind::Kind, names, observed::Problem, reason::Reason},
};

/// Made once: with another key, clients could not resume their sessions.
pub(super) fn session_key(parent: &Parent<'_>) -> Result<Child, Problem> {
    let key = ByteString(parent.inputs.session_key.0.to_vec());
    let child = secret(parent, &session_key_secret(parent.name), [(SESSION_KEYS[0].to_owned(), key)].into())?;
    Ok(Child { once: true, ..child })
}

/// # Errors
/// A key the spec refers to was not looked up.
pub(super) fn copy(parent: &Parent<'_>, secrets: &Secrets) -> Result<Child, Problem> {
    let mut data = BTreeMap::new();
    for reference in parent.spec.secret_references() {
        let value = secrets.key(&reference.key).map_err(|error| unresolved(&error))?;
        data.insert(reference.key.file_name(), ByteString(value.to_vec()));
    }
    secret(parent, &names::secrets(parent.name), data)
}

fn secret(parent: &Parent<'_>, name: &str, data: BTreeMap<String, ByteString>) -> Result<Child, Problem> {
    let secret = Secret {
        metadata: parent.metadata(name),
        data: (!data.is_empty()).then_some(data),
        type_: Some("Opaque".into()),
        ..Secret::default()
    };
    parent.child(Kind::Secret, name, &secret)
}

fn unresolved(error: &SecretError) -> Problem {
    let reason = match error {
        SecretError::NoSecret(..) => Reason::SecretNotFound,
        SecretError::NoKey(..) => Reason::KeyMissing,
    };
    Problem { reason, message: error.to_string() }
}
