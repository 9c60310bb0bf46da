//! Resources as a cluster has stored them: where its definition is older or newer than these types, they may break
//! rules that were never held against them, or be of another form.

use std::sync::LazyLock;

use kube::core::ObjectMeta;
use serde_json::{Map, Value, json};

use super::{
    TopicGateway, TopicGatewaySpec, TopicGatewayStatus,
    envelope::gateway_schema,
    validate::{Checked, Node, Prepared, Report, Unknown},
};

/// Read once: the same for every resource.
static SCHEMA: LazyLock<Prepared> = LazyLock::new(|| Prepared::new(gateway_schema(), Unknown::LeftOut));

/// A resource that these types cannot hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    /// What is wrong, each with its field: at least one.
    pub flaws: Vec<String>,
    /// What of it could be read: every other field has its default. Nothing may be made of it.
    pub rest: TopicGateway,
}

impl TopicGateway {
    /// Reads a resource from its parts. Fields that are not known are left out; a status that is not of our form counts
    /// as none, for it is ours to write.
    ///
    /// # Errors
    /// What is wrong, and what could be read besides.
    pub fn read(metadata: ObjectMeta, spec: &Value, status: Value) -> Result<Self, Box<Unreadable>> {
        let status: Option<TopicGatewayStatus> = serde_json::from_value(status).ok();
        let error = match serde::Deserialize::deserialize(spec) {
            Ok(spec) => return Ok(Self { metadata, spec, status }),
            Err::<TopicGatewaySpec, serde_json::Error>(error) => error,
        };
        let mut flaws = flaws(&metadata, spec);
        if flaws.is_empty() {
            flaws.push(format!("spec: cannot be read: {error}; mend that value"));
        }
        let rest = Self { metadata, spec: readable(spec), status };
        Err(Box::new(Unreadable { flaws, rest }))
    }

    /// What is wrong with it by the rules of its definition, each as `spec.limits.connections: what is wrong; what to
    /// do`; empty: it is well. For resources that were stored under another definition.
    pub fn flaws(&self) -> Vec<String> {
        // A type of texts, numbers, lists and maps with text keys: nothing of it can fail to be JSON.
        flaws(&self.metadata, &serde_json::to_value(&self.spec).unwrap_or_default())
    }
}

fn flaws(metadata: &ObjectMeta, spec: &Value) -> Vec<String> {
    let mut report = Report::default();
    let object = json!({ "metadata": { "name": metadata.name }, "spec": spec });
    Checked::new(&SCHEMA, &Node::from(&object), "", &mut report);
    let Err(findings) = report.finish(None::<()>) else { return Vec::new() };
    findings.iter().map(|finding| format!("{}: {}", finding.field, finding.message)).collect()
}

/// The fields of a spec that can be read.
fn readable(spec: &Value) -> TopicGatewaySpec {
    let read = |fields: &Map<String, Value>| {
        let mut whole = json!({ "backbone": {} });
        whole.as_object_mut().into_iter().for_each(|whole| whole.extend(fields.clone()));
        serde_json::from_value::<TopicGatewaySpec>(whole)
    };
    let mut good = Map::new();
    for (name, value) in spec.as_object().into_iter().flatten() {
        good.insert(name.clone(), value.clone());
        if read(&good).is_err() {
            good.remove(name);
        }
    }
    read(&good).unwrap_or_else(|_| unreachable!("every field of it was read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spec: &Value) -> Result<TopicGateway, Box<Unreadable>> {
        let metadata = ObjectMeta { name: Some("m".into()), generation: Some(3), ..ObjectMeta::default() };
        TopicGateway::read(metadata, spec, json!({"observedGeneration": 2}))
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_field_and_the_rest_is_there() {
        let nats = json!({"servers": ["nats://n"]});
        let unreadable = read(&json!({
            "backbone": {"nats": nats}, "replicas": 3, "listeners": {"port": 80}, "heartbeatSeconds": "often",
            "topics": [{"pattern": "a.>", "slowConsumer": "Wait"}],
        }))
        .unwrap_err();
        assert_eq!(
            unreadable.flaws,
            [
                "spec.heartbeatSeconds: must be an integer, is a text; write a whole number",
                "spec.topics[0].slowConsumer: must be one of Disconnect, DropOldest, Conflate, is \"Wait\"; choose one of them",
            ]
        );
        let TopicGateway { metadata, spec, status } = unreadable.rest;
        assert_eq!((metadata.generation, status.unwrap().observed_generation), (Some(3), Some(2)));
        assert_eq!((spec.replicas, spec.listeners.port, spec.heartbeat_seconds), (3, 80, 25));
        assert_eq!(spec.backbone.nats.unwrap().servers, ["nats://n"]);
    }

    #[test]
    fn nothing_of_a_spec_may_be_readable() {
        for (spec, flaw) in [
            (
                json!(null),
                "spec: is required; add it (Declares gateways: which topics they take from where, and who may read and write them)",
            ),
            (json!([]), "spec: must be a mapping, is a list; write `name: value` pairs, or {}"),
            (
                json!({"replicas": 3_000_000_000_i64}),
                "spec.replicas: must be at most 500, is 3000000000; lower it",
            ),
        ] {
            let unreadable = read(&spec).unwrap_err();
            assert_eq!(unreadable.flaws[0], flaw);
            assert_eq!(unreadable.rest.spec.replicas, 1);
        }
    }

    #[test]
    fn a_field_of_a_newer_definition_is_left_out() {
        let read = read(&json!({"backbone": {"memory": {}}, "news": {"of": "tomorrow"}})).unwrap();
        assert_eq!(read.flaws(), Vec::<String>::new());
    }

    #[test]
    fn a_status_of_another_form_counts_as_none() {
        let spec = json!({"backbone": {"memory": {}}});
        let read = TopicGateway::read(ObjectMeta::default(), &spec, json!({"replicas": "none"})).unwrap();
        assert_eq!(read.status, None);
    }
}
