//! The stream that keeps what was published: history, replay, resume, and publishes that count once.

use std::{fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::rule::{BYTE_SIZE, DURATION, STREAM, number_or, rule};

/// A stream that holds the subjects of the topics. With it messages have numbers that are the same on every gateway,
/// and a client can ask for what it has missed.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JetStream {
    /// Name of the stream. It cannot be changed: positions of clients are its numbers.
    #[schemars(length(min = 1, max = 255), regex(pattern = STREAM), extend("x-kubernetes-validations" = [rule(
        "self == oldSelf",
        "cannot be changed, the positions of clients are its numbers; declare another TopicGateway with the new stream \
         and move the clients",
    )]))]
    pub stream: String,
    /// Whether the stream is created and kept as the fields below say. Without it the stream is somebody else's and
    /// taken as it is.
    #[serde(default)]
    pub manage: bool,
    /// How long a message is kept, in hours, minutes and seconds (`72h`, `1h30m`); without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32), regex(pattern = DURATION))]
    pub max_age: Option<String>,
    /// Bytes the stream may have, as a quantity (`10Gi`); without it there is no limit. The oldest messages go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<ByteSize>,
    /// NATS servers that keep a copy.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 5))]
    pub replicas: i32,
    /// Seconds in which a message that is published again under its `messageId` counts once.
    #[serde(default = "one_hour")]
    #[schemars(range(min = 1, max = 604_800))]
    pub duplicate_window_seconds: i32,
}

impl JetStream {
    /// How long a message is kept; `None` = no limit.
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age.as_deref().and_then(seconds).map(Duration::from_secs)
    }

    /// Whether messages are gone before a publish can be known to be the same again, though somebody wanted it so: the
    /// default goes down with the age. No rule of the API server says so: it would have to read the duration of any text,
    /// which costs more than a whole definition may.
    pub(in crate::api) fn forgets_too_early(&self) -> bool {
        let window = u64::try_from(self.duplicate_window_seconds).unwrap_or(0);
        self.duplicate_window_seconds != one_hour()
            && self.max_age().is_some_and(|age| age.as_secs() < window)
    }

    /// Bytes the stream may have; `None` = no limit.
    pub fn max_bytes(&self) -> Option<i64> {
        self.max_bytes.as_ref().and_then(ByteSize::bytes)
    }
}

/// A number of bytes, as it was written: `1048576` or, with a suffix of Kubernetes' quantities, `1Mi`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ByteSize(String);

impl ByteSize {
    /// The number; more than an `i64` holds is its largest. `None` for a text the schema does not let through.
    pub fn bytes(&self) -> Option<i64> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (number, suffix) = self.0.split_at(end);
        let factor = match suffix {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            _ => return None,
        };
        Some(number.parse::<i64>().ok()?.saturating_mul(factor))
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl de::Visitor<'_> for Written {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, with a suffix or not")
            }

            fn visit_str<E>(self, text: &str) -> Result<ByteSize, E> {
                Ok(ByteSize(text.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<ByteSize, E> {
                Ok(ByteSize(number.to_string()))
            }
        }

        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "minimum": 1,
            "pattern": BYTE_SIZE,
            "x-kubernetes-validations": [number_or(BYTE_SIZE)],
        })
    }
}

/// Hours, minutes and seconds in this order, each at most once and with at most six digits, as the schema wants it.
fn seconds(text: &str) -> Option<u64> {
    let (mut rest, mut total) = (text, 0);
    for (unit, factor) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, behind)) = rest.split_once(unit) {
            total += number.parse::<u32>().ok().map(u64::from)? * factor;
            rest = behind;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

fn one() -> i32 {
    1
}

fn one_hour() -> i32 {
    3600
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_hours_minutes_and_seconds() {
        for (text, expected) in [
            ("72h", Some(259_200)),
            ("1h30m", Some(5400)),
            ("90m", Some(5400)),
            ("1h0m5s", Some(3605)),
            ("999999h999999m999999s", Some(3_600_000_000 - 3600 + 60_000_000 - 60 + 999_999)),
            ("", None),
            ("5", None),
            ("5d", None),
            ("5m1h", None),
            ("-5m", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_size_is_a_number_with_a_suffix_or_not() {
        for (text, expected) in [
            ("1", Some(1)),
            ("5k", Some(5_000)),
            ("5Ki", Some(5_120)),
            ("10Gi", Some(10_737_418_240)),
            ("2T", Some(2_000_000_000_000)),
            ("999999999999Ti", Some(i64::MAX)),
            ("5Kib", None),
            ("Gi", None),
        ] {
            assert_eq!(ByteSize(text.into()).bytes(), expected, "{text}");
        }
    }

    #[test]
    fn a_size_may_be_written_as_a_number_larger_than_32_bits() {
        let stream = serde_json::json!({"stream": "S", "maxBytes": 10_737_418_240_i64});
        let stream: JetStream = serde_json::from_value(stream).unwrap();
        assert_eq!((stream.max_bytes(), stream.max_age()), (Some(10_737_418_240), None));
        assert_eq!((stream.replicas, stream.duplicate_window_seconds, stream.manage), (1, 3600, false));
        let written = serde_json::to_value(&stream).unwrap();
        assert_eq!(written["maxBytes"], "10737418240");
        assert_eq!(serde_json::from_value::<JetStream>(written).unwrap(), stream);
    }
}
