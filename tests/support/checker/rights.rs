//! I1: what a client may have at a time.

use super::{
    frames::covers,
    history::{May, Nanos},
};

#[derive(Debug, Default)]
pub(super) struct Rights(Vec<(May, String, Option<Nanos>)>);

impl Rights {
    /// A right is given or taken.
    pub(super) fn change(&mut self, at: Nanos, (may, pattern, granted): &(May, String, bool)) {
        if *granted {
            self.0.push((*may, pattern.clone(), None));
            return;
        }
        for right in self.0.iter_mut().filter(|right| right.0 == *may && right.1 == *pattern) {
            right.2.get_or_insert(at);
        }
    }

    /// Whether a frame on this topic or pattern may come now; `grace` for what was under way when it ended.
    pub(super) fn allow(&self, may: May, topic: &str, now: Nanos, grace: Nanos) -> bool {
        self.0.iter().any(|(own, pattern, ended)| {
            *own == may && covers(pattern, topic) && ended.is_none_or(|ended| now <= ended + grace)
        })
    }
}
