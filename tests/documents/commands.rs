//! What the documents, the examples and the help texts have a reader type: programs, options and files that are there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    documents,
    shell::{Call, calls},
};
use crate::support::command;

/// A text with commands, and the folder in which a reader is.
struct Script {
    place: String,
    folder: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Each fenced block of this language.
pub(super) fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    let starts = text.match_indices(&fence).map(|(at, found)| at + found.len());
    starts.map(|start| text[start..].split("\n```").next().unwrap()).collect()
}

/// Every text that a reader is to paste into a shell.
fn scripts() -> Vec<Script> {
    let mut found = Vec::new();
    for document in documents() {
        let (place, folder) = (document.display().to_string(), document.parent().unwrap().to_owned());
        for block in blocks(&fs::read_to_string(&document).unwrap(), "sh") {
            found.push(Script { place: place.clone(), folder: folder.clone(), text: block.into() });
        }
    }
    for example in super::files(&root().join("examples"), "yaml") {
        let text = fs::read_to_string(&example).unwrap();
        let place = example.display().to_string();
        found.push(Script { place, folder: root().into(), text: head(&text) });
    }
    for path in commands() {
        let output = command(path.iter().chain(&["--help".into()])).output().unwrap();
        assert!(output.status.success(), "{path:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        let Some((_, examples)) = help.split_once("\nExamples:\n") else { continue };
        let examples = examples.split("\n\n").next().unwrap();
        let place = format!("topic-gateway {} --help", path.join(" "));
        found.push(Script { place, folder: PathBuf::new(), text: without_remarks(examples) });
    }
    found
}

/// The commands in the comment that a file begins with: they stand further in than what is said about them, as YAML and
/// JSON may, too.
fn head(text: &str) -> String {
    let comment = text.lines().take_while(|line| line.starts_with('#'));
    let indented = comment.filter_map(|line| line.strip_prefix("#   "));
    let mut goes_on = false;
    let commands = indented.filter(|line| {
        let kept = goes_on || PROGRAMS.contains(&line.split(' ').next().unwrap_or_default());
        goes_on = kept && line.ends_with('\\');
        kept
    });
    without_remarks(&commands.collect::<Vec<_>>().join("\n"))
}

/// Without the remarks in parentheses, or in another column, that stand behind commands.
fn without_remarks(text: &str) -> String {
    let cut = |line: &str| {
        let end =
            line.trim_start().find("  ").map_or(line.len(), |at| at + line.len() - line.trim_start().len());
        line[..end].trim_end().to_owned()
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

/// Every command and subcommand of the program, by its own help.
fn commands() -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut at = 0;
    while let Some(path) = found.get(at).cloned() {
        let output = command(path.iter().chain(&["--help".into()])).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let listed = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
        let names = listed.lines().take_while(|line| line.starts_with("  "));
        let names = names.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        for name in names.filter(|name| !name.is_empty() && *name != "help") {
            found.push([path.as_slice(), &[name.to_owned()]].concat());
        }
        at += 1;
    }
    found
}

/// The words behind the program's name, where the call is one of this program.
fn ours(words: &[String]) -> Option<&[String]> {
    match words.first()?.as_str() {
        "topic-gateway" | "target/release/topic-gateway" => Some(&words[1..]),
        "cargo" if words.get(1)? == "run" => {
            let at = words.iter().position(|word| word == "--")?;
            Some(&words[at + 1..])
        }
        _ => None,
    }
}

#[test]
fn every_command_is_one_that_the_program_takes() {
    let mut found = 0;
    for script in scripts() {
        for call in calls(&script.text) {
            let Some(words) = ours(&call.words) else { continue };
            // What another command prints is a number where it matters.
            let words = words.iter().map(|word| word.replace("$()", "1"));
            if let Err(why) = topic_gateway::cli::accepts(words) {
                panic!("{}: {}\n{why}", script.place, call.words.join(" "));
            }
            found += 1;
        }
    }
    assert!(found > 60, "{found} commands were found: is the search still right?");
}

#[test]
fn a_command_that_is_mentioned_is_there_with_its_options() {
    let mut found = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for span in text.split('`').skip(1).step_by(2).filter(|span| span.starts_with("topic-gateway ")) {
            for call in calls(span).iter().filter_map(|call| ours(&call.words)) {
                // What is left out there is left to the reader.
                let given = call.iter().filter(|word| *word != "…");
                let unknown = topic_gateway::cli::accepts(given)
                    .is_err_and(|why| why.contains("unexpected argument") || why.contains("unrecognized"));
                assert!(!unknown, "{}: `{span}`", document.display());
                found += 1;
            }
        }
    }
    assert!(found > 10, "{found} were found: is the search still right?");
}

/// Programs that the reader is expected to have; a name that is none of these is misspelt, or is to be listed here.
const PROGRAMS: &[&str] = &[
    "base64",
    "cargo",
    "curl",
    "docker",
    "echo",
    "export",
    "head",
    "helm",
    "jq",
    "kind",
    "kubectl",
    "nats",
    "nats-server",
    "node",
    "npm",
    "openssl",
    "pgrep",
    "sed",
    "tail",
    "topic-gateway",
];

/// Functions that a document defines itself.
const FUNCTIONS: &[&str] = &["apply"];

/// Files that the reader brings along, or is told to make.
const YOURS: &[&str] = &[
    "ca.crt",
    "jwt.key",
    "gateway.yaml",
    "key.pem",
    "keys.json",
    "secrets.yaml",
    "tick.json",
    "ticks.ndjson",
    "token.jwt",
    "charts/my-app",
];

/// Folders of the repository, and what a file is known by that stands beside the document.
const FOLDERS: &[&str] =
    &[".ci/", "benches/", "charts/", "clients/", "crds/", "docs/", "examples/", "src/", "tests/"];
const ENDINGS: &[&str] =
    &[".crt", ".jwt", ".js", ".json", ".key", ".md", ".mjs", ".ndjson", ".pem", ".sh", ".toml", ".yaml"];

/// What a word names, if it looks like a file of the repository: `--from-file=jwks.json` names `jwks.json`.
fn file(word: &str) -> Option<&str> {
    let word = word.rsplit_once('=').map_or(word, |(_, value)| value);
    let plain =
        !word.contains("://") && word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let known = FOLDERS.iter().any(|folder| word.starts_with(folder))
        || ENDINGS.iter().any(|ending| word.ends_with(ending) && !word.starts_with(['/', '.']));
    (plain && known).then_some(word)
}

/// Files that a call makes: by a redirection, or where an option says where to.
fn made(call: &Call) -> impl Iterator<Item = &str> {
    let options = ["-o", "-out", "-keyout", "--json", "--svg"];
    let named = call.words.windows(2).filter(move |pair| options.contains(&pair[0].as_str()));
    call.writes.iter().map(String::as_str).chain(named.map(|pair| pair[1].as_str()))
}

#[test]
fn every_file_and_program_that_a_reader_is_to_use_is_there() {
    let mut found = 0;
    for Script { place, folder, text } in scripts() {
        let calls = calls(&text);
        let made: Vec<&str> = calls.iter().flat_map(made).collect();
        for call in &calls {
            let program = call.words[0].as_str();
            let known = ours(&call.words).is_some()
                || PROGRAMS.contains(&program)
                || FUNCTIONS.contains(&program)
                || file(program).is_some();
            assert!(known, "{place}: what is {program:?}?");
            for word in call.words.iter().chain(&call.reads).filter_map(|word| file(word)) {
                let there = root().join(word).exists() || folder.join(word).exists();
                let promised = made.contains(&word) || YOURS.contains(&word);
                assert!(there || promised, "{place}: there is no {word}");
                found += 1;
            }
        }
    }
    assert!(found > 40, "{found} files were found: is the search still right?");
}

#[test]
fn what_a_script_or_cargo_is_asked_for_is_there() {
    let tests_run = fs::read_to_string(root().join("tests/run")).unwrap();
    let cargo = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut found = 0;
    for Script { place, text, .. } in scripts() {
        for Call { words, .. } in calls(&text) {
            if let ("tests/run", Some(part)) = (words[0].as_str(), words.get(1)) {
                assert!(tests_run.contains(&format!("\n    {part}) ")), "{place}: tests/run has no {part}");
                found += 1;
            }
            for pair in words.windows(2).filter(|pair| pair[0] == "--bench" || pair[0] == "--test") {
                assert!(
                    cargo.contains(&format!("name = \"{}\"", pair[1])),
                    "{place}: there is no {}",
                    pair[1]
                );
                found += 1;
            }
        }
    }
    assert!(found > 5, "{found} were found: is the search still right?");
}

/// The numbers that begin the parts of a list: `0 done, 64 bad usage`.
fn codes(list: &str) -> Vec<u32> {
    let parts = list.split(", ").map(|part| part.split_whitespace().next().unwrap_or_default());
    parts.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn the_page_on_the_command_line_has_every_command_with_the_exit_codes_of_its_help() {
    let page = fs::read_to_string(root().join("docs/command-line.md")).unwrap();
    let all = commands();
    let leaves = all
        .iter()
        .filter(|path| !all.iter().any(|other| other.len() > path.len() && other.starts_with(path)));
    let mut rows: Vec<(String, Vec<u32>)> = Vec::new();
    for path in leaves {
        let output = command(path.iter().chain(&["--help".into()])).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let (_, list) = help.split_once("Exit codes: ").unwrap();
        let mut codes = codes(&list.split("; ").next().unwrap().replace('\n', " "));
        codes.sort_unstable();
        rows.push((path.join(" "), codes));
    }
    let table = page.split("\n## ").next().unwrap();
    let written = table.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        Some((name.to_owned(), codes(rest.rsplit(" | ").next()?.trim_end_matches(" |"))))
    });
    let mut written: Vec<_> = written.collect();
    rows.sort();
    written.sort();
    assert_eq!(written, rows);
    let output = command(["--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let known: Vec<_> = rows.iter().flat_map(|(_, codes)| codes).collect();
    let (_, list) = help.split_once("Exit codes:\n").unwrap();
    for line in list.lines().take_while(|line| !line.is_empty()) {
        let code = line.split_whitespace().next().unwrap();
        assert!(page.contains(&format!("\n| {code} | ")), "{code} is not explained");
        assert!(known.contains(&&code.parse().unwrap()), "no command ends with {code}");
    }
}

#[test]
fn every_path_that_is_mentioned_is_there() {
    let mut found = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let spans = text.split('`').skip(1).step_by(2);
        for path in spans.filter(|span| FOLDERS.iter().any(|folder| span.starts_with(folder))) {
            let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
            let there = root().join(path).exists() || document.with_file_name(path).exists();
            assert!(!plain || there, "{}: there is no {path}", document.display());
            found += usize::from(plain);
        }
    }
    assert!(found > 20, "{found} were found: is the search still right?");
}
