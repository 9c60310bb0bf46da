//! The resource that all gateways of a run serve, and the tokens of its users.

use std::sync::Arc;

use serde_json::{Value, json};

use super::dice::Dice;
use crate::{
    api::{JwtAlgorithm, Secrets, TopicGatewaySpec},
    gateway::{
        access::{Access, sign},
        backbone::nats::simulated::{PREFIX, STREAM},
        sessions::SessionKeys,
        shard::Settings,
    },
};

const SECRET: &str = "a secret of 32 bytes for testing";
/// When every run begins, in seconds since 1970.
pub(super) const BEGIN: u64 = 1_800_000_000;
/// Everybody may read and write these, always.
pub(super) const GRANTED: [&str; 4] = ["d.>", "o.>", "c.>", "k.>"];
/// The right to these comes and goes.
pub(super) const SOMETIMES: &str = "r.>";
/// Topics, one or two of each kind.
pub(super) const TOPICS: [&str; 6] = ["d.a", "o.a", "o.b", "c.a", "k.a", "r.a"];
/// Patterns that may be subscribed to.
pub(super) const PATTERNS: [&str; 3] = ["o.*", "d.>", "r.*"];
/// What is delivered at least once.
pub(super) const AT_LEAST_ONCE: &str = "k.>";
/// Seconds that an acknowledgement may take.
pub(super) const ACK_SECONDS: u64 = 5;

/// What all gateways are told.
pub(super) struct Resource {
    pub(super) spec: TopicGatewaySpec,
    pub(super) settings: Arc<Settings>,
}

impl Resource {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let heartbeat = if dice.percent(20) { 7 } else { 86_400 };
        let window = *dice.one_of(&[300, 600, 900, 30_000]);
        let spec = spec(heartbeat, window, true);
        let keys = SessionKeys::new(b"shared by all gateways".to_vec(), None).unwrap();
        let settings = Arc::new(Settings::new(&spec, &keys));
        Self { spec, settings }
    }
}

fn spec(heartbeat: u64, window: u64, with_all: bool) -> TopicGatewaySpec {
    let topics: Vec<&str> = GRANTED.into_iter().chain(with_all.then_some(SOMETIMES)).collect();
    let spec = json!({
        "backbone": {"nats": {
            "servers": ["nats://nowhere:4222"],
            "subjects": [format!("{PREFIX}.>")],
            "subjectPrefix": PREFIX,
            "jetStream": {"stream": STREAM},
        }},
        "heartbeatSeconds": heartbeat,
        "limits": {"windowBytes": window, "subscribePerSecond": 0, "publishPerSecond": 0},
        "authentication": {"jwt": [{"issuer": "home", "secretRef": {"name": "keys", "key": "key"}}]},
        "authorization": [{"subscribe": topics, "publish": topics}],
        "topics": [
            {"pattern": "d.>", "slowConsumer": "Disconnect"},
            {"pattern": "o.>", "slowConsumer": "DropOldest"},
            {"pattern": "c.>", "slowConsumer": "Conflate"},
            {"pattern": AT_LEAST_ONCE, "delivery": "AtLeastOnce", "ackTimeoutSeconds": ACK_SECONDS},
        ],
    });
    serde_json::from_value(spec).unwrap()
}

/// Who may do what, with the right that comes and goes or without.
pub(super) fn access(with_all: bool) -> Access {
    let mut secrets = Secrets::default();
    secrets.insert("keys", "key", SECRET.into());
    Access::new(&spec(60, 1_000, with_all), &secrets).unwrap()
}

/// A token of this user that outlasts every run.
pub(super) fn token(user: &str) -> String {
    let Value::Object(claims) = json!({"iss": "home", "sub": user, "exp": BEGIN + 1_000_000}) else {
        unreachable!()
    };
    sign(JwtAlgorithm::HS256, SECRET.as_bytes(), &claims).unwrap()
}
