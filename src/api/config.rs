//! What a gateway pod is started with: the resource and where its Secrets are mounted.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    TopicGatewaySpec,
    envelope::{API_VERSION, CONFIG_KIND, config_schema},
    validate::{Checked, Findings, Prepared, Report, Unknown, check_contradictions, documents},
};

/// The configuration of one gateway pod, read by `topic-gateway gateway --config FILE`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConfig {
    /// Name of the `TopicGateway`.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its `metadata.generation`, so that one can see which configuration a pod runs with.
    pub generation: i64,
    /// Folder with the Secrets the spec refers to, each value in the file
    /// [`SecretKeyRef::file_name`](super::SecretKeyRef::file_name).
    pub secrets_directory: PathBuf,
    /// Folder with the session key in the file `key` and, while it is being replaced, the one before in `previous`.
    /// Without a folder, and where topics are in memory, each gateway makes a key of its own, and no other one honours its
    /// sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key_directory: Option<PathBuf>,
    /// The spec, as [`TopicGatewaySpec::for_gateway`] leaves it.
    pub spec: TopicGatewaySpec,
}

/// The document [`GatewayConfig::parse`] reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    config: &'a GatewayConfig,
}

impl GatewayConfig {
    /// As JSON, with the same text for the same configuration.
    pub fn render(&self) -> String {
        let document = Document { api_version: API_VERSION, kind: CONFIG_KIND, config: self };
        // A type of texts, numbers, lists and maps with text keys: nothing of it can fail to be JSON.
        serde_json::to_string_pretty(&document).unwrap_or_default()
    }

    /// Reads one YAML or JSON document, held against the same schema and rules as the resource.
    ///
    /// # Errors
    /// Everything that is wrong with it. Whether the Secrets are there is for the reader of the files to see.
    pub fn parse(file: &str, text: &str) -> Result<Self, Findings> {
        let mut report = Report::default();
        let (found, wrong) = documents(text);
        for (line, message) in &wrong {
            report.add(file, *line, "", message.as_str());
        }
        match found.as_slice() {
            [node] => {
                let checked =
                    Checked::new(&Prepared::new(config_schema(), Unknown::Refused), node, file, &mut report);
                let config = checked.read::<Self>(file, &mut report);
                if let Some(config) = &config {
                    check_contradictions(&config.spec, &checked, file, &mut report);
                }
                report.finish(config)
            }
            [] if !wrong.is_empty() => report.finish(None),
            others => {
                let count = others.len();
                report.add(
                    file,
                    1,
                    "",
                    format!("must hold one GatewayConfig, holds {count} documents; write one"),
                );
                report.finish(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: topicgateway.io/v1alpha1\nkind: GatewayConfig\nname: market\n";
    const REST: &str = "namespace: prices\ngeneration: 3\nsecretsDirectory: /secrets\n";
    const SPEC: &str = "spec: {backbone: {memory: {}}}\n";

    fn findings(text: &str) -> Vec<String> {
        GatewayConfig::parse("c.yaml", text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_configuration_is_read_with_defaults() {
        let config = GatewayConfig::parse("c.yaml", &[HEAD, REST, SPEC].concat()).unwrap();
        assert_eq!(
            (config.name.as_str(), config.namespace.as_str(), config.generation),
            ("market", "prices", 3)
        );
        assert_eq!(config.secrets_directory, PathBuf::from("/secrets"));
        assert_eq!(config.spec.limits.connections, 50_000);
    }

    #[test]
    fn it_may_be_json() {
        let json = serde_json::json!({
            "apiVersion": "topicgateway.io/v1alpha1", "kind": "GatewayConfig", "name": "a", "namespace": "b",
            "generation": 0, "secretsDirectory": "/s", "spec": { "backbone": { "memory": {} } },
        });
        assert!(GatewayConfig::parse("c.json", &json.to_string()).is_ok());
    }

    #[test]
    fn what_is_rendered_is_read_as_the_same() {
        let mut config = GatewayConfig::parse("c.yaml", &[HEAD, REST, SPEC].concat()).unwrap();
        config.spec = crate::api::builtin().unwrap().gateway.spec;
        assert_eq!(GatewayConfig::parse("c.json", &config.render()), Ok(config));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        assert_eq!(
            findings(&[HEAD, "generation: x\nspec: {backbone: {}, limits: {conections: 1}}\n"].concat()),
            [
                "c.yaml:1: namespace: is required; add it (Namespace of the TopicGateway)",
                "c.yaml:1: secretsDirectory: is required; add it (Folder with a file for each key of each Secret, as <secret>_<key>)",
                "c.yaml:4: generation: must be an integer, is a text; write a whole number",
                "c.yaml:5: spec.limits.conections: unknown field; did you mean connections?",
                "c.yaml:5: spec.backbone: needs exactly one of memory and nats; write `memory: {}` for a trial, or nats with its servers",
            ]
        );
        assert_eq!(
            findings(&[&HEAD.replace("GatewayConfig", "TopicGateway"), REST, SPEC].concat()),
            ["c.yaml:2: kind: must be one of GatewayConfig, is \"TopicGateway\"; choose one of them"]
        );
        assert_eq!(findings(""), ["c.yaml:1: must hold one GatewayConfig, holds 0 documents; write one"]);
        assert_eq!(findings("[").len(), 1);
    }

    #[test]
    fn subjects_outside_the_prefix_are_found() {
        let spec = "spec:\n  backbone:\n    nats:\n      servers: ['nats://n']\n      subjectPrefix: acme.\n      subjects:\n      - acme.>\n      - other.>\n";
        assert_eq!(
            findings(&[HEAD, REST, spec].concat()),
            [
                "c.yaml:14: spec.backbone.nats.subjects[1]: \"other.>\" has no topic below subjectPrefix \"acme\"; write the whole subject, as \"acme.>\""
            ]
        );
    }
}
