//! Patterns by their tokens: which of many match a subject, in one walk.

use std::collections::HashMap;

/// Holds one number per pattern. Bounded by the patterns put in; at most 16 tokens deep.
#[derive(Debug, Default)]
pub(super) struct Trie {
    named: HashMap<Box<str>, Trie>,
    any: Option<Box<Trie>>,
    /// The pattern that goes on with `>` here.
    rest: Option<usize>,
    /// The pattern that ends here.
    end: Option<usize>,
}

impl Trie {
    /// Puts a pattern in.
    pub(super) fn insert(&mut self, pattern: &str, value: usize) {
        let mut node = self;
        for token in pattern.split('.') {
            node = match token {
                ">" => {
                    node.rest = Some(value);
                    return;
                }
                "*" => node.any.get_or_insert_default(),
                named => node.named.entry(named.into()).or_default(),
            };
        }
        node.end = Some(value);
    }

    /// Takes a pattern out, with the branches nobody needs any more.
    pub(super) fn remove(&mut self, pattern: &str) {
        let (token, rest) = match pattern.split_once('.') {
            Some((token, rest)) => (token, Some(rest)),
            None => (pattern, None),
        };
        let take = |node: &mut Trie| {
            match rest {
                Some(rest) => node.remove(rest),
                None => node.end = None,
            }
            node.is_empty()
        };
        match token {
            ">" => self.rest = None,
            "*" => {
                if self.any.as_deref_mut().is_some_and(take) {
                    self.any = None;
                }
            }
            named => {
                if self.named.get_mut(named).is_some_and(take) {
                    self.named.remove(named);
                }
            }
        }
    }

    /// Adds the numbers of all patterns that match the subject to `out`.
    pub(super) fn matches(&self, subject: &str, out: &mut Vec<usize>) {
        out.extend(self.rest);
        let (token, rest) = match subject.split_once('.') {
            Some((token, rest)) => (token, Some(rest)),
            None => (subject, None),
        };
        for next in self.named.get(token).into_iter().chain(self.any.as_deref()) {
            match rest {
                Some(rest) => next.matches(rest, out),
                None => out.extend(next.end),
            }
        }
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.any.is_none() && self.rest.is_none() && self.end.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::Trie;
    use crate::api::Pattern;

    const PATTERNS: [&str; 8] = [">", "a.>", "a.*", "*.b", "a.b", "*", "a.*.c", "*.*.>"];

    #[test]
    fn it_finds_what_each_pattern_alone_would_match() {
        let mut trie = Trie::default();
        for (value, pattern) in PATTERNS.iter().enumerate() {
            trie.insert(pattern, value);
        }
        for subject in ["a", "b", "a.b", "b.b", "a.b.c", "a.x.c", "x.y.z.w"] {
            let mut found = Vec::new();
            trie.matches(subject, &mut found);
            found.sort_unstable();
            let expected: Vec<_> = (0..PATTERNS.len())
                .filter(|value| PATTERNS[*value].parse::<Pattern>().unwrap().matches_str(subject))
                .collect();
            assert_eq!(found, expected, "{subject}");
        }
    }

    #[test]
    fn nothing_remains_of_patterns_taken_out() {
        let mut trie = Trie::default();
        for pattern in PATTERNS {
            trie.insert(pattern, 0);
        }
        for pattern in PATTERNS {
            assert!(!trie.is_empty());
            trie.remove(pattern);
        }
        assert!(trie.is_empty());
    }
}
