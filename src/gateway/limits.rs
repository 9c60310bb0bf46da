//! Admission: how many connections the gateway takes, in all, per user and per second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::api::Limits;

/// Counts connections. One per gateway, shared by the accept loop and the shards.
#[derive(Debug)]
pub struct Admission {
    state: Mutex<State>,
}

/// Bounded by the open connections: a user without one is not held.
#[derive(Debug, Default)]
struct State {
    limits: Limits,
    /// Open files that connections may take.
    files: u64,
    connections: u64,
    /// Files that connections take beyond one each.
    more_files: u64,
    users: HashMap<Arc<str>, u32>,
    second: u64,
    in_second: u32,
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// `limits.connections` are open.
    #[error("this gateway is at its limit of connections: try again later")]
    Connections,
    /// `limits.connectionsPerSecond` have come within this second.
    #[error("too many new connections in this second: try again later")]
    Rate,
}

impl Denied {
    /// After how many seconds it is worth another try.
    pub fn seconds(self) -> u8 {
        match self {
            Self::Rate => 1,
            Self::Connections => 5,
        }
    }
}

/// Open files of a connection that takes more than one; given back when it is dropped.
#[derive(Debug)]
pub struct Files {
    admission: Arc<Admission>,
    count: u64,
}

/// One connection's place among all; given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    admission: Arc<Admission>,
    user: Option<Arc<str>>,
}

impl Admission {
    /// Admission under these limits and with so many open files: one for each connection, and what is asked for by
    /// [`Admission::take_files`].
    pub fn new(limits: &Limits, files: u64) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { limits: limits.clone(), files, ..State::default() }) })
    }

    /// The limits that hold now.
    pub fn limits(&self) -> Limits {
        self.lock().limits.clone()
    }

    /// Takes files for a connection beside the one that its seat stands for.
    pub fn take_files(self: &Arc<Self>, count: u64) -> Result<Files, Denied> {
        let mut state = self.lock();
        if state.connections + state.more_files + count > state.files {
            return Err(Denied::Connections);
        }
        state.more_files += count;
        Ok(Files { admission: self.clone(), count })
    }

    /// Other limits hold from now on. Who is in stays in.
    pub fn limit(&self, limits: Limits) {
        self.lock().limits = limits;
    }

    /// Takes a seat; `second` is any monotonic count of seconds.
    pub fn admit(self: &Arc<Self>, second: u64) -> Result<Seat, Denied> {
        let mut state = self.lock();
        if reached(state.limits.connections, state.connections)
            || state.connections + state.more_files >= state.files
        {
            return Err(Denied::Connections);
        }
        if state.second != second {
            (state.second, state.in_second) = (second, 0);
        }
        if reached(state.limits.connections_per_second, state.in_second.into()) {
            return Err(Denied::Rate);
        }
        state.in_second += 1;
        state.connections += 1;
        Ok(Seat { admission: self.clone(), user: None })
    }

    /// Open connections.
    pub fn connections(&self) -> u64 {
        self.lock().connections
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Counts the connection as this user's; `false` if the user is at `limits.connectionsPerUser`.
    pub fn claim(&mut self, user: &Arc<str>) -> bool {
        if self.user.as_ref() == Some(user) {
            return true;
        }
        let mut state = self.admission.lock();
        let count = state.users.get(user).copied().unwrap_or(0);
        if reached(state.limits.connections_per_user, count.into()) {
            return false;
        }
        state.users.insert(user.clone(), count + 1);
        if let Some(old) = self.user.replace(user.clone()) {
            release(&mut state, &old);
        }
        true
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.admission.lock().more_files -= self.count;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        state.connections -= 1;
        if let Some(user) = self.user.take() {
            release(&mut state, &user);
        }
    }
}

fn release(state: &mut State, user: &Arc<str>) {
    if let Some(count) = state.users.get_mut(user) {
        *count -= 1;
        if *count == 0 {
            state.users.remove(user);
        }
    }
}

fn reached(limit: i32, count: u64) -> bool {
    u64::try_from(limit).is_ok_and(|limit| limit != 0 && count >= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_given_back_when_dropped() {
        let admission = Admission::new(&Limits { connections: 1, ..Limits::default() }, 100);
        let seat = admission.admit(0).unwrap();
        assert_eq!(admission.admit(0).unwrap_err(), Denied::Connections);
        drop(seat);
        assert_eq!(admission.connections(), 0);
        assert!(admission.admit(0).is_ok());
    }

    #[test]
    fn the_rate_counts_within_one_second() {
        let admission = Admission::new(&Limits { connections_per_second: 1, ..Limits::default() }, 100);
        let _first = admission.admit(5).unwrap();
        assert_eq!(admission.admit(5).unwrap_err(), Denied::Rate);
        assert!(admission.admit(6).is_ok());
    }

    #[test]
    fn a_lower_limit_turns_newcomers_away_and_nobody_out() {
        let admission = Admission::new(&Limits { connections: 3, ..Limits::default() }, 100);
        let (ann, first) = (Arc::from("ann"), admission.admit(0).unwrap());
        let mut second = admission.admit(0).unwrap();
        admission.limit(Limits { connections: 1, connections_per_user: 1, ..Limits::default() });
        assert_eq!(admission.admit(0).unwrap_err(), Denied::Connections);
        assert_eq!(admission.connections(), 2);
        drop(first);
        assert!(admission.admit(0).is_err() && second.claim(&ann));
        admission.limit(Limits::default());
        let mut third = admission.admit(0).unwrap();
        assert!(third.claim(&ann), "no limit of connections per user any more");
    }

    #[test]
    fn whoever_takes_more_files_leaves_room_for_fewer() {
        let admission = Admission::new(&Limits::default(), 4);
        let (_stream, files) = (admission.admit(0).unwrap(), admission.take_files(2).unwrap());
        let _last = admission.admit(0).unwrap();
        assert_eq!(admission.admit(0).unwrap_err(), Denied::Connections);
        assert_eq!(admission.take_files(1).unwrap_err(), Denied::Connections);
        assert_eq!(admission.connections(), 2);
        drop(files);
        assert!(admission.admit(0).is_ok() && admission.take_files(2).is_ok());
    }

    #[test]
    fn a_user_has_its_own_limit_and_changing_user_frees_the_old_place() {
        let admission = Admission::new(&Limits { connections_per_user: 1, ..Limits::default() }, 100);
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        let (mut one, mut two) = (admission.admit(0).unwrap(), admission.admit(0).unwrap());
        assert!(one.claim(&ann) && one.claim(&ann));
        assert!(!two.claim(&ann));
        assert!(one.claim(&bob));
        assert!(two.claim(&ann));
        drop((one, two));
        assert!(admission.state.lock().unwrap().users.is_empty());
    }
}
