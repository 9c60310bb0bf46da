//! What the schemas of several fields share: CEL rules, patterns of names, the schema of a topic pattern.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::api::topic::{MAX_TOPIC_BYTES, Pattern};

/// A CEL rule; the message says what is wrong and, after a semicolon, what to do.
pub(super) fn rule(rule: &str, message: &str) -> Value {
    json!({ "rule": rule, "message": message })
}

/// Name of a Secret: a DNS subdomain (RFC 1123).
pub(in crate::api) const SECRET_NAME: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Name of a `TopicGateway`: that of a Service, for its children are called after it (RFC 1035 label).
pub(in crate::api) const GATEWAY_NAME: &str = r"^[a-z]([-a-z0-9]*[a-z0-9])?$";
/// Key of a Secret; never `.` or anything that begins with `..`, for it becomes a file name.
pub(in crate::api) const SECRET_KEY: &str = r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$";
/// Address of a NATS server, without user or password.
pub(super) const NATS_SERVER: &str =
    r"^(nats|tls)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?)(:[0-9]{1,5})?$";
/// Whole tokens without wildcards, or nothing; a dot at the end may stand.
pub(super) const SUBJECT_PREFIX: &str = r"^([A-Za-z0-9_:/@=~+%-]+(\.[A-Za-z0-9_:/@=~+%-]+){0,13}\.?)?$";
/// Name of a JetStream stream: no space or control character, none of `. * > / \`.
pub(super) const STREAM: &str = r"^[^\x00-\x20\x7f.*>/\\]+$";
/// Hours, minutes and seconds.
pub(super) const DURATION: &str = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$";
/// A whole number of bytes, with a suffix of Kubernetes' quantities or not.
pub(super) const BYTE_SIZE: &str = "^[1-9][0-9]{0,11}(k|Ki|M|Mi|G|Gi|T|Ti)?$";
/// A share of all in percent, without the sign: from 50 to 99.999.
pub(super) const OBJECTIVE: &str = r"^[5-9][0-9](\.[0-9]{1,3})?$";
/// An origin, with `*` for any subdomain or any port, or `*` for all.
pub(super) const ORIGIN: &str =
    r"^(\*|https?://(\*\.)?(\[[0-9a-f:.]+\]|[a-z0-9]([-a-z0-9._]*[a-z0-9])?)(:([0-9]{1,5}|\*))?)$";

/// Name of a namespace (RFC 1123 label).
pub(super) const DNS_LABEL: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// Host name, the first label of which may be `*`.
pub(super) const HOST: &str = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Key of a label or annotation: a name, with a domain before it or not.
pub(super) const QUALIFIED_NAME: &str =
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";
/// Value of a label.
pub(super) const LABEL_VALUE: &str = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";
/// A Kubernetes quantity.
pub(super) const QUANTITY: &str = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei|[eE][0-9]+)?$";
/// A share of all.
pub(super) const SHARE: &str = r"^(100|[1-9]?[0-9])%$";
/// Reference of a container image: a registry or not, a repository, and a tag, a digest, both or none.
pub(super) const IMAGE: &str = concat!(
    r"^((\[[0-9a-fA-F:]+\]|[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?)(:[0-9]{1,5})?/)?",
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
    r"(:[A-Za-z0-9_][-A-Za-z0-9._]{0,127})?(@[a-z0-9]+:[0-9a-fA-F]{32,128})?$"
);

/// The grammar of [`Pattern`] but for `_INBOX`, which a rule refuses: at most 16 tokens.
const TOPIC_PATTERN: &str =
    r"^(>|([A-Za-z0-9_:/@=~+%-]+|\*)(\.([A-Za-z0-9_:/@=~+%-]+|\*)){0,14}(\.([A-Za-z0-9_:/@=~+%-]+|\*|>))?)$";

/// What to do about a text that does not match one of the patterns of the schema.
pub(in crate::api) fn pattern_hint(pattern: &str, text: &str) -> String {
    let error = if pattern == TOPIC_PATTERN { text.parse::<Pattern>().err() } else { None };
    error.map_or_else(|| pattern_message(pattern).into(), |error| error.to_string())
}

/// The same for every text that does not match.
fn pattern_message(pattern: &str) -> &'static str {
    match pattern {
        NATS_SERVER => "write nats://host:port or tls://host:port, with user and password in a Secret",
        ORIGIN => "write scheme://host or scheme://host:port in lower case, as https://app.example.com",
        SUBJECT_PREFIX => "write whole tokens divided by '.', without wildcards",
        TOPIC_PATTERN => {
            "write at most 16 tokens divided by '.', with '*' for one whole token and '>' at the end for all that follow"
        }
        STREAM => "a stream's name has no space and none of . * > / \\",
        DURATION => "write hours, minutes and seconds, as 72h or 1h30m",
        BYTE_SIZE => "write a whole number of bytes, as 1048576 or 10Gi",
        OBJECTIVE => "write a share in percent from 50 to 99.999, as \"99.9\"",
        SECRET_KEY => "use letters, digits, '-', '_' and '.'",
        GATEWAY_NAME => {
            "begin with a letter, use lower-case letters, digits and '-', end with a letter or digit"
        }
        QUANTITY => "write a quantity, as 500m or 256Mi",
        SHARE => "write a number of pods, or a share, as 50%",
        IMAGE => "write registry/repository:tag or registry/repository@sha256:digest",
        LABEL_VALUE | QUALIFIED_NAME => {
            "use letters, digits, '-', '_' and '.', with a letter or digit at both ends"
        }
        _ => "use lower-case letters, digits, '-' and '.', with a letter or digit at both ends",
    }
}

/// Rules that refuse what a pattern does, with a sentence: an API server that refuses a text by its pattern says nothing
/// but the pattern.
pub(in crate::api) fn pattern_rules(pattern: &str) -> Vec<Value> {
    let matches =
        |pattern: &str, message| rule(&format!("self.matches('{}')", pattern.replace('\\', r"\\")), message);
    if pattern == TOPIC_PATTERN {
        // There may be so many that one rule with the whole grammar would be too dear to an API server.
        return vec![
            matches(r"^(([^.>*]+|\*)\.){0,15}([^.>*]+|[*>])$", pattern_message(pattern)),
            matches(r"^[\w.:/@=~+%*>-]*$", "write tokens of letters, digits and _ - : / @ = ~ + %"),
        ];
    }
    vec![matches(pattern, pattern_message(pattern))]
}

/// The same for a text that may be a number instead.
pub(super) fn number_or(pattern: &str) -> Value {
    let pattern_or_number = format!("^-?[0-9]+$|{}", pattern.replace('\\', r"\\"));
    rule(&format!("string(self).matches('{pattern_or_number}')"), pattern_message(pattern))
}

impl JsonSchema for Pattern {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Tokens of letters, digits and _ - : / @ = ~ + %, divided by '.'; \
                '*' stands for one whole token, '>' at the end for all that follow.",
            "minLength": 1,
            "maxLength": MAX_TOPIC_BYTES,
            "pattern": TOPIC_PATTERN,
            "x-kubernetes-validations": [rule(
                "self != '_INBOX' && !self.startsWith('_INBOX.')",
                "subjects that begin with _INBOX belong to NATS itself; name topics of your own",
            )],
        })
    }
}
