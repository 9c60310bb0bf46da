//! Types, bounds, enums, patterns and uniqueness of single values.

use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

use super::super::did_you_mean;
use crate::api::spec::pattern_hint;

/// Longest text that is repeated in a finding, in characters.
const MAX_SHOWN: usize = 60;

/// Regular expressions by their text, made once; as many as the schema has.
#[derive(Debug, Default)]
pub(in crate::api) struct Patterns(HashMap<String, Option<Regex>>);

impl Patterns {
    /// Whether the text matches; nothing matches what is no regular expression.
    pub(in crate::api) fn fits(&mut self, pattern: &str, text: &str) -> bool {
        let regex = match self.0.get(pattern) {
            Some(regex) => regex,
            None => self.0.entry(pattern.into()).or_insert_with(|| Regex::new(pattern).ok()),
        };
        regex.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

/// What is wrong with a scalar, by the type that is wanted.
pub(super) fn check_scalar(
    schema: &Value,
    wanted: &str,
    value: &Value,
    text: &str,
    patterns: &mut Patterns,
) -> Result<(), String> {
    match (wanted, value) {
        ("string", Value::String(text)) => check_string(schema, text, patterns),
        ("integer", Value::Number(_)) => check_integer(schema, value),
        ("boolean", Value::Bool(_)) => Ok(()),
        ("string", Value::Bool(_) | Value::Number(_)) => {
            let read_as = if value.is_boolean() { "a boolean" } else { "a number" };
            let secret = schema["format"] == "password";
            let given = if secret { "the value".into() } else { shown(text) };
            Err(format!("must be a text but {given} without quotes is read as {read_as}; put it in quotes"))
        }
        ("integer", Value::String(text)) if text.parse::<i64>().is_ok() => {
            Err(format!("must be an integer but is a text; take the quotes away: {text}"))
        }
        ("boolean", Value::String(text)) if text == "true" || text == "false" => {
            Err(format!("must be a boolean but is a text; take the quotes away: {text}"))
        }
        (_, Value::Bool(_)) => Err(wrong_type(wanted, "a boolean")),
        (_, Value::Number(_)) => Err(wrong_type(wanted, "a number")),
        _ => Err(wrong_type(wanted, "a text")),
    }
}

/// A value of a kind that does not fit at all.
pub(super) fn wrong_type(wanted: &str, given: &str) -> String {
    let (wanted, form) = match wanted {
        "object" => ("a mapping", "write `name: value` pairs, or {}"),
        "array" => ("a list", "write [...], or one `- ` item a line"),
        "integer" => ("an integer", "write a whole number"),
        "boolean" => ("a boolean", "write true or false"),
        _ => ("a text", "write one value"),
    };
    format!("must be {wanted}, is {given}; {form}")
}

fn check_integer(schema: &Value, value: &Value) -> Result<(), String> {
    let bound = |name: &str| schema[name].as_f64();
    match (value.as_f64(), bound("minimum"), bound("maximum")) {
        (Some(number), Some(least), _) if number < least => {
            Err(format!("must be at least {least}, is {value}; raise it"))
        }
        (Some(number), _, Some(most)) if number > most => {
            Err(format!("must be at most {most}, is {value}; lower it"))
        }
        _ if !value.is_i64() => Err(format!("must be an integer, is {value}; write a whole number")),
        _ => Ok(()),
    }
}

fn check_string(schema: &Value, text: &str, patterns: &mut Patterns) -> Result<(), String> {
    let length = text.chars().count() as u64;
    if let Some(allowed) = schema["enum"].as_array() {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        if !allowed.contains(&text) {
            let meant = did_you_mean(text, allowed.iter().copied());
            let advice = meant.map_or("choose one of them".into(), |meant| format!("did you mean {meant}?"));
            return Err(format!("must be one of {}, is {}; {advice}", allowed.join(", "), shown(text)));
        }
    }
    if schema["minLength"].as_u64().is_some_and(|least| length < least) {
        return Err("must not be empty; write a value".into());
    }
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        return Err(format!("must have at most {most} characters, has {length}; shorten it"));
    }
    match schema["pattern"].as_str() {
        Some(pattern) if !patterns.fits(pattern, text) => {
            Err(format!("{} is not allowed; {}", shown(text), pattern_hint(pattern, text)))
        }
        _ => Ok(()),
    }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A mapping with more fields than the schema allows.
pub(super) fn too_many_fields(schema: &Value, count: usize) -> Option<String> {
    let most = schema["maxProperties"].as_u64().filter(|most| count as u64 > *most)?;
    Some(format!("must have at most {most} entries, has {count}; take some away"))
}

/// A list that is too short or too long.
pub(super) fn wrong_length(schema: &Value, count: usize) -> Option<String> {
    if let Some(least) = schema["minItems"].as_u64().filter(|least| (count as u64) < *least) {
        return Some(format!("must have at least {least} item, has {count}; add one"));
    }
    let most = schema["maxItems"].as_u64().filter(|most| count as u64 > *most)?;
    Some(format!("must have at most {most} items, has {count}; take some away"))
}

/// An item that stands before already, in a list whose items (`set`) or their keys (`map`) must differ.
pub(super) fn repeated(schema: &Value, before: &[Value], item: &Value) -> Option<String> {
    match schema["x-kubernetes-list-type"].as_str()? {
        "set" if before.contains(item) => {
            Some(format!("{item} stands in the list already; keep one of them"))
        }
        "map" => {
            let keys: Vec<&str> =
                schema["x-kubernetes-list-map-keys"].as_array()?.iter().filter_map(Value::as_str).collect();
            let same =
                |other: &Value| keys.iter().all(|key| !item[*key].is_null() && other[*key] == item[*key]);
            let key = keys.first().filter(|_| before.iter().any(same))?;
            Some(format!("{key} {} stands in the list already; keep one entry for it", item[*key]))
        }
        _ => None,
    }
}
