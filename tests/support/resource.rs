//! A `TopicGateway` as a test writes it. JSON is YAML, so that a value is a file.

use std::path::Path;

use serde_json::{Value, json};

use super::{Issuer, NatsServer};

/// A resource and the Secrets beside it.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    spec: Value,
    secrets: Vec<Value>,
    /// Files of the session keys.
    session_keys: Vec<(String, String)>,
}

impl Resource {
    /// Memory backbone; everybody may do everything without a token.
    pub(crate) fn open() -> Self {
        Self::closed()
            .set("authentication.anonymous", json!("Allow"))
            .set("authorization", json!([{"subscribe": [">"], "publish": [">"]}]))
    }

    /// Memory backbone; nobody may do anything.
    pub(crate) fn closed() -> Self {
        Self { spec: json!({"backbone": {"memory": {}}}), secrets: Vec::new(), session_keys: Vec::new() }
    }

    /// Memory backbone; a token of this issuer is needed, its bearer may do everything.
    pub(crate) fn with_tokens(issuer: &Issuer) -> Self {
        issuer.admitted(Self::closed()).set("authorization", json!([{"subscribe": [">"], "publish": [">"]}]))
    }

    /// This server instead of the memory backbone.
    pub(crate) fn on(self, server: &NatsServer) -> Self {
        self.set("backbone", json!({"nats": {"servers": [server.url()]}}))
    }

    /// Sets one field, named by its path (`limits.connections`).
    pub(crate) fn set(mut self, path: &str, value: Value) -> Self {
        let mut place = &mut self.spec;
        for name in path.split('.') {
            place = &mut place[name];
        }
        *place = value;
        self
    }

    /// Adds an entry to a list, named by its path.
    pub(crate) fn add(self, path: &str, entry: Value) -> Self {
        let pointer = format!("/{}", path.replace('.', "/"));
        let mut list = self.spec.pointer(&pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        list.push(entry);
        self.set(path, Value::Array(list))
    }

    /// Puts a Secret beside it, in the place of one of the same name.
    pub(crate) fn secret(mut self, name: &str, values: Value) -> Self {
        self.secrets.retain(|secret| secret["metadata"]["name"] != name);
        let metadata = json!({"name": name});
        self.secrets
            .push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}));
        self
    }

    /// Authenticates sessions with these keys instead of one that the gateway makes for itself.
    pub(crate) fn session_keys(mut self, newest: &str, previous: Option<&str>) -> Self {
        let files = [("key", Some(newest)), ("previous", previous)];
        self.session_keys =
            files.into_iter().filter_map(|(name, key)| Some((name.into(), key?.into()))).collect();
        self
    }

    /// What the controller makes of it for a pod, with the Secrets in this folder.
    pub(crate) fn gateway_config(&self, generation: i64, secrets: &Path) -> String {
        let mut config = json!({
            "apiVersion": "topicgateway.io/v1alpha1",
            "kind": "GatewayConfig",
            "name": "test",
            "namespace": "tests",
            "generation": generation,
            "secretsDirectory": secrets,
            "spec": self.spec,
        });
        if !self.session_keys.is_empty() {
            config["sessionKeyDirectory"] = json!(secrets);
        }
        config.to_string()
    }

    /// The values of the Secrets and the session keys, by the names that their files have in a pod.
    pub(crate) fn secret_files(&self) -> Vec<(String, String)> {
        let files = self.secrets.iter().flat_map(|secret| {
            let name = secret["metadata"]["name"].as_str().unwrap();
            let values = secret["stringData"].as_object().unwrap();
            values.iter().map(move |(key, value)| (format!("{name}_{key}"), value.as_str().unwrap().into()))
        });
        files.chain(self.session_keys.iter().cloned()).collect()
    }

    /// The file: the resource, then the Secrets.
    pub(crate) fn yaml(&self) -> String {
        let resource = json!({
            "apiVersion": "topicgateway.io/v1alpha1",
            "kind": "TopicGateway",
            "metadata": {"name": "test"},
            "spec": self.spec,
        });
        let documents: Vec<_> =
            std::iter::once(&resource).chain(&self.secrets).map(Value::to_string).collect();
        documents.join("\n---\n")
    }
}
