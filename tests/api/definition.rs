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

/// That each of these changes is refused, with the field and a sentence.
fn assert_refused<const N: usize>(cases: [(&str, Value, &str, &str); N]) {
    define();
    for (name, changes, field, sentence) in cases {
        let refused =
            try_kubectl(&["create", "--dry-run=server", "-f", "-"], &resource(name, changes)).unwrap_err();
        assert!(refused.contains(field) && refused.contains(sentence), "{name}: {refused}");
    }
}

#[test]
fn the_api_server_refuses_what_contradicts_itself_with_field_and_sentence() {
    assert_refused([
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
    ]);
}

#[test]
fn the_api_server_tells_what_to_do_about_a_value_of_another_form() {
    assert_refused([
        ("image", json!({"pod": {"image": "a:b:c"}}), "spec.pod.image", "write registry/repository:tag"),
        (
            "server",
            json!({"backbone": {"nats": {"servers": ["n:4222"]}}}),
            "spec.backbone.nats.servers[0]",
            "write nats://host:port or tls://host:port, with user and password in a Secret",
        ),
        (
            "subject",
            json!({"backbone": {"nats": {"servers": ["nats://n"], "subjects": ["a..b"]}}}),
            "spec.backbone.nats.subjects[0]",
            "write at most 16 tokens divided by '.'",
        ),
        (
            "signs",
            json!({"topics": [{"pattern": "$SYS.>"}]}),
            "spec.topics[0].pattern",
            "write tokens of letters, digits and _ - : / @ = ~ + %",
        ),
        (
            "grant",
            json!({"authorization": [{"subscribe": ["a.>.b"]}]}),
            "spec.authorization[0].subscribe[0]",
            "write at most 16 tokens divided by '.'",
        ),
        (
            "prefix",
            json!({"backbone": {"nats": {"servers": ["nats://n"], "subjectPrefix": "a.*"}}}),
            "spec.backbone.nats.subjectPrefix",
            "write whole tokens divided by '.', without wildcards",
        ),
        (
            "origin",
            json!({"listeners": {"allowedOrigins": ["https://A"]}}),
            "spec.listeners.allowedOrigins[0]",
            "write scheme://host or scheme://host:port in lower case",
        ),
        (
            "secret",
            json!({"authentication": {"jwt": [{"issuer": "i", "secretRef": {"name": "K_", "key": ".."}}]}}),
            "spec.authentication.jwt[0].secretRef.name",
            "use lower-case letters, digits, '-' and '.'",
        ),
        (
            "share",
            json!({"disruption": {"minAvailable": "half"}}),
            "spec.disruption.minAvailable",
            "write a number of pods, or a share, as 50%",
        ),
        (
            "size",
            json!({"backbone": {"nats": {"servers": ["nats://n"], "jetStream": {"stream": "S", "maxBytes": "10GB"}}}}),
            "spec.backbone.nats.jetStream.maxBytes",
            "write a whole number of bytes, as 1048576 or 10Gi",
        ),
        ("host", json!({"ingress": {"host": "A"}}), "spec.ingress.host", "use lower-case letters, digits"),
        (
            "label",
            json!({"pod": {"labels": {"a": "-"}}}),
            "spec.pod.labels.a",
            "use letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        ),
        (
            "operator",
            json!({"pod": {"tolerations": [{"key": "a", "operator": "Is"}]}}),
            "spec.pod.tolerations[0]",
            "write Exists or Equal",
        ),
        ("taint", json!({"pod": {"tolerations": [{}]}}), "spec.pod.tolerations[0]", "names no key"),
        (
            "skew",
            json!({"pod": {"topologySpreadConstraints":
                [{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]}}),
            "spec.pod.topologySpreadConstraints[0]",
            "maxSkew is below 1; raise it",
        ),
        (
            "terms",
            json!({"pod": {"affinity": {"nodeAffinity":
                {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}}}),
            "spec.pod.affinity",
            "nodeAffinity has no nodeSelectorTerms and would fit no node",
        ),
    ]);
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
