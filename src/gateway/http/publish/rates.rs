//! How often a user may publish over HTTP, where there is no connection to keep account on.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use crate::gateway::protocol::{
    rate::Bucket,
    session::{Refusal, rules::within_rate},
};

/// Users that are kept account of; little more than a mebibyte. One that has not published lately needs no account.
const MOST: usize = 65_536;
/// Milliseconds between two searches for accounts that need not be kept.
const SEARCH_MS: u64 = 100;

/// Accounts of those who published lately; at most 65 536.
#[derive(Debug, Default)]
pub(in crate::gateway::http) struct Rates {
    /// Users are named by a hash with a secret of this process, so that an account is small.
    hasher: RandomState,
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    buckets: HashMap<u64, Bucket>,
    searched_ms: u64,
}

impl Rates {
    /// Whose account it is: a user's, or that of an address where users have no names.
    pub(in crate::gateway::http) fn payer(&self, user: &str, address: Option<IpAddr>) -> u64 {
        self.hasher.hash_one((user, address))
    }

    /// Takes one publish from an account; `now_ms` is any monotonic count of milliseconds, `per_second` the limit that
    /// holds now (0 = none).
    pub(super) fn take(&self, payer: u64, now_ms: u64, per_second: u32, topic: &str) -> Result<(), Refusal> {
        if per_second == 0 {
            return Ok(());
        }
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bucket) = accounts.account(payer, now_ms) else {
            return Err(Refusal::too_fast(
                "too many clients publish at the moment: try again later",
                Some(topic),
            ));
        };
        within_rate(bucket, per_second, now_ms, topic)
    }
}

impl Accounts {
    fn account(&mut self, payer: u64, now_ms: u64) -> Option<&mut Bucket> {
        if self.buckets.len() >= MOST && !self.buckets.contains_key(&payer) {
            if now_ms < self.searched_ms.saturating_add(SEARCH_MS) {
                return None;
            }
            self.searched_ms = now_ms;
            self.buckets.retain(|_, bucket| !bucket.is_full(now_ms));
            if self.buckets.len() >= MOST {
                return None;
            }
        }
        Some(self.buckets.entry(payer).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_an_account_and_each_address_of_those_without_a_name() {
        let rates = Rates::default();
        let (ann, bob) = (rates.payer("ann", None), rates.payer("bob", None));
        let [here, there] = [1, 2].map(|n| rates.payer("anonymous", Some(IpAddr::from([10, 0, 0, n]))));
        for payer in [ann, bob, here, there] {
            assert!(rates.take(payer, 0, 1, "a").is_ok());
            assert!(rates.take(payer, 0, 1, "a").is_err_and(|refusal| refusal.later));
        }
        assert_eq!(ann, rates.payer("ann", None));
        assert!(rates.take(ann, 1000, 1, "a").is_ok());
    }

    #[test]
    fn without_a_limit_there_is_no_account() {
        let rates = Rates::default();
        assert!((0..10_000).all(|_| rates.take(1, 0, 0, "a").is_ok()));
        assert!(rates.accounts.lock().unwrap().buckets.is_empty());
    }

    #[test]
    fn another_limit_holds_from_the_next_publish_on() {
        let rates = Rates::default();
        assert!(rates.take(1, 0, 1, "a").is_ok() && rates.take(1, 0, 1, "a").is_err());
        assert!(rates.take(1, 1000, 5, "a").is_ok() && rates.take(1, 1000, 5, "a").is_ok());
    }

    #[test]
    fn accounts_are_bounded_and_make_room_once_they_are_full_again() {
        let rates = Rates::default();
        for payer in 0..MOST as u64 {
            assert!(rates.take(payer, 0, 10, "a").is_ok());
        }
        let newcomer = MOST as u64;
        assert!(rates.take(newcomer, 99, 10, "a").is_err_and(|refusal| refusal.later));
        assert!(rates.take(0, 99, 10, "a").is_ok(), "whoever has an account keeps it");
        assert!(rates.take(newcomer, 100, 10, "a").is_ok());
        assert!(rates.accounts.lock().unwrap().buckets.len() <= 2);
    }
}
