//! `infra brakes`: kill switches, for the admin.

use std::time::Duration;

use clap::{Args, Subcommand};
use infra_core::words::clock::{Timestamp, later};

use crate::cli::error::CliError;
use crate::cli::quantity;
use crate::cli::session::Session;
use crate::cli::show::{self, Table, plain};
use crate::client::{Brake, BrakeChange};

/// What to do with them.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Scopes: global, tenant:<id>, lane:<id> (`infra brakes --json` and the server's status name them).
Values: open, no_creates, no_deletes, frozen.

Examples:
  infra --profile admin brakes set global no_creates --why \"looking into it\" --for 1h
  infra --profile admin brakes open global")]
pub(in crate::cli) struct BrakesArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// The brakes that were ever set (the same as without a word)
    List,
    /// Set a brake; it works at once
    Set {
        /// Where: global, tenant:<id> or lane:<id>
        scope: String,
        /// What it holds: no_creates, no_deletes or frozen
        value: String,
        /// Why, for whoever wonders
        #[arg(long)]
        why: Option<String>,
        /// It opens by itself after so long
        #[arg(long = "for", value_name = "TIME", value_parser = quantity::duration)]
        for_: Option<Duration>,
        /// It opens by itself then
        #[arg(long, value_name = "MOMENT", value_parser = quantity::moment, conflicts_with = "for_")]
        until: Option<Timestamp>,
    },
    /// Open a brake
    Open {
        /// Where
        scope: String,
    },
}

pub(in crate::cli) async fn brakes(session: &Session<'_>, args: &BrakesArgs) -> Result<(), CliError> {
    let client = session.client()?;
    let change = match args.action.as_ref().unwrap_or(&Action::List) {
        Action::List => {
            let page = client.brakes().await?;
            return session.out.answer(&page.raw, || list(&page.items, session));
        }
        Action::Set { scope, value, why, for_, until } => BrakeChange {
            scope: scope.clone(),
            value: value.clone(),
            why: why.clone(),
            until: until.or_else(|| for_.map(|time| later(session.out.now(), time))),
        },
        Action::Open { scope } => {
            BrakeChange { scope: scope.clone(), value: "open".to_owned(), why: None, until: None }
        }
    };
    let answer = client.set_brake(&change).await?;
    session.out.answer(&answer.raw, || {
        let brake = &answer.value;
        let landing = match brake.in_flight.len() {
            0 => String::new(),
            n => format!("; {n} create calls sent before may still land"),
        };
        format!("{} is {}{landing}", plain(&brake.scope), plain(&brake.value))
    })
}

fn list(items: &[Brake], session: &Session<'_>) -> String {
    if items.is_empty() {
        return "no brake was ever set: everything is open\n".to_owned();
    }
    let now = session.out.now();
    let mut table = Table::new(&["SCOPE", "VALUE", "BY", "SET", "UNTIL", "WHY"]);
    for brake in items {
        table.row([
            brake.scope.clone(),
            brake.value.clone(),
            brake.by.clone(),
            brake.at.map(|at| show::relative(at, now)).unwrap_or_default(),
            brake.until.map(|at| show::relative(at, now)).unwrap_or_default(),
            brake.why.clone(),
        ]);
    }
    table.render(0)
}
