//! `values.yaml`, its schema and the table in the README have the same keys.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::Value;

use super::{parse, read};

/// In the schema for parent charts, which give them without being asked.
const OF_PARENTS: [&str; 2] = ["enabled", "global"];

/// A value with a comment `# --` above it: its path (`image.tag`) and what the comment says. In order of the file.
fn documented(values: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut path: Vec<(usize, &str)> = Vec::new();
    let mut comment = None;
    for line in values.lines() {
        let text = line.trim_start();
        if let Some(meaning) = text.strip_prefix("# -- ") {
            comment = Some(meaning);
            continue;
        }
        let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with(['#', '-'])) else { continue };
        let indent = line.len() - text.len();
        path.retain(|(outer, _)| *outer < indent);
        path.push((indent, key));
        if let Some(meaning) = comment.take() {
            let keys: Vec<&str> = path.iter().map(|(_, key)| *key).collect();
            found.push((keys.join("."), meaning.to_owned()));
        }
    }
    found
}

/// Paths of what the user may set, without looking into documented maps.
fn leaves(path: &str, value: &Value, documented: &[(String, String)], found: &mut Vec<String>) {
    let known = documented.iter().any(|(key, _)| key == path);
    match value.as_object() {
        Some(map) if !known => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&path, value, documented, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// Paths of what the schema allows to set.
fn allowed(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    let Some(properties) = schema["properties"].as_object() else {
        found.insert(path.to_owned());
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "{path:?} is not closed");
    for (key, schema) in properties {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        allowed(&path, schema, found);
    }
}

#[test]
fn every_value_is_documented() {
    let text = read("values.yaml");
    let documented = documented(&text);
    let mut all = Vec::new();
    leaves("", &parse(&text), &documented, &mut all);
    for path in all {
        assert!(
            documented.iter().any(|(key, _)| *key == path),
            "{path} has no comment that begins with # --"
        );
    }
}

#[test]
fn the_schema_is_closed_and_has_the_keys_of_the_values() {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let mut allowed_keys = BTreeSet::new();
    allowed("", &schema, &mut allowed_keys);
    for key in OF_PARENTS {
        assert!(allowed_keys.remove(key), "a parent chart could not give {key}");
    }
    let keys: BTreeSet<String> = documented(&read("values.yaml")).into_iter().map(|(key, _)| key).collect();
    let missing: Vec<_> = keys.difference(&allowed_keys).collect();
    let unknown: Vec<_> = allowed_keys.difference(&keys).collect();
    assert!(missing.is_empty(), "not in the schema: {missing:?}");
    assert!(unknown.is_empty(), "not in values.yaml: {unknown:?}");
}

#[test]
fn the_table_of_the_readme_is_made_from_the_values() {
    let text = read("values.yaml");
    let values = parse(&text);
    let mut table = String::from("| value | default | meaning |\n|---|---|---|\n");
    for (key, meaning) in documented(&text) {
        let default = &values[key.split('.').next().unwrap()];
        let default = key.split('.').skip(1).fold(default, |value, part| &value[part]);
        writeln!(table, "| `{key}` | `{default}` | {} |", meaning.replace('|', "\\|")).unwrap();
    }
    let readme = read("README.md");
    let (_, rest) = readme.split_once("values.yaml -->\n").expect("the mark before the table");
    let (stored, _) = rest.split_once("<!-- /values -->").expect("the mark behind the table");
    assert!(stored == table, "the table of the README is not made from values.yaml; it should be:\n{table}");
}
