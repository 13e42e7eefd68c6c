//! `infra extend`, `stop`, `start`, `release`.

use std::time::Duration;

use clap::Args;
use infra_core::words::clock::{Timestamp, later};

use super::sure;
use crate::cli::error::CliError;
use crate::cli::quantity;
use crate::cli::session::{Session, meant};
use crate::cli::show::{self, plain};
use crate::cli::wait::{self, Plan};
use crate::client::{Answer, Client, ClientError, Edit, Released, Reservation, over};

use super::watch::not_failed;

/// Waits as long as this when --wait names no time.
pub(in crate::cli) const WAIT: &str = "10m";

/// Which one, and how much longer.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("when").required(true).args(["by", "for_", "until"]))]
#[command(after_help = "\
Examples:
  infra extend web --by 2h                          two hours more than it has
  infra extend web --for 30m                        half an hour from now
  infra extend web --until 2026-12-01T18:00:00Z     until then")]
pub(in crate::cli) struct ExtendArgs {
    /// Its id, or its name
    id: String,
    /// So much later than its end is now
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    by: Option<Duration>,
    /// So long from now; may be sooner than its end is now
    #[arg(long = "for", value_name = "TIME", value_parser = quantity::duration)]
    for_: Option<Duration>,
    /// Until this moment; may be sooner than its end is now
    #[arg(long, value_name = "MOMENT", value_parser = quantity::moment)]
    until: Option<Timestamp>,
}

/// Which one.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct PowerArgs {
    /// Its id, or its name
    id: String,
    /// Wait until it is so, at most this long [default when no time is said: 10m]
    #[arg(long, value_name = "TIME", value_parser = quantity::duration, num_args = 0..=1, require_equals = true,
          default_missing_value = WAIT)]
    wait: Option<Duration>,
}

/// Which one.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
What is on its machines is lost. Repeating it is safe.

Examples:
  infra release web
  infra release rsv_... --yes --wait")]
pub(in crate::cli) struct ReleaseArgs {
    /// Its id, or its name
    id: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Wait until nothing of it is left, at most this long [default when no time is said: 10m]
    #[arg(long, value_name = "TIME", value_parser = quantity::duration, num_args = 0..=1, require_equals = true,
          default_missing_value = WAIT)]
    wait: Option<Duration>,
}

pub(in crate::cli) async fn extend(session: &Session<'_>, args: &ExtendArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let id = meant(&client, &args.id).await?;
    let now = session.out.now();
    let edit = |one: &Reservation| -> Result<Edit, CliError> {
        let at = match (args.by, args.for_, args.until) {
            (Some(by), ..) => later(
                one.ends_at.ok_or_else(|| {
                    let why = if one.request.contains_key("duration_s") {
                        "its time begins when it is ready"
                    } else {
                        "it has none"
                    };
                    CliError::Usage(format!("--by counts from its end, and {why}: say --for or --until"))
                })?,
                by,
            ),
            (_, Some(for_), _) => later(now, for_),
            (_, _, Some(until)) => until,
            _ => return Err(CliError::Usage("say --by, --for or --until".to_owned())),
        };
        Ok(Edit::EndsAt(whole_seconds(at)))
    };
    let answer = changed(&client, &id, &edit).await?;
    session.out.answer(&answer.raw, || {
        let one = &answer.value;
        let end = one.ends_at.map_or_else(
            || "never".to_owned(),
            |at| format!("{} ({})", show::relative(at, session.out.now()), show::moment(at)),
        );
        format!("{} ends {end}", one.id)
    })
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

pub(in crate::cli) async fn power(session: &Session<'_>, args: &PowerArgs, on: bool) -> Result<(), CliError> {
    let client = session.own().await?;
    let id = meant(&client, &args.id).await?;
    let answer = changed(&client, &id, &|_| Ok(Edit::Power(on))).await?;
    let Some(within) = args.wait else {
        return session.out.answer(&answer.raw, || show::short(&answer.value));
    };
    let wanted = if on { "ready" } else { "stopped" };
    let plan = Plan { within: Some(within), done: &|one| one.state == wanted, each: &|_| Ok(()) };
    let last = wait::follow(&client, &session.out, &id, &plan).await?;
    session.out.answer(&last.raw, || show::short(&last.value))?;
    not_failed(&last.value)
}

/// Reads it afresh and changes just that version; once more when others were quicker. The engine writes, too, so a
/// conflict is no reason to trouble anybody.
async fn changed(
    client: &Client,
    id: &str,
    edit: &dyn Fn(&Reservation) -> Result<Edit, CliError>,
) -> Result<Answer<Reservation>, CliError> {
    let before = client.reservation(id).await?;
    let wish = edit(&before.value)?;
    match client.edit(id, &wish, before.value.version).await {
        Err(error) if error.code() == "conflict" => {}
        done => return Ok(done?),
    }
    let now = client.reservation(id).await?;
    // The conflict may be with ourselves: done, and only the answer was lost.
    if stands(&wish, &now.value) {
        return Ok(now);
    }
    // What others have changed counts, but not what the engine wrote beside it.
    let wish = if now.value.ends_at == before.value.ends_at { wish } else { edit(&now.value)? };
    Ok(client.edit(id, &wish, now.value.version).await?)
}

fn stands(wish: &Edit, one: &Reservation) -> bool {
    match wish {
        Edit::EndsAt(at) => one.ends_at == Some(*at),
        Edit::Power(on) => one.power == if *on { "on" } else { "off" },
        Edit::Tags(_) => false,
    }
}

pub(in crate::cli) async fn release(session: &Session<'_>, args: &ReleaseArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let id = meant(&client, &args.id).await?;
    if !args.yes {
        let one = client.reservation(&id).await?.value;
        if !over(&one.state) {
            let name = one.name().map(|name| format!(" \"{}\"", plain(name))).unwrap_or_default();
            let what = show::machines(one.count.into());
            sure(args.yes, &format!("Release {id}{name}? {what} and what is on them will be gone.")).await?;
        }
    }
    let released = client.release(&id).await.map_err(|error| unsure(error, &id))?;
    let answer = match released {
        Released::Releasing(answer) => *answer,
        Released::Already => client.reservation(&id).await?,
    };
    let Some(within) = args.wait else {
        return session.out.answer(&answer.raw, || show::short(&answer.value));
    };
    let plan = Plan { within: Some(within), done: &|one| over(&one.state), each: &|_| Ok(()) };
    let last = wait::follow(&client, &session.out, &id, &plan).await?;
    session.out.answer(&last.raw, || show::short(&last.value))
}

fn unsure(error: ClientError, id: &str) -> CliError {
    match error {
        error @ ClientError::Unreachable { maybe_done: true, .. } => CliError::Unsure {
            error,
            hint: format!("It may be released already; `infra release {id}` again is safe."),
        },
        other => other.into(),
    }
}
