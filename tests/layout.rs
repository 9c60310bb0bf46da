//! Who may know whom, and how large a file may grow.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lines a file may have.
const LONGEST: usize = 500;

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut found: Vec<_> =
        files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).collect();
    found.extend(folders.iter().flat_map(|folder| rust_files(folder)));
    found
}

/// Files of a module (`gateway/log`: `gateway/log.rs` and all below `gateway/log/`) with their code, tests left out.
fn module(name: &str) -> Vec<(PathBuf, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (file, folder) = (source.join(format!("{name}.rs")), source.join(name));
    rust_files(&source)
        .into_iter()
        .filter(|path| *path == file || path.starts_with(&folder))
        .filter(|path| !path.iter().any(|part| part == "tests") && !path.ends_with("tests.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
            (path, code)
        })
        .collect()
}

/// The crate's modules that a file names, as `gateway::log`. `use` trees are followed by their nesting.
fn known(code: &str) -> Vec<String> {
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        paths("", &code[at + "crate::".len()..], &mut found);
    }
    found
}

/// Reads one path or tree `a::{b, c::d}`; gives what is behind it.
fn paths<'a>(prefix: &str, text: &'a str, found: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = paths(prefix, rest, found).trim_start();
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    // Behind the last comma of a tree.
    if text.starts_with('}') {
        return text;
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    if let Some(deeper) = rest.strip_prefix("::") {
        return paths(&path, deeper, found);
    }
    found.push(path);
    rest
}

#[track_caller]
fn assert_knows_only(name: &str, allowed: &[&str]) {
    let files = module(name);
    assert!(!files.is_empty(), "there is no module {name}");
    let own = name.replace('/', "::");
    for (path, code) in files {
        for path_known in known(&code) {
            let ok = allowed
                .iter()
                .chain([&own.as_str()])
                .any(|allowed| path_known == *allowed || path_known.starts_with(&format!("{allowed}::")));
            assert!(ok, "{} knows crate::{path_known}; it may know {allowed:?}", path.display());
        }
    }
}

#[test]
fn use_trees_are_read() {
    let code = "use crate::{api::{Filter, Topic}, gateway::log}; fn f() { crate::cli::run() }";
    assert_eq!(known(code), ["api::Filter", "api::Topic", "gateway::log", "cli::run"]);
}

#[test]
fn the_arrows_between_modules_point_one_way() {
    assert_knows_only("api", &[]);
    assert_knows_only("gateway", &["api", "runtime"]);
    assert_knows_only("controller", &["api", "runtime"]);
    assert_knows_only("runtime", &["api"]);
    assert_knows_only("gateway/websocket", &["api"]);
    assert_knows_only("gateway/log", &["api"]);
    assert_knows_only("gateway/history", &["api"]);
}

#[test]
fn the_protocol_knows_only_the_pure_parts() {
    // Identity and grants are values; the codec frames what the protocol says.
    assert_knows_only(
        "gateway/protocol",
        &["api", "gateway::access", "gateway::history", "gateway::websocket"],
    );
}

#[test]
fn the_pure_core_has_neither_clock_nor_io() {
    let gateway = ["gateway/protocol", "gateway/log", "gateway/history", "gateway/websocket"];
    let controller = [
        "controller/backoff",
        "controller/build",
        "controller/conditions",
        "controller/deletion_cost",
        "controller/leader/decide",
        "controller/queue",
        "controller/references",
        "controller/status",
        "controller/validate",
    ];
    let bench = [
        "cli/bench/body",
        "cli/bench/figures",
        "cli/bench/frame",
        "cli/bench/histogram",
        "cli/bench/link",
        "cli/bench/message",
        "cli/bench/plan",
        "cli/bench/plot",
        "cli/bench/report",
        "cli/bench/tally",
        "cli/bench/upgrade",
        "cli/bench/verdict",
    ];
    for name in gateway.into_iter().chain(controller).chain(bench) {
        for (path, code) in module(name) {
            for word in ["Instant::now", "SystemTime", "std::net", "std::fs", "tokio::", "mio::", "thread::"]
            {
                assert!(!code.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn no_file_is_too_long_to_read_at_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(&root.join(folder))) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines: divide it", path.display());
    }
}

#[test]
fn names_say_what_is_inside() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in rust_files(&root) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let vague = ["mod", "utils", "util", "helpers", "helper", "common", "types", "misc"];
        assert!(!vague.contains(&name), "{}", path.display());
    }
}
