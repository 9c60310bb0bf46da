//! Whether what is written may have colours.

use std::{env, ffi::OsStr, io::IsTerminal};

/// Whether this stream may have them: it is a terminal that can show them, and `NO_COLOR` does not say otherwise.
pub fn wanted(stream: &impl IsTerminal) -> bool {
    decide(stream.is_terminal(), env::var_os("NO_COLOR").as_deref(), env::var_os("TERM").as_deref())
}

/// An empty `NO_COLOR` says nothing, as <https://no-color.org> has it.
fn decide(terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_and_for_those_who_have_not_said_no() {
        for (terminal, no_color, term, expected) in [
            (true, None, Some("xterm"), true),
            (true, None, None, true),
            (true, Some(""), Some("xterm"), true),
            (true, Some("1"), Some("xterm"), false),
            (true, Some("0"), Some("xterm"), false),
            (true, None, Some("dumb"), false),
            (false, None, Some("xterm"), false),
        ] {
            let decided = decide(terminal, no_color.map(OsStr::new), term.map(OsStr::new));
            assert_eq!(decided, expected, "{terminal} NO_COLOR={no_color:?} TERM={term:?}");
        }
    }
}
