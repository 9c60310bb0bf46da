//! The program as scripts see it: exit codes and what is said where.
#![allow(clippy::unwrap_used)]

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

fn run(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_topic-gateway"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_valid_file_ends_with_0_and_one_line() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/nats.yaml");
    let output = run(&["check", "-f", example], "");
    let said = format!("{example}: valid, TopicGateway prices/market, NATS at nats://localhost:4222\n");
    assert_eq!(
        (output.status.code(), text(&output.stdout), text(&output.stderr)),
        (Some(0), said, String::new())
    );
}

#[test]
fn a_bad_file_ends_with_64_and_its_findings() {
    let output = run(&["check", "-f", "-"], "kind: TopicGateway\napiVersion: v1\n");
    let said =
        "topic-gateway: standard input:2: apiVersion: \"v1\" is not known; write topicgateway.io/v1alpha1\n";
    assert_eq!(
        (output.status.code(), text(&output.stdout), text(&output.stderr)),
        (Some(64), String::new(), said.into())
    );
}

#[test]
fn bad_usage_ends_with_64_and_help_with_0() {
    for args in [&["check"][..], &["crd", "--nosuch"], &["nosuch"], &[]] {
        let output = run(args, "");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{args:?}");
        assert!(text(&output.stderr).starts_with("topic-gateway: "), "{args:?}");
    }
    for args in [&["--help"][..], &["--version"], &["check", "--help"]] {
        let output = run(args, "");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{args:?}");
    }
}

#[test]
fn the_definition_is_printed_as_it_is_held_in_crds() {
    let output = run(&["crd"], "");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), include_str!("../crds/topicgateways.topicgateway.io.yaml"));
}
