//! How far a run is, on standard error: a bar on a terminal, now and then a line elsewhere.

use std::{
    io::Write,
    time::{Duration, Instant},
};

const BAR: usize = 30;
/// How often a bar is drawn, and a line is written.
const REDRAW: Duration = Duration::from_millis(100);
const REPEAT: Duration = Duration::from_secs(5);

/// Shows one phase after the other.
pub(super) struct Progress<W> {
    out: W,
    terminal: bool,
    phase: &'static str,
    /// Whether all of the phase was shown as done.
    complete: bool,
    shown: Option<Instant>,
}

impl<W: Write> Progress<W> {
    pub(super) fn new(out: W, terminal: bool) -> Self {
        Self { out, terminal, phase: "", complete: false, shown: None }
    }

    /// So much of the phase is done by `now`. That it cannot be shown is no reason to stop.
    pub(super) fn show(&mut self, phase: &'static str, done: u64, all: u64, note: &str, now: Instant) {
        let every = if self.terminal { REDRAW } else { REPEAT };
        let due = self.shown.is_none_or(|shown| now.saturating_duration_since(shown) >= every);
        let complete = done >= all;
        if self.phase == phase && !due && self.complete == complete {
            return;
        }
        if self.phase != phase {
            self.end();
        }
        self.phase = phase;
        self.complete = complete;
        self.shown = Some(now);
        let _ = if self.terminal {
            write!(self.out, "\r{}\x1b[K", bar(phase, done, all, note))
        } else {
            writeln!(self.out, "{phase}: {done} of {all}{note}")
        };
        let _ = self.out.flush();
    }

    /// Nothing more of this phase is shown: what is written next begins a line.
    pub(super) fn end(&mut self) {
        if self.terminal && self.shown.take().is_some() {
            let _ = writeln!(self.out);
        }
        self.phase = "";
    }
}

fn bar(phase: &str, done: u64, all: u64, note: &str) -> String {
    let part = u128::from(done.min(all)) * BAR as u128 / u128::from(all.max(1));
    let full = usize::try_from(part).unwrap_or(BAR);
    format!("{phase:<10} [{}{}] {done}/{all}{note}", "#".repeat(full), "-".repeat(BAR - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written for these steps of `(milliseconds, phase, done)`, each of 100.
    fn written(terminal: bool, steps: &[(u64, &'static str, u64)]) -> String {
        let (mut out, began) = (Vec::new(), Instant::now());
        let mut progress = Progress::new(&mut out, terminal);
        for (millis, phase, done) in steps {
            progress.show(phase, *done, 100, "", began + Duration::from_millis(*millis));
        }
        progress.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_bar_fills_from_left_to_right_and_never_over_its_end() {
        for (done, all, full) in [(0, 100, 0), (50, 100, 15), (100, 100, 30), (200, 100, 30), (0, 0, 0)] {
            let bar = bar("connecting", done, all, "");
            assert_eq!(bar.matches('#').count(), full, "{bar}");
            assert_eq!(bar.matches('-').count(), BAR - full, "{bar}");
        }
    }

    #[test]
    fn a_terminal_has_one_line_a_phase_that_is_drawn_anew() {
        let text = written(true, &[(0, "a", 0), (50, "a", 10), (100, "a", 20), (110, "b", 0)]);
        assert_eq!(text.matches('\r').count(), 3, "{text:?}");
        assert_eq!(text.matches('\n').count(), 2, "{text:?}");
        assert!(!text.contains("10/100"), "{text:?}");
    }

    #[test]
    fn elsewhere_there_is_a_line_every_five_seconds_and_at_the_end_of_a_phase() {
        let text = written(
            false,
            &[
                (0, "a", 0),
                (4_000, "a", 40),
                (5_000, "a", 50),
                (6_000, "a", 100),
                (6_010, "a", 100),
                (6_020, "b", 1),
            ],
        );
        assert_eq!(text, "a: 0 of 100\na: 50 of 100\na: 100 of 100\nb: 1 of 100\n");
    }
}
