//! Streams, deliveries and sessions.

use super::{MEMORY, spec};

#[test]
fn streams() {
    let stream = |more: &str, expected: &[&str]| {
        spec(
            &format!(
                "  backbone:\n    nats:\n      servers: [nats://n]\n      subjects: [prices.>, news.*]\n      jetStream: {{{more}}}\n"
            ),
            expected,
        );
    };
    stream(
        "manage: true",
        &["9: spec.backbone.nats.jetStream.stream: is required; add it (Name of the stream)"],
    );
    for name in ["a.b", "a b", "a>", "a*", "a/b"] {
        let wrong = format!(
            "9: spec.backbone.nats.jetStream.stream: {name:?} is not allowed; a stream's name has no space and none of . * > / \\"
        );
        stream(&format!("stream: '{name}'"), &[&wrong]);
    }
    for age in ["3d", "72", "1m1h", "-1h"] {
        let wrong = format!(
            "9: spec.backbone.nats.jetStream.maxAge: {age:?} is not allowed; write hours, minutes and seconds, as 72h or 1h30m"
        );
        stream(&format!("stream: S, maxAge: '{age}'"), &[&wrong]);
    }
    for size in ["10 Gi", "1.5Gi", "500m", "0"] {
        let wrong = format!(
            "9: spec.backbone.nats.jetStream.maxBytes: {size:?} is not allowed; write a whole number of bytes, as 1048576 or 10Gi"
        );
        stream(&format!("stream: S, maxBytes: '{size}'"), &[&wrong]);
    }
    stream(
        "stream: S, maxBytes: 0, replicas: 6, duplicateWindowSeconds: 0",
        &[
            "9: spec.backbone.nats.jetStream.maxBytes: must be at least 1, is 0; raise it",
            "9: spec.backbone.nats.jetStream.replicas: must be at most 5, is 6; lower it",
            "9: spec.backbone.nats.jetStream.duplicateWindowSeconds: must be at least 1, is 0; raise it",
        ],
    );
    stream(
        "stream: S, maxAge: 59m, duplicateWindowSeconds: 3541",
        &[
            "9: spec.backbone.nats.jetStream: duplicateWindowSeconds is longer than maxAge, messages would be gone before; lower it, or raise maxAge",
        ],
    );
    let all = "6: spec.backbone.nats: a stream of subjects that begin with a wildcard would take in what it sends on itself; begin each of subjects with a name, as prices.>, or take jetStream.manage away";
    for subjects in ["", ", subjects: [prices.>, '*.news']"] {
        let managed = "jetStream: {stream: S, manage: true}";
        spec(
            &format!("  backbone:\n    nats:\n      {{servers: [nats://n], {managed}{subjects}}}\n"),
            &[all],
        );
    }
}

#[test]
fn delivery_and_sessions() {
    let nats = "  backbone: {nats: {servers: [nats://n]}}\n";
    let kept = "4: spec: topics with delivery AtLeastOnce need what was published to be kept; add backbone.nats.jetStream, or take AtMostOnce";
    spec(&format!("{nats}  topics: [{{pattern: a}}, {{pattern: b, delivery: AtLeastOnce}}]\n"), &[kept]);
    spec(
        &format!(
            "{MEMORY}  topics: [{{pattern: a, delivery: ExactlyOnce, ackTimeoutSeconds: 0, historyMessages: 100001}}]\n  sessionSeconds: 30\n"
        ),
        &[
            "6: spec.topics[0].delivery: must be one of AtMostOnce, AtLeastOnce, is \"ExactlyOnce\"; choose one of them",
            "6: spec.topics[0].ackTimeoutSeconds: must be at least 1, is 0; raise it",
            "6: spec.topics[0].historyMessages: must be at most 100000, is 100001; lower it",
            "7: spec.sessionSeconds: must be at least 60, is 30; raise it",
        ],
    );
    for objective in ["100", "49.9", "99.9999", "high"] {
        let wrong = format!(
            "6: spec.slo.objective: {objective:?} is not allowed; write a share in percent from 50 to 99.999, as \"99.9\""
        );
        let longer = "6: spec.slo.objective: must have at most 6 characters, has 7; shorten it";
        let expected = if objective.len() > 6 { longer } else { &wrong };
        spec(&format!("{MEMORY}  slo: {{objective: '{objective}'}}\n"), &[expected]);
    }
    spec(
        &format!("{MEMORY}  slo: {{objective: 99.9}}\n"),
        &[
            "6: spec.slo.objective: must be a text but \"99.9\" without quotes is read as a number; put it in quotes",
        ],
    );
    for milliseconds in [3, 99, 59_999] {
        spec(
            &format!("{MEMORY}  slo: {{latencyMilliseconds: {milliseconds}}}\n"),
            &[
                "6: spec.slo.latencyMilliseconds: is no bound of the latency histogram; write one of 1, 2, 5, 10, 20, 25, 50, 75, 100, 150, 200, 250, 300, 500, 750, 1000, 2000, 5000, 10000, 30000, 60000",
            ],
        );
    }
}
