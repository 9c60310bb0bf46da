//! Which Secrets a resource refers to, and what of them was found.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;

use super::{observed::Problem, reason::Reason};
use crate::api::{SecretReference, Secrets, TopicGatewaySpec};

/// The names of the Secrets to look up, all in the namespace of the resource. Bounded by what a spec can refer to.
pub(crate) fn wanted(spec: &TopicGatewaySpec) -> BTreeSet<String> {
    spec.secret_references().into_iter().map(|reference| reference.key.name).collect()
}

/// The value of every key the spec refers to, from the Secrets that were `found` under their names.
///
/// # Errors
/// One problem for each Secret that is not there or lacks a key. Values are never shown.
pub(crate) fn resolve(
    namespace: &str,
    spec: &TopicGatewaySpec,
    found: &BTreeMap<String, Secret>,
) -> Result<Secrets, Vec<Problem>> {
    let mut by_secret: BTreeMap<String, Vec<SecretReference>> = BTreeMap::new();
    for reference in spec.secret_references() {
        by_secret.entry(reference.key.name.clone()).or_default().push(reference);
    }
    let (mut secrets, mut problems) = (Secrets::default(), Vec::new());
    for (name, references) in &by_secret {
        let Some(secret) = found.get(name) else {
            problems.push(not_found(namespace, name, references));
            continue;
        };
        let mut missing = Vec::new();
        for reference in references {
            match secret.data.as_ref().and_then(|data| data.get(&reference.key.key)) {
                Some(value) => secrets.insert(name, &reference.key.key, value.0.clone()),
                None => missing.push(reference),
            }
        }
        if !missing.is_empty() {
            problems.push(key_missing(namespace, name, &missing, secret));
        }
    }
    if problems.is_empty() { Ok(secrets) } else { Err(problems) }
}

fn not_found(namespace: &str, name: &str, references: &[SecretReference]) -> Problem {
    let keys = keys(references.iter());
    let message = format!(
        "There is no Secret {namespace}/{name}: create it with {keys}, or name another one in {}",
        fields(references.iter())
    );
    Problem { reason: Reason::SecretNotFound, message }
}

fn key_missing(namespace: &str, name: &str, missing: &[&SecretReference], secret: &Secret) -> Problem {
    let has: Vec<_> = secret.data.iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
    let has = if has.is_empty() { "it is empty".into() } else { format!("it has {}", has.join(", ")) };
    let message = format!(
        "Secret {namespace}/{name} has no {}, {has}: add what is missing, or name another key in {}",
        keys(missing.iter().copied()),
        fields(missing.iter().copied())
    );
    Problem { reason: Reason::KeyMissing, message }
}

/// `key a`, or `keys a, b`.
fn keys<'a>(references: impl Iterator<Item = &'a SecretReference>) -> String {
    let names: BTreeSet<_> = references.map(|reference| reference.key.key.as_str()).collect();
    let word = if names.len() == 1 { "key" } else { "keys" };
    format!("{word} {}", names.into_iter().collect::<Vec<_>>().join(", "))
}

fn fields<'a>(references: impl Iterator<Item = &'a SecretReference>) -> String {
    let fields: BTreeSet<_> = references.map(|reference| reference.field.as_str()).collect();
    fields.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
