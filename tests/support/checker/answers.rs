//! Every command with an `id` is answered exactly once, by a frame of its own type or an error.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{
    frames::text,
    history::{Nanos, Seq},
    report::Rule,
};

/// A command that was sent.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) kind: String,
    pub(super) topic: String,
    pub(super) at: Nanos,
    /// Its place among the commands of its connection.
    pub(super) order: usize,
}

/// The commands of one connection.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: HashMap<String, Command>,
    answered: HashSet<String>,
    sent: usize,
    /// The latest command of which an answer has come: those before it have been received too.
    newest: Option<usize>,
}

impl Answers {
    /// A command is sent; gives its place.
    pub(super) fn sent(&mut self, command: &Value, at: Nanos) -> usize {
        self.sent += 1;
        let kind = text(command, "type");
        if let Some(id) = command.get("id").filter(|_| kind != "ack") {
            let (kind, topic) = (kind.to_owned(), text(command, "topic").to_owned());
            let id = id.to_string();
            self.answered.remove(&id);
            self.waiting.insert(id, Command { kind, topic, at, order: self.sent });
        }
        self.sent
    }

    /// A frame came; gives the command that it answers.
    pub(super) fn received(&mut self, frame: &Value) -> Result<Option<Command>, String> {
        let Some(id) = frame.get("id").map(Value::to_string) else { return Ok(None) };
        let kind = text(frame, "type");
        let Some(command) = self.waiting.remove(&id) else {
            let again = if self.answered.contains(&id) { "a second" } else { "no command asks for this" };
            return Err(format!("{again} answer: `{kind}` with id {id}"));
        };
        self.answered.insert(id);
        self.newest = self.newest.max(Some(command.order));
        if kind != "error" && kind != answer_to(&command.kind) {
            return Err(format!("`{kind}` as the answer to `{}`", command.kind));
        }
        Ok(Some(command))
    }

    /// The gateway has surely read the command at this place.
    pub(super) fn surely_read(&self, order: usize) -> bool {
        self.newest > Some(order)
    }

    /// What is not answered of what was sent up to then.
    pub(super) fn unanswered(&self, until: Nanos) -> Vec<&Command> {
        let mut late: Vec<_> = self.waiting.values().filter(|command| command.at <= until).collect();
        late.sort_by_key(|command| command.order);
        late
    }
}

fn answer_to(kind: &str) -> &'static str {
    match kind {
        "setup" | "resume" => "ready",
        "subscribe" => "subscribed",
        "unsubscribe" => "unsubscribed",
        "publish" => "ack",
        "replay" => "replayed",
        "ping" => "pong",
        _ => "error",
    }
}

/// What is wrong with one message: the rule, the number, and how.
pub(super) type Wrong = (Rule, Option<Seq>, String);
