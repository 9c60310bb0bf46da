//! What in a spec nobody may have looked at: rules of its definition, where that of the cluster is older than this
//! controller, and what a schema has no words for.

use super::{observed::Problem, reason::Reason};
use crate::api::TopicGateway;

/// What is wrong with a resource; empty: nothing.
pub(crate) fn validate(gateway: &TopicGateway) -> Vec<Problem> {
    let beyond = gateway.spec.contradictions().into_iter();
    let flaws =
        gateway.flaws().into_iter().chain(beyond.map(|(field, message)| format!("{field}: {message}")));
    flaws.map(|message| Problem { reason: Reason::InvalidSpec, message }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problems(name: &str, spec: Value) -> Vec<String> {
        let gateway = TopicGateway::new(name, serde_json::from_value(spec).unwrap());
        let problems = validate(&gateway);
        assert!(problems.iter().all(|problem| problem.reason == Reason::InvalidSpec));
        problems.into_iter().map(|problem| problem.message).collect()
    }

    fn subjects(subjects: &[&str]) -> Value {
        json!({"backbone": {"nats": {"servers": ["nats://n"], "subjectPrefix": "acme", "subjects": subjects}}})
    }

    #[test]
    fn a_subject_outside_the_prefix_is_told_with_its_field() {
        let problems = problems("m", subjects(&["acme.>", "other.>"]));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("spec.backbone.nats.subjects[1]: \"other.>\" has no topic"));
    }

    #[test]
    fn what_slipped_past_an_older_definition_is_told_with_field_and_sentence() {
        let memory = |more: Value| {
            let mut spec = json!({"backbone": {"memory": {}}});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            spec
        };
        for (name, spec, expected) in [
            ("m", memory(json!({"replicas": 2})), "spec: topics in memory are not shared between pods; set"),
            (
                "m",
                memory(json!({"heartbeatSeconds": 0})),
                "spec.heartbeatSeconds: must be at least 1, is 0; raise it",
            ),
            (
                "m",
                memory(json!({"listeners": {"port": 9090}})),
                "spec.listeners.port: 9090 is the port for metrics",
            ),
            ("m", json!({"backbone": {}}), "spec.backbone: needs exactly one of memory and nats"),
            ("9", memory(json!({})), "metadata.name: \"9\" is not allowed; begin with a letter"),
        ] {
            let problems = problems(name, spec);
            assert!(problems[0].starts_with(expected), "{problems:?}");
            assert_eq!(problems.len(), 1, "{problems:?}");
        }
    }

    #[test]
    fn what_is_well_is_not_told() {
        assert_eq!(problems("m", subjects(&["acme.>"])), Vec::<String>::new());
        let everything = include_str!("build/tests/golden/everything.input.yaml");
        let files = [("everything.yaml".into(), everything.into())];
        assert_eq!(validate(&crate::api::Manifests::parse(&files).unwrap().gateway), []);
    }
}
