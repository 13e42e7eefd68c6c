//! `infra watch`.

use std::time::Duration;

use clap::Args;

use crate::cli::error::CliError;
use crate::cli::session::{Session, meant};
use crate::cli::wait::{self, Plan};
use crate::cli::{quantity, show};
use crate::client::{Answer, Reservation, settled};

/// Which one, and how long.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Ctrl-C ends the watching and nothing else. A reservation that fails ends it with exit code 6.

Examples:
  infra watch web                      until it is ready, off or over
  infra watch web --timeout 10m        exit code 5 when that takes longer
  infra watch web --follow --json      a line of JSON for every change, until it is over")]
pub(in crate::cli) struct WatchArgs {
    /// Its id, or its name
    id: String,
    /// Go on when it is ready or off, until it is over
    #[arg(short, long)]
    follow: bool,
    /// Wait no longer than this: 10m
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    timeout: Option<Duration>,
}

pub(in crate::cli) async fn watch(session: &Session<'_>, args: &WatchArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let id = meant(&client, &args.id).await?;
    let each = |answer: &Answer<Reservation>| {
        session.out.answer(&answer.raw, || {
            let now = infra_time(session);
            format!("{now}  {}", show::short(&answer.value))
        })
    };
    let plan = Plan { within: args.timeout, done: &|one| !args.follow && settled(&one.state), each: &each };
    let last = wait::follow(&client, &session.out, &id, &plan).await?;
    not_failed(&last.value)
}

fn infra_time(session: &Session<'_>) -> String {
    session.out.now().strftime("%H:%M:%S").to_string()
}

/// A reservation that could not be had is a failure of the command that waited for it.
pub(in crate::cli) fn not_failed(one: &Reservation) -> Result<(), CliError> {
    if one.state == "failed" { Err(CliError::Failed(show::short(one))) } else { Ok(()) }
}
