//! One file per group of commands.

pub(super) mod admin;
pub(super) mod brakes;
pub(super) mod change;
pub(super) mod completions;
pub(super) mod keys;
pub(super) mod login;
pub(super) mod look;
pub(super) mod money;
pub(super) mod overlays;
pub(super) mod people;
pub(super) mod reserve;
pub(super) mod templates;
pub(super) mod watch;

use super::error::CliError;
use super::prompt;

/// Goes on only when a person says so; `--yes` says so beforehand.
async fn sure(yes: bool, question: &str) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if !prompt::somebody() {
        return Err(CliError::Usage(format!("{question} Nobody is there to ask: say --yes")));
    }
    if prompt::yes(question).await? { Ok(()) } else { Err(CliError::Declined) }
}
