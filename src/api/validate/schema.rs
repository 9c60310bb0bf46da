//! Walks a document along a structural schema, as an API server does: unknown fields, types, bounds,
//! defaults; then the CEL rules.

mod bounds;

use std::collections::BTreeMap;

use kube::core::cel::{CompiledSchema, ErrorKind, Validator, apply_defaults, compile_schema};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub(in crate::api) use bounds::Patterns;

use super::{
    did_you_mean,
    finding::Report,
    yaml::{Kind, Node, resolve},
};

/// A schema with its rules read, to hold many documents against.
#[derive(Debug)]
pub(in crate::api) struct Prepared {
    schema: Value,
    rules: CompiledSchema,
    unknown: Unknown,
}

/// What becomes of fields that the schema does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Unknown {
    /// They are wrong: whoever wrote them meant something.
    Refused,
    /// They are left out: a newer definition may have them.
    LeftOut,
}

impl Prepared {
    /// Reads the rules of a schema.
    pub(in crate::api) fn new(schema: Value, unknown: Unknown) -> Self {
        let rules = compile_schema(&schema);
        Self { schema, rules, unknown }
    }
}

/// A document that was held against its schema.
#[derive(Debug)]
pub(in crate::api) struct Checked {
    /// The document with defaults put in and what is wrong left out.
    pub(in crate::api) value: Value,
    lines: BTreeMap<String, usize>,
    clean: bool,
}

impl Checked {
    /// Holds `node` of `file` against a schema; what is wrong goes to `report`.
    pub(in crate::api) fn new(prepared: &Prepared, node: &Node, file: &str, report: &mut Report) -> Self {
        let Prepared { schema, rules, unknown } = prepared;
        let mut walk = Walk {
            file,
            unknown: *unknown,
            report,
            lines: BTreeMap::new(),
            wrong: Vec::new(),
            patterns: Patterns::default(),
        };
        let value = walk.value(schema, node, "").unwrap_or_default();
        let (lines, wrong) = (walk.lines, walk.wrong);
        let mut checked = Self { value: apply_defaults(schema, &value), lines, clean: wrong.is_empty() };
        checked.clean &= checked.hold(rules, file, &wrong, report);
        checked
    }

    /// The document as a Rust value, if nothing is wrong with it so far.
    pub(in crate::api) fn read<T: DeserializeOwned>(&self, file: &str, report: &mut Report) -> Option<T> {
        if !self.clean {
            return None;
        }
        match T::deserialize(&self.value) {
            Ok(value) => Some(value),
            Err(error) => {
                report.add(file, self.line(""), "", format!("cannot be read: {error}; mend that value"));
                None
            }
        }
    }

    /// Whether the file has this field.
    pub(in crate::api) fn has(&self, field: &str) -> bool {
        self.lines.contains_key(field)
    }

    /// The line of a field; of what holds it, where the field is a default.
    pub(in crate::api) fn line(&self, field: &str) -> usize {
        let mut field = field;
        loop {
            if let Some(line) = self.lines.get(field) {
                return *line;
            }
            match field.rfind(['.', '[']) {
                Some(end) => field = &field[..end],
                None => return self.lines.get("").copied().unwrap_or(1),
            }
        }
    }

    /// Whether the rules hold. One over fields that are wrong themselves would only say so a second time,
    /// or nonsense.
    fn hold(&self, rules: &CompiledSchema, file: &str, wrong: &[String], report: &mut Report) -> bool {
        let Err(errors) = Validator::new().validate_compiled(rules, &self.value, None) else {
            return true;
        };
        for error in errors.into_vec() {
            let field = error.field_path.as_str();
            let judged_already = wrong.iter().any(|wrong| holds(field, wrong));
            if !(judged_already || error.kind != ErrorKind::ValidationFailure && !wrong.is_empty()) {
                report.add(file, self.line(field), field, error.message);
            }
        }
        false
    }
}

/// Whether `inner` is the field `outer` or lies within it.
fn holds(outer: &str, inner: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| outer.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}

struct Walk<'a> {
    file: &'a str,
    unknown: Unknown,
    report: &'a mut Report,
    lines: BTreeMap<String, usize>,
    /// Fields something is wrong with.
    wrong: Vec<String>,
    patterns: Patterns,
}

impl Walk<'_> {
    fn add(&mut self, line: usize, path: &str, message: impl Into<String>) {
        self.report.add(self.file, line, path, message);
        self.wrong.push(path.into());
    }

    /// The value without what is wrong; `None` for a null and for what is wrong as a whole.
    fn value(&mut self, schema: &Value, node: &Node, path: &str) -> Option<Value> {
        self.lines.insert(path.into(), node.line);
        match (schema["type"].as_str(), &node.kind) {
            (Some("object"), Kind::Map(fields)) => Some(self.object(schema, node.line, fields, path)),
            (Some("array"), Kind::List(items)) => Some(self.array(schema, node.line, items, path)),
            (None, Kind::Scalar { .. }) if schema["x-kubernetes-int-or-string"] == true => {
                let number =
                    matches!(&node.kind, Kind::Scalar { text, plain } if resolve(text, *plain).is_number());
                self.scalar(schema, if number { "integer" } else { "string" }, node, path)
            }
            (None, _) => Some(plain_value(node)),
            (Some(wanted), Kind::Scalar { .. }) => self.scalar(schema, wanted, node, path),
            (Some(wanted), kind) => {
                let given = if matches!(kind, Kind::List(_)) { "a list" } else { "a mapping" };
                self.add(node.line, path, bounds::wrong_type(wanted, given));
                None
            }
        }
    }

    fn scalar(&mut self, schema: &Value, wanted: &str, node: &Node, path: &str) -> Option<Value> {
        let Kind::Scalar { text, plain } = &node.kind else { return None };
        let value = resolve(text, *plain);
        if value.is_null() {
            return None;
        }
        match bounds::check_scalar(schema, wanted, &value, text, &mut self.patterns) {
            Ok(()) => Some(value),
            Err(message) => {
                self.add(node.line, path, message);
                None
            }
        }
    }

    fn object(&mut self, schema: &Value, line: usize, fields: &[(String, Node)], path: &str) -> Value {
        let mut object = Map::new();
        for (name, node) in fields {
            let inner = join(path, name);
            let known = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
            if let Some(schema) = known {
                object.extend(self.value(schema, node, &inner).map(|value| (name.clone(), value)));
            } else if schema["x-kubernetes-preserve-unknown-fields"] == true {
                object.insert(name.clone(), plain_value(node));
            } else if self.unknown == Unknown::Refused {
                self.add(node.line, &inner, unknown(name, schema));
            }
        }
        if let Some(message) = bounds::too_many_fields(schema, fields.len()) {
            self.add(line, path, message);
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let inner = join(path, name);
            if !object.contains_key(name) && !self.wrong.iter().any(|wrong| holds(&inner, wrong)) {
                let about = schema["properties"][name]["description"].as_str().unwrap_or("it has no default");
                self.add(line, &inner, format!("is required; add it ({})", first_sentence(about)));
            }
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &Value, line: usize, items: &[Node], path: &str) -> Value {
        let mut values: Vec<Value> = Vec::new();
        for (n, node) in items.iter().enumerate() {
            let inner = format!("{path}[{n}]");
            let Some(value) = self.value(&schema["items"], node, &inner) else {
                if !self.wrong.iter().any(|wrong| holds(&inner, wrong)) {
                    self.add(node.line, &inner, "is empty; write a value or take the item away");
                }
                // Keeps its place, so that the rules count as the file does.
                values.push(Value::Null);
                continue;
            };
            if let Some(message) = bounds::repeated(schema, &values, &value) {
                self.add(node.line, &inner, message);
            }
            values.push(value);
        }
        if let Some(message) = bounds::wrong_length(schema, items.len()) {
            self.add(line, path, message);
        }
        Value::Array(values)
    }
}

fn unknown(name: &str, schema: &Value) -> String {
    let known: Vec<&str> =
        schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    match did_you_mean(name, known.iter().copied()) {
        Some(meant) => format!("unknown field; did you mean {meant}?"),
        None if known.is_empty() => "unknown field; there are no fields here, take it away".into(),
        None => format!("unknown field; take it away, known here are {}", known.join(", ")),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}.{name}") }
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}

/// A value no schema looks into.
fn plain_value(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { text, plain } => resolve(text, *plain),
        Kind::List(items) => Value::Array(items.iter().map(plain_value).collect()),
        Kind::Map(fields) => {
            Value::Object(fields.iter().map(|(name, node)| (name.clone(), plain_value(node))).collect())
        }
    }
}
