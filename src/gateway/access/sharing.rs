//! Grants that many clients have alike are kept once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::Grants;

/// Different grants that are remembered: more than most resources have kinds of clients. With more kinds some
/// are kept several times, and nothing else changes.
const KINDS: usize = 64;

/// The grants given last, as long as somebody has them.
#[derive(Debug, Default)]
pub(super) struct Given(Mutex<VecDeque<Weak<Grants>>>);

impl Given {
    /// The same grants, shared with whoever was given them lately. Takes at most [`KINDS`] comparisons.
    pub(super) fn share(&self, grants: Grants) -> Arc<Grants> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        given.retain(|known| {
            let Some(known) = known.upgrade() else { return false };
            if found.is_none() && *known == grants {
                found = Some(known);
            }
            true
        });
        found.unwrap_or_else(|| {
            let grants = Arc::new(grants);
            if given.len() == KINDS {
                given.pop_front();
            }
            given.push_back(Arc::downgrade(&grants));
            grants
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(topic: &str) -> Grants {
        Grants { subscribe: vec![topic.parse().unwrap()], ..Grants::default() }
    }

    #[test]
    fn equal_grants_are_one_as_long_as_somebody_has_them() {
        let given = Given::default();
        let (first, other) = (given.share(grants("a")), given.share(grants("b")));
        assert!(Arc::ptr_eq(&first, &given.share(grants("a"))) && !Arc::ptr_eq(&first, &other));
        drop((first, other));
        given.share(grants("c"));
        assert_eq!(given.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn more_kinds_than_are_remembered_are_kept_all_the_same() {
        let given = Given::default();
        let all: Vec<_> = (0..2 * KINDS).map(|n| given.share(grants(&format!("t{n}")))).collect();
        assert_eq!(given.0.lock().unwrap().len(), KINDS);
        assert!(all.iter().enumerate().all(|(n, own)| **own == grants(&format!("t{n}"))));
    }
}
