//! A file that is wrong is told with file, line and field, and nothing is started.

use std::fs;

use tempfile::TempDir;

use crate::support::{Process, command};

const HEAD: &str =
    "apiVersion: topicgateway.io/v1alpha1\nkind: TopicGateway\nmetadata: {name: test}\nspec:\n";

/// A file, the line of its fault, and words that must be told.
struct Fault {
    yaml: String,
    line: usize,
    words: &'static [&'static str],
}

/// A fault in the spec, whose first line is the file's fifth.
fn spec(text: &str, line: usize, words: &'static [&'static str]) -> Fault {
    Fault { yaml: format!("{HEAD}{text}"), line, words }
}

fn faults() -> Vec<Fault> {
    let memory = |rest: &str| format!("  backbone: {{memory: {{}}}}\n{rest}");
    let nats =
        |rest: &str| format!("  backbone:\n    nats:\n      servers: [\"nats://127.0.0.1:4222\"]\n{rest}");
    let jwt = |rest: &str| memory(&format!("  authentication:\n    jwt:\n      - issuer: a\n{rest}"));
    vec![
        spec("  backbone: {memory: {}\n", 5, &[]),
        spec(&memory("  limits:\n\tconnections: 1\n"), 7, &[]),
        spec("  limits: {}\n", 4, &["backbone"]),
        spec("  backbone: {}\n", 5, &["spec.backbone", "memory", "nats"]),
        spec(
            "  backbone: {memory: {}, nats: {servers: [\"nats://a:1\"]}}\n",
            5,
            &["spec.backbone", "memory", "nats"],
        ),
        spec("  backbone: {nats: {servers: []}}\n", 5, &["servers"]),
        spec("  backbone: {nats: {servers: [\"http://a:1\"]}}\n", 5, &["servers", "nats://"]),
        spec(&memory("  limit: {connections: 1}\n"), 6, &["limit", "limits"]),
        spec(&memory("  limits:\n    conections: 1\n"), 7, &["spec.limits", "conections", "connections"]),
        spec(&memory("  limits:\n    connections: many\n"), 7, &["spec.limits.connections"]),
        spec(&memory("  limits:\n    connections: -1\n"), 7, &["spec.limits.connections"]),
        spec(&memory("  limits:\n    connections: 1.5\n"), 7, &["spec.limits.connections"]),
        spec(&memory("  heartbeatSeconds: 0\n"), 6, &["spec.heartbeatSeconds"]),
        spec(&memory("  authentication: {anonymous: Maybe}\n"), 6, &["anonymous", "Allow", "Deny"]),
        spec(&memory("  topics:\n    - {pattern: \"a..b\"}\n"), 7, &["spec.topics[0].pattern"]),
        spec(
            &memory("  topics:\n    - {pattern: \"a\", slowConsumer: Ignore}\n"),
            7,
            &["slowConsumer", "Conflate"],
        ),
        spec(
            &memory("  authorization:\n    - subscribe: [\"a\"]\n    - publish: [\">.a\"]\n"),
            8,
            &["authorization[1]"],
        ),
        spec(&jwt("        algorithms: [HS256]\n"), 8, &["spec.authentication.jwt[0]", "secretRef"]),
        spec(&jwt("        algorithms: [none]\n        secretRef: {name: s, key: k}\n"), 9, &["algorithms"]),
        spec(&nats("      subscription: Sometimes\n"), 8, &["subscription", "PerTopic"]),
        spec(&nats("      subjects: [\"$SYS.>\"]\n"), 8, &["subjects"]),
        Fault { yaml: String::new(), line: 1, words: &["TopicGateway"] },
        Fault {
            yaml: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n".into(),
            line: 1,
            words: &["TopicGateway"],
        },
        Fault {
            yaml: HEAD.replace("v1alpha1", "v1beta1") + "  backbone: {memory: {}}\n",
            line: 1,
            words: &["v1alpha1"],
        },
        Fault {
            yaml: format!("{HEAD}  backbone: {{memory: {{}}}}\n---\n{HEAD}  backbone: {{memory: {{}}}}\n"),
            line: 7,
            words: &["second", "TopicGateway"],
        },
    ]
}

#[test]
fn each_fault_is_told_with_file_line_and_field_and_ends_with_64() {
    let directory = TempDir::new().unwrap();
    for (n, Fault { yaml, line, words }) in faults().into_iter().enumerate() {
        let file = directory.path().join(format!("bad-{n}.yaml"));
        fs::write(&file, &yaml).unwrap();
        for arguments in [["check"].as_slice(), &["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]]
        {
            let mut process = Process::spawn(command(arguments).arg("-f").arg(&file));
            let code = process.wait().code();
            let told = process.stderr();
            assert_eq!(code, Some(64), "{arguments:?}\n{yaml}\n{told}");
            assert!(told.contains(&format!("bad-{n}.yaml:{line}:")), "line {line} of\n{yaml}\n{told}");
            for word in words {
                assert!(told.contains(word), "{word:?} should be told of\n{yaml}\n{told}");
            }
            assert!(!told.contains("panicked") && !told.contains("RUST_BACKTRACE"), "{told}");
            assert_eq!(process.stdout(), "", "nothing is to be served");
        }
    }
}

#[test]
fn a_secret_that_is_not_there_stops_dev_and_is_noted_by_check_for_a_cluster_may_have_it() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.yaml");
    let issuer = "{issuer: a, algorithms: [HS256], secretRef: {name: s, key: k}}";
    fs::write(&file, format!("{HEAD}  backbone: {{memory: {{}}}}\n  authentication:\n    jwt: [{issuer}]\n"))
        .unwrap();
    let place = "gateway.yaml:7: spec.authentication.jwt[0].secretRef: ";
    let mut dev = Process::spawn(
        command(["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "-f"]).arg(&file),
    );
    assert_eq!(dev.wait().code(), Some(64));
    assert!(dev.stderr().contains(&format!("{place}there is no Secret \"s\"")), "{}", dev.stderr());
    let mut check = Process::spawn(command(["check", "-f"]).arg(&file));
    assert_eq!(check.wait().code(), Some(0), "{}", check.stderr());
    let noted = check.stdout();
    assert!(noted.contains(&format!("{place}Secret \"s\" is not in these files")), "{noted}");
    assert!(noted.contains("a cluster must have it") && noted.contains("Deployment/test"), "{noted}");
}

#[test]
fn several_faults_are_told_together() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("bad.yaml");
    fs::write(&file, format!("{HEAD}  backbone: {{}}\n  heartbeatSeconds: 0\n")).unwrap();
    let mut process = Process::spawn(command(["check", "-f"]).arg(&file));
    assert_eq!(process.wait().code(), Some(64));
    let told = process.stderr();
    assert!(told.contains("spec.backbone") && told.contains("spec.heartbeatSeconds"), "{told}");
}

#[test]
fn a_secret_that_is_wrong_is_told_without_its_value() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("bad.yaml");
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {other: do-not-print-this}\n";
    let issuer = "{issuer: a, algorithms: [HS256], secretRef: {name: s, key: k}}";
    let spec = format!("  backbone: {{memory: {{}}}}\n  authentication:\n    jwt: [{issuer}]\n");
    fs::write(&file, format!("{HEAD}{spec}---\n{secret}")).unwrap();
    let mut process = Process::spawn(command(["check", "-f"]).arg(&file));
    assert_eq!(process.wait().code(), Some(64));
    let told = process.output();
    assert!(told.contains("\"k\"") && told.contains("\"other\""), "{told}");
    assert!(!told.contains("do-not-print-this"), "{told}");
}

#[test]
fn a_shared_secret_that_is_too_short_is_told_by_everything_that_reads_it() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("bad.yaml");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: do-not-print-this}\n";
    let issuer = "{issuer: a, algorithms: [HS512], secretRef: {name: s, key: k}}";
    let spec = format!("  backbone: {{memory: {{}}}}\n  authentication:\n    jwt: [{issuer}]\n");
    fs::write(&file, format!("{HEAD}{spec}---\n{secret}")).unwrap();
    for subcommand in ["check", "dev"] {
        let mut process = Process::spawn(command([subcommand, "-f"]).arg(&file));
        assert_eq!(process.wait().code(), Some(64), "{subcommand}");
        let told = process.output();
        let sentence = "key \"k\" of Secret \"s\" is a shared secret of 17 bytes, HS512 needs 64 or more";
        assert!(told.contains(sentence), "{told}");
        assert!(!told.contains("do-not-print-this"), "{told}");
    }
}
