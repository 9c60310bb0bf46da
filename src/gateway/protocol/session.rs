//! What one connection may do: decides each command, or answers it where no table of the shard is needed.

mod decide;
mod decision;
pub mod rules;

use std::sync::Arc;

pub use decision::{Acknowledged, Beginning, CatchUp, Decision, Held, Policy, Reached};
pub use rules::Refusal;

use super::{
    CloseCode, ErrorCode,
    command::{self, Envelope, Id, Rejection},
    event,
    rate::{Bucket, Rate},
};
use crate::{api::MAX_TOPIC_BYTES, gateway::access::Identity};

/// Errors a connection may cause: 256 at once, then 16 per second; one more closes it with 4429.
const ERRORS: Rate = Rate::new(16, 256);

/// One connection's identity and rates.
#[derive(Debug)]
pub struct Session {
    identity: Option<Arc<Identity>>,
    publishes: Bucket,
    subscribes: Bucket,
    errors: Bucket,
}

type Decided = Result<Decision, Refusal>;

impl Session {
    /// A connection's session. `identity` is that of a token in the URL or a header, or the anonymous one where
    /// the policy admits it.
    pub fn new(identity: Option<Arc<Identity>>) -> Self {
        let full = Bucket::default();
        Self { identity, publishes: full, subscribes: full, errors: full }
    }

    /// Who it is, once known.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// A token was accepted; replaces whoever it was before.
    pub fn authenticated(&mut self, identity: Arc<Identity>) {
        self.identity = Some(identity);
    }

    /// Decides one text frame. What is refused or answered here has its frame appended to `out` (`Answered`, `Refused`);
    /// everything else is the shard's to do and to answer. An answer has at most 4 KiB.
    ///
    /// A setup while another's token is being checked is decided like the first. The shard keeps one check in
    /// flight per connection and leaves what the client sends meanwhile undecoded: answers stay in order, and a
    /// `subscribe` right behind `setup` is not told `AUTH_REQUIRED`.
    pub fn command(
        &mut self,
        frame: &str,
        held: &dyn Held,
        now_ms: u64,
        policy: &Policy,
        out: &mut Vec<u8>,
    ) -> Decision {
        let (id, decided) = match command::parse(frame) {
            Ok(Envelope { id, command }) => {
                let decided = self.decide(id.clone(), command, held, now_ms, policy, out);
                (id, decided)
            }
            Err(Rejection { id, topic, message }) => {
                (id, Err(Refusal { code: ErrorCode::BadRequest, message, topic, later: false }))
            }
        };
        self.tell(id.as_ref(), decided, now_ms, out)
    }

    /// Decides the subscription to one topic that did not come as `subscribe`: from `setup`, `resume` or the URL.
    /// Answers as [`Session::command`] does, without an id. Takes nothing from the rate: the `setup` did.
    pub fn subscribe(
        &mut self,
        topic: &str,
        catch_up: Option<CatchUp>,
        held: &dyn Held,
        now_ms: u64,
        policy: &Policy,
        out: &mut Vec<u8>,
    ) -> Decision {
        let decided = self.may_subscribe(None, topic, catch_up, held, policy);
        self.tell(None, decided, now_ms, out)
    }

    /// Counts an error that the shard tells the client itself (a refused token); `Some`: one too many, close.
    pub fn errored(&mut self, now_ms: u64) -> Option<Decision> {
        (!self.errors.take(ERRORS, now_ms)).then_some(Decision::Close {
            code: CloseCode::TooFast,
            reason: "too many refused commands: wait before reconnecting",
        })
    }

    fn tell(&mut self, id: Option<&Id>, decided: Decided, now_ms: u64, out: &mut Vec<u8>) -> Decision {
        match decided {
            Ok(decision) => decision,
            Err(Refusal { code, message, topic, later }) => self.errored(now_ms).unwrap_or_else(|| {
                // A topic too long to be one is not echoed, so that answers stay small.
                let topic = topic.as_deref().filter(|topic| topic.len() <= MAX_TOPIC_BYTES);
                event::error(out, id, code, &message, topic, later.then_some(true));
                Decision::Refused(code)
            }),
        }
    }
}

#[cfg(test)]
mod tests;
