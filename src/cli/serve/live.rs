//! What goes on, for whoever looks on: the last line of a terminal, written anew every second.

use std::{
    io::{self, Write},
    time::Duration,
};

use tokio::time::interval;

use crate::gateway::pod::Activity;

const EVERY: Duration = Duration::from_secs(1);

/// Shows it until it is dropped.
pub(super) async fn show(activity: impl Fn() -> Activity) {
    let _wiped = Wiped;
    let mut before = activity();
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        let now = activity();
        write(&format!("\r{}\x1b[K", line(&before, &now)));
        before = now;
    }
}

/// Nobody is left to be shown anything if it cannot be written.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// What comes next begins an empty line.
struct Wiped;

impl Drop for Wiped {
    fn drop(&mut self) {
        write("\r\x1b[K");
    }
}

/// What there is now, and how many messages there were in the second before.
fn line(before: &Activity, now: &Activity) -> String {
    let Activity { connections, topics, subscriptions, received, delivered } = now;
    format!(
        "connections {connections}  topics {topics}  subscriptions {subscriptions}  messages in {}/s  out {}/s",
        received.saturating_sub(before.received),
        delivered.saturating_sub(before.delivered)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_there_is_and_what_was_added_in_a_second() {
        let before = Activity { received: 10, delivered: 30, ..Activity::default() };
        let now = Activity { connections: 3, topics: 2, subscriptions: 5, received: 14, delivered: 42 };
        assert_eq!(
            line(&before, &now),
            "connections 3  topics 2  subscriptions 5  messages in 4/s  out 12/s"
        );
    }
}
