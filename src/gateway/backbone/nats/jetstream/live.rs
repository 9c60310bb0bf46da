//! A topic that is followed.

use super::{
    sequencer::{Sequencer, Step},
    wire::Stored,
};
use crate::{
    api::{Seq, Topic},
    gateway::{
        backbone::nats::router::{Numbered, Router},
        history::{Tail, Window},
    },
};

/// What is kept of each topic for those who come back.
pub(crate) const KEPT: Window = Window { messages: 2_048, bytes: 2 * 1024 * 1024 };

/// A topic with its order and its newest messages.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) topic: Topic,
    pub(crate) order: Sequencer<Stored>,
    /// Its position is being asked for.
    pub(crate) opening: bool,
    /// The newest messages, as they were sent.
    pub(crate) tail: Tail,
    /// Number of the newest message that the stream has, and that may be on its way.
    pub(crate) expected: Seq,
    /// It is among those whose newest messages are being compared.
    pub(crate) compared: bool,
}

impl Live {
    /// A topic whose position is being asked for.
    pub(crate) fn opening(topic: Topic) -> Self {
        Self {
            topic,
            order: Sequencer::opening(),
            opening: true,
            tail: Tail::default(),
            expected: 0,
            compared: false,
        }
    }

    /// A topic that came by a pattern, of which everything behind `base` is wanted.
    pub(crate) fn from(topic: Topic, base: Seq) -> Self {
        let (order, tail) = (Sequencer::at(base, false), Tail::at(base));
        Self { topic, order, opening: false, tail, expected: 0, compared: false }
    }

    /// Sends a message to those who were aimed at, and keeps it.
    pub(crate) fn send(&mut self, router: &mut Router, message: &Numbered<'_>) {
        let mut kept = router.stored(&self.topic, message);
        // Where the stream does not know any more which one was before, nothing can be said to be kept before this.
        kept.prev = kept.prev.max(self.tail.head());
        self.tail.push(kept, KEPT);
    }

    /// Does what the order has brought forth.
    pub(crate) fn follow(&mut self, router: &mut Router, steps: &mut Vec<Step<Stored>>) {
        for step in steps.drain(..) {
            match step {
                Step::Message { prev, message, .. } => {
                    if router.aim(None, self.topic.as_str()) {
                        self.send(router, &message.after(prev));
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
