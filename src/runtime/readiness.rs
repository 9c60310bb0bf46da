//! Whether the process wants traffic, and if not, why. Time is passed in.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Something that must hold for the process to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// The name shown beside the reason.
    pub name: &'static str,
    /// How long it may fail to hold before the process is called unready, so that a blink is not passed on.
    pub grace: Duration,
}

/// The conditions that do not hold. Ready while there is none that has outlived its grace.
#[derive(Debug)]
pub struct Readiness {
    /// Bounded by the number of conditions.
    unmet: Mutex<Vec<Unmet>>,
}

#[derive(Debug)]
struct Unmet {
    condition: &'static str,
    reason: String,
    /// Counts from then on; `None`: at once.
    from: Option<Instant>,
}

impl Readiness {
    /// At the start these conditions do not hold yet, each with its reason, and there is no grace for that.
    pub fn new(awaited: &[(Condition, &str)]) -> Self {
        let unmet = awaited.iter().map(|(condition, reason)| Unmet {
            condition: condition.name,
            reason: (*reason).to_owned(),
            from: None,
        });
        Self { unmet: Mutex::new(unmet.collect()) }
    }

    /// The condition does not hold, for this reason. Told again, only the reason changes: the grace runs from the
    /// first time.
    pub fn unmet(&self, condition: Condition, reason: impl Into<String>, now: Instant) {
        let reason = reason.into();
        let mut unmet = self.unmet.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = unmet.iter_mut().find(|known| known.condition == condition.name) {
            known.reason = reason;
        } else {
            unmet.push(Unmet { condition: condition.name, reason, from: Some(now + condition.grace) });
        }
    }

    /// The condition holds (again), from now on.
    pub fn met(&self, condition: Condition) {
        let mut unmet = self.unmet.lock().unwrap_or_else(PoisonError::into_inner);
        unmet.retain(|known| known.condition != condition.name);
    }

    /// Whether the process is ready at `now`; if not, a line per condition: `name: reason`.
    pub fn check(&self, now: Instant) -> Result<(), String> {
        let unmet = self.unmet.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<String> = unmet
            .iter()
            .filter(|unmet| unmet.from.is_none_or(|from| now >= from))
            .map(|unmet| format!("{}: {}", unmet.condition, unmet.reason))
            .collect();
        if lines.is_empty() { Ok(()) } else { Err(lines.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKBONE: Condition = Condition { name: "backbone", grace: Duration::from_secs(3) };
    const DRAINING: Condition = Condition { name: "draining", grace: Duration::ZERO };

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn what_is_awaited_at_the_start_has_no_grace() {
        let start = Instant::now();
        let readiness = Readiness::new(&[(BACKBONE, "not connected yet")]);
        readiness.unmet(BACKBONE, "connection refused", start);
        assert_eq!(readiness.check(start), Err("backbone: connection refused".into()));
        readiness.met(BACKBONE);
        assert_eq!(readiness.check(start), Ok(()));
    }

    #[test]
    fn a_blink_within_the_grace_is_not_seen() {
        let start = Instant::now();
        let readiness = Readiness::new(&[]);
        readiness.unmet(BACKBONE, "lost", start);
        assert_eq!(readiness.check(at(start, 2999)), Ok(()));
        readiness.met(BACKBONE);
        assert_eq!(readiness.check(at(start, 9000)), Ok(()));
    }

    #[test]
    fn the_grace_runs_from_the_first_time_and_ends_at_once_when_it_is_back() {
        let start = Instant::now();
        let readiness = Readiness::new(&[]);
        readiness.unmet(BACKBONE, "lost", start);
        readiness.unmet(BACKBONE, "still lost", at(start, 2000));
        assert_eq!(readiness.check(at(start, 3000)), Err("backbone: still lost".into()));
        readiness.met(BACKBONE);
        assert_eq!(readiness.check(at(start, 3000)), Ok(()));
        readiness.unmet(BACKBONE, "lost", at(start, 4000));
        assert_eq!(readiness.check(at(start, 5000)), Ok(()));
    }

    #[test]
    fn every_reason_is_told() {
        let start = Instant::now();
        let readiness = Readiness::new(&[(BACKBONE, "not connected yet")]);
        readiness.unmet(DRAINING, "going away", start);
        assert_eq!(readiness.check(start), Err("backbone: not connected yet\ndraining: going away".into()));
    }
}
