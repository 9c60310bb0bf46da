//! Publishes that wait for the stream to say that it has them.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use async_nats::Message;
use tokio::sync::oneshot;

use super::wire::PubAck;
use crate::{
    api::Topic,
    gateway::backbone::{PublishError, Published, nats::barrier::CONFIRM},
};

/// Publishes under way, by the number in the subject that the answer comes to. Bounded by the owner, who asks
/// [`Acks::waiting`].
#[derive(Debug)]
pub(crate) struct Acks {
    stream: String,
    last: u64,
    by_id: HashMap<u64, Waiting>,
    /// In the order of their deadlines.
    deadlines: VecDeque<(u64, Instant)>,
}

#[derive(Debug)]
struct Waiting {
    topic: Topic,
    reply: oneshot::Sender<Result<Published, PublishError>>,
}

impl Acks {
    pub(crate) fn new(stream: &str) -> Self {
        Self { stream: stream.into(), last: 0, by_id: HashMap::new(), deadlines: VecDeque::new() }
    }

    /// Waits for an answer: answers its number.
    pub(crate) fn wait(
        &mut self,
        topic: Topic,
        reply: oneshot::Sender<Result<Published, PublishError>>,
        now: Instant,
    ) -> u64 {
        self.last += 1;
        self.by_id.insert(self.last, Waiting { topic, reply });
        self.deadlines.push_back((self.last, now + CONFIRM));
        self.last
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.by_id.len()
    }

    /// An answer has come.
    pub(crate) fn arrived(&mut self, id: &str, answer: &Message) {
        let Some(Waiting { topic, reply }) = id.parse().ok().and_then(|id: u64| self.by_id.remove(&id))
        else {
            return;
        };
        // Nobody waits any more: the message is published all the same.
        let _ = reply.send(outcome(&self.stream, &topic, answer));
    }

    /// One that could not be sent.
    pub(crate) fn fail(&mut self, id: u64, error: PublishError) {
        if let Some(Waiting { reply, .. }) = self.by_id.remove(&id) {
            let _ = reply.send(Err(error));
        }
    }

    /// NATS refuses publishes to this topic.
    pub(crate) fn refuse(&mut self, meant: impl Fn(&Topic) -> bool, error: &PublishError) {
        for (_, waiting) in self.by_id.extract_if(|_, waiting| meant(&waiting.topic)) {
            let _ = waiting.reply.send(Err(error.clone()));
        }
    }

    /// Those that have waited too long wait no more.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((id, _)) = self.deadlines.pop_front_if(|(_, deadline)| *deadline <= now) {
            let text = format!("the stream {:?} did not answer within 5 s", self.stream);
            self.fail(id, PublishError::Unavailable(text.into()));
        }
    }

    /// Nobody waits any more.
    pub(crate) fn fail_all(&mut self, reason: &'static str) {
        self.deadlines.clear();
        for (_, waiting) in self.by_id.drain() {
            let _ = waiting.reply.send(Err(PublishError::Unavailable(reason.into())));
        }
    }
}

fn outcome(stream: &str, topic: &Topic, answer: &Message) -> Result<Published, PublishError> {
    if answer.status.is_some_and(|status| status.as_u16() == 503) {
        let text = format!(
            "no stream takes in what is published to {topic}: create the stream {stream:?}, or set \
             backbone.nats.jetStream.manage"
        );
        return Err(PublishError::Unavailable(text.into()));
    }
    let ack: PubAck = serde_json::from_slice(&answer.payload).map_err(|_| {
        PublishError::Unavailable(
            "something else than the stream has answered: publish to another topic".into(),
        )
    })?;
    match ack.error {
        None => Ok(Published { seq: Some(ack.seq), duplicate: ack.duplicate, remembered: true }),
        // Its leader is being chosen, or it has no room: both may pass.
        Some(error) if error.code >= 500 => {
            let text = format!(
                "the stream {stream:?} does not take it now ({}); if that lasts, raise the stream's limits",
                error.description
            );
            Err(PublishError::Unavailable(text.into()))
        }
        Some(error) => {
            let text = format!(
                "the stream {stream:?} refuses the message ({}): change the message or the stream's limits",
                error.description
            );
            Err(PublishError::Refused(text))
        }
    }
}
