//! The `CustomResourceDefinition`, made from the types.

use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{TopicGateway, spec::pattern_rules};

/// The `CustomResourceDefinition` of [`TopicGateway`], as it is applied to a cluster.
pub fn crd() -> Value {
    let mut crd = serde_json::to_value(TopicGateway::crd()).unwrap_or_default();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    tidy(schema);
    explain(schema);
    // Nobody takes the status for up to date before the controller came by (kstatus looks at `observedGeneration`, as
    // `helm --wait` does).
    schema["properties"]["status"]["default"] = json!({ "observedGeneration": -1 });
    crd
}

/// The same as YAML: what `topic-gateway crd` prints and `crds/` holds.
pub fn crd_yaml() -> String {
    serde_saphyr::to_string(&crd()).unwrap_or_default()
}

/// The schema a resource is held against, `apiVersion`, `kind` and `metadata` left to the envelope.
pub(super) fn spec_schema() -> Value {
    crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].take()
}

/// Takes away what the derivation says too much of.
///
/// `Option` is derived as nullable, but to leave a field out is the only way to leave it empty here:
/// an API server takes a null away before its rules look, and `has()` means what it says. Bounds are
/// derived as `1.0`.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|name, value| !(name == "nullable" && *value == true));
            for bound in ["minimum", "maximum"] {
                let value = fields.get(bound).and_then(Value::as_f64);
                if let Some(whole) = value.and_then(|value| value.to_string().parse::<i64>().ok()) {
                    fields.insert(bound.into(), json!(whole));
                }
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Gives every pattern of texts a sentence.
///
/// Texts that may be numbers as well have no bound on their length that an API server would count with: a rule over all
/// of a mapping of them would be too dear to it, and single ones have theirs beside their pattern.
fn explain(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(pattern)) = fields.get("pattern")
                && fields.get("type").is_some_and(|kind| kind == "string")
            {
                let mut rules = pattern_rules(pattern);
                let before = fields.remove("x-kubernetes-validations");
                rules.extend(before.iter().filter_map(Value::as_array).flatten().cloned());
                fields.insert("x-kubernetes-validations".into(), rules.into());
            }
            fields.values_mut().for_each(explain);
        }
        Value::Array(items) => items.iter_mut().for_each(explain),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "crds/topicgateways.topicgateway.io.yaml";

    #[test]
    fn the_file_in_crds_is_what_the_types_say() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
        let held = std::fs::read_to_string(path).unwrap_or_default();
        assert!(held == crd_yaml(), "{FILE} is out of date: run `cargo run -- crd > {FILE}`");
    }

    #[test]
    fn every_rule_has_a_case_that_breaks_it() {
        let cases =
            concat!(include_str!("manifests/tests/bad.rs"), include_str!("manifests/tests/bad/delivery.rs"));
        let (schema, mut rules) = (spec_schema().to_string(), 0);
        for rule in schema.split("\"message\":\"").skip(1) {
            let message = rule.split('"').next().unwrap();
            // A change needs an API server to see it, and so do the sentences of patterns: tests/api has the cases.
            if message.starts_with("cannot be changed") || rule.contains("\"rule\":\"self.matches(") {
                continue;
            }
            assert!(cases.contains(message), "no case for: {message}");
            rules += 1;
        }
        assert!(rules >= 9, "{rules}");
    }

    /// Kubernetes' own types, which it bounds itself where they end up.
    const FOREIGN: [&str; 5] = [
        "spec.pod.affinity",
        "spec.pod.tolerations",
        "spec.pod.topologySpreadConstraints",
        "spec.networkPolicy.clientsFrom",
        "spec.networkPolicy.metricsFrom",
    ];

    #[test]
    fn every_field_is_described_and_every_value_is_bounded() {
        let mut bare = Vec::new();
        walk(&spec_schema(), "spec", &mut bare);
        assert_eq!(bare, Vec::<String>::new());
    }

    fn walk(schema: &Value, path: &str, bare: &mut Vec<String>) {
        let bounded = match schema["type"].as_str() {
            Some("boolean") => true,
            None if schema["x-kubernetes-int-or-string"] == true => schema["pattern"].is_string(),
            Some("string") => schema["maxLength"].is_u64() || schema["enum"].is_array(),
            Some("integer") => schema["minimum"].is_number() && schema["maximum"].is_number(),
            Some("array") => schema["maxItems"].is_u64() && schema["x-kubernetes-list-type"].is_string(),
            Some("object") => schema["additionalProperties"].is_null() || schema["maxProperties"].is_u64(),
            _ => false,
        };
        if !bounded || schema["nullable"] == true {
            bare.push(format!("{path} has no bound"));
        }
        if FOREIGN.contains(&path) {
            return;
        }
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            if inner["description"].as_str().is_none_or(str::is_empty) {
                bare.push(format!("{path}.{name} has no description"));
            }
            walk(inner, &format!("{path}.{name}"), bare);
        }
        for name in ["items", "additionalProperties"] {
            if schema[name].is_object() {
                walk(&schema[name], &format!("{path}.{name}"), bare);
            }
        }
    }
}
