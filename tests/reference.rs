//! `docs/resource.md`: the fields of a `TopicGateway`, written from its definition.

use std::{env, fmt::Write as _, fs, path::Path};

use serde_json::Value;

use crate::support::command;

/// Fields that are Kubernetes' own, whatever is in them.
const OF_KUBERNETES: [&str; 7] = [
    "affinity",
    "clientsFrom",
    "imagePullSecrets",
    "metricsFrom",
    "resources",
    "tolerations",
    "topologySpreadConstraints",
];

const INTRODUCTION: &str = "\
# The resource

Every field of a `TopicGateway` (`topicgateway.io/v1alpha1`, short name `tgw`), below `spec`. This page is written from the
definition in [crds/](../crds): `kubectl explain tgw.spec` says the same, and `topic-gateway check` tries a file by it. What the
controller answers in `status` is in [conditions.md](conditions.md); whole resources are in
[examples/](../examples/README.md).

A field without a default is optional unless it says *required*. Running gateways take a change over without closing a
connection; the listener's port, TLS on or off, and what is under `pod` replace pods.
";

/// Markdown that needs no more than its lines.
fn page(definition: &Value) -> String {
    let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut out = String::from(INTRODUCTION);
    let simple = |schema: &Value| properties(of_items(schema)).is_empty();
    out += "\n## Fields of their own\n\n";
    let fields = properties(spec);
    table(
        &mut out,
        fields
            .iter()
            .filter(|(_, schema)| simple(schema))
            .flat_map(|(name, schema)| rows(name, schema, spec)),
    );
    rules(&mut out, spec, false);
    for (name, schema) in fields.iter().filter(|(_, schema)| !simple(schema)) {
        let inner = of_items(schema);
        let mark = if schema["type"] == "array" { "[]" } else { "" };
        write!(out, "\n## {name}{mark}\n\n{}\n\n", sentence(schema)).unwrap();
        table(&mut out, properties(inner).iter().flat_map(|(name, schema)| rows(name, schema, inner)));
        rules(&mut out, schema, true);
    }
    out
}

/// The fields of an object, by name.
fn properties(schema: &Value) -> Vec<(&str, &Value)> {
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields.map(|(name, schema)| (name.as_str(), schema)).collect()
}

/// Of a list, what its items are.
fn of_items(schema: &Value) -> &Value {
    if schema["type"] == "array" { &schema["items"] } else { schema }
}

fn table(out: &mut String, rows: impl Iterator<Item = String>) {
    *out += "| field | type | default | what |\n|---|---|---|---|\n";
    rows.for_each(|row| *out += &row);
}

/// A row for a field, and one for each below it.
fn rows(path: &str, schema: &Value, parent: &Value) -> Vec<String> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let required = parent["required"].as_array().into_iter().flatten().any(|field| field == name);
    let default = match &schema["default"] {
        _ if required => "*required*".into(),
        Value::Null | Value::Object(_) => String::new(),
        value => format!("`{value}`"),
    };
    let foreign = OF_KUBERNETES.contains(&name);
    let of_kubernetes = if foreign { " As in Kubernetes." } else { "" };
    let mut rows =
        vec![format!("| `{path}` | {} | {default} | {}{of_kubernetes} |\n", kind(schema), sentence(schema))];
    if !foreign {
        let (inner, mark) = (of_items(schema), if schema["type"] == "array" { "[]" } else { "" });
        for (name, schema) in properties(inner) {
            rows.extend(self::rows(&format!("{path}{mark}.{name}"), schema, inner));
        }
    }
    rows
}

/// The type with its bounds.
fn kind(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> =
            values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        return values.join(", ");
    }
    let bounds = |least: &str, most: &str| match (&schema[least], &schema[most]) {
        (Value::Null, Value::Null) => None,
        (least, Value::Null) => Some(format!("{least} or more")),
        (Value::Null, most) => Some(format!("up to {most}")),
        (least, most) => Some(format!("{least} to {most}")),
    };
    let name = match schema["type"].as_str() {
        Some("array") => {
            let count = bounds("minItems", "maxItems").map(|count| format!(" ({count})")).unwrap_or_default();
            format!("list{count} of {}", kind(&schema["items"]))
        }
        Some("object") if schema["additionalProperties"].is_object() => "map".into(),
        Some(name) => name.into(),
        None => "number or string".into(),
    };
    let unit = |bounds: Option<String>, unit: &str| bounds.map(|bounds| format!("{name}, {bounds}{unit}"));
    bounds("minimum", "maximum")
        .map(|bounds| format!("{name}, {bounds}"))
        .or_else(|| unit(bounds("minLength", "maxLength"), " characters"))
        .unwrap_or(name)
}

/// The description in one line, safe in a table.
fn sentence(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// What the API server says beyond types and bounds: of this schema, and of what is below it.
fn rules(out: &mut String, schema: &Value, below: bool) {
    let mut messages = Vec::new();
    gather(schema, below, &mut messages);
    if !messages.is_empty() {
        *out += "\nRefused with:\n\n";
        for message in messages {
            writeln!(out, "- {message}").unwrap();
        }
    }
}

fn gather<'a>(schema: &'a Value, below: bool, messages: &mut Vec<&'a str>) {
    let own = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    for message in own.filter_map(|rule| rule["message"].as_str()) {
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    if below {
        for (_, field) in properties(schema) {
            gather(field, true, messages);
        }
        if schema["items"].is_object() {
            gather(&schema["items"], true, messages);
        }
    }
}

#[test]
fn the_reference_of_the_resource_is_that_of_its_definition() {
    let printed = command(["crd"]).output().unwrap().stdout;
    let definition: Value = serde_saphyr::from_str(&String::from_utf8(printed).unwrap()).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/resource.md");
    let page = page(&definition);
    if env::var("TOPIC_GATEWAY_GOLDEN").is_ok_and(|value| value == "write") {
        fs::write(&file, &page).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page, "docs/resource.md differs: write it anew with TOPIC_GATEWAY_GOLDEN=write");
    assert!(page.contains("| `port` | integer, 1 to 65535 | `8080` |"), "{page}");
    assert!(page.contains("| `nats.servers` |") && page.contains("- 9090 is the port for metrics"), "{page}");
}
