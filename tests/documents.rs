//! What the documents point at is there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use topic_gateway::gateway::{protocol::ErrorCode, websocket::CloseCode};

use crate::support::{Metrics, NOWHERE, Process, command, get, wait_for};

mod commands;
mod shell;

use commands::blocks;

/// Every file below a folder with this ending, but for what is built or installed.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !["target", "node_modules", ".git"].contains(&name) {
                found.extend(files(&path, ending));
            }
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found
}

/// Every Markdown file of the repository's own. Those of `benches/compare` are parts that `docs/performance.md` is put
/// together from.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = files(root, "md");
    found.retain(|path| !path.starts_with(root.join("benches/compare")));
    assert!(found.len() > 15, "{found:?}: is the search still right?");
    found
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_anchor(text: &str, wanted: &str) -> bool {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| anchor(line.trim_matches(['#', ' '])) == wanted)
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut links = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            assert!(path.exists(), "{}: {target} does not exist", document.display());
            if !heading.is_empty() {
                let there = has_anchor(&fs::read_to_string(&path).unwrap(), heading);
                assert!(there, "{}: {target} has no such heading", document.display());
            }
            links += 1;
        }
    }
    assert!(links > 3, "no links were found: is the search still right?");
}

#[test]
fn every_resource_in_the_documents_is_valid() {
    let mut resources = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for yaml in blocks(&text, "yaml").iter().filter(|yaml| yaml.contains("kind: TopicGateway")) {
            let directory = tempfile::TempDir::new().unwrap();
            let file = directory.path().join("document.yaml");
            fs::write(&file, yaml).unwrap();
            let output = command(["check", "-f"]).arg(&file).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{}: {told}\n{yaml}", document.display());
            resources += 1;
        }
    }
    assert!(resources > 0, "no resource was found: is the search still right?");
}

#[test]
fn every_metric_is_documented_where_metrics_are_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = fs::read_to_string(root.join("docs/metrics.md")) else { return };
    let gateway = crate::support::Gateway::start(&crate::support::Resource::open());
    let metrics = gateway.metrics();
    let own = metrics.names().filter(|name| name.starts_with("topicgateway_")).map(bare);
    let undocumented: Vec<_> = own.filter(|name| !text.contains(name)).collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
}

/// A metric's name without what the series of a histogram have behind it.
fn bare(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// The first column of every table below a heading.
fn table_names(text: &str, heading: &str) -> BTreeSet<String> {
    let (_, below) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = below.split("\n## ").next().unwrap();
    let names = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names.map(str::to_owned).collect()
}

#[test]
fn the_metrics_of_the_controller_are_those_that_are_documented() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).unwrap();
    // Without an API server it waits, and counts its attempts.
    let directory = tempfile::TempDir::new().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    fs::write(&kubeconfig, NOWHERE).unwrap();
    let mut command = command(["controller", "--admin", "127.0.0.1:0"]);
    let process = Process::spawn(command.env("KUBECONFIG", &kubeconfig));
    let admin = wait_for("the controller listens", || {
        let text = process.stderr();
        let (_, rest) = text.split_once("\"admin\":\"")?;
        rest.split_once('"')?.0.parse().ok()
    });
    let series = wait_for("it has tried the API server", || {
        let metrics = Metrics::parse(&get(admin, "/metrics").body);
        metrics.has("rest_client_requests_total").then_some(metrics)
    });
    let there: BTreeSet<_> =
        series.names().filter(|name| !name.starts_with("process_")).map(bare).map(str::to_owned).collect();
    assert_eq!(there, table_names(&text, "Metrics of the controller"));
    assert!(series.has("process_resident_memory_bytes"));
    let ready = get(admin, "/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("the API server does not answer"), "{ready:?}");
    assert_eq!(get(admin, "/livez").status, 200);
}

#[test]
fn the_protocol_document_names_every_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
    let text = fs::read_to_string(path).unwrap();
    for code in ErrorCode::ALL {
        assert!(text.contains(&format!("`{}`", code.as_str())), "{}", code.as_str());
    }
    for code in CloseCode::ALL {
        assert!(text.contains(&code.to_string()), "{code}");
    }
}
