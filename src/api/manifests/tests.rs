//! Bad files with the exact findings, and good ones.

use proptest::prelude::*;

use super::*;
use crate::api::{Anonymous, Delivery, SecretKeyRef, Slo, SlowConsumer};

mod bad;

const HEAD: &str = "apiVersion: topicgateway.io/v1alpha1\nkind: TopicGateway\nmetadata: {name: a}\n";

fn parse(text: &str) -> Result<Manifests, Findings> {
    Manifests::parse(&[("a.yaml".into(), text.into())])
}

/// The findings without the file's name.
fn findings(text: &str) -> Vec<String> {
    let found = parse(text).unwrap_err();
    found.iter().map(|finding| finding.to_string().replacen("a.yaml:", "", 1)).collect()
}

#[test]
fn the_built_in_resource_lets_everybody_on_this_host_do_everything() {
    let Manifests { gateway, notes, .. } = builtin().unwrap();
    let spec = gateway.spec;
    assert_eq!(notes, Vec::<String>::new());
    assert!(spec.backbone.memory.is_some());
    assert_eq!(spec.listeners.allowed_origins, ["http://localhost:*", "http://127.0.0.1:*"]);
    assert_eq!(spec.authentication.anonymous, Anonymous::Allow);
    let rule = &spec.authorization[0];
    assert_eq!(
        (rule.users.join(","), rule.subscribe[0].as_str(), rule.publish[0].as_str()),
        ("*".into(), ">", ">")
    );
    assert_eq!((spec.drain.window_seconds, spec.heartbeat_seconds), (2, 25));
}

#[test]
fn the_examples_are_valid_and_without_notes() {
    for (name, text) in [
        ("memory.yaml", include_str!("../../../examples/memory.yaml")),
        ("nats.yaml", include_str!("../../../examples/nats.yaml")),
    ] {
        let manifests = Manifests::parse(&[(name.into(), text.into())]).unwrap();
        assert_eq!(manifests.notes, Vec::<String>::new(), "{name}");
        assert!(!manifests.gateway.spec.topics.is_empty(), "{name}");
    }
}

#[test]
fn the_examples_for_a_cluster_are_valid_here_too() {
    for (gateway, beside) in [
        (include_str!("../../../examples/quickstart.yaml"), ""),
        (
            include_str!("../../../examples/full-example/gateway.yaml"),
            include_str!("../../../examples/full-example/nats.yaml"),
        ),
    ] {
        let files = [("gateway.yaml".into(), gateway.into()), ("nats.yaml".into(), beside.into())];
        let manifests = Manifests::parse(&files).unwrap();
        let unused = |note: &String| note.ends_with("not used here");
        assert!(manifests.notes.iter().all(unused), "{:?}", manifests.notes);
        assert!(!manifests.gateway.spec.topics.is_empty());
    }
}

#[test]
fn every_default_is_put_in() {
    let spec = parse(&format!(
        "{HEAD}spec: {{backbone: {{memory: {{}}}}, drain: {{}}, metrics: {{}}, slo: {{}}, topics: [{{pattern: a}}]}}"
    ))
    .unwrap()
    .gateway
    .spec;
    assert_eq!(spec.limits, crate::api::Limits::default());
    assert_eq!(spec.listeners, crate::api::Listeners::default());
    assert_eq!((spec.drain.window_seconds, spec.metrics.max_topic_series), (30, 500));
    let topic = &spec.topics[0];
    assert_eq!((topic.slow_consumer, topic.delivery), (SlowConsumer::Disconnect, Delivery::AtMostOnce));
    assert_eq!((topic.ack_timeout_seconds, topic.history_messages), (10, 1000));
    assert_eq!((spec.session_seconds, spec.slo), (86_400, Some(Slo::default())));
}

#[test]
fn a_history_may_be_a_stream_or_in_memory() {
    for backbone in [
        "{memory: {}}",
        "{nats: {servers: [nats://n], subjects: [a.>], jetStream: {stream: A, manage: true, maxAge: 1h, maxBytes: 10737418240}}}",
        "{nats: {servers: [nats://n], subjects: [a.>], jetStream: {stream: A, manage: true, maxAge: 30s}}}",
        "{nats: {servers: [nats://n], jetStream: {stream: A_b-1}}}",
    ] {
        let topics = "[{pattern: a, delivery: AtLeastOnce}]";
        let text = format!("{HEAD}spec: {{backbone: {backbone}, topics: {topics}}}");
        assert!(parse(&text).is_ok(), "{:?}", parse(&text));
    }
}

#[test]
fn secrets_may_stand_in_another_file_and_in_base64() {
    let gateway = format!(
        "{HEAD}spec: {{backbone: {{nats: {{servers: [nats://n], tokenSecretRef: {{name: s, key: t}}}}}}}}"
    );
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {t: c2VjcmV0, u: 'YQ=='}\nstringData: {u: b}\n";
    let files = [("g.yaml".into(), gateway), ("s.yaml".into(), secret.to_string())];
    let secrets = Manifests::parse(&files).unwrap().secrets;
    let key = |key: &str| SecretKeyRef { name: "s".into(), key: key.into() };
    assert_eq!(secrets.key(&key("t")), Ok(&b"secret"[..]));
    assert_eq!(secrets.key(&key("u")), Ok(&b"b"[..]), "stringData wins, as in a cluster");
}

#[test]
fn a_cluster_may_have_secrets_that_the_files_do_not_have() {
    let nats =
        "{servers: [nats://n], tokenSecretRef: {name: s, key: t}, tls: {caSecretRef: {name: ca, key: c}}}";
    let text = format!("{HEAD}spec:\n  backbone: {{nats: {nats}}}\n  authentication: {{jwt: [{ISSUER}]}}\n");
    assert_eq!(parse(&text).unwrap_err().iter().count(), 3);
    let files = |more: &str| [("a.yaml".to_owned(), [&text, more].concat())];
    let read = Manifests::parse_for_a_cluster(&files("")).unwrap();
    let note = |place: &str, name: &str| {
        format!(
            "a.yaml:{place}: Secret \"{name}\" is not in these files, and was not looked into; a cluster must have it"
        )
    };
    assert_eq!(
        read.notes,
        [
            note("5: spec.backbone.nats.tokenSecretRef", "s"),
            note("5: spec.backbone.nats.tls.caSecretRef", "ca"),
            note("6: spec.authentication.jwt[0].secretRef", "s"),
        ]
    );
    let spec = read.gateway.spec;
    let left = spec.without_secrets(|name| name == "s").secret_references();
    assert_eq!(left.iter().map(|reference| reference.key.name.as_str()).collect::<Vec<_>>(), ["ca"]);
    assert_eq!(spec.without_secrets(|_| true).secret_references(), []);
    assert_eq!(spec.without_secrets(|_| false), spec);
    // One that is there must have what is wanted of it.
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: v}\n";
    let found = Manifests::parse_for_a_cluster(&files(secret)).unwrap_err().to_string();
    assert!(found.contains("Secret \"s\" has no key \"t\"") && found.lines().count() == 1, "{found}");
}

#[test]
fn other_kinds_are_noted_and_left_aside() {
    let more = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\napiVersion: apps/v1\nkind: Deployment\n";
    let text =
        format!("{HEAD}spec: {{backbone: {{memory: {{}}}}, authentication: {{jwt: [{ISSUER}]}}}}\n{more}");
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: v}\n";
    assert_eq!(
        parse(&[&text, secret].concat()).unwrap().notes,
        ["a.yaml:6: ConfigMap \"c\" is not used here", "a.yaml:10: Deployment \"\" is not used here"]
    );
}

#[test]
fn what_is_for_a_cluster_is_read_and_noted_once() {
    let text = format!(
        "{HEAD}spec:\n  backbone: {{nats: {{servers: [nats://n]}}}}\n  authentication: {{anonymous: Allow}}\n  authorization:\n  # all\n  - subscribe: ['>']\n  replicas: 3\n  disruption: {{minAvailable: 2}}\n  pod: {{resources: {{limits: {{cpu: 2}}}}}}\n"
    );
    let Manifests { gateway, notes, .. } = parse(&text).unwrap();
    assert_eq!((gateway.spec.replicas, gateway.spec.drain.pre_stop_seconds), (3, 5));
    assert_eq!(
        notes,
        [
            "a.yaml:10: spec.replicas, spec.disruption, spec.pod mean something in a cluster only, not used here"
        ]
    );
    let one = parse(&format!(
        "{HEAD}spec: {{backbone: {{memory: {{}}}}, paused: true, authentication: {{anonymous: Allow}}, authorization: [{{subscribe: [a]}}]}}"
    ));
    assert_eq!(
        one.unwrap().notes,
        ["a.yaml:4: spec.paused means something in a cluster only, not used here"]
    );
}

const ISSUER: &str = "{issuer: i, algorithms: [HS256], secretRef: {name: s, key: k}}";

#[test]
fn what_is_valid_but_hardly_meant_is_noted() {
    let notes = |spec: &str| parse(&format!("{HEAD}spec:\n{spec}")).unwrap().notes;
    assert_eq!(
        notes("  backbone: {memory: {}}\n  authentication: {anonymous: Deny}\n"),
        ["a.yaml:6: spec.authentication: nobody can connect; add an issuer to jwt, or set anonymous: Allow"]
    );
    assert_eq!(
        notes("  backbone: {memory: {}}\n  authentication: {anonymous: Allow}\n"),
        ["a.yaml:4: spec.authorization: nobody may subscribe or publish; add a rule"]
    );
    assert_eq!(
        notes(concat!(
            "  backbone: {nats: {servers: [nats://n], subjects: [acme.prices.>], subjectPrefix: acme}}\n",
            "  authentication: {anonymous: Allow}\n",
            "  authorization:\n  - subscribe: [prices.btc, risk.btc]\n",
            "  topics:\n  - pattern: prices.>\n  - pattern: prices.btc\n",
        )),
        [
            "a.yaml:11: spec.topics[1]: is never reached, an earlier pattern covers it; move it up",
            "a.yaml:8: spec.authorization[0].subscribe[1]: reaches nothing, backbone.nats.subjects offers no such topic; add it there",
        ]
    );
}

#[test]
fn secrets_are_not_printed() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: 1234567, b: hunter2!}\nstringData: {c: 7654321, 'h u': x}\n";
    let found = findings(text).join("\n");
    assert_eq!(found.lines().count(), 5, "{found}");
    for value in ["1234567", "hunter2", "7654321"] {
        assert!(!found.contains(value), "{found}");
    }
}

fn any_node() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("spec".to_string()),
        Just("backbone".into()),
        Just("nats".into()),
        Just("limits".into()),
        Just("kind".into()),
        Just("TopicGateway".into()),
        Just("Secret".into()),
        Just("v1".into()),
        Just("topicgateway.io/v1alpha1".into()),
        Just("_INBOX.a".into()),
        Just("a.>".into()),
        Just("apiVersion".into()),
        Just("metadata".into()),
        Just("creationTimestamp".into()),
        Just("-1".into()),
        Just("~".into()),
        "\\PC{0,8}".prop_map(|text| serde_json::json!(text).to_string()),
    ];
    word.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((inner.clone(), inner), 0..5).prop_map(|fields| {
                let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                format!("{{{}}}", fields.join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_the_parser_panic(text in "(\\PC|\n)*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_document_makes_the_parser_panic(node in any_node()) {
        for text in [node.clone(), format!("{HEAD}spec: {node}"), format!("{HEAD}spec: {{backbone: {{memory: {{}}}}, topics: [{{pattern: {node}}}]}}"),
            format!("apiVersion: v1\nkind: Secret\nmetadata: {node}\ndata: {node}")] {
            let _ = parse(&text);
        }
    }
}
