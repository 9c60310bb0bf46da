//! What the API server cannot see in a spec.

use super::{observed::Problem, reason::Reason};
use crate::api::TopicGatewaySpec;

/// Contradictions within the spec that its schema has no words for; empty: there are none.
pub(crate) fn validate(spec: &TopicGatewaySpec) -> Vec<Problem> {
    let problem =
        |(field, message)| Problem { reason: Reason::InvalidSpec, message: format!("{field}: {message}") };
    spec.subjects_without_topics().into_iter().map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(subjects: &[&str]) -> TopicGatewaySpec {
        let nats =
            serde_json::json!({"servers": ["nats://n"], "subjectPrefix": "acme", "subjects": subjects});
        serde_json::from_value(serde_json::json!({"backbone": {"nats": nats}})).unwrap()
    }

    #[test]
    fn a_subject_outside_the_prefix_is_told_with_its_field() {
        let problems = validate(&spec(&["acme.>", "other.>"]));
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].reason, Reason::InvalidSpec);
        assert!(problems[0].message.starts_with("spec.backbone.nats.subjects[1]: \"other.>\" has no topic"));
    }

    #[test]
    fn what_is_well_is_not_told() {
        assert_eq!(validate(&spec(&["acme.>"])), []);
    }
}
