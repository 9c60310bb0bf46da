//! Tables: what is written under `spec:` (or the whole file) and every finding.

mod delivery;

use super::{HEAD, findings, parse};

/// `spec` begins on line 5, indented by two.
fn spec(text: &str, expected: &[&str]) {
    let file = format!("{HEAD}spec:\n{text}");
    assert_eq!(findings(&file), expected, "\n{file}");
}

const MEMORY: &str = "  backbone: {memory: {}}\n";

#[test]
fn whole_files() {
    for (text, expected) in [
        (
            "",
            "1: there is no TopicGateway; add a document with apiVersion: topicgateway.io/v1alpha1 and kind: TopicGateway",
        ),
        ("a: 1", "1: is no Kubernetes object; give it apiVersion and kind, each a text"),
        ("- a", "1: is no Kubernetes object; give it apiVersion and kind, each a text"),
        (
            "\nkind: TopicGateway\napiVersion: topicgateway.io/v1\n",
            "3: apiVersion: \"topicgateway.io/v1\" is not known; write topicgateway.io/v1alpha1",
        ),
        (
            "apiVersion: topicgateway.io/v1alpha1\nkind: TopicGatway",
            "2: kind: \"TopicGatway\" is not known; did you mean TopicGateway?",
        ),
        (
            "apiVersion: topicgateway.io/v1alpha1\nkind: Thing",
            "2: kind: \"Thing\" is not known; write TopicGateway",
        ),
        (
            "apiVersion: topicgateway.io/v1alpha1\nkind: GatewayConfig",
            "2: kind: a GatewayConfig is for `topic-gateway gateway --config`; give a TopicGateway here",
        ),
        ("a: [1,\nb: 2", "1: is not YAML: unclosed bracket '['; mend this line or the one above it"),
    ] {
        assert_eq!(findings(text), [expected], "{text}");
    }
}

#[test]
fn a_second_resource_and_what_surrounds_the_spec() {
    let good = format!("{HEAD}spec:\n{MEMORY}");
    assert_eq!(
        findings(&[&good, "---\n", &good].concat()),
        ["7: is a second TopicGateway, the first is at a.yaml:1; give one at a time"]
    );
    assert_eq!(
        findings(
            "apiVersion: topicgateway.io/v1alpha1\nkind: TopicGateway\nmetadata:\n  nam: A\n  namespace: Up\n  labels: {a: yes}\nstatus: {}\n"
        ),
        [
            "1: spec: is required; add it (Declares gateways: which topics they take from where, and who may read and write them)",
            "3: metadata.name: is required; add it (Name of the object)",
            "4: metadata.nam: unknown field; did you mean name?",
            "5: metadata.namespace: \"Up\" is not allowed; use lower-case letters, digits, '-' and '.', with a letter or digit at both ends",
            "6: metadata.labels.a: must be a text but \"yes\" without quotes is read as a boolean; put it in quotes",
        ]
    );
}

#[test]
fn every_finding_of_a_file_is_given_in_the_order_of_its_lines() {
    spec(
        concat!(
            "  backbone: {memory: {}}\n",
            "  replicsa: 2\n",
            "  limits:\n",
            "    conections: 5\n",
            "    messageBytes: \"4096\"\n",
            "    windowBytes: 2048.5\n",
            "  listeners: {port: 70000, allowedOrigins: https://a}\n",
            "  heartbeatSeconds: 0\n",
            "  topics: {pattern: a}\n",
            "  drain: 5\n",
            "  metrics: []\n",
        ),
        &[
            "6: spec.replicsa: unknown field; did you mean replicas?",
            "8: spec.limits.conections: unknown field; did you mean connections?",
            "9: spec.limits.messageBytes: must be an integer but is a text; take the quotes away: 4096",
            "10: spec.limits.windowBytes: must be an integer, is 2048.5; write a whole number",
            "11: spec.listeners.port: must be at most 65535, is 70000; lower it",
            "11: spec.listeners.allowedOrigins: must be a list, is a text; write [...], or one `- ` item a line",
            "12: spec.heartbeatSeconds: must be at least 1, is 0; raise it",
            "13: spec.topics: must be a list, is a mapping; write [...], or one `- ` item a line",
            "14: spec.drain: must be a mapping, is a number; write `name: value` pairs, or {}",
            "15: spec.metrics: must be a mapping, is a list; write `name: value` pairs, or {}",
        ],
    );
}

#[test]
fn the_backbone() {
    let both = "5: spec.backbone: needs exactly one of memory and nats; write `memory: {}` for a trial, or nats with its servers";
    spec("  limits: {}\n", &["4: spec.backbone: is required; add it (Where messages come from and go to)"]);
    spec("  backbone: {}\n", &[both]);
    spec("  backbone:\n    memory:\n", &[both]);
    spec("  backbone: {memory: {}, nats: {servers: [nats://n]}}\n", &[both]);
    spec(
        "  backbone: {memory: {x: 1}}\n",
        &["5: spec.backbone.memory.x: unknown field; there are no fields here, take it away"],
    );
    spec(
        "  backbone: {nats: {}}\n",
        &[
            "5: spec.backbone.nats.servers: is required; add it (Addresses: `nats://host:port` or `tls://host:port`, without user and password (those belong in a Secret))",
        ],
    );
    spec(
        "  backbone: {nats: {servers: []}}\n",
        &["5: spec.backbone.nats.servers: must have at least 1 item, has 0; add one"],
    );
    spec(
        "  backbone:\n    nats:\n      servers:\n      - nats://u:p@n\n      - n:4222\n      - nats://n\n      - nats://n\n      -\n",
        &[
            "8: spec.backbone.nats.servers[0]: \"nats://u:p@n\" is not allowed; write nats://host:port or tls://host:port, with user and password in a Secret",
            "9: spec.backbone.nats.servers[1]: \"n:4222\" is not allowed; write nats://host:port or tls://host:port, with user and password in a Secret",
            "11: spec.backbone.nats.servers[3]: \"nats://n\" stands in the list already; keep one of them",
            "12: spec.backbone.nats.servers[4]: is empty; write a value or take the item away",
        ],
    );
    spec(
        "  backbone:\n    nats:\n      servers: [nats://n]\n      tokenSecretRef: {name: a, key: b}\n      nkeySecretRef: {name: a, key: b}\n",
        &[
            "6: spec.backbone.nats: takes one credential; keep one of credentialsSecretRef, nkeySecretRef, tokenSecretRef and userPasswordSecretRef",
        ],
    );
    spec(
        "  backbone: {nats: {servers: [nats://n], subscription: wildcard, subjectPrefix: a.*, subjects: ['a.>.b', $SYS.>, _INBOX.>, _INBOX, a..b]}}\n",
        &[
            "5: spec.backbone.nats.subscription: must be one of PerTopic, Wildcard, is \"wildcard\"; did you mean Wildcard?",
            "5: spec.backbone.nats.subjectPrefix: \"a.*\" is not allowed; write whole tokens divided by '.', without wildcards",
            "5: spec.backbone.nats.subjects[0]: \"a.>.b\" is not allowed; in a pattern '*' stands for one whole token and '>' only at the end",
            "5: spec.backbone.nats.subjects[1]: \"$SYS.>\" is not allowed; subjects that begin with '$' or '_INBOX' belong to the messaging system and are out of reach",
            "5: spec.backbone.nats.subjects[4]: \"a..b\" is not allowed; a topic must not have an empty token: look for '..' or a '.' at an end",
            "5: spec.backbone.nats.subjects[2]: subjects that begin with _INBOX belong to NATS itself; name topics of your own",
            "5: spec.backbone.nats.subjects[3]: subjects that begin with _INBOX belong to NATS itself; name topics of your own",
        ],
    );
    spec(
        "  backbone: {nats: {servers: [nats://n], subjectPrefix: acme, subjects: [prices.>]}}\n",
        &[
            "5: spec.backbone.nats.subjects[0]: \"prices.>\" has no topic below subjectPrefix \"acme\"; write the whole subject, as \"acme.>\"",
        ],
    );
}

#[test]
fn issuers() {
    let one =
        |jwt: &str, expected: &[&str]| spec(&format!("{MEMORY}  authentication:\n    jwt:\n{jwt}"), expected);
    let key = "needs exactly one key; keep one of jwksSecretRef, publicKeySecretRef and secretRef";
    one("    - {issuer: i, algorithms: [RS256]}\n", &[&format!("8: spec.authentication.jwt[0]: {key}")]);
    one(
        "    - {issuer: i, algorithms: [RS256], jwksSecretRef: {name: a, key: b}, publicKeySecretRef: {name: a, key: b}}\n",
        &[&format!("8: spec.authentication.jwt[0]: {key}")],
    );
    one(
        "    - {issuer: i, algorithms: [RS256, HS256], publicKeySecretRef: {name: a, key: b}}\n",
        &[
            "8: spec.authentication.jwt[0]: HS256, HS384 and HS512 need secretRef, for whoever knows a public key could sign with it; take them from algorithms",
        ],
    );
    one(
        "    - {issuer: i, algorithms: [HS256, ES256], secretRef: {name: a, key: b}}\n",
        &[
            "8: spec.authentication.jwt[0]: a shared secret only checks HS256, HS384 and HS512; take the others from algorithms, or use jwksSecretRef or publicKeySecretRef",
        ],
    );
    one(
        "    - {issuer: '', algorithms: [none], userClaim: null, secretRef: {name: Bad_, key: ..}}\n",
        &[
            "8: spec.authentication.jwt[0].issuer: must not be empty; write a value",
            "8: spec.authentication.jwt[0].algorithms[0]: must be one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, is \"none\"; choose one of them",
            "8: spec.authentication.jwt[0].secretRef.name: \"Bad_\" is not allowed; use lower-case letters, digits, '-' and '.', with a letter or digit at both ends",
            "8: spec.authentication.jwt[0].secretRef.key: \"..\" is not allowed; use letters, digits, '-', '_' and '.'",
        ],
    );
    one(
        "    - {issuer: i, algorithms: [HS256], secretRef: {name: a, key: b}}\n    - {issuer: i, algorithms: [HS256], secretRef: {name: c, key: d}}\n",
        &["9: spec.authentication.jwt[1]: issuer \"i\" stands in the list already; keep one entry for it"],
    );
}

#[test]
fn rules_labels_and_limits() {
    spec(
        &format!(
            "{MEMORY}  authorization:\n  - users: []\n    roles: [a]\n    claims: {{n: 1}}\n  - users: [ann]\n"
        ),
        &[
            "7: spec.authorization[0].users: must have at least 1 item, has 0; add one",
            "9: spec.authorization[0].claims.n: must be a text but \"1\" without quotes is read as a number; put it in quotes",
            "10: spec.authorization[1]: grants nothing; add patterns to subscribe or publish, or take the rule away",
        ],
    );
    let claims: Vec<String> = (0..17).map(|n| format!("c{n}: v")).collect();
    spec(
        &format!("{MEMORY}  authorization: [{{publish: [a], claims: {{{}}}}}]\n", claims.join(", ")),
        &["6: spec.authorization[0].claims: must have at most 16 entries, has 17; take some away"],
    );
    spec(
        &format!("{MEMORY}  metrics: {{topicLabels: [{{pattern: a, label: __other__}}]}}\n"),
        &[
            "6: spec.metrics.topicLabels[0].label: labels that begin with __ belong to the gateway itself; choose another",
        ],
    );
    spec(
        &format!("{MEMORY}  limits:\n    messageBytes: 2097152\n"),
        &[
            "6: spec.limits: a topic's window must hold the largest message; raise windowBytes or lower messageBytes",
        ],
    );
    spec(
        &format!("{MEMORY}  limits: {{connections: 5, connectionsPerUser: 6}}\n"),
        &[
            "6: spec.limits: connectionsPerUser is above connections and could never be reached; lower it, or write 0 for no limit",
        ],
    );
    let topics = "{pattern: a}, ".repeat(129);
    spec(
        &format!("{MEMORY}  topics: [{topics}]\n"),
        &["6: spec.topics: must have at most 128 items, has 129; take some away"],
    );
    let long = "a".repeat(256);
    spec(
        &format!("{MEMORY}  topics: [{{pattern: {long}}}]\n"),
        &["6: spec.topics[0].pattern: must have at most 255 characters, has 256; shorten it"],
    );
    let many = ["a"; 17].join(".");
    spec(
        &format!("{MEMORY}  topics: [{{pattern: {many}}}]\n"),
        &[
            "6: spec.topics[0].pattern: \"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a\" is not allowed; a topic has at most 16 tokens divided by '.', this one has 17",
        ],
    );
}

#[test]
fn origins() {
    let origins =
        |origin: &str| format!("{HEAD}spec:\n{MEMORY}  listeners: {{allowedOrigins: ['{origin}']}}\n");
    for good in
        ["*", "https://a.example", "https://*.a.example:8443", "http://localhost:*", "http://[::1]:80"]
    {
        assert!(parse(&origins(good)).is_ok(), "{good}");
    }
    for bad in ["a.example", "https://A.example", "https://a/", "https://a.*", "ftp://a", "https://", "**"] {
        let expected = format!(
            "6: spec.listeners.allowedOrigins[0]: {bad:?} is not allowed; write scheme://host or scheme://host:port in lower case, as https://app.example.com"
        );
        assert_eq!(findings(&origins(bad)), [expected]);
    }
}

#[test]
fn references_that_lead_nowhere() {
    let nats = "  backbone: {nats: {servers: [nats://n], userPasswordSecretRef: {name: s}, tls: {caSecretRef: {name: ca, key: ca.crt}, clientCertificateSecretRef: {name: ca}}}}\n";
    let secret =
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: x}\ndata:\n  username: '!'\n";
    let there = |what: &str| {
        format!("there is no Secret {what:?}: create it, or put it beside the TopicGateway in the same file")
    };
    spec(
        &[nats, secret].concat(),
        &[
            "5: spec.backbone.nats.userPasswordSecretRef: Secret \"s\" has no key \"password\": it has \"username\"",
            &format!("5: spec.backbone.nats.tls.caSecretRef: {}", there("ca")),
            &format!("5: spec.backbone.nats.tls.clientCertificateSecretRef: {}", there("ca")),
            "11: data.username: is not base64; encode it, or put it under stringData",
        ],
    );
    spec(
        "  backbone: {memory: {}}\n  listeners: {tls: {secretRef: {name: t}}}\n",
        &[&format!("6: spec.listeners.tls.secretRef: {}", there("t"))],
    );
}

#[test]
fn secrets_of_another_namespace_or_given_twice() {
    let gateway = "apiVersion: topicgateway.io/v1alpha1\nkind: TopicGateway\nmetadata: {name: a, namespace: east}\nspec: {backbone: {nats: {servers: [nats://n], tokenSecretRef: {name: s, key: k}}}}\n";
    let secret =
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: west}\nstringData: {k: v}\n";
    assert_eq!(
        findings(&[gateway, secret, secret].concat()),
        [
            "6: metadata.namespace: Secret \"s\" is in namespace \"west\", the TopicGateway in \"east\"; move one to the other",
            "11: Secret \"s\" is given twice; keep one of them",
        ]
    );
}

#[test]
fn names_that_children_could_not_have() {
    for (name, wrong) in [
        (
            "1st",
            "\"1st\" is not allowed; begin with a letter, use lower-case letters, digits and '-', end with a letter or digit",
        ),
        (
            "a.b",
            "\"a.b\" is not allowed; begin with a letter, use lower-case letters, digits and '-', end with a letter or digit",
        ),
        (
            "a123456789012345678901234567890123456789012345",
            "must have at most 45 characters, has 46; shorten it",
        ),
    ] {
        let head = HEAD.replace("name: a", &format!("name: {name}"));
        assert_eq!(findings(&format!("{head}spec:\n{MEMORY}")), [format!("3: metadata.name: {wrong}")]);
    }
}

#[test]
fn pods_scaling_and_ways_in() {
    let nats = "  backbone: {nats: {servers: [nats://n]}}\n";
    let shared = "4: spec: topics in memory are not shared between pods; set replicas to 1 and take autoscaling away, or use nats";
    spec(&format!("{MEMORY}  replicas: 2\n"), &[shared]);
    spec(&format!("{MEMORY}  autoscaling: {{maxReplicas: 1}}\n"), &[shared]);
    spec(
        &format!("{nats}  autoscaling: {{minReplicas: 3, maxReplicas: 2}}\n"),
        &["6: spec.autoscaling: minReplicas is above maxReplicas; lower it, or raise maxReplicas"],
    );
    spec(
        &format!("{nats}  route: {{parentRefs: [{{name: g}}]}}\n  ingress: {{host: a.b}}\n"),
        &["4: spec: takes one way in; keep route or ingress"],
    );
    spec(
        &format!("{nats}  disruption: {{minAvailable: 150%}}\n"),
        &[
            "6: spec.disruption.minAvailable: \"150%\" is not allowed; write a number of pods, or a share, as 50%",
        ],
    );
    spec(
        &format!("{nats}  disruption: {{minAvailable: -1}}\n"),
        &["6: spec.disruption.minAvailable: must be at least 0, is -1; raise it"],
    );
    spec(
        &format!("{nats}  pod: {{resources: {{limits: {{memory: lots}}}}}}\n"),
        &["6: spec.pod.resources.limits.memory: \"lots\" is not allowed; write a quantity, as 500m or 256Mi"],
    );
    spec(
        &format!("{nats}  pod: {{labels: {{-a: b}}}}\n"),
        &[
            "6: spec.pod.labels: has a name that is no label or annotation key; write name or example.com/name",
        ],
    );
    spec(
        &format!("{nats}  listeners: {{port: 9090}}\n"),
        &["6: spec.listeners.port: 9090 is the port for metrics and health; choose another"],
    );
    let (name, key) = ("n".repeat(200), "k".repeat(53));
    spec(
        &format!(
            "  backbone: {{nats: {{servers: [nats://n], tokenSecretRef: {{name: {name}, key: {key}}}}}}}\n"
        ),
        &[
            "5: spec.backbone.nats.tokenSecretRef: name and key have more than 252 characters together; shorten one of them",
        ],
    );
}

#[test]
fn what_pods_take_from_kubernetes_itself() {
    let pod = |text: &str, expected: &str| {
        spec(&format!("{MEMORY}  pod: {{{text}}}\n"), &[&format!("6: spec.pod.{expected}")]);
    };
    let toleration = |text: &str, sentence: &str| {
        pod(&format!("tolerations: [{{{text}}}]"), &format!("tolerations[0]: {sentence}"));
    };
    toleration(
        "key: a, operator: Is",
        "the operator is none that there is; write Exists or Equal (or Lt, Gt for numbers)",
    );
    toleration(
        "key: a, effect: NoPods",
        "the effect is none that there is; write NoSchedule, PreferNoSchedule or NoExecute",
    );
    toleration("value: a", "names no key; name one, or write operator: Exists to tolerate every taint");
    toleration(
        "key: a, operator: Exists, value: b",
        "Exists looks at no value; take value away, or write operator: Equal",
    );
    let spread = |skew: i32, key: &str, when: &str, sentence: &str| {
        pod(
            &format!(
                "topologySpreadConstraints: [{{maxSkew: {skew}, topologyKey: '{key}', whenUnsatisfiable: {when}}}]"
            ),
            &format!("topologySpreadConstraints[0]: {sentence}"),
        );
    };
    spread(0, "zone", "DoNotSchedule", "maxSkew is below 1; raise it, 1 spreads as evenly as can be");
    spread(1, "", "DoNotSchedule", "topologyKey is empty; name a label of nodes, as kubernetes.io/hostname");
    spread(
        1,
        "zone",
        "Never",
        "whenUnsatisfiable is none that there is; write DoNotSchedule or ScheduleAnyway",
    );
    pod(
        "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}",
        "affinity: nodeAffinity has no nodeSelectorTerms and would fit no node; add one, or take requiredDuringSchedulingIgnoredDuringExecution away",
    );
    assert!(
        parse(&format!(
            "{HEAD}spec:\n{MEMORY}  pod: {{tolerations: [{{operator: Exists}}, {{key: a, value: b}}]}}\n"
        ))
        .is_ok()
    );
}

#[test]
fn images() {
    let image = |image: &str| format!("{HEAD}spec:\n{MEMORY}  pod: {{image: '{image}'}}\n");
    let digest = format!("r.example.com/a/b:1@sha256:{}", "0".repeat(64));
    for good in
        ["a", "a:1", "a/b_c:1.2-x", "localhost:5000/a", "[::1]:5000/a:latest", "R.example.com/a", &digest]
    {
        assert!(parse(&image(good)).is_ok(), "{good}");
    }
    for bad in ["a:b:c", "A:1", "a:", "a b", "a@sha256:1", "/a", "a//b", "a:.1", "https://a/b"] {
        let expected = format!(
            "6: spec.pod.image: {bad:?} is not allowed; write registry/repository:tag or registry/repository@sha256:digest"
        );
        assert_eq!(findings(&image(bad)), [expected]);
    }
}
