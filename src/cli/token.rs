//! `topic-gateway token`: makes tokens for trials, and says whether a gateway would accept a token.

use std::io::{self, ErrorKind, Read, Write};

use clap::Subcommand;

use super::Failure;
use crate::gateway::services;

mod check;
mod key;
mod mint;
#[cfg(test)]
mod tests;

/// Makes and checks tokens for trials.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  topic-gateway token mint -f gateway.yaml --user ann
  topic-gateway token check -f gateway.yaml < token
  topic-gateway token mint --secret-file jwt.key --issuer home --audience market --user ann --subscribe 'prices.>'
  topic-gateway token mint --secret-env JWT_SECRET --issuer home --user bob --ttl 10m --claim 'roles=[\"trader\"]'
  topic-gateway token mint --secret-file jwt.key --issuer home --user ann |
    topic-gateway token check --secret-file jwt.key --issuer home
  topic-gateway token check --jwks-file keys.json --issuer https://id.example.com < token

With -f the resource says what its issuers are; where it has several, --issuer chooses the one to make a token of.
A shared secret is taken byte for byte: a line break at the end of the file belongs to it.
Exit codes: 0 the token was made or is valid, 64 it was not or is not.")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token and print it, and nothing else, to standard output.
    Mint(mint::Mint),
    /// Print a token's claims to standard output, and say whether a gateway would accept it, or why not.
    Check(check::Check),
}

/// Runs the command. What is not the token or its claims goes to standard error.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let note = answer(args, services::now(), io::stdin(), &mut io::stdout().lock())?;
    if let Some(note) = note {
        // Nobody may be there to read it (`2>&1 | head`): the token stands all the same.
        let _ = writeln!(io::stderr(), "{note}");
    }
    Ok(())
}

/// The command without the process around it; `now` in seconds since 1970. Returns what else there is to say.
fn answer(
    args: Args,
    now: u64,
    stdin: impl Read,
    stdout: &mut impl Write,
) -> Result<Option<String>, Failure> {
    match args.command {
        Command::Mint(mint) => {
            print(stdout, &mint.token(now)?)?;
            Ok(None)
        }
        Command::Check(check) => {
            let token = check.token(stdin)?;
            if let Some(claims) = check::claims(&token) {
                print(stdout, &claims)?;
            }
            check.verdict(&token, now).map(Some)
        }
    }
}

/// A reader that has read enough (`| head`) is no failure.
fn print(stdout: &mut impl Write, text: &str) -> Result<(), Failure> {
    match writeln!(stdout, "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::unavailable(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
