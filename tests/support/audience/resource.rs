//! The resource of a run, its topics, and the tokens that it takes.

use serde_json::json;

use super::acknowledging::SURE;
use crate::support::{Issuer, Resource, now};

/// The stream's name.
pub(crate) const STREAM: &str = "FAULTS";
/// What everybody may follow and publish.
pub(super) const SUBJECTS: &str = "faults.>";
/// Seconds after which what is not acknowledged comes again.
pub(super) const ACK_SECONDS: u64 = 2;

/// A resource on this NATS whose stream takes in all topics.
pub(crate) fn resource(nats: &str, drain_seconds: u64) -> Resource {
    Issuer::shared()
        .admitted(Resource::closed())
        .set("authorization", json!([{"subscribe": [SUBJECTS], "publish": [SUBJECTS]}]))
        .set("drain.windowSeconds", json!(drain_seconds))
        .set("limits.publishPerSecond", json!(0))
        .set(
            "topics",
            json!([
                {"pattern": "faults.oldest.*", "slowConsumer": "DropOldest"},
                {"pattern": "faults.newest.*", "slowConsumer": "Conflate"},
                {"pattern": sure(), "delivery": "AtLeastOnce", "ackTimeoutSeconds": ACK_SECONDS},
            ]),
        )
        .set(
            "backbone",
            json!({"nats": {
                "servers": [nats],
                "subjects": [SUBJECTS],
                "jetStream": {"stream": STREAM, "manage": true},
            }}),
        )
}

/// The pattern of the topics that are delivered at least once.
pub(super) fn sure() -> String {
    format!("{SURE}*")
}

/// So many topics: some are delivered at least once, some drop what a slow subscriber does not take, most disconnect it.
pub(crate) fn topics(count: usize) -> Vec<String> {
    (0..count).map(topic).collect()
}

/// So many of those that are not delivered at least once.
pub(crate) fn topics_sent_once(count: usize) -> Vec<String> {
    (0..).map(topic).filter(|topic| !topic.starts_with(SURE)).take(count).collect()
}

fn topic(number: usize) -> String {
    match number % 5 {
        2 => format!("{SURE}{number}"),
        3 => format!("faults.oldest.{number}"),
        4 => format!("faults.newest.{number}"),
        _ => format!("faults.plain.{number}"),
    }
}

/// A token for a user, valid for longer than any run.
pub(crate) fn token(user: &str) -> String {
    Issuer::shared().token(json!({"sub": user, "exp": now() + 86_400}))
}
