//! Reads the history of a run and decides whether the protocol's guarantees held. Pure: no clock, no I/O.
//!
//! Loaded by path (`#[path = "…/checker/checker.rs"] mod checker;`) by the scenarios, which drive the real binary, and
//! by the simulator, which drives the engine: one judge for both. Nothing here knows the gateway's code, so that an
//! error of that code cannot hide in the checker too.
//!
//! ```text
//!  history ──► attempts: who published what, and what became of it ─┐
//!          └─► sightings: which number each content was seen with ──┴─► truth: the messages of each topic
//!  each client ──► walk: subscriptions, positions, gaps, replays ──► spans: what it had to get, got, was told of
//! ```
//!
//! What it cannot see is listed in [`check`].
//!
//! ```ignore
//! let recorder = Recorder::new(Limits::default());
//! let mut alice = recorder.client("alice-1", "alice", &["prices.>"]); // one log for each client, in its own task
//! alice.connected(clock(), "pod-1");
//! alice.sent(clock(), command); // before it is sent
//! alice.received(clock(), text); // every text frame, as it came
//! recorder.mark(clock(), Mark::GatewayKilled("pod-1".into())); // before it is done
//! alice.closed(clock(), 1006);
//! drop(alice); // joins the history
//! let history = recorder.finish(clock());
//! history.write(File::create("run.jsonl")?)?; // `History::read` and `check` judge it again
//! check(&history).assert_clean();
//! ```

mod acknowledgements;
mod answers;
mod attempts;
mod complete;
mod content;
mod file;
mod frames;
mod gaps;
mod history;
mod once;
mod position;
mod publishing;
mod replays;
mod report;
mod rights;
mod truth;
mod walk;

pub(crate) use history::{
    Body, ClientLog, Content, History, Limits, Mark, May, Message, Nanos, Outcome, Publish, Record, Recorder,
    Seq, What,
};
pub(crate) use report::{Report, Rule, Violation};

/// Judges a run.
///
/// Not seen: a message of which no publish was confirmed and that no client ever received; what a client that ended
/// disconnected would have got behind its last message; the last messages before an `unsubscribe`; a loss on a topic
/// without history whose messages carry no `prevSeqNo`; whether `last` gave exactly as many as asked for; answers to
/// commands that have no `id`; how long anything took, but for redelivery; gauges and memory.
pub(crate) fn check(history: &History) -> Report {
    let mut report = Report::new(history);
    let attempts = attempts::collect(history);
    publishing::judge(&attempts, history, &mut report);
    let sightings = content::sightings(history);
    let truth = truth::Truth::build(history, attempts, &sightings, &mut report);
    once::judge(&truth, &sightings, history, &mut report);
    for track in &history.tracks {
        walk::Walk::new(track, history, &truth, &mut report).run();
    }
    report
}
