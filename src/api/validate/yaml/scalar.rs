//! What a text without quotes means to kubectl, which reads YAML 1.1: `yes` is true, `1_000` a number.

use serde_json::{Number, Value};

/// Below this, every whole number has its own `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The value of a scalar; a text in quotes is always a text.
pub(in crate::api) fn resolve(text: &str, plain: bool) -> Value {
    if !plain {
        return Value::String(text.into());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        _ => number(text).map_or_else(|| Value::String(text.into()), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    let text = text.replace('_', "");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    integer(digits, negative).or_else(|| float(digits, negative))
}

fn integer(digits: &str, negative: bool) -> Option<Number> {
    let prefixed = |prefix: &str, radix| digits.strip_prefix(prefix).map(|rest| (rest, radix));
    let (digits, radix) = prefixed("0x", 16)
        .or_else(|| prefixed("0o", 8))
        .or_else(|| prefixed("0b", 2))
        .or_else(|| prefixed("0", 8).filter(|(rest, _)| !rest.is_empty()))
        .unwrap_or((digits, 10));
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    Number::from_i128(if negative { -value } else { value })
}

fn float(digits: &str, negative: bool) -> Option<Number> {
    if !digits.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c)) {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    // 1e3 becomes 1000 on its way through JSON, and an API server takes it for an integer.
    let whole = format!("{value:.0}").parse::<i64>().ok().filter(|_| value.fract() == 0.0 && value < EXACT);
    match whole {
        Some(whole) => Some(Number::from(if negative { -whole } else { whole })),
        None => Number::from_f64(if negative { -value } else { value }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::resolve;

    #[test]
    fn a_text_without_quotes_means_what_kubectl_takes_it_for() {
        for (text, value) in [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("~", Value::Null),
            ("", Value::Null),
            ("8080", json!(8080)),
            ("-1", json!(-1)),
            ("+1", json!(1)),
            ("1_000", json!(1000)),
            ("0x1F", json!(31)),
            ("010", json!(8)),
            ("0", json!(0)),
            ("08", json!(8)),
            ("0x", json!("0x")),
            ("1e400", json!("1e400")),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000)),
            ("1.", json!(1)),
            ("y", json!(true)),
            ("-.5", json!(-0.5)),
            ("1.2.3", json!("1.2.3")),
            ("-", json!("-")),
            ("1-2", json!("1-2")),
            ("inf", json!("inf")),
            ("truely", json!("truely")),
            ("99999999999999999999999999999999999999999", json!(1e41)),
        ] {
            assert_eq!(resolve(text, true), value, "{text}");
        }
    }

    #[test]
    fn a_text_in_quotes_is_a_text() {
        assert_eq!(resolve("yes", false), json!("yes"));
        assert_eq!(resolve("", false), json!(""));
    }
}
