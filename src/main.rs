//! The `topic-gateway` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    topic_gateway::cli::run()
}
