//! The chart says what the code says: definition, values, metrics, alerts. What needs Helm, promtool or Prometheus is
//! in the modules of that name, so that `tests/run` can leave them out, and say so, where they are not to be had.

mod dashboards;
mod helm;
mod metric_names;
mod prometheus;
mod promql;
mod promtool;
mod rules;
mod values;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::command;

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The chart's folder.
fn chart() -> PathBuf {
    root().join("charts/topic-gateway")
}

/// A file of the chart.
#[track_caller]
fn read(path: &str) -> String {
    fs::read_to_string(chart().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files of one of the chart's folders with this extension, in order.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(chart().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    found.sort();
    assert!(!found.is_empty(), "{folder} has no .{extension}: is the search still right?");
    found
}

/// Name of a file without folder and extension.
fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

#[track_caller]
fn parse(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// Every document that is not empty.
#[track_caller]
fn parse_all(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

#[test]
fn the_definition_in_the_chart_is_the_one_the_program_prints() {
    let output = command(["crd"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let file = "topicgateways.topicgateway.io.yaml";
    for folder in ["crds", "charts/topic-gateway/files/crds"] {
        let stored = fs::read_to_string(root().join(folder).join(file)).unwrap();
        let same = stored == printed;
        assert!(same, "{folder}/{file} is not what the types say: topic-gateway crd > {folder}/{file}");
    }
}

#[test]
fn chart_and_image_have_the_version_of_the_crate() {
    let about = parse(&read("Chart.yaml"));
    assert_eq!(about["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let rust = format!("FROM rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(dockerfile.contains(&rust), "the Dockerfile does not build with {rust}");
}

#[test]
fn the_image_is_from_scratch_and_runs_as_the_user_of_the_chart() {
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let (_, image) = dockerfile.rsplit_once("\nFROM ").unwrap();
    assert!(image.starts_with("scratch\n"), "{image}");
    assert!(image.contains("\nENTRYPOINT [\"/topic-gateway\"]\n"), "{image}");
    let security = &parse(&read("values.yaml"))["podSecurityContext"];
    let user = format!("\nUSER {}:{}\n", security["runAsUser"], security["runAsGroup"]);
    assert!(image.contains(&user), "{image}");
}

#[test]
fn every_rule_of_rbac_has_its_reason() {
    let mut rules = 0;
    for file in ["templates/_rules.tpl", "templates/rbac.yaml"] {
        let text = read(file);
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[1].starts_with("- apiGroups:")) {
            assert!(pair[0].starts_with("# "), "{file}: no reason before {:?}", pair[1]);
            rules += 1;
        }
    }
    assert!(rules > 10, "no rules were found: is the search still right?");
}

#[test]
fn the_gateway_of_the_notes_is_valid() {
    let notes = read("templates/NOTES.txt");
    let (_, rest) = notes.split_once("<<END\n").unwrap();
    let (resource, _) = rest.split_once("\nEND").unwrap();
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("notes.yaml");
    fs::write(&file, resource).unwrap();
    let output = command(["check", "-f"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_example_for_the_hub_is_valid() {
    let about = parse(&read("Chart.yaml"));
    let examples = parse(about["annotations"]["artifacthub.io/crdsExamples"].as_str().unwrap());
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("example.json");
    for example in examples.as_array().unwrap() {
        fs::write(&file, example.to_string()).unwrap();
        let output = command(["check", "-f"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
