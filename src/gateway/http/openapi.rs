//! `GET /openapi.json`: the HTTP part as `OpenAPI` 3.1, in dev mode and where it is asked for. Its schemas are those of the answers' own types.

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    App, Stats,
    answer::{self, Failure, Problem, Receipt},
};
use crate::gateway::protocol::body::MAX_MESSAGE_ID;

/// The document.
pub(super) async fn document(State(app): State<App>, uri: Uri) -> Response {
    if !app.describes() {
        return answer::not_found(uri).await;
    }
    let mut document = openapi();
    if !app.front.demo
        && let Some(paths) = document["paths"].as_object_mut()
    {
        paths.remove(DEMO);
    }
    Json(document).into_response()
}

fn openapi() -> Value {
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let paths = paths(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "topic-gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Topics over WebSocket and HTTP. Frames of a WebSocket are JSON text with a `type`; what they \
                            carry is in the answers here where they are the same.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        // Without a token a client is anonymous, where the gateway admits that.
        "security": [{"bearer": []}, {"query": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "query": {"type": "apiKey", "in": "query", "name": "access_token",
                    "description": "For browsers, whose EventSource and WebSocket cannot set headers."},
            },
        },
    })
}

fn paths(schemas: &mut SchemaGenerator) -> Value {
    let upgrade = |summary: &str, parameters: Value, schemas: &mut SchemaGenerator| {
        let failure = content::<Failure<'_>>(schemas);
        let answers = answers(
            ("101", json!({"description": "A WebSocket, of which frames are JSON text."})),
            &[(400, "`Sec-WebSocket-Key` is none."), (426, UPGRADE), (503, FULL)],
            &failure,
        );
        json!({"get": {"summary": summary, "parameters": parameters, "responses": answers}})
    };
    json!({
        "/ws": upgrade("WebSocket, many topics", json!([]), schemas),
        "/ws/sub/{topic}": upgrade("WebSocket, subscribed to one topic", json!([topic()]), schemas),
        "/sse": {"get": events(schemas)},
        "/publish/{topic}": {"post": publish(schemas)},
        DEMO: {"get": demo(schemas)},
        "/stats": {"get": {
            "summary": "How many connections, topics and subscriptions this gateway has",
            "security": [],
            "responses": {"200": {"description": "Now.", "content": content::<Stats>(schemas)}},
        }},
    })
}

const DEMO: &str = "/demo/publish/{topic}";
const UPGRADE: &str = "Not a WebSocket of version 13 that was asked for.";
const FULL: &str = "No room, or the gateway goes away: come back after `Retry-After` seconds.";
/// What every command may be refused for.
const REFUSALS: [(u16, &str); 6] = [
    (400, "`BAD_REQUEST`, `TOPIC_INVALID`: the message names what is wrong and where."),
    (401, "`AUTH_REQUIRED`, `AUTH_FAILED`."),
    (403, "`ACL_DENIED`: no right to the topic. `FORBIDDEN`: an origin that is not listed."),
    (413, "`LIMIT_EXCEEDED`: too large or too many, and always will be."),
    (429, "`LIMIT_EXCEEDED`: too fast, or too many connections of this user; with `Retry-After`."),
    (503, "`BACKBONE_UNAVAILABLE`, `AT_CAPACITY`, `GOING_AWAY`: not now; with `Retry-After`."),
];

fn events(schemas: &mut SchemaGenerator) -> Value {
    let stream = json!({
        "description": "Events named like the frames of a WebSocket, with a frame each as `data`. The `id` is the \
                        position in all topics.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    });
    json!({
        "summary": "Topics as Server-Sent Events",
        "parameters": [
            {"name": "topics", "in": "query", "required": true, "schema": {"type": "string"},
                "description": "Topics and patterns, divided by commas.", "example": "prices.btc,news.*"},
            {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"},
                "description": "Goes on behind the event with this `id`, on any gateway of the resource."},
            {"name": "lastEventId", "in": "query", "schema": {"type": "string"},
                "description": "The same, for who cannot set headers."},
        ],
        "responses": answers(("200", stream), &REFUSALS, &content::<Problem<'_>>(schemas)),
    })
}

fn publish(schemas: &mut SchemaGenerator) -> Value {
    let mut good = content::<Receipt<'_>>(schemas);
    good["application/x-ndjson"] = json!({"schema": {"type": "string",
        "description": "A line for each line of the request, in its order: its `ack` or its `error`."}});
    let good =
        json!({"description": "The backbone has it, or had it before (`duplicate`).", "content": good});
    json!({
        "summary": "Publish a message, or many",
        "parameters": [
            topic(),
            {"name": "Idempotency-Key", "in": "header",
                "schema": {"type": "string", "minLength": 1, "maxLength": MAX_MESSAGE_ID},
                "description": "The `messageId`: published again, the message is not delivered again. Made where absent."},
        ],
        "requestBody": {"required": true, "content": {
            "application/json": {"schema": {"description": "The payload: any JSON, delivered byte for byte."}},
            "application/x-ndjson": {"schema": {"type": "string",
                "description": "One message a line, as an object with `messageId` and `payload`; at most 1 000."}},
        }},
        "responses": answers(("200", good), &REFUSALS, &content::<Problem<'_>>(schemas)),
    })
}

fn demo(schemas: &mut SchemaGenerator) -> Value {
    let good = json!({"description": "Published.", "content": content::<Receipt<'_>>(schemas)});
    let failure = content::<Failure<'_>>(schemas);
    json!({
        "summary": "Publish from the address bar, as `anonymous`: the parameters become the payload",
        "security": [],
        "parameters": [
            topic(),
            {"name": "payload", "in": "query", "style": "form", "explode": true,
                "schema": {"type": "object", "additionalProperties": {"type": "string"}}},
        ],
        "responses": answers(("200", good), &REFUSALS, &failure),
    })
}

fn topic() -> Value {
    json!({"name": "topic", "in": "path", "required": true, "schema": {"type": "string"},
        "description": "Words divided by dots.", "example": "prices.btc"})
}

fn answers((status, good): (&str, Value), bad: &[(u16, &str)], content: &Value) -> Value {
    let mut answers = Map::from_iter([(status.to_owned(), good)]);
    for (status, description) in bad {
        answers.insert(status.to_string(), json!({"description": description, "content": content}));
    }
    answers.into()
}

/// JSON of this type.
fn content<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    json!({"application/json": {"schema": schemas.subschema_for::<T>()}})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` below a value.
    fn references(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                into.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, into));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, into)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = openapi();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a place in the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn answers_are_told_as_they_are() {
        let schemas = &openapi()["components"]["schemas"];
        let receipt = &schemas["Receipt"];
        assert_eq!(receipt["properties"]["type"]["const"], "ack");
        assert_eq!(receipt["properties"]["status"]["enum"], json!(["ok", "duplicate"]));
        assert_eq!(receipt["required"], json!(["type", "messageId", "status"]));
        let codes = schemas["Problem"]["properties"]["code"].to_string();
        for code in ["ACL_DENIED", "BACKBONE_UNAVAILABLE", "GOING_AWAY"] {
            assert!(codes.contains(code), "{code} in {codes}");
        }
        assert_eq!(schemas["Stats"]["required"], json!(["connections", "topics", "subscriptions"]));
    }
}
