//! The schemas of whole documents: what surrounds `spec`, and Secrets.

use serde_json::{Value, json};

use super::{
    crd::spec_schema,
    spec::{GATEWAY_NAME, MAX_NAME, SECRET_NAME},
};

/// `apiVersion` of everything of ours.
pub(super) const API_VERSION: &str = "topicgateway.io/v1alpha1";
/// `kind` of the resource.
pub(super) const GATEWAY_KIND: &str = "TopicGateway";
/// `kind` of what `topic-gateway gateway` reads.
pub(super) const CONFIG_KIND: &str = "GatewayConfig";

/// A `TopicGateway` document. What a status says is the controller's: it may stand, as `kubectl get -o yaml` gives it.
pub(super) fn gateway_schema() -> Value {
    let mut metadata = metadata_schema();
    let name = &mut metadata["properties"]["name"];
    name["maxLength"] = MAX_NAME.into();
    name["pattern"] = GATEWAY_NAME.into();
    json!({
        "type": "object",
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": metadata,
            "spec": spec_schema(),
            "status": {},
        },
        "required": ["metadata", "spec"],
    })
}

/// A `GatewayConfig` document.
pub(super) fn config_schema() -> Value {
    let text = |description: &str, longest: u32| json!({ "type": "string", "minLength": 1, "maxLength": longest, "description": description });
    json!({
        "type": "object",
        "properties": {
            "apiVersion": { "type": "string", "enum": [API_VERSION] },
            "kind": { "type": "string", "enum": [CONFIG_KIND] },
            "name": text("Name of the TopicGateway.", 253),
            "namespace": text("Namespace of the TopicGateway.", 63),
            "generation": { "type": "integer", "minimum": 0, "description": "Generation of the TopicGateway." },
            "secretsDirectory": text("Folder with a file for each key of each Secret, as <secret>_<key>.", 4096),
            "sessionKeyDirectory": text("Folder with the session key, as key and previous.", 4096),
            "spec": spec_schema(),
        },
        "required": ["apiVersion", "kind", "name", "namespace", "generation", "secretsDirectory", "spec"],
    })
}

/// A core `Secret` document. The format keeps values out of findings.
pub(super) fn secret_schema() -> Value {
    let values =
        json!({ "type": "object", "additionalProperties": { "type": "string", "format": "password" } });
    json!({
        "type": "object",
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": metadata_schema(),
            "type": { "type": "string" },
            "immutable": { "type": "boolean" },
            "data": values,
            "stringData": values,
        },
        "required": ["metadata"],
    })
}

/// `ObjectMeta`: what people write is looked at, what an API server adds may stand.
fn metadata_schema() -> Value {
    let text = json!({ "type": "string" });
    let number = json!({ "type": "integer" });
    json!({
        "type": "object",
        "properties": {
            "name": {
                "type": "string", "minLength": 1, "maxLength": 253, "pattern": SECRET_NAME,
                "description": "Name of the object.",
            },
            "namespace": {
                "type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            },
            "labels": { "type": "object", "additionalProperties": { "type": "string", "maxLength": 63 } },
            "annotations": { "type": "object", "additionalProperties": text },
            "generateName": text,
            "uid": text,
            "resourceVersion": text,
            "selfLink": text,
            "creationTimestamp": text,
            "deletionTimestamp": text,
            "generation": number,
            "deletionGracePeriodSeconds": number,
            "finalizers": { "type": "array", "items": text },
            "ownerReferences": {},
            "managedFields": {},
        },
        "required": ["name"],
    })
}
