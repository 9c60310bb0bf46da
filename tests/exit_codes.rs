//! The code that each command ends with, by which scripts know what to do next, and the sentence beside it.

use std::{fs, net::TcpListener, os::unix::process::ExitStatusExt, path::PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    command_line::run,
    support::{Gateway, Issuer, NOWHERE, Process, Resource, command, wait_until},
};

/// SIGINT.
const INTERRUPT: i32 = 2;

/// A file with this text, in a folder that goes with it.
struct Text(TempDir);

impl Text {
    fn new(text: &str) -> Self {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("file"), text).unwrap();
        Self(directory)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("file")
    }
}

/// Asserts that a command ends with this code and nothing on standard output, and says each of these in its message.
#[track_caller]
fn assert_ends(arguments: &[&str], code: i32, said: &[&str]) {
    // Whatever cluster this machine knows is none of the controller's.
    let (ended, out, told) =
        run(command(arguments).env("KUBECONFIG", "/no/such/kubeconfig").env("HOME", "/no/such"));
    assert_eq!((ended, out.as_str()), (code, ""), "{arguments:?}: {told}");
    for part in said {
        assert!(told.contains(part), "{arguments:?} does not say {part:?}: {told}");
    }
    assert!(
        told.starts_with("topic-gateway: ") || told.contains("\ntopic-gateway: "),
        "{arguments:?}: {told}"
    );
    assert!(!told.contains("panicked") && !told.contains("backtrace"), "{told}");
}

#[test]
fn bad_usage_is_64_and_says_what_is_wrong() {
    for (arguments, word) in [
        (["no-such-command"].as_slice(), "no-such-command"),
        (&[], "Usage"),
        (&["sub"], "TOPIC"),
        (&["sub", "a..b"], "a..b"),
        (&["sub", "a", "--url", "ftp://gateway"], "ws://127.0.0.1:8080/ws"),
        (&["sub", "a", "--token-file", "/no/such/token"], "/no/such/token"),
        (&["sub", "a", "--ca-file", "/no/such/ca"], "--ca-file"),
        (&["pub", "a.*", "1"], "a.*"),
        (&["pub", "a", "-", "--message-id", "m"], "--message-id"),
        (&["bench", "--duration", "soon"], "10s"),
        (&["bench", "--json", "/no/such/folder/run.json"], "/no/such/folder/run.json"),
        (&["dev", "--no-such-flag"], "--no-such-flag"),
        (&["dev", "--listen", "nonsense"], "nonsense"),
        (&["gateway"], "--config"),
        (&["controller", "--concurrency", "0"], "--concurrency"),
        (&["controller", "--admin", "127.0.0.1:0"], "set KUBECONFIG"),
        (&["check"], "--file"),
        (&["token"], "mint"),
        (&["token", "mint", "--user", "ann"], "--private-key-file"),
        (&["token", "check", "--issuer", "home"], "--jwks-file"),
        (&["token", "jwks"], "--private-key-file"),
        (&["completions", "no-such-shell"], "bash"),
        (&["crd", "--no-such-flag"], "--no-such-flag"),
        (&["probe", "127.0.0.1:9090"], "write http://HOST:PORT/PATH"),
    ] {
        assert_ends(arguments, 64, &[word]);
    }
}

#[test]
fn bad_input_is_64_and_named_with_what_to_do() {
    let nonsense = Text::new("kind: Nonsense\n");
    let nonsense = nonsense.path();
    let nonsense = nonsense.to_str().unwrap();
    for (arguments, said) in [
        (["check", "-f", "/no/such/file.yaml"].as_slice(), ["/no/such/file.yaml", "check the path"]),
        (&["check", "-f", nonsense], [nonsense, "give it apiVersion and kind"]),
        (&["dev", "-f", "/no/such/file.yaml"], ["/no/such/file.yaml", "check the path"]),
        (&["dev", "-f", nonsense], [nonsense, "give it apiVersion and kind"]),
        (&["gateway", "--config", "/no/such/file.yaml"], ["/no/such/file.yaml", "cannot read"]),
        (&["gateway", "--config", nonsense], [nonsense, "apiVersion"]),
        (&["token", "mint", "--user", "ann", "-f", nonsense], [nonsense, "give it apiVersion and kind"]),
        (&["token", "check", "-f", nonsense, "a.b.c"], [nonsense, "give it apiVersion and kind"]),
        (&["token", "jwks", "--private-key-file", nonsense], [nonsense, "openssl genpkey"]),
    ] {
        assert_ends(arguments, 64, &said);
    }
}

#[test]
fn a_message_that_is_too_large_is_64_and_names_the_limit() {
    let gateway = Gateway::start(&Resource::open().set("limits.messageBytes", json!(1024)));
    let large = "x".repeat(2000);
    assert_ends(&["pub", "a", &large, "--url", &gateway.url("/ws")], 64, &["limits.messageBytes"]);
}

#[test]
fn what_is_not_there_is_69_and_says_where_it_was_looked_for_and_what_to_do() {
    let nobody = ["--url", "ws://127.0.0.1:1/ws"];
    for arguments in [["sub", "a"].as_slice(), &["pub", "a", "1", "--retries", "0"], &["bench"]] {
        assert_ends(&[arguments, &nobody].concat(), 69, &["127.0.0.1:1", "topic-gateway dev", "--url"]);
    }
    for arguments in [["sub", "a"].as_slice(), &["pub", "a", "1"], &["bench"]] {
        assert_ends(
            &[arguments, &["--url", "ws://no-such-host.invalid"]].concat(),
            69,
            &["no-such-host", "--url"],
        );
    }
    assert_ends(&["probe", "http://127.0.0.1:1/readyz"], 69, &["does not answer"]);
    let nats = ["bench", "--nats", "nats://127.0.0.1:1", "--duration", "1s"];
    let gateway = Gateway::start(&Resource::open());
    assert_ends(&[&nats[..], &["--url", &gateway.url("/ws")]].concat(), 69, &["NATS", "--nats"]);
}

#[test]
fn what_is_no_gateway_is_69_and_said_to_be_none() {
    let gateway = Gateway::start(&Resource::open());
    let (admin, other) = (format!("ws://{}/metrics", gateway.admin), gateway.url("/nothing/here"));
    for url in [&admin, &other] {
        for arguments in [["sub", "a"].as_slice(), &["pub", "a", "1", "--retries", "0"], &["bench"]] {
            assert_ends(&[arguments, &["--url", url]].concat(), 69, &[url.as_str(), "/ws"]);
        }
    }
}

#[test]
fn an_address_that_is_taken_is_69_and_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for [used, free] in [["--listen", "--admin"], ["--admin", "--listen"]] {
        assert_ends(&["dev", used, &address, free, "127.0.0.1:0"], 69, &[&address, used]);
    }
    let cluster = Text::new(NOWHERE);
    let mut controller = command(["controller", "--admin", &address]);
    let (code, _, told) = run(controller.env("KUBECONFIG", cluster.path()));
    assert_eq!((code, told.contains(&address)), (69, true), "{told}");
}

#[test]
fn a_token_that_is_refused_is_77_and_says_how_to_give_another() {
    let issuer = Issuer::shared();
    let gateway = Gateway::start(&Resource::with_tokens(&issuer));
    let url = gateway.url("/ws");
    for arguments in [["sub", "a"].as_slice(), &["pub", "a", "1"], &["bench", "--duration", "1s"]] {
        let at = [arguments, &["--url", &url]].concat();
        assert_ends(&at, 77, &["AUTH_REQUIRED", "--token-file"]);
        for (token, why) in [("nonsense", "malformed"), (&issuer.token(json!({"exp": 1})), "expired")] {
            assert_ends(&[&at[..], &["--token", token]].concat(), 77, &["AUTH_FAILED", why, "--token-file"]);
        }
    }
}

#[test]
fn a_topic_that_is_not_allowed_is_77_and_named() {
    let gateway = Gateway::start(&Resource::open().set("authorization", json!([{"subscribe": ["news.>"]}])));
    let url = gateway.url("/ws");
    for (arguments, topic) in [
        (["sub", "prices.btc"].as_slice(), "prices.btc"),
        (&["pub", "news.today", "1"], "news.today"),
        (&["bench", "--duration", "1s"], "bench.0"),
    ] {
        assert_ends(&[arguments, &["--url", &url]].concat(), 77, &[topic, "ACL_DENIED"]);
    }
}

/// Interrupts a process as Ctrl-C does, and gives the code, or else the signal, that it ends with.
#[track_caller]
fn interrupted(process: &mut Process) -> (Option<i32>, Option<i32>) {
    process.signal("INT");
    let status = process.wait();
    (status.code(), status.signal())
}

#[test]
fn ctrl_c_is_how_what_goes_on_for_ever_is_ended_well() {
    let mut gateway = Gateway::start(&Resource::open());
    let mut sub = Process::spawn(&mut command(["sub", "a", "--url", &gateway.url("/ws")]));
    gateway.wait_for_metric("topicgateway_subscriptions", &[], 1.0);
    assert_eq!(interrupted(&mut sub), (Some(0), None), "sub");
    assert_eq!(interrupted(&mut gateway.process), (Some(0), None), "dev");
    let cluster = Text::new(NOWHERE);
    let mut controller = command(["controller", "--admin", "127.0.0.1:0"]);
    let mut controller = Process::spawn(controller.env("KUBECONFIG", cluster.path()));
    wait_until("the controller listens", || controller.stderr().contains("\"admin\":"));
    assert_eq!(interrupted(&mut controller), (Some(0), None), "controller");
}

#[test]
fn ctrl_c_before_the_work_is_done_is_told_to_the_shell() {
    let gateway = Gateway::start(&Resource::open());
    let url = gateway.url("/ws");
    let mut publish = Process::spawn(&mut command(["pub", "a", "-", "--url", &url]));
    gateway.wait_for_metric("topicgateway_connections", &[], 1.0);
    assert_eq!(interrupted(&mut publish), (None, Some(INTERRUPT)), "pub");
    let mut bench = Process::spawn(&mut command(["bench", "--duration", "1h", "--url", &url]));
    gateway.wait_for_metric("topicgateway_subscriptions", &[], 100.0);
    assert_eq!(interrupted(&mut bench), (None, Some(INTERRUPT)), "bench");
    assert_eq!(bench.stdout(), "", "a result that is none");
}
