//! A topic that is followed.

use super::{
    sequencer::{Sequencer, Step},
    wire::Stored,
};
use crate::{
    api::{Seq, Topic},
    gateway::{
        backbone::nats::router::Router,
        history::{Kept, Tail, Window},
    },
};

/// What is kept of each topic for those who come back.
pub(super) const KEPT: Window = Window { messages: 2_048, bytes: 2 * 1024 * 1024 };

/// A topic with its order and its newest messages.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) topic: Topic,
    pub(super) order: Sequencer<Stored>,
    /// Its position is being asked for.
    pub(super) opening: bool,
    /// The newest messages, as they were sent.
    pub(super) tail: Tail,
    /// Number of the newest message that the stream has, and that may be on its way.
    pub(super) expected: Seq,
}

impl Live {
    /// A topic whose position is being asked for.
    pub(super) fn opening(topic: Topic) -> Self {
        Self { topic, order: Sequencer::opening(), opening: true, tail: Tail::default(), expected: 0 }
    }

    /// A topic that came by a pattern, of which everything behind `base` is wanted.
    pub(super) fn from(topic: Topic, base: Seq) -> Self {
        let (order, tail) = (Sequencer::at(base, false), Tail::at(base));
        Self { topic, order, opening: false, tail, expected: 0 }
    }

    /// Sends a message to those who were aimed at, and keeps it.
    pub(super) fn send(&mut self, router: &mut Router, seq: Seq, prev: Seq, id: Option<&str>, body: &[u8]) {
        let frame = router.stored(&self.topic, seq, prev, id, body);
        self.tail.push(Kept { seq, prev, frame }, KEPT);
    }

    /// Does what the order has brought forth.
    pub(super) fn follow(&mut self, router: &mut Router, steps: &mut Vec<Step<Stored>>) {
        for step in steps.drain(..) {
            match step {
                Step::Message { seq, prev, message } => {
                    if router.aim(None, self.topic.as_str()) {
                        self.send(router, seq, prev, message.id.as_deref(), &message.body);
                    }
                }
                Step::Lost(from, to) => {
                    router.gone(&self.topic, Some((from, to)), to);
                    self.tail = Tail::at(to);
                }
            }
        }
    }
}
