//! `topic-gateway token`: makes tokens for trials and what verifies them, and says whether a gateway would accept one.

use std::{
    io::{self, ErrorKind, Read, Write},
    path::PathBuf,
};

use clap::Subcommand;

use super::Failure;
use crate::gateway::services;

mod check;
mod key;
mod mint;
#[cfg(test)]
mod tests;

/// Make and check tokens for trials
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  topic-gateway token mint -f gateway.yaml --user ann
  topic-gateway token check -f gateway.yaml < token
  topic-gateway token jwks --private-key-file key.pem --kid first

Exit codes: 0 done, 64 bad usage or an unfit key, 77 a gateway would refuse the token (check)")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token and print it, and nothing else, to standard output
    Mint(mint::Mint),
    /// Print a token's claims to standard output, and say whether a gateway would accept it, or why not
    Check(check::Check),
    /// Print the public half of a private key as JWKS, as an identity provider publishes it
    Jwks(Jwks),
}

/// Whose public half is to be printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  openssl genpkey -algorithm ed25519 -out key.pem
  topic-gateway token jwks --private-key-file key.pem --kid first > jwks.json
  kubectl create secret generic members-jwks --from-file jwks.json

Exit codes: 0 done, 64 bad usage or an unfit key")]
struct Jwks {
    /// File that holds the private key in PEM (RSA, EC P-256, EC P-384 or Ed25519), as openssl genpkey writes it
    #[arg(long, value_name = "PATH")]
    private_key_file: PathBuf,
    /// What the key shall be called there (`kid`)
    #[arg(long, value_name = "NAME")]
    kid: Option<String>,
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
        Command::Jwks(Jwks { private_key_file, kid }) => {
            let jwks = key::signing(&private_key_file)?.jwks(kid.as_deref());
            print(stdout, &format!("{:#}", jwks.unwrap_or_default()))?;
            Ok(None)
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
