//! `infra completions`: for the shell to finish words.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::args::Cli;
use crate::cli::error::CliError;
use crate::cli::session::Session;

/// Which shell.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  infra completions bash > ~/.local/share/bash-completion/completions/infra
  infra completions zsh > ~/.zfunc/_infra        (a folder of your fpath)
  infra completions fish > ~/.config/fish/completions/infra.fish")]
pub(in crate::cli) struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

pub(in crate::cli) fn completions(session: &Session<'_>, args: &CompletionsArgs) -> Result<(), CliError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "infra", &mut text);
    session.out.text(&String::from_utf8_lossy(&text))
}
