//! What Helm makes of the chart, over the values in `ci/`. `HELM` names the program.

mod controller;
mod monitoring;
mod objects;
mod refusals;
mod rights;
mod security;

use std::{
    collections::BTreeMap,
    env,
    path::PathBuf,
    process::{Command, Output},
    sync::LazyLock,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{chart, files, parse_all, stem};

/// The namespace everything is rendered for.
const NAMESPACE: &str = "messaging";

/// Helm with nothing of the machine's: no cluster, no repositories.
fn helm(arguments: &[&str]) -> Output {
    let helm = env::var_os("HELM").expect("HELM is set: `tests/run` does");
    let home = TempDir::new().unwrap();
    Command::new(helm)
        .args(arguments)
        .env("HELM_CACHE_HOME", home.path())
        .env("HELM_CONFIG_HOME", home.path())
        .env("HELM_DATA_HOME", home.path())
        .env("KUBECONFIG", home.path().join("none"))
        .output()
        .unwrap()
}

fn template(release: &str, arguments: &[&str]) -> Output {
    let chart = chart();
    let start = ["template", release, chart.to_str().unwrap(), "--namespace", NAMESPACE];
    helm(&[&start, arguments].concat())
}

/// The objects of a release called `trial` with these values (`key=value`, as `--set` takes them).
#[track_caller]
pub(super) fn render(values: &[&str]) -> Vec<Value> {
    render_as("trial", &values.iter().flat_map(|value| ["--set", *value]).collect::<Vec<_>>())
}

#[track_caller]
fn render_as(release: &str, arguments: &[&str]) -> Vec<Value> {
    let output = template(release, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    parse_all(&text)
}

/// What Helm says when it refuses these values.
#[track_caller]
fn refusal(values: &[&str]) -> String {
    let output = template("trial", &values.iter().flat_map(|value| ["--set", *value]).collect::<Vec<_>>());
    assert!(!output.status.success(), "{values:?} were taken");
    String::from_utf8(output.stderr).unwrap()
}

fn values_files() -> Vec<PathBuf> {
    files("ci", "yaml")
}

/// The objects of every file in `ci/`, by the file's name. Rendered once for all tests.
fn matrix() -> &'static BTreeMap<String, Vec<Value>> {
    static MATRIX: LazyLock<BTreeMap<String, Vec<Value>>> = LazyLock::new(|| {
        let named = |path: &PathBuf| stem(path).trim_end_matches("-values").to_owned();
        let rendered = |path: &PathBuf| render_as("trial", &["--values", path.to_str().unwrap()]);
        values_files().iter().map(|path| (named(path), rendered(path))).collect()
    });
    &MATRIX
}

/// The objects of this kind.
fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The only object of this kind.
#[track_caller]
pub(super) fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found = of_kind(objects, kind);
    assert_eq!(found.len(), 1, "{kind}");
    found[0]
}

/// `Kind/name`, for messages.
fn title(object: &Value) -> String {
    format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
}

#[test]
fn the_linter_finds_nothing() {
    for path in values_files() {
        let chart = chart();
        let output = helm(&["lint", "--strict", chart.to_str().unwrap(), "--values", path.to_str().unwrap()]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}: {told}", path.display());
        assert!(!told.contains("[WARNING]"), "{}: {told}", path.display());
    }
}

#[test]
fn the_notes_tell_what_was_installed_and_warn_of_what_may_be_lost() {
    let chart = chart();
    let notes = |values: &[&str]| {
        let start =
            ["install", "trial", chart.to_str().unwrap(), "--namespace", NAMESPACE, "--dry-run=client"];
        let values: Vec<_> = values.iter().flat_map(|value| ["--set", *value]).collect();
        let output = helm(&[start.as_slice(), values.as_slice()].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().split_once("\nNOTES:\n").unwrap().1.to_owned()
    };
    let default = notes(&[]);
    assert!(default.contains("is installed as messaging/trial-topic-gateway-controller."), "{default}");
    assert!(default.contains("\nkubectl apply -n default -f - <<END\n"), "{default}");
    assert!(!default.contains("WARNING"), "{default}");
    assert!(default.contains("`helm install --take-ownership`"), "{default}");
    let chosen = notes(&["watchNamespaces={prices,risk}", "crds.keep=false"]);
    assert!(chosen.contains("of these namespaces: prices, risk."), "{chosen}");
    assert!(chosen.contains("\nkubectl apply -n prices -f - <<END\n"), "{chosen}");
    assert!(chosen.contains("WARNING: crds.keep is false."), "{chosen}");
}
