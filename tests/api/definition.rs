//! The resource definition, as a real API server takes it.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::kubectl::{kubectl, try_kubectl};

/// Applies the definition and waits until the API server serves it with its descriptions, which come a moment later.
pub(crate) fn define() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    kubectl(&["apply", "--server-side", "-f", folder], "");
    let deadline = Instant::now() + Duration::from_secs(30);
    // Until the API server has written any condition, `kubectl wait` fails at once.
    let established =
        || try_kubectl(&["wait", "--for=condition=Established", "--timeout=10s", "-f", folder], "");
    let described = || try_kubectl(&["get", "--raw", "/openapi/v3/apis/topicgateway.io/v1alpha1"], "");
    while let Err(error) = established().and_then(|_| described()) {
        assert!(Instant::now() < deadline, "{error}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_api_server_takes_the_definition_and_explains_it() {
    define();
    let text = kubectl(&["explain", "topicgateway.spec.backbone"], "");
    assert!(text.contains("GROUP:      topicgateway.io"), "{text}");
}

#[test]
fn the_api_server_refuses_a_resource_without_a_backbone() {
    define();
    let resource =
        "{apiVersion: topicgateway.io/v1alpha1, kind: TopicGateway, metadata: {name: bad}, spec: {}}";
    let error = try_kubectl(&["create", "--dry-run=server", "-f", "-"], resource).unwrap_err();
    assert!(error.contains("spec.backbone: Required value"), "{error}");
}

/// A resource that is well, but for what is changed in its spec.
fn resource(name: &str, changes: Value) -> String {
    let mut spec = json!({ "backbone": { "nats": { "servers": ["nats://n"] } } });
    for (field, value) in changes.as_object().unwrap() {
        spec[field] = value.clone();
    }
    let metadata = json!({ "name": name, "namespace": "default" });
    json!({ "apiVersion": "topicgateway.io/v1alpha1", "kind": "TopicGateway", "metadata": metadata, "spec": spec })
        .to_string()
}

#[test]
fn the_api_server_refuses_what_contradicts_itself_with_field_and_sentence() {
    define();
    for (name, changes, field, sentence) in [
        ("two", json!({"replicas": 2, "backbone": {"memory": {}}}), "spec", "set replicas to 1"),
        ("many", json!({"replicas": 501}), "spec.replicas", "less than or equal to 500"),
        (
            "both",
            json!({"backbone": {"memory": {}, "nats": {"servers": ["nats://n"]}}}),
            "spec.backbone",
            "exactly one",
        ),
        ("UPPER", json!({}), "metadata.name", "lower case"),
        ("9", json!({}), "TopicGateway", "must begin with a letter"),
        (
            "keys",
            json!({"authentication": {"jwt": [{"issuer": "i", "algorithms": ["HS256"],
                "publicKeySecretRef": {"name": "k", "key": "k"}}]}}),
            "spec.authentication.jwt[0]",
            "HS256, HS384 and HS512 need secretRef",
        ),
        (
            "all",
            json!({"backbone": {"nats": {"servers": ["nats://n"], "jetStream": {"stream": "S", "manage": true}}}}),
            "spec.backbone.nats",
            "begin each of subjects with a name",
        ),
        (
            "short",
            json!({"backbone": {"nats": {"servers": ["nats://n"], "jetStream": {"stream": "S", "maxAge": "59m"}}}}),
            "spec.backbone.nats.jetStream",
            "duplicateWindowSeconds is longer than maxAge",
        ),
        (
            "history",
            json!({"topics": [{"pattern": "a", "delivery": "AtLeastOnce"}]}),
            "spec",
            "add backbone.nats.jetStream, or take AtMostOnce",
        ),
        (
            "ways",
            json!({"route": {"parentRefs": [{"name": "p"}]}, "ingress": {"host": "h.example.com"}}),
            "spec",
            "keep route or ingress",
        ),
    ] {
        let refused =
            try_kubectl(&["create", "--dry-run=server", "-f", "-"], &resource(name, changes)).unwrap_err();
        assert!(refused.contains(field) && refused.contains(sentence), "{name}: {refused}");
    }
}

#[test]
fn the_api_server_keeps_what_topics_are_named_by() {
    define();
    let spec = |prefix: &str| {
        let nats = json!({"servers": ["nats://n"], "subjectPrefix": prefix});
        resource("prefixed", json!({"backbone": {"nats": nats}}))
    };
    kubectl(&["apply", "-f", "-"], &spec("a"));
    let refused = try_kubectl(&["apply", "-f", "-"], &spec("b")).unwrap_err();
    kubectl(&["delete", "tgw", "prefixed", "--wait=false"], "");
    let sentence = "cannot be changed, topics are named by it; declare another TopicGateway";
    assert!(refused.contains("spec.backbone.nats.subjectPrefix") && refused.contains(sentence), "{refused}");
}

#[test]
fn the_api_server_keeps_what_positions_are_numbered_by_and_lets_the_limits_change() {
    define();
    let spec = |stream: &str, age: &str| {
        let stream = json!({"stream": stream, "manage": true, "maxAge": age, "maxBytes": 10_737_418_240_i64});
        let nats = json!({"servers": ["nats://n"], "subjects": ["prices.>"], "jetStream": stream});
        let topics = json!([{"pattern": "prices.>", "delivery": "AtLeastOnce"}]);
        resource("kept", json!({"backbone": {"nats": nats}, "topics": topics}))
    };
    kubectl(&["apply", "-f", "-"], &spec("A", "72h"));
    kubectl(&["apply", "-f", "-"], &spec("A", "1h30m"));
    let refused = try_kubectl(&["apply", "-f", "-"], &spec("B", "72h")).unwrap_err();
    kubectl(&["delete", "tgw", "kept", "--wait=false"], "");
    let sentence =
        "cannot be changed, the positions of clients are its numbers; declare another TopicGateway";
    assert!(
        refused.contains("spec.backbone.nats.jetStream.stream") && refused.contains(sentence),
        "{refused}"
    );
}
