//! Making the stream, and keeping it as the resource describes it. Nothing here ever deletes a message: a limit that
//! would is left as it is, and said.

use std::time::Duration;

use async_nats::{Client, connection::State};
use serde_json::{Map, Value, json};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    BackboneError, Keys,
    jetstream::{Config, Layout},
    options,
};
use crate::api::{Feed, JetStream, NatsBackbone, Secrets};

/// How long each question may take.
const WITHIN: Duration = Duration::from_secs(5);
/// How often a connection is looked for.
const CONNECTING: Duration = Duration::from_millis(50);
/// Time between two looks. Nothing can be published while the stream is gone, so that it is soon to be there again.
const LOOK: Duration = Duration::from_secs(5);
/// `JSStreamNotFoundErr`.
const NOT_FOUND: u64 = 10059;
const SECOND: i64 = 1_000_000_000;

/// What has become of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// How gateways get its messages.
    pub feed: Feed,
    /// It was made just now.
    pub created: bool,
    /// Settings that were changed, by their NATS names.
    pub changed: Vec<String>,
    /// What is not as described, and was left alone: a sentence each, with the next action.
    pub left: Vec<String>,
}

/// Why the stream is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The resource has no `jetStream`.
    #[error("backbone.nats.jetStream is not set: there is no stream to look after")]
    None,
    /// It does not exist, and is not to be made.
    #[error("the stream {0:?} does not exist: create it, or set backbone.nats.jetStream.manage")]
    Missing(String),
    /// JetStream does not answer.
    #[error(
        "JetStream does not answer ({0}): enable it on the NATS server, and let the NATS user publish to $JS.API.>"
    )]
    Unanswered(String),
    /// No stream can have these subjects.
    #[error(
        "a stream cannot capture every subject: name the topics in backbone.nats.subjects, or set subjectPrefix"
    )]
    Everything,
    /// The server says no.
    #[error(
        "the server does not take the stream {stream:?} ({why}): change backbone.nats.jetStream or subjects"
    )]
    Refused {
        /// Name of the stream.
        stream: String,
        /// In the server's words.
        why: String,
    },
}

/// Why nobody could look at the stream.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// The settings do not lead to a server.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// No server could be reached.
    #[error(
        "NATS cannot be reached from the controller ({0}): look at backbone.nats.servers, at the credentials and at network policies"
    )]
    Unreachable(String),
    /// The stream is not as it should be.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// Looks at the stream of this backbone, and where it is to be managed makes it or changes it as described. Can be
/// called again at any time: what is as it should be is not touched.
pub async fn ensure_stream(client: &Client, spec: &NatsBackbone) -> Result<StreamState, StreamError> {
    let jet = spec.jet_stream.as_ref().ok_or(StreamError::None)?;
    let asked = Asked { client, name: &jet.stream };
    let info = asked.api("INFO", &json!({})).await?;
    let exists = match error(&info) {
        None => true,
        Some((NOT_FOUND, _)) => false,
        Some((_, why)) => return Err(asked.refused(why)),
    };
    if !exists {
        if !jet.manage {
            return Err(StreamError::Missing(jet.stream.clone()));
        }
        let made = asked.must("CREATE", &Value::Object(wanted(spec, jet)?)).await?;
        return Ok(state(spec, &made, true, Vec::new(), Vec::new()));
    }
    if !jet.manage {
        let left = shortcomings(&info["config"]);
        return Ok(state(spec, &info, false, Vec::new(), left));
    }
    let (config, changed, left) = merged(&info["config"], wanted(spec, jet)?);
    if changed.is_empty() {
        return Ok(state(spec, &info, false, changed, left));
    }
    let updated = asked.must("UPDATE", &config).await?;
    Ok(state(spec, &updated, false, changed, left))
}

/// Connects, does what [`ensure_stream`] does, and leaves again; all within 15 s. For the controller, which has no
/// connection of its own.
///
/// # Errors
/// Why it could not be done, and what to do.
pub async fn visit(spec: &NatsBackbone, secrets: &Secrets) -> Result<StreamState, VisitError> {
    let servers = super::addresses(&spec.servers)?;
    let keys = Keys::new(spec, secrets)?;
    let options = options::once(spec, &keys)?;
    let client = timeout(WITHIN, options.connect(servers)).await;
    let client = client.map_err(|_| VisitError::Unreachable("no answer within 5 s".into()))?;
    let client = client.map_err(|error| VisitError::Unreachable(error.to_string()))?;
    let state = ensure_stream(&client, spec).await;
    // The connection ends with the client, if not by this.
    let _ = timeout(WITHIN, client.drain()).await;
    Ok(state?)
}

/// Makes the stream as soon as there is a connection, and looks after it from then on: it may be deleted, or changed by
/// somebody else. Any number of gateways may do so at the same time. Never ends.
pub(super) async fn keep(current: &watch::Receiver<Client>, spec: &NatsBackbone) {
    let mut told = String::new();
    loop {
        let client = current.borrow().clone();
        if client.connection_state() != State::Connected {
            sleep(CONNECTING).await;
            continue;
        }
        match ensure_stream(&client, spec).await {
            Ok(StreamState { created, changed, left, .. }) => {
                if created || !changed.is_empty() {
                    tracing::info!(created, ?changed, "The stream was made or changed as the resource says.");
                }
                say_once(&mut told, &left.join("; "));
            }
            Err(error) => say_once(&mut told, &error.to_string()),
        }
        sleep(LOOK).await;
    }
}

fn say_once(told: &mut String, trouble: &str) {
    if told != trouble {
        trouble.clone_into(told);
        if !trouble.is_empty() {
            tracing::warn!(trouble, "The stream is not as the resource says.");
        }
    }
}

struct Asked<'a> {
    client: &'a Client,
    name: &'a str,
}

impl Asked<'_> {
    async fn api(&self, what: &str, question: &Value) -> Result<Value, StreamError> {
        let subject = format!("$JS.API.STREAM.{what}.{}", self.name);
        let answer = timeout(WITHIN, self.client.request(subject, question.to_string().into()));
        let answer = answer.await.map_err(|_| StreamError::Unanswered("within 5 s".into()))?;
        let answer = answer.map_err(|error| StreamError::Unanswered(error.to_string()))?;
        serde_json::from_slice(&answer.payload).map_err(|error| self.refused(error.to_string()))
    }

    async fn must(&self, what: &str, question: &Value) -> Result<Value, StreamError> {
        let answer = self.api(what, question).await?;
        error(&answer).map_or(Ok(answer), |(_, why)| Err(self.refused(why)))
    }

    fn refused(&self, why: String) -> StreamError {
        StreamError::Refused { stream: self.name.into(), why }
    }
}

/// The server's number of an error, and its words.
fn error(answer: &Value) -> Option<(u64, String)> {
    let error = answer.get("error")?;
    let text = error["description"].as_str().unwrap_or("it does not say why");
    Some((error["err_code"].as_u64().unwrap_or(0), text.into()))
}

/// The stream as the resource describes it, by the names of NATS ADR-13 and ADR-28.
///
/// It publishes again below `_tg.<stream>`, where it captures nothing: the server refuses a stream that would.
fn wanted(spec: &NatsBackbone, jet: &JetStream) -> Result<Map<String, Value>, StreamError> {
    let prefix = spec.subject_prefix.trim_end_matches('.');
    let dot = if prefix.is_empty() { "" } else { "." };
    let subjects: Vec<_> =
        options::widest(spec).iter().map(|filter| format!("{prefix}{dot}{filter}")).collect();
    if subjects.iter().any(|subject| subject == ">") {
        return Err(StreamError::Everything);
    }
    let max_age = jet.max_age().map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX));
    let window = i64::from(jet.duplicate_window_seconds) * SECOND;
    let config = json!({
        "name": jet.stream,
        "subjects": subjects,
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": max_age,
        "max_bytes": jet.max_bytes().filter(|bytes| *bytes > 0).unwrap_or(-1),
        "num_replicas": jet.replicas,
        // The server takes no window that is longer than messages are kept.
        "duplicate_window": if max_age > 0 { window.min(max_age) } else { window },
        "allow_direct": true,
        "republish": {"src": ">", "dest": format!("_tg.{}.>", jet.stream)},
    });
    match config {
        Value::Object(config) => Ok(config),
        _ => Ok(Map::new()),
    }
}

/// The configuration that there is with what is wanted, where that takes nothing away: what changes, what is left.
fn merged(there: &Value, wanted: Map<String, Value>) -> (Value, Vec<String>, Vec<String>) {
    let (mut config, mut changed, mut left) = (there.clone(), Vec::new(), Vec::new());
    for (name, value) in wanted {
        let before = &there[&name];
        if *before == value {
            continue;
        }
        match name.as_str() {
            "storage" | "retention" | "discard" => left.push(format!(
                "{name} of the stream is {before}, not {value}, and is not changed under its messages: \
                 change it by hand, or make another stream"
            )),
            "max_age" | "max_bytes" if shrinks(before, &value) => left.push(format!(
                "{name} of the stream is {before}; to lower it to {value} would delete messages: \
                 lower it by hand if that is meant"
            )),
            // The server adds its own defaults.
            "republish" if before["src"] == value["src"] && before["dest"] == value["dest"] => {}
            _ => {
                config[&name] = value;
                changed.push(name);
            }
        }
    }
    (config, changed, left)
}

/// Whether the new limit is lower; 0 and -1 are none.
fn shrinks(before: &Value, after: &Value) -> bool {
    let limit = |value: &Value| value.as_i64().filter(|limit| *limit > 0).unwrap_or(i64::MAX);
    limit(after) < limit(before)
}

/// What makes a stream that is somebody else's work less well.
fn shortcomings(config: &Value) -> Vec<String> {
    let mut left = Vec::new();
    if config["allow_direct"] != true {
        left.push("the stream does not allow Direct Get, reads are slow: set allow_direct".into());
    }
    if config["republish"].is_null() {
        left.push("the stream does not publish again, every message is read: set republish".into());
    }
    left
}

fn state(
    spec: &NatsBackbone,
    answer: &Value,
    created: bool,
    changed: Vec<String>,
    left: Vec<String>,
) -> StreamState {
    let config: Config = serde_json::from_value(answer["config"].clone()).unwrap_or_default();
    let prefix = spec.subject_prefix.trim_end_matches('.');
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
    StreamState { feed: Layout::new(&config, &prefix).feed(), created, changed, left }
}
