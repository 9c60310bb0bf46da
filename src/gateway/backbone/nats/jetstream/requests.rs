//! Questions to the server and their answers, which all come back on the task's own subscription.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{Client, Message};
use bytes::Bytes;
use serde::Serialize;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

/// How long the server may take for each part of an answer.
const WITHIN: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// Nothing came in time.
    #[error("NATS did not answer within 5 s")]
    Late,
    /// The connection was lost meanwhile.
    #[error("the connection to NATS was lost")]
    Lost,
    /// There is nobody who could answer.
    #[error("nobody answers there")]
    Nobody,
}

/// Asks, and passes answers on to whoever asked. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    line: Line,
    /// What comes on the subjects below this is given to [`Requests::arrived`].
    inbox: Arc<str>,
    open: Arc<Mutex<Open>>,
}

/// The way of a question to the server.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    /// The connection.
    Connection(Client),
    /// A test that answers by hand: subject, where to answer to, question.
    #[cfg(test)]
    Hand(UnboundedSender<(String, String, Bytes)>),
}

impl Line {
    async fn send(&self, subject: String, reply: String, question: Bytes) -> Result<(), Unanswered> {
        match self {
            Self::Connection(client) => {
                client.publish_with_reply(subject, reply, question).await.map_err(|_| Unanswered::Lost)
            }
            #[cfg(test)]
            Self::Hand(hand) => hand.send((subject, reply, question)).map_err(|_| Unanswered::Lost),
        }
    }
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    /// Bounded by those who ask. When all fail, they do so in the order in which they asked.
    by_id: BTreeMap<u64, UnboundedSender<Message>>,
}

/// What comes in answer to one question.
#[derive(Debug)]
pub(crate) struct Answers {
    id: u64,
    /// Bounded by what was asked for.
    messages: UnboundedReceiver<Message>,
    requests: Requests,
}

impl Requests {
    /// Answers come on subjects below `inbox`.
    pub(crate) fn new(line: Line, inbox: String) -> Self {
        Self { line, inbox: inbox.into(), open: Arc::default() }
    }

    /// The same questions, and those to come, by another way.
    pub(crate) fn over(&self, line: Line) -> Self {
        Self { line, ..self.clone() }
    }

    /// Asks something.
    pub(crate) async fn ask(
        &self,
        subject: String,
        question: &impl Serialize,
    ) -> Result<Answers, Unanswered> {
        let (sender, messages) = unbounded_channel();
        let id = {
            let mut open = self.open();
            open.last += 1;
            let id = open.last;
            open.by_id.insert(id, sender);
            id
        };
        let answers = Answers { id, messages, requests: self.clone() };
        let body = serde_json::to_vec(question).unwrap_or_default();
        let sent = self.line.send(subject, format!("{}.{id}", self.inbox), body.into());
        match timeout(WITHIN, sent).await {
            Ok(sent) => sent.map(|()| answers),
            Err(_) => Err(Unanswered::Late),
        }
    }

    /// An answer has come on the subject `<inbox>.<id>`.
    pub(crate) fn arrived(&self, id: &str, message: Message) {
        if let Ok(id) = id.parse::<u64>()
            && let Some(waiting) = self.open().by_id.get(&id)
        {
            // Fails when the one who asked is about to give up.
            let _ = waiting.send(message);
        }
    }

    /// The connection is another: no answer will come any more.
    pub(crate) fn fail_all(&self) {
        self.open().by_id.clear();
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    /// The next part of the answer.
    pub(crate) async fn next(&mut self) -> Result<Message, Unanswered> {
        let message = timeout(WITHIN, self.messages.recv()).await.map_err(|_| Unanswered::Late)?;
        let message = message.ok_or(Unanswered::Lost)?;
        if message.status.is_some_and(|status| status.as_u16() == 503) {
            return Err(Unanswered::Nobody);
        }
        Ok(message)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.requests.open().by_id.remove(&self.id);
    }
}
