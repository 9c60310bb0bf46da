//! What the stream's own API says.

use std::{collections::BTreeMap, thread, time::Duration};

use serde_json::{Value, json};

use super::resource::STREAM;
use crate::support::NatsClient;

/// Asks JetStream's API until it answers without an error: after a start it takes its time.
#[track_caller]
pub(crate) fn ask(nats: &mut NatsClient, request: &str, body: &str) -> Value {
    let mut last = Value::Null;
    for _ in 0..400 {
        let answer = nats.request(&format!("$JS.API.{request}"), body);
        last = serde_json::from_slice(&answer).unwrap_or_default();
        if last.is_object() && last["error"].is_null() {
            return last;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{request}: {last}");
}

/// The last number that the stream has given.
#[track_caller]
pub(crate) fn last_number(nats: &mut NatsClient) -> u64 {
    let info = ask(nats, &format!("STREAM.INFO.{STREAM}"), "");
    info["state"]["last_seq"].as_u64().unwrap_or_else(|| panic!("{info}"))
}

/// How many messages the stream has of each topic.
#[track_caller]
pub(crate) fn stored(nats: &mut NatsClient) -> BTreeMap<String, u64> {
    let all = json!({"subjects_filter": ">"}).to_string();
    let mut info = ask(nats, &format!("STREAM.INFO.{STREAM}"), &all);
    serde_json::from_value(info["state"]["subjects"].take()).unwrap_or_else(|error| panic!("{error}: {info}"))
}
