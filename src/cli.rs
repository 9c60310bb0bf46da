//! The command line.

mod bench;
mod check;
mod client;
mod completions;
mod controller;
mod crd;
mod dev;
mod failure;
mod gateway;
mod manifest;
mod probe;
mod publish;
mod serve;
mod sub;
mod token;

use std::{
    ffi::OsString,
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::runtime::colours;

pub use failure::Failure;

/// Exit codes stand in every help text of the top level: scripts build on them.
const AFTER_HELP: &str = "\
Examples:
  topic-gateway dev                            serve a gateway on this machine
  topic-gateway sub prices.btc                 print what is published on a topic
  topic-gateway pub prices.btc '{\"bid\": 640}'  publish to it
  topic-gateway bench --connections 1000       measure deliveries under load
  topic-gateway check -f gateway.yaml          say whether a resource is valid
  topic-gateway crd > crd.yaml                 print the definition that a cluster needs

Exit codes:
   0  done
   1  the Lease was lost (controller)
  64  bad usage, or input that is no good: an option, a file, a topic, a message
  65  a measurement that does not count (bench)
  69  something is not there or cannot do it now: the same may succeed later
  70  a fault of the program itself
  77  refused: another token is needed, or another rule
 130  ended by Ctrl-C before the work was done (as shells show SIGINT)

`topic-gateway COMMAND --help` has examples of each command.";

/// Topics from NATS to WebSocket clients, each message to exactly the subscribers of its topic.
#[derive(Debug, Parser)]
#[command(name = "topic-gateway", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

// A command is two lines: one here, one in `run`.
#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Args),
    Gateway(gateway::Args),
    Controller(controller::Args),
    Sub(sub::Args),
    Pub(publish::Args),
    Bench(bench::Args),
    Token(token::Args),
    Check(check::Args),
    Crd(crd::Args),
    Completions(completions::Args),
    Probe(probe::Args),
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Dev(args) => dev::run(&args),
            Self::Gateway(args) => gateway::run(&args),
            Self::Controller(args) => controller::run(args),
            Self::Sub(args) => sub::run(args),
            Self::Pub(args) => publish::run(args),
            Self::Bench(args) => bench::run(&args),
            Self::Token(args) => token::run(args),
            Self::Check(args) => check::run(&args),
            Self::Crd(args) => crd::run(args),
            Self::Completions(args) => completions::run(&args),
            Self::Probe(args) => probe::run(&args),
        }
    }
}

/// Runs the command the process was started with; what goes wrong is one message on standard error.
pub fn run() -> ExitCode {
    let outcome = match Cli::try_parse() {
        Ok(cli) => cli.command.run(),
        Err(error) if !error.use_stderr() => print(&help(&error, colours::wanted(&io::stdout()))),
        Err(error) => Err(usage(&error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = format!("topic-gateway: {}\n", without_numbers(&failure.message));
            // Nobody is left to be told if standard error is gone; the exit code still tells.
            let _ = io::stderr().write_all(text.as_bytes());
            ExitCode::from(failure.code)
        }
    }
}

/// A message without the numbers that the system has for its errors beside their names.
fn without_numbers(message: &str) -> String {
    let mut parts = message.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once(')').map_or(part, |(_, rest)| rest))
}

/// Whether the program takes a command line with these words behind its name, or what is wrong with it. Nothing is run:
/// it is for those who check what documents say.
///
/// ```
/// assert!(topic_gateway::cli::accepts(["sub", "prices.*"]).is_ok());
/// assert!(topic_gateway::cli::accepts(["sub"]).unwrap_err().contains("TOPIC"));
/// ```
///
/// # Errors
/// What the program would say instead of working.
pub fn accepts<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> Result<(), String> {
    let words = words.into_iter().map(Into::into);
    match Cli::try_parse_from([OsString::from("topic-gateway")].into_iter().chain(words)) {
        Err(error) if error.use_stderr() => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// What clap prints where somebody has asked for it.
fn help(asked: &clap::Error, colours: bool) -> String {
    let text = asked.render();
    if colours { text.ansi().to_string() } else { text.to_string() }
}

/// What clap says, without its "error: ".
fn usage(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::usage(format!("a command is missing\n\n{text}"));
    }
    Failure::usage(text)
}

/// Writes to standard output. A reader that has read enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::unavailable(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_put_together_well() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_shows_an_example_and_tells_its_exit_codes() {
        fn look(command: &clap::Command, path: &str) {
            for command in command.get_subcommands() {
                let path = format!("{path} {}", command.get_name());
                let about = command.get_about().map(ToString::to_string).unwrap_or_default();
                assert!(!about.is_empty() && !about.contains("Arguments"), "{path}: {about:?}");
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains(&format!("  {path}")), "{path} has no example");
                assert!(help.contains("Exit codes: 0 "), "{path} does not tell its exit codes");
                look(command, &path);
            }
        }
        look(&Cli::command(), "topic-gateway");
    }

    #[test]
    fn help_has_colours_where_they_are_wanted_and_says_the_same() {
        let asked = Cli::try_parse_from(["topic-gateway", "sub", "--help"]).unwrap_err();
        let (plain, coloured) = (help(&asked, false), help(&asked, true));
        assert!(!plain.contains('\x1b') && coloured.contains("\x1b["), "{coloured:?}");
        let bare = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap().replace_all(&coloured, "").into_owned();
        assert_eq!(bare, plain);
    }

    #[test]
    fn errors_of_the_system_are_told_by_name_alone() {
        let told = std::io::Error::from_raw_os_error(2);
        let text = without_numbers(&format!("cannot read a: {told}; check it, or b: {told}"));
        assert_eq!(
            text,
            "cannot read a: No such file or directory; check it, or b: No such file or directory"
        );
        assert_eq!(without_numbers("nothing (at all)"), "nothing (at all)");
    }

    #[test]
    fn bad_usage_is_one_message_with_the_code_64() {
        let failure = usage(&Cli::try_parse_from(["topic-gateway", "chek"]).unwrap_err());
        assert_eq!(failure.code, 64);
        assert!(failure.message.starts_with("unrecognized subcommand 'chek'"), "{failure}");
        assert!(failure.message.contains("'check'"), "{failure}");
    }
}
