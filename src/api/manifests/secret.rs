//! Secrets beside the resource.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::api::{
    Secrets, TopicGateway,
    envelope::secret_schema,
    spec::{SECRET_KEY, pattern_hint},
    validate::{Checked, Node, Patterns, Prepared, Report, Unknown},
};

/// Most bytes of all values of one Secret, as the API server has it.
const MAX_SECRET_BYTES: usize = 1024 * 1024;

/// A Secret document that is well formed. Not `Debug`: it holds the values.
pub(super) struct Secret {
    file: String,
    line: usize,
    name: String,
    namespace: Option<String>,
    values: Vec<(String, Vec<u8>)>,
}

impl Secret {
    /// Reads a Secret; what is wrong goes to `report`, never with a value in it.
    pub(super) fn read(file: &str, node: &Node, report: &mut Report) -> Option<Self> {
        let checked = Checked::new(&Prepared::new(secret_schema(), Unknown::Refused), node, file, report);
        let mut patterns = Patterns::default();
        let mut values = Vec::new();
        for field in ["data", "stringData"] {
            for (key, value) in checked.value[field].as_object().into_iter().flatten() {
                let path = format!("{field}.{key}");
                let line =
                    node.get(field).and_then(|values| values.get(key)).map_or(node.line, |node| node.line);
                if !patterns.fits(SECRET_KEY, key) {
                    let message = format!("{key:?} is no key of a Secret; {}", pattern_hint(SECRET_KEY, key));
                    report.add(file, line, field, message);
                }
                let value = decode(field, value);
                if value.is_none() {
                    report.add(file, line, &path, "is not base64; encode it, or put it under stringData");
                }
                // The key is there, so a reference to it is not to be complained of as well.
                values.push((key.clone(), value.unwrap_or_default()));
            }
        }
        let metadata = &checked.value["metadata"];
        let secret = Self {
            file: file.into(),
            line: node.line,
            name: metadata["name"].as_str()?.into(),
            namespace: metadata["namespace"].as_str().map(Into::into),
            values,
        };
        let bytes: usize = secret.values.iter().map(|(_, value)| value.len()).sum();
        if bytes > MAX_SECRET_BYTES {
            let message = format!("has {bytes} bytes of values; keep a Secret below {MAX_SECRET_BYTES}");
            report.add(file, node.line, "", message);
        }
        Some(secret)
    }
}

/// As Go reads base64: line breaks do not count.
fn decode(field: &str, value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    if field == "stringData" {
        return Some(text.into());
    }
    STANDARD.decode(text.replace(['\r', '\n'], "")).ok()
}

/// The Secrets of the gateway's namespace. One without a namespace goes where the others go.
pub(super) fn collect(found: Vec<Secret>, gateway: &TopicGateway, report: &mut Report) -> Secrets {
    let references = gateway.spec.secret_references();
    let mut secrets = Secrets::default();
    let mut names: Vec<(String, Option<String>)> = Vec::new();
    for secret in found {
        if names.contains(&(secret.name.clone(), secret.namespace.clone())) {
            let message = format!("Secret {:?} is given twice; keep one of them", secret.name);
            report.add(&secret.file, secret.line, "", message);
            continue;
        }
        names.push((secret.name.clone(), secret.namespace.clone()));
        if let (Some(theirs), Some(ours)) = (&secret.namespace, &gateway.metadata.namespace)
            && theirs != ours
        {
            if !references.iter().any(|reference| reference.key.name == secret.name) {
                continue;
            }
            let message = format!(
                "Secret {:?} is in namespace {theirs:?}, the TopicGateway in {ours:?}; move one to the other",
                secret.name
            );
            report.add(&secret.file, secret.line, "metadata.namespace", message);
        }
        for (key, value) in secret.values {
            secrets.insert(&secret.name, &key, value);
        }
    }
    secrets
}
