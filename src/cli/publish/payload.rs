//! From what a user types to what is published.

use serde_json::value::{RawValue, to_raw_value};

use crate::cli::Failure;

/// JSON as it stands, byte for byte; anything else as a JSON string.
pub(super) fn json(text: &str) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(text.trim().to_owned())
        .or_else(|_| to_raw_value(text))
        .map_err(|error| Failure::internal(format!("cannot write the payload as JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stands_as_it_is_and_anything_else_becomes_a_string() {
        for (typed, sent) in [
            (r#"{"b": 1,  "a": 1.0}"#, r#"{"b": 1,  "a": 1.0}"#),
            (" 12 ", "12"),
            ("\"quoted\"", "\"quoted\""),
            ("hello world", "\"hello world\""),
            (" hello", "\" hello\""),
            ("{broken", "\"{broken\""),
            ("say \"x\"", r#""say \"x\"""#),
            ("", "\"\""),
        ] {
            assert_eq!(json(typed).unwrap().get(), sent, "{typed}");
        }
    }
}
