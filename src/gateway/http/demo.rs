//! `GET /demo/publish/{topic}?k=v`: publish from the address bar of a browser. Only in dev mode.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header::ORIGIN},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};

use super::{
    App,
    answer::{self, Receipt},
    publish::unique_id,
    upgrade::origin_allowed,
};
use crate::{
    api::Topic,
    gateway::protocol::{ErrorCode, body::MAX_MESSAGE_ID},
};

type Pairs = Vec<(String, String)>;

/// Publishes as the user `anonymous`, under its grants.
pub(super) async fn publish(
    State(app): State<App>,
    Path(topic): Path<String>,
    Query(pairs): Query<Pairs>,
    headers: HeaderMap,
) -> Response {
    if from_elsewhere(&app, &headers) {
        let message = "another site may not publish here: add its origin to listeners.allowedOrigins";
        return answer::error(StatusCode::FORBIDDEN, "FORBIDDEN", message);
    }
    let topic: Topic = match topic.parse() {
        Ok(topic) => topic,
        Err(error) => return answer::error(StatusCode::BAD_REQUEST, "TOPIC_INVALID", error.to_string()),
    };
    let Ok(Some(anonymous)) = (app.front.identify)(None) else {
        let message = "this gateway takes no anonymous clients: set authentication.anonymous to Allow";
        return answer::error(StatusCode::UNAUTHORIZED, "AUTH_REQUIRED", message);
    };
    if !anonymous.grants.may_publish(&topic) {
        let message =
            format!("anonymous may not publish to {topic}: add a rule to authorization that allows it");
        return answer::error(StatusCode::FORBIDDEN, "ACL_DENIED", message);
    }
    let (message_id, body) = match split(pairs) {
        Ok(parts) => parts,
        Err(error) => return answer::error(StatusCode::BAD_REQUEST, "BAD_REQUEST", error.to_string()),
    };
    if !(1..=MAX_MESSAGE_ID).contains(&message_id.len()) {
        let message = format!("`messageId` must have 1 to {MAX_MESSAGE_ID} bytes");
        return answer::error(StatusCode::BAD_REQUEST, "BAD_REQUEST", message);
    }
    let answer = app.publish(anonymous.user.clone(), topic.clone(), message_id.clone(), body).await;
    match Receipt::of(&message_id, topic.as_str(), answer) {
        Ok(receipt) => Json(receipt).into_response(),
        Err(refusal) if refusal.code == ErrorCode::BackboneUnavailable => {
            answer::unavailable(refusal.code.as_str(), refusal.message, 1)
        }
        Err(refusal) => answer::error(StatusCode::TOO_MANY_REQUESTS, refusal.code.as_str(), refusal.message),
    }
}

/// Whether a page of a site that is not allowed asks. A link or an image of any page can name this address; browsers
/// send no `Origin` with those, but say that another site asks (Fetch Metadata § 2.3).
fn from_elsewhere(app: &App, headers: &HeaderMap) -> bool {
    if headers.contains_key(ORIGIN) {
        return !origin_allowed(&app.front, headers);
    }
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

/// The message's id (`messageId`, or a random one) and the payload, which is a JSON object of the other
/// parameters: JSON numbers, `true`, `false` and `null` stand as such, anything else becomes a string.
/// Of a name given twice the last counts.
fn split(pairs: Pairs) -> serde_json::Result<(Arc<str>, Bytes)> {
    let mut message_id = None;
    let mut payload = BTreeMap::new();
    for (name, value) in pairs {
        if name == "messageId" {
            message_id = Some(value.into());
        } else {
            payload.insert(name, json(&value)?);
        }
    }
    let message_id = message_id.unwrap_or_else(unique_id);
    Ok((message_id, serde_json::to_vec(&payload)?.into()))
}

fn json(value: &str) -> serde_json::Result<Box<RawValue>> {
    let number =
        value.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && !value.ends_with(char::is_whitespace);
    if number || matches!(value, "true" | "false" | "null") {
        // As raw text, so that a long number keeps all its digits.
        if let Ok(raw) = RawValue::from_string(value.to_owned()) {
            return Ok(raw);
        }
    }
    to_raw_value(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_json_as_the_table_says() {
        for (value, expected) in [
            ("12", "12"),
            ("-0.5e3", "-0.5e3"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("true", "true"),
            ("null", "null"),
            ("True", "\"True\""),
            ("01", "\"01\""),
            ("1 ", "\"1 \""),
            ("1,2", "\"1,2\""),
            ("-", "\"-\""),
            ("[1]", "\"[1]\""),
            ("", "\"\""),
            ("a\"b", "\"a\\\"b\""),
        ] {
            assert_eq!(json(value).unwrap().get(), expected, "{value}");
        }
    }

    #[test]
    fn the_message_id_is_no_part_of_the_payload() {
        let pairs = [("bid", "1"), ("messageId", "m1"), ("bid", "2")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let (id, body) = split(pairs).unwrap();
        assert_eq!((&*id, &body[..]), ("m1", &br#"{"bid":2}"#[..]));
    }

    #[test]
    fn a_message_without_an_id_gets_one_of_its_own() {
        assert_ne!(split(Vec::new()).unwrap().0, split(Vec::new()).unwrap().0);
    }
}
