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
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

pub use failure::Failure;

/// Exit codes stand in every help text of the top level: scripts build on them.
const AFTER_HELP: &str = "\
Examples:
  topic-gateway dev                       serve a gateway on this machine
  topic-gateway sub prices.btc            print what is published on a topic
  topic-gateway pub prices.btc '{\"a\": 1}'  publish to it
  topic-gateway bench --connections 1000  measure deliveries under load
  topic-gateway check -f gateway.yaml     say whether a resource is valid
  topic-gateway crd | kubectl apply -f -  make the resource known to a cluster

Exit codes:
   0  done
   1  the Lease was lost (controller)
  64  bad usage or configuration
  65  a measurement that does not count (bench)
  69  a service that is not there
  70  a fault of the program itself";

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
        Err(error) if !error.use_stderr() => print(&error.render().to_string()),
        Err(error) => Err(usage(&error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = format!("topic-gateway: {failure}\n");
            // Nobody is left to be told if standard error is gone; the exit code still tells.
            let _ = io::stderr().write_all(text.as_bytes());
            ExitCode::from(failure.code)
        }
    }
}

/// What clap says, without its "error: ".
fn usage(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    Failure::usage(text.trim_end())
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
    fn every_command_says_what_it_does_and_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && !about.contains("Arguments"), "{}: {about:?}", command.get_name());
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("topic-gateway "), "{}", command.get_name());
        }
    }

    #[test]
    fn bad_usage_is_one_message_with_the_code_64() {
        let failure = usage(&Cli::try_parse_from(["topic-gateway", "chek"]).unwrap_err());
        assert_eq!(failure.code, 64);
        assert!(failure.message.starts_with("unrecognized subcommand 'chek'"), "{failure}");
        assert!(failure.message.contains("'check'"), "{failure}");
    }
}
