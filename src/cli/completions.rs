//! `topic-gateway completions`.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::{Cli, Failure, print};

/// Print completions of the command line for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  topic-gateway completions bash > /etc/bash_completion.d/topic-gateway
  topic-gateway completions zsh > \"${fpath[1]}/_topic-gateway\"
  topic-gateway completions fish > ~/.config/fish/completions/topic-gateway.fish

Exit codes: 0 printed, 64 no such shell, 69 standard output cannot be written to")]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut text = Vec::new();
    generate(args.shell, &mut Cli::command(), "topic-gateway", &mut text);
    print(&String::from_utf8_lossy(&text))
}
