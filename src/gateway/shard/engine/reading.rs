//! What one connection reads of history, without the reading itself.

use std::sync::Arc;

use super::{connection::Lag, lagging::SHARE_BYTES, ledger::Ledger, table::SubSocket};
use crate::{
    api::{Seq, Topic},
    gateway::{
        history::{Page, Start},
        planted::{Flaw, planted},
        protocol::{command::Id, event, session::CatchUp},
    },
};

/// Pages that one connection may have asked for or not sent yet: at most half a mebibyte, or two large messages.
const PAGES: usize = 2;
/// Everything one connection reads. Bounded by its subscriptions and [`REPLAYS`](super::history::REPLAYS).
#[derive(Debug, Default)]
pub(super) struct Readings {
    pub(super) list: Vec<Reading>,
}

/// One topic's history on its way to one connection.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) ticket: u32,
    pub(super) topic: Topic,
    pub(super) purpose: Purpose,
    /// The subscription that waits for it; none for the replay of a topic that is not subscribed to.
    pub(super) live: Option<Live>,
    pub(super) stage: Stage,
    /// Where the next page begins.
    pub(super) start: Start,
    /// Number of the last message sent, or the position that the history begins after.
    pub(super) sent: Seq,
    /// Which life its topic was in when it began, where there is a subscription.
    pub(super) life_then: u32,
}

/// Where the subscription that waits goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live {
    pub(super) index: u32,
    /// Position that was reached before; for a replay, which is no part of what is live.
    pub(super) reached: Seq,
    /// Position that the cursor stands at.
    pub(super) splice: Seq,
}

#[derive(Debug)]
pub(super) enum Purpose {
    /// To begin a subscription: answered with the first page.
    Subscribe { id: Option<Id>, wanted: CatchUp },
    /// To go on with a subscription.
    Continue,
    /// To be sent as a ledger says.
    Deliver,
    /// To send a part again; answered at the end.
    Replay { id: Option<Id>, from: Seq, to: Option<Seq>, complete: bool },
}

#[derive(Debug)]
pub(super) enum Stage {
    Queued,
    /// The backbone could not be read: to be asked for again in the next tick.
    Failed,
    /// Asked for up to this number.
    Asked(Option<Seq>),
    /// Read up to this number, being sent: the page, and how many of its messages are sent.
    Sending(Option<Seq>, Arc<Page>, usize),
}

impl Readings {
    /// The subscription to a sub-socket that waits for history.
    pub(super) fn live(&mut self, index: u32) -> Option<&mut Live> {
        self.list.iter_mut().filter_map(|reading| reading.live.as_mut()).find(|live| live.index == index)
    }

    /// The ticket of what has been read for a subscription and is not sent yet.
    pub(super) fn sending(&self, index: u32) -> Option<u32> {
        let of_it = |reading: &&Reading| reading.live.is_some_and(|live| live.index == index);
        let reading = self.list.iter().find(of_it)?;
        matches!(reading.stage, Stage::Sending(..)).then_some(reading.ticket)
    }

    /// Gives up what was read for a subscription.
    pub(super) fn forget(&mut self, index: u32) {
        self.list.retain(|reading| reading.live.is_none_or(|live| live.index != index));
    }

    /// What could not be read is to be asked for again.
    pub(super) fn forgive(&mut self) {
        let failed = self.list.iter_mut().filter(|reading| matches!(reading.stage, Stage::Failed));
        failed.for_each(|reading| reading.stage = Stage::Queued);
    }

    /// Gives up what was read to be sent as a ledger says; a replay goes on.
    pub(super) fn forget_deliveries(&mut self, index: u32) {
        let own = |reading: &Reading| reading.live.is_some_and(|live| live.index == index);
        self.list.retain(|reading| !(own(reading) && matches!(reading.purpose, Purpose::Deliver)));
    }

    pub(super) fn get(&mut self, ticket: u32) -> Option<&mut Reading> {
        self.list.iter_mut().find(|reading| reading.ticket == ticket)
    }

    pub(super) fn take(&mut self, ticket: u32) -> Option<Reading> {
        let at = self.list.iter().position(|reading| reading.ticket == ticket)?;
        Some(self.list.remove(at))
    }

    /// The next one to be asked for, if there is room for its page. A topic is read once at a time.
    pub(super) fn next(&mut self) -> Option<&mut Reading> {
        let busy = self.list.iter().filter(|reading| !matches!(reading.stage, Stage::Queued)).count();
        if busy >= PAGES {
            return None;
        }
        let free = |at: usize| self.list[..at].iter().all(|earlier| earlier.topic != self.list[at].topic);
        let next =
            (0..self.list.len()).find(|at| matches!(self.list[*at].stage, Stage::Queued) && free(*at))?;
        self.list.get_mut(next)
    }

    /// Makes what is live wait for the end of a replay that began before the subscription.
    pub(super) fn join(&mut self, topic: &Topic, live: Live) -> bool {
        let apart = self.list.iter_mut().find(|reading| reading.live.is_none() && reading.topic == *topic);
        let Some(Reading { purpose: Purpose::Replay { to, .. }, live: own, .. }) = apart else {
            return false;
        };
        (*own, *to) = (Some(live), Some(to.map_or(live.splice, |to| to.min(live.splice))));
        true
    }
}

impl Reading {
    /// Whether a subscription with a ledger begins with what was asked for before its topic began anew.
    pub(super) fn is_outdated(&self, socket: &SubSocket) -> bool {
        let begins = matches!(self.purpose, Purpose::Subscribe { .. });
        begins && socket.is_acknowledged() && socket.life != self.life_then
    }

    /// Last message to be read.
    pub(super) fn until(&self) -> Option<Seq> {
        match self.purpose {
            Purpose::Replay { to, .. } => to,
            Purpose::Deliver => self.live.map(|live| live.splice),
            _ => self.live.map(|live| {
                let (more, less) = (planted(Flaw::SpliceDoubles), planted(Flaw::SpliceMisses));
                (live.splice + u64::from(more)).saturating_sub(less.into())
            }),
        }
    }
}

/// What is left of a page.
pub(super) enum Rest {
    Some,
    /// Nothing may be sent before an acknowledgement comes.
    Waits,
    /// Read up to this number, of which there may be more.
    None {
        read: Option<Seq>,
        more: bool,
    },
}

impl Reading {
    /// Puts a share of the page on its way, as far as the ledger lets it; returns how many messages.
    pub(super) fn put(&mut self, mut ledger: Option<&mut Ledger>, due: u64, lag: &mut Lag) -> (u64, Rest) {
        // The end may have come nearer since the page was read.
        let until = self.until().unwrap_or(Seq::MAX);
        let Stage::Sending(read, page, next) = &mut self.stage else { return (0, Rest::Waits) };
        let end = page.messages.partition_point(|message| message.seq <= until);
        let mut messages = 0;
        while let Some(message) = page.messages[..end].get(*next) {
            if lag.carry.len() as u64 >= SHARE_BYTES {
                return (messages, Rest::Some);
            }
            let wanted = match &mut ledger {
                None => true,
                Some(ledger) if !ledger.has_room() => return (messages, Rest::Waits),
                Some(ledger) => {
                    lag.carried.extend(message.published.filter(|_| ledger.is_first(message.seq)));
                    ledger.send(message.seq, event::message_id(&message.frame).as_deref(), due)
                }
            };
            if wanted {
                lag.carry.extend_from_slice(&message.frame);
                messages += 1;
            }
            (self.sent, *next) = (message.seq, *next + 1);
        }
        (messages, Rest::None { read: *read, more: page.more && end == page.messages.len() })
    }
}
