//! Rights over time: a configuration that changes reaches those who are connected, and a token that is about to end is
//! told of.
//!
//! Everybody is judged anew when the rules have changed: some in each turn, so that messages go on meanwhile, and before
//! that whoever sends a command or is to be sent something, so that nothing is done under rules that hold no more.

use std::sync::Arc;

use super::{
    Control, Engine, Socket,
    connection::Connection,
    reading::{Purpose, Reading},
    subscriptions::{RIGHT_ENDED, may_subscribe},
};
use crate::{
    api::Filter,
    gateway::{
        access::{Access, AuthError, Identity},
        protocol::{ErrorCode, event},
        websocket::CloseCode,
    },
};

/// Longest time before its end at which a client is told that its token ends, in seconds. A token that lives for less
/// than ten times as long is told of in the last tenth of its life.
const NOTICE_SECONDS: u32 = 30;
/// Connections judged in one turn: about a millisecond.
const JUDGED_PER_TURN: usize = 256;
const NO_LONGER_ADMITTED: &str = "no longer admitted by the rules: connect with a new token";

impl<S: Socket, C: Control> Engine<S, C> {
    /// Other rules hold for whoever was let in before.
    pub(super) fn change_access(&mut self, access: Arc<Access>) {
        self.access = Some(access);
        self.unjudged = self.connections.capacity();
    }

    /// Judges some of those who were let in before.
    pub(super) fn judge_some(&mut self) {
        let rest = self.unjudged.saturating_sub(JUDGED_PER_TURN);
        for slot in rest..std::mem::replace(&mut self.unjudged, rest) {
            self.judge_anew(slot);
        }
    }

    /// Judges a connection whose turn has not come yet, for it is to be sent something now.
    pub(super) fn judge_first(&mut self, slot: usize) {
        if slot < self.unjudged {
            self.judge_anew(slot);
        }
    }

    /// The identity under the rules in force: the same, unless it was let in before they came.
    pub(super) fn judged(&self, identity: Arc<Identity>) -> Result<Arc<Identity>, AuthError> {
        match &self.access {
            Some(access) if access.is_newer_than(&identity) => access.judge_again(&identity, self.now.unix),
            _ => Ok(identity),
        }
    }

    /// Judges a connection by the rules in force, if they have changed since it was judged: it goes on, loses
    /// subscriptions, or is closed.
    pub(super) fn judge_anew(&mut self, slot: usize) {
        let Some(access) = &self.access else { return };
        let Some(connection) = self.connections.get(slot).filter(|connection| connection.is_open()) else {
            return;
        };
        let Some(identity) = connection.session.identity().filter(|identity| access.is_newer_than(identity))
        else {
            return;
        };
        let notice_at = connection.notice_at;
        match self.judged(identity.clone()) {
            Ok(identity) => {
                if self.adopt(slot, identity) {
                    // The token is the same: it is told of once.
                    self.connections[slot].notice_at = notice_at;
                    self.check_rights(slot);
                }
            }
            Err(error) => {
                self.error(slot, None, ErrorCode::AuthFailed, &error.to_string(), None);
                self.close(slot, CloseCode::Unauthenticated, NO_LONGER_ADMITTED);
            }
        }
    }

    /// Ends the replays of topics that the client may not read any more.
    pub(super) fn end_forbidden_replays(&mut self, slot: usize) {
        let Some(Connection { session, readings: Some(readings), .. }) = self.connections.get_mut(slot)
        else {
            return;
        };
        let forbidden = |reading: &mut Reading| {
            let filter = Filter::Topic(reading.topic.clone());
            matches!(reading.purpose, Purpose::Replay { .. }) && !may_subscribe(session, &filter)
        };
        let ended: Vec<_> = readings.list.extract_if(.., forbidden).collect();
        for Reading { topic, purpose, .. } in ended {
            if let Purpose::Replay { id, .. } = purpose {
                let (code, name) = (ErrorCode::AclDenied, Some(topic.as_str()));
                self.error(slot, id.as_ref(), code, RIGHT_ENDED, name);
            }
        }
    }

    /// Tells a client that its token is about to end.
    pub(super) fn give_notice(&mut self, slot: usize, second: u32) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.notice_at = 0;
        let left = connection.ends_at.saturating_sub(second);
        let message =
            format!("the token ends in {left} s and the connection with it: send setup with a new one");
        let code = ErrorCode::AuthRequired;
        event::error(&mut connection.outbox, None, code, &message, None, Some(true));
        self.counts.error(code);
        self.owing.push(slot);
    }
}

impl<S> Connection<S> {
    /// Notes when the client's token ends and when that is told, in seconds since the shard began.
    pub(super) fn ends(&mut self, expires_at: Option<u64>, second: u32, unix: u64) {
        (self.ends_at, self.notice_at) = expires_at.map_or((0, 0), |end| {
            let left = u32::try_from(end.saturating_sub(unix)).unwrap_or(u32::MAX);
            let ends_at = second.saturating_add(left).max(1);
            let notice = (left / 10).clamp(1, NOTICE_SECONDS);
            (ends_at, ends_at.saturating_sub(notice).max(1))
        });
    }
}
