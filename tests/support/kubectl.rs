//! `kubectl` with the administrator's access that `KUBECONFIG` gives.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

/// Runs `kubectl` and returns what it printed, or its complaint.
pub(crate) fn try_kubectl(args: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new("kubectl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl is in PATH: run these tests by tests/run");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if status.success() { Ok(text(stdout)) } else { Err(text(stderr)) }
}

/// Runs `kubectl`, which must succeed, and returns what it printed.
#[track_caller]
pub(crate) fn kubectl(args: &[&str], input: &str) -> String {
    try_kubectl(args, input).unwrap_or_else(|error| panic!("kubectl {args:?}: {error}"))
}
