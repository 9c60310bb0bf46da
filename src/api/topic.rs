//! Topics, patterns and sequence numbers: parsed once at the edge, trusted everywhere else.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest topic or pattern, in bytes.
pub const MAX_TOPIC_BYTES: usize = 255;
/// Most tokens in a topic or pattern.
pub const MAX_TOPIC_TOKENS: usize = 16;

/// Position of a message within its topic: strictly growing, starting at 1; 0 means "before the first".
pub type Seq = u64;

/// Why a text is not a topic or not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Nothing at all was given.
    #[error("a topic must not be empty")]
    Empty,
    /// Longer than [`MAX_TOPIC_BYTES`].
    #[error("a topic has at most {MAX_TOPIC_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// More than [`MAX_TOPIC_TOKENS`] tokens.
    #[error("a topic has at most {MAX_TOPIC_TOKENS} tokens divided by '.', this one has {0}")]
    TooManyTokens(usize),
    /// Two dots in a row, or a dot at an end.
    #[error("a topic must not have an empty token: look for '..' or a '.' at an end")]
    EmptyToken,
    /// A character outside letters, digits and `_ - : / @ = ~ + %`.
    #[error(
        "a topic must not contain {0:?}: letters, digits and _ - : / @ = ~ + % are allowed, tokens are divided by '.'"
    )]
    Character(char),
    /// `$…` and `_INBOX` belong to NATS itself.
    #[error("subjects that begin with '$' or '_INBOX' belong to the messaging system and are out of reach")]
    Reserved,
    /// `*` or `>` where only a concrete topic will do.
    #[error("a topic must not contain the wildcard {0:?} here: name one concrete topic")]
    Wildcard(char),
    /// `*` beside other characters, or `>` before the end.
    #[error("in a pattern '*' stands for one whole token and '>' only at the end")]
    MisplacedWildcard,
}

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-:/@=~+%".contains(&byte)
}

/// Checks what topics and patterns have in common; `true` if there is a wildcard token.
fn scan(text: &str) -> Result<bool, TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > MAX_TOPIC_BYTES {
        return Err(TopicError::TooLong(text.len()));
    }
    if text.starts_with('$') || text == "_INBOX" || text.starts_with("_INBOX.") {
        return Err(TopicError::Reserved);
    }
    let mut tokens = 0;
    let mut wildcard = false;
    let mut closed = false;
    for token in text.split('.') {
        tokens += 1;
        if closed {
            return Err(TopicError::MisplacedWildcard);
        }
        match token {
            "" => return Err(TopicError::EmptyToken),
            "*" => wildcard = true,
            ">" => (wildcard, closed) = (true, true),
            _ => {
                if let Some(c) = token.chars().find(|c| !u8::try_from(*c).is_ok_and(allowed)) {
                    return Err(match c {
                        '*' | '>' => TopicError::MisplacedWildcard,
                        other => TopicError::Character(other),
                    });
                }
            }
        }
    }
    if tokens > MAX_TOPIC_TOKENS {
        return Err(TopicError::TooManyTokens(tokens));
    }
    Ok(wildcard)
}

/// A concrete topic: a NATS subject without wildcards, at most [`MAX_TOPIC_BYTES`] long.
///
/// Cheap to clone: the text is shared.
///
/// ```
/// use topic_gateway::api::Topic;
/// assert!("prices.btc".parse::<Topic>().is_ok());
/// assert!("prices.*".parse::<Topic>().is_err());
/// assert!("$SYS.x".parse::<Topic>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

/// A set of topics, written with the NATS wildcards `*` (one token) and `>` (the rest, at least one token).
///
/// ```
/// use topic_gateway::api::{Pattern, Topic};
/// let all: Pattern = "prices.>".parse().unwrap();
/// assert!(all.matches(&"prices.btc.eur".parse::<Topic>().unwrap()));
/// assert!(all.covers(&"prices.*".parse().unwrap()));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Arc<str>);

/// What a client may name in `subscribe`: one topic, or a pattern where the policy grants it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Filter {
    /// One concrete topic.
    Topic(Topic),
    /// Every topic that the pattern matches. Holds at least one wildcard.
    Pattern(Pattern),
}

impl Topic {
    /// The text, as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared text.
    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        if scan(text)? {
            return Err(TopicError::Wildcard(if text.contains('*') { '*' } else { '>' }));
        }
        Ok(Self(text.into()))
    }
}

impl Pattern {
    /// The text, as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared text.
    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// Whether `topic` belongs to the set.
    pub fn matches(&self, topic: &Topic) -> bool {
        self.matches_str(topic.as_str())
    }

    /// Whether the text of a topic or pattern belongs to the set: `*` in `text` is only matched by `*` or `>`.
    pub fn matches_str(&self, text: &str) -> bool {
        let mut ours = self.0.split('.');
        let mut theirs = text.split('.');
        loop {
            match (ours.next(), theirs.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(token)) if token != ">" => {}
                (Some(a), Some(b)) if a == b && a != "*" => {}
                _ => return false,
            }
        }
    }

    /// Whether every topic of `other` belongs to this set too.
    pub fn covers(&self, other: &Pattern) -> bool {
        self.matches_str(&other.0)
    }

    /// Whether some topic could belong to both sets.
    pub fn overlaps(&self, other: &Pattern) -> bool {
        let (mut a, mut b) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (a.next(), b.next()) {
                (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
                (Some(x), Some(y)) if x == y || x == "*" || y == "*" => {}
                _ => return false,
            }
        }
    }

    /// The pattern of what follows `prefix` (whole tokens, no dot at its end) in the subjects of this pattern;
    /// `None` where no subject of this pattern lies below the prefix.
    pub fn below(&self, prefix: &str) -> Option<Pattern> {
        if prefix.is_empty() {
            return Some(self.clone());
        }
        let mut rest: &str = &self.0;
        for token in prefix.split('.') {
            let (head, tail) = rest.split_once('.').unwrap_or((rest, ""));
            match head {
                ">" => return Some(Pattern::of(">")),
                "*" => {}
                same if same == token => {}
                _ => return None,
            }
            rest = tail;
        }
        (!rest.is_empty()).then(|| Pattern::of(rest))
    }

    /// A part of a pattern is one too, if it ends where a token does.
    fn of(text: &str) -> Self {
        Self(text.into())
    }
}

impl FromStr for Pattern {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        scan(text)?;
        Ok(Self(text.into()))
    }
}

impl Filter {
    /// The text, as it stands on the wire.
    pub fn as_str(&self) -> &str {
        self.shared()
    }

    /// The shared text.
    pub fn shared(&self) -> &Arc<str> {
        match self {
            Self::Topic(topic) => topic.shared(),
            Self::Pattern(pattern) => pattern.shared(),
        }
    }

    /// Whether a message of the topic with this text is meant.
    pub fn matches_str(&self, topic: &str) -> bool {
        match self {
            Self::Topic(own) => own.as_str() == topic,
            Self::Pattern(pattern) => pattern.matches_str(topic),
        }
    }
}

impl FromStr for Filter {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        Ok(if scan(text)? { Self::Pattern(Pattern(text.into())) } else { Self::Topic(Topic(text.into())) })
    }
}

macro_rules! text_type {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

text_type!(Topic, Pattern, Filter);

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_topic_is_tokens_of_allowed_characters() {
        for good in ["a", "prices.btc", "A-9_:/@=~+%.x", &vec!["t"; 16].join("."), &"x".repeat(255)] {
            assert!(good.parse::<Topic>().is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        let many = vec!["t"; 17].join(".");
        for (bad, why) in [
            ("", TopicError::Empty),
            (".", TopicError::EmptyToken),
            ("a..b", TopicError::EmptyToken),
            ("a.", TopicError::EmptyToken),
            (".a", TopicError::EmptyToken),
            ("a b", TopicError::Character(' ')),
            ("a.ü", TopicError::Character('ü')),
            ("a.$b", TopicError::Character('$')),
            ("a\0", TopicError::Character('\0')),
            ("$SYS.a", TopicError::Reserved),
            ("$JS.API", TopicError::Reserved),
            ("_INBOX", TopicError::Reserved),
            ("_INBOX.x", TopicError::Reserved),
            ("a.*", TopicError::Wildcard('*')),
            ("a.>", TopicError::Wildcard('>')),
            ("a*.b", TopicError::MisplacedWildcard),
            ("a.>.b", TopicError::MisplacedWildcard),
            (&long, TopicError::TooLong(256)),
            (&many, TopicError::TooManyTokens(17)),
        ] {
            assert_eq!(bad.parse::<Topic>().unwrap_err(), why, "{bad}");
        }
    }

    #[test]
    fn a_pattern_matches_as_nats_does() {
        for (p, t, yes) in [
            (">", "a", true),
            (">", "a.b", true),
            ("a.>", "a", false),
            ("a.>", "a.b.c", true),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.*.c", "a.b.c", true),
            ("*.b", "a.b", true),
            ("*", "a.b", false),
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
        ] {
            assert_eq!(pattern(p).matches(&t.parse().unwrap()), yes, "{p} {t}");
        }
    }

    #[test]
    fn covering_is_a_subset_test_and_overlap_an_intersection_test() {
        for (a, b, covers, overlaps) in [
            (">", "a.*", true, true),
            ("a.*", ">", false, true),
            ("a.*", "a.>", false, true),
            ("a.>", "a.*", true, true),
            ("*.b", "a.*", false, true),
            ("a.b", "a.b", true, true),
            ("a.*", "b.*", false, false),
            ("a.*", "a.*.c", false, false),
            ("*", "*", true, true),
            ("*", ">", false, true),
        ] {
            assert_eq!(pattern(a).covers(&pattern(b)), covers, "{a} covers {b}");
            assert_eq!(pattern(a).overlaps(&pattern(b)), overlaps, "{a} overlaps {b}");
        }
    }

    #[test]
    fn a_prefix_is_taken_off_token_by_token() {
        for (p, prefix, below) in [
            (">", "acme", Some(">")),
            ("acme.>", "acme", Some(">")),
            ("acme.prices.*", "acme", Some("prices.*")),
            ("*.prices", "acme", Some("prices")),
            ("other.>", "acme", None),
            ("acme", "acme", None),
            ("a.b.c", "a.b", Some("c")),
            ("a.b", "", Some("a.b")),
        ] {
            assert_eq!(pattern(p).below(prefix).map(|p| p.to_string()).as_deref(), below, "{p} {prefix}");
        }
    }

    #[test]
    fn a_filter_is_a_topic_or_a_pattern() {
        assert!(matches!("a.b".parse(), Ok(Filter::Topic(_))));
        assert!(matches!("a.*".parse(), Ok(Filter::Pattern(_))));
        let matches = |filter: &str, topic| filter.parse::<Filter>().unwrap().matches_str(topic);
        assert!(matches("a.*", "a.x") && !matches("a.*", "b.x"));
        assert!(matches("a.b", "a.b") && !matches("a.b", "a.x"));
    }
}
