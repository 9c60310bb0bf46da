//! YAML text into trees that know their lines. JSON is YAML too.

mod scalar;

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::Value;

pub(in crate::api) use scalar::resolve;

/// Largest file that is read, in bytes: what an API server takes in one request.
const MAX_BYTES: usize = 3 * 1024 * 1024;
/// Deepest nesting; the resource needs 8.
const MAX_DEPTH: usize = 64;
/// Most nodes of one file with its aliases put in; a text counts one more per 64 bytes.
const MAX_WEIGHT: usize = 200_000;

/// A value and the line it begins on (a field's value: the line of its key).
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) struct Node {
    /// Line in the file, from 1.
    pub(in crate::api) line: usize,
    /// The value.
    pub(in crate::api) kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::api) enum Kind {
    /// A text as it stands; `plain` without quotes, so that `yes` or `1` may mean something else.
    Scalar { text: String, plain: bool },
    /// A sequence.
    List(Vec<Node>),
    /// Fields in the order of the file, each name once.
    Map(Vec<(String, Node)>),
}

/// A value that comes from no file: all of it is on line 1.
impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        let plain = |text: String| Kind::Scalar { text, plain: true };
        let kind = match value {
            Value::Null => plain("null".into()),
            Value::Bool(value) => plain(value.to_string()),
            Value::Number(number) => plain(number.to_string()),
            Value::String(text) => Kind::Scalar { text: text.clone(), plain: false },
            Value::Array(items) => Kind::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                Kind::Map(fields.iter().map(|(name, value)| (name.clone(), value.into())).collect())
            }
        };
        Self { line: 1, kind }
    }
}

/// Why a text is no YAML: line and message.
pub(in crate::api) type Failure = (usize, String);

/// The documents of a text, empty ones left out, and what is wrong with it. What stands before an error
/// is given too.
pub(in crate::api) fn documents(text: &str) -> (Vec<Node>, Vec<Failure>) {
    let mut found = Vec::new();
    if text.len() > MAX_BYTES {
        let message = format!("has {} bytes; keep it below {MAX_BYTES}, as an API server does", text.len());
        return (found, vec![(1, message)]);
    }
    let mut options = Options::default();
    (options.flow_nesting_limit, options.block_nesting_limit) = (MAX_DEPTH, MAX_DEPTH);
    let parser = Parser::new_from_str_with_options(text, options);
    let mut composer =
        Composer { text, parser, anchors: HashMap::new(), weight: 0, line: 1, slips: Vec::new() };
    let failure = composer.stream(&mut found).err();
    composer.slips.extend(failure);
    (found, composer.slips)
}

/// Bounded: all that is held by [`MAX_BYTES`] and [`MAX_WEIGHT`].
struct Composer<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    weight: usize,
    line: usize,
    /// What is wrong without making the rest unreadable.
    slips: Vec<Failure>,
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Failure> {
        loop {
            match self.parser.next_event() {
                None => return Ok(None),
                // Told or not by a feature that another crate may turn on.
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => {
                    self.line = span.start.line().max(1);
                    return Ok(Some((event, span)));
                }
                Some(Err(error)) => {
                    let line = error.marker().line().max(1);
                    let message = format!("is not YAML: {}; {}", error.info(), advice(self.text, line));
                    return Err((line, message));
                }
            }
        }
    }

    fn stream(&mut self, found: &mut Vec<Node>) -> Result<(), Failure> {
        while let Some((event, _)) = self.next()? {
            if event.is_node() {
                let node = self.node(event, 0)?;
                if !matches!(&node.kind, Kind::Scalar { text, plain } if resolve(text, *plain).is_null()) {
                    found.push(node);
                }
                self.anchors.clear();
            }
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, Failure> {
        let line = self.line;
        if depth > MAX_DEPTH {
            return Err((line, format!("is nested deeper than {MAX_DEPTH}; the resource is never so deep")));
        }
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if style == ScalarStyle::Folded && text.is_empty() {
                    self.slips
                        .push((line, "'>' without quotes begins a folded text; put it in quotes".into()));
                }
                let plain = style == ScalarStyle::Plain && !is_text(tag.as_deref());
                (Kind::Scalar { text: text.into_owned(), plain }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(id) => return self.alias(id, depth),
            _ => return Err((line, "is not YAML: a value is missing; write one".into())),
        };
        let node = Node { line, kind };
        self.weigh(1)?;
        if anchor != 0 {
            self.weigh(node.weight())?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, depth: usize) -> Result<Node, Failure> {
        let Some(node) = self.anchors.get(&id) else {
            return Err((self.line, "is an alias for something that holds it; write the value out".into()));
        };
        let (weight, deep) = (node.weight(), node.depth());
        let mut node = node.clone();
        node.line = self.line;
        self.weigh(weight)?;
        if depth + deep > MAX_DEPTH {
            return Err((
                self.line,
                format!("is nested deeper than {MAX_DEPTH} by aliases; write it flatter"),
            ));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Failure> {
        let mut items = Vec::new();
        while let Some((event, _)) = self.next()? {
            if event == Event::SequenceEnd {
                break;
            }
            if event.is_node() {
                items.push(self.node(event, depth + 1)?);
            }
        }
        Ok(Kind::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Failure> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        let mut merged = Vec::new();
        let mut names = HashSet::new();
        while let Some((event, _)) = self.next()? {
            if event == Event::MappingEnd {
                break;
            }
            if !event.is_node() {
                continue;
            }
            let key = self.node(event, depth + 1)?;
            let Kind::Scalar { text: name, plain } = key.kind else {
                return Err((key.line, "a field's name must be a text; put it in quotes".into()));
            };
            let Some((event, _)) = self.next()? else { break };
            let mut value = self.node(event, depth + 1)?;
            value.line = key.line;
            if plain && name == "<<" {
                merged.push(value);
            } else if names.insert(name.clone()) {
                fields.push((name, value));
            } else {
                self.slips.push((key.line, format!("field {name:?} is given twice; keep one of them")));
            }
        }
        for value in merged {
            merge(&mut fields, &mut names, value)?;
        }
        Ok(Kind::Map(fields))
    }

    fn weigh(&mut self, weight: usize) -> Result<(), Failure> {
        self.weight += weight;
        if self.weight > MAX_WEIGHT {
            return Err((self.line, "is too large with its aliases put in; write less".into()));
        }
        Ok(())
    }
}

/// What to do about a line that cannot be read. Patterns without quotes are the likeliest slip.
fn advice(text: &str, line: usize) -> &'static str {
    let line = text.lines().nth(line - 1).unwrap_or_default();
    let begins_with = |signs: &[char]| {
        line.split([' ', '[', ',', '{']).any(|word| word.starts_with(signs) && !word.starts_with(">-"))
    };
    if line.trim_start_matches(' ').starts_with('\t') {
        "indent with blanks instead of tabs"
    } else if begins_with(&['*', '>']) {
        "put patterns that begin with '*' or '>' in quotes"
    } else if begins_with(&['@', '%', '`', '&', '!', '|']) {
        "put the text in quotes"
    } else {
        "mend this line or the one above it"
    }
}

/// `<<: *alias`, or a list of them: fields that are not there yet, as kubectl reads it.
fn merge(fields: &mut Vec<(String, Node)>, names: &mut HashSet<String>, value: Node) -> Result<(), Failure> {
    match value.kind {
        Kind::Map(more) => {
            fields.extend(more.into_iter().filter(|(name, _)| names.insert(name.clone())));
            Ok(())
        }
        Kind::List(items) => items.into_iter().try_for_each(|item| merge(fields, names, item)),
        Kind::Scalar { .. } => Err((value.line, "'<<' merges fields; give it an alias of a mapping".into())),
    }
}

fn is_text(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"))
}

impl Node {
    /// The field with this name.
    pub(in crate::api) fn get(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(fields) => fields.iter().find(|(known, _)| known == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The text of the field with this name.
    pub(in crate::api) fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    fn children(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        match &self.kind {
            Kind::Scalar { .. } => Box::new(std::iter::empty()),
            Kind::List(items) => Box::new(items.iter()),
            Kind::Map(fields) => Box::new(fields.iter().map(|(_, node)| node)),
        }
    }

    fn weight(&self) -> usize {
        let own = match &self.kind {
            Kind::Scalar { text, .. } => 1 + text.len() / 64,
            _ => 1,
        };
        own + self.children().map(Node::weight).sum::<usize>()
    }

    fn depth(&self) -> usize {
        self.children().map(|node| 1 + node.depth()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
