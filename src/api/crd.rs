//! The CustomResourceDefinition, made from the types.

use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::TopicGateway;

/// The CustomResourceDefinition of [`TopicGateway`], as it is applied to a cluster.
pub fn crd() -> Value {
    let mut crd = serde_json::to_value(TopicGateway::crd()).unwrap_or_default();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    forget_nullable(schema);
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

/// `Option` is derived as nullable, but to leave a field out is the only way to leave it empty here:
/// an API server takes a null away before its rules look, and `has()` means what it says.
fn forget_nullable(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("nullable") == Some(&json!(true)) {
                fields.remove("nullable");
            }
            fields.values_mut().for_each(forget_nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_nullable),
        _ => {}
    }
}
