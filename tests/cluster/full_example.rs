//! `examples/full-example`, as its README tells it. Needs Node, so that `tests/run` can leave it out, and say so, where
//! there is none; `NODE_PACKAGES` has `ws` installed.

use std::{env, fs, os::unix::fs::symlink, process::Command};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    cluster::{path, shared, wait_for},
    gateway::{Gateway, example, publisher, wait_until_available},
    namespace::Namespace,
    support::Process,
};

const KEY: &str = "for-trials-only-0123456789abcdef";

/// The programs of the example where they find `ws`, as after `npm install`.
fn programs() -> TempDir {
    let directory = TempDir::new().unwrap();
    for file in ["client.js", "token.js", "package.json"] {
        fs::copy(path(&format!("examples/full-example/{file}")), directory.path().join(file)).unwrap();
    }
    let packages = env::var("NODE_PACKAGES").expect("NODE_PACKAGES is set: tests/run does");
    symlink(format!("{packages}/node_modules"), directory.path().join("node_modules")).unwrap();
    directory
}

fn token(programs: &TempDir, user: &str, claims: &str) -> String {
    let mut command = Command::new("node");
    command.current_dir(programs.path()).args(["token.js", user, claims]).env("TOKEN_KEY", KEY);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn client(programs: &TempDir, url: &str, token: &str, topics: &[&str]) -> Process {
    let mut command = Command::new("node");
    command.current_dir(programs.path()).arg("client.js").args(topics);
    Process::spawn(command.env("GATEWAY_URL", url).env("TOKEN", token))
}

#[track_caller]
fn wait_for_line(client: &Process, line: &str) {
    wait_for(&format!("the client says {line:?}"), || {
        let said = client.stdout();
        if said.lines().any(|said| said == line) { Ok(()) } else { Err(said) }
    });
}

#[test]
fn the_full_example_does_what_its_readme_says() {
    let _cluster = shared();
    let namespace = Namespace::new("full-example");
    namespace.apply(&example("full-example/nats.yaml"));
    namespace.apply(&example("full-example/gateway.yaml"));
    let gateway = Gateway::new(&namespace, "desk");
    gateway.wait_until_ready(2);
    wait_until_available(&namespace, "desk-nats");
    let (programs, url) = (programs(), gateway.url());

    let ann = token(&programs, "ann", r#"{"roles": ["trader"]}"#);
    let ann = client(&programs, &url, &ann, &["prices.eurusd", "orders.ann", "orders.bob", "risk.limits"]);
    let joe = token(&programs, "joe", r#"{"desk": "risk"}"#);
    let joe = client(&programs, &url, &joe, &["risk.limits", "prices.eurusd"]);
    for line in ["connected as ann", "subscribed to prices.eurusd", "subscribed to orders.ann"] {
        wait_for_line(&ann, line);
    }
    wait_for_line(&joe, "subscribed to risk.limits");
    for line in ["order: ok", r#"orders.ann {"buy":"EURUSD","amount":1000}"#, "order: duplicate"] {
        wait_for_line(&ann, line);
    }

    let mut feed = publisher(&namespace, "desk-nats", json!({"user": "feed", "pass": "for-trials-only"}));
    feed.publish("desk.prices.eurusd", r#"{"bid":1.17}"#);
    feed.publish("desk.risk.limits", r#"{"max":5}"#);
    feed.publish("desk.prices.eurusd", r#"{"bid":1.18}"#);
    feed.flush();
    wait_for_line(&ann, r#"prices.eurusd {"bid":1.18}"#);
    wait_for_line(&joe, r#"risk.limits {"max":5}"#);
    let (ann, joe) = (ann.stdout(), joe.stdout());
    let count = |said: &str, begin: &str| said.lines().filter(|line| line.starts_with(begin)).count();
    assert_eq!(count(&ann, "orders.ann "), 1, "published twice, delivered once: {ann}");
    assert_eq!(count(&ann, "prices.eurusd "), 2, "{ann}");
    assert_eq!(count(&ann, "ACL_DENIED orders.bob"), 1, "{ann}");
    assert_eq!(count(&ann, "ACL_DENIED risk.limits"), 1, "{ann}");
    assert_eq!(count(&joe, "ACL_DENIED prices.eurusd"), 1, "{joe}");
    assert_eq!(count(&joe, "risk.limits "), 1, "{joe}");
}
