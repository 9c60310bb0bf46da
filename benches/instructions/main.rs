//! Instructions that the data plane takes per delivery, per connect and per token, counted by Valgrind: the same on every
//! machine with the same compiler, so a change that makes them more is seen at once and never by chance.
//!
//! Each work is run with one count of items and with twice as many; the difference is what the items took. Sockets are
//! made up: what the kernel does is not counted, and is measured by the other benches.
//!
//! `cargo bench --profile counted --bench instructions` compares with `expected.txt` beside this file and fails where a
//! figure is 3 % more, or so much less that the old one means nothing any more; `-- --write` writes the file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]

mod expected;
mod shard;
mod work;

use std::{env, process::ExitCode};

use work::Work;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, name, count] = &arguments[..]
        && flag == "--work"
    {
        Work::named(name).expect("a name of the list").run(count.parse().expect("a count"));
        return ExitCode::SUCCESS;
    }
    let counted: Vec<_> = Work::ALL.iter().map(|work| (work.name, work.per_item())).collect();
    if arguments.iter().any(|argument| argument == "--write") {
        expected::write(&counted);
        return ExitCode::SUCCESS;
    }
    if expected::judge(&counted) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
