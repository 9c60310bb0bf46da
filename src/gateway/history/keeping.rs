//! How much is kept of each topic where topics are in memory.

use super::Window;
use crate::api::{Pattern, TopicGatewaySpec};

/// Bytes of frames that a message may have on average; larger ones leave room for fewer.
const MESSAGE_BYTES: usize = 1024;
/// Messages kept where no rule says otherwise.
const MESSAGES: usize = 1000;

/// What the rules of a resource say; the first match wins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keeping {
    rules: Vec<(Pattern, usize)>,
}

impl Keeping {
    /// What the resource says.
    pub fn new(spec: &TopicGatewaySpec) -> Self {
        let messages = |count: i32| usize::try_from(count).unwrap_or(MESSAGES);
        let rules = spec.topics.iter().map(|rule| (rule.pattern.clone(), messages(rule.history_messages)));
        Self { rules: rules.collect() }
    }

    /// What is kept of this topic: 1000 messages without a rule, and 1 KiB for each, at least 1 MiB.
    pub fn window(&self, topic: &str) -> Window {
        let rule = self.rules.iter().find(|(pattern, _)| pattern.matches_str(topic));
        let messages = rule.map_or(MESSAGES, |(_, messages)| *messages);
        Window { messages, bytes: messages.max(1024) * MESSAGE_BYTES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_says_how_much_is_kept() {
        let spec = serde_json::json!({"backbone": {"memory": {}}, "topics": [
            {"pattern": "a.b", "historyMessages": 5},
            {"pattern": "a.*", "historyMessages": 10_000},
            {"pattern": "c"},
        ]});
        let keeping = Keeping::new(&serde_json::from_value(spec).unwrap());
        for (topic, messages, bytes) in [
            ("a.b", 5, 1_048_576),
            ("a.c", 10_000, 10_240_000),
            ("c", 1000, 1_048_576),
            ("other", 1000, 1_048_576),
        ] {
            assert_eq!(keeping.window(topic), Window { messages, bytes }, "{topic}");
        }
    }
}
