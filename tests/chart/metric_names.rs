//! The metrics that exist: those in the code, and those of the process.

use std::{collections::BTreeSet, fs, path::Path};

use super::root;

/// Where the names of metrics stand, each as a text of its own.
const SOURCES: [&str; 3] =
    ["src/gateway/metrics/names.rs", "src/controller/metrics.rs", "src/controller/metrics"];

/// Every text in the files that could be a name.
fn collect(path: &Path, found: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), found);
        }
        return;
    }
    let Ok(text) = fs::read_to_string(path) else { return };
    let name = regex::Regex::new(r#""([a-z][a-z0-9]*(?:_[a-z0-9]+)+)""#).unwrap();
    found.extend(name.captures_iter(&text).map(|capture| capture[1].to_owned()));
}

/// The names, those of histograms without the suffixes of their series.
fn existing() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in SOURCES {
        collect(&root().join(source), &mut found);
    }
    let documented = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let process = regex::Regex::new("`(process_[a-z_]+)`").unwrap();
    found.extend(process.captures_iter(&documented).map(|capture| capture[1].to_owned()));
    found
}

/// Fails if one of these expressions asks for a metric that nothing exposes; each with the place it stands at.
#[track_caller]
pub(super) fn assert_exist(expressions: &[(String, String)]) {
    let existing = existing();
    let exists = |name: &str| {
        let suffixes = ["_bucket", "_sum", "_count"];
        existing.contains(name)
            || suffixes
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .any(|name| existing.contains(name))
    };
    for (place, expression) in expressions {
        let names = super::promql::metrics(expression);
        assert!(!names.is_empty(), "{place}: {expression} asks for nothing");
        for name in names {
            assert!(exists(&name), "{place}: nothing in the code is called {name}");
        }
    }
}
