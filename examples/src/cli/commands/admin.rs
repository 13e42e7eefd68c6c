//! `infra users` and `infra tokens`, for the admin.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::sure;
use crate::cli::error::CliError;
use crate::cli::quantity;
use crate::cli::session::Session;
use crate::cli::show::{self, Table, plain};
use crate::client::{NewToken, Token, User};

/// What to do with people.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  infra --profile admin users add ada
  infra --profile admin users change ada --machines-max 10
  infra --profile admin users change ada --suspended true")]
pub(in crate::cli) struct UsersArgs {
    #[command(subcommand)]
    action: Option<UserAction>,
}

#[derive(Debug, Clone, Subcommand)]
enum UserAction {
    /// Everybody (the same as without a word)
    List,
    /// Make a user
    Add {
        /// The name
        name: String,
        /// The team that shares keys and budgets
        #[arg(long)]
        team: Option<String>,
    },
    /// Change what a user may
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["machines_max", "suspended"]))]
    Change {
        /// The name
        name: String,
        /// Machines at most
        #[arg(long, value_name = "N")]
        machines_max: Option<u32>,
        /// A suspended user changes nothing: true or false
        #[arg(long, value_name = "BOOL")]
        suspended: Option<bool>,
    },
    /// Hand all reservations of a user to a team mate
    Transfer {
        /// Whose
        name: String,
        /// To whom
        #[arg(long, value_name = "NAME")]
        to: String,
    },
    /// Remove a user who holds nothing
    Remove {
        /// The name
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// What to do with access tokens.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
A new token is the one line on standard output, so that it can be passed on without being seen:
  infra --profile admin tokens issue ada --label laptop | infra login --user ada --token-stdin")]
pub(in crate::cli) struct TokensArgs {
    #[command(subcommand)]
    action: TokenAction,
}

#[derive(Debug, Clone, Subcommand)]
enum TokenAction {
    /// Your tokens, or a user's, without their secrets
    List {
        /// Whose (admin); your own when not said
        name: Option<String>,
    },
    /// Issue a token; it is shown this one time
    Issue {
        /// For whom (admin); for yourself when not said
        name: Option<String>,
        /// A name for people
        #[arg(long, default_value = "default")]
        label: String,
        /// What it may: user, viewer or, from the admin, bot
        #[arg(long, default_value = "user")]
        role: String,
        /// It stops counting after so long
        #[arg(long = "for", value_name = "TIME", value_parser = quantity::duration)]
        for_: Option<Duration>,
    },
    /// Revoke a token, at once
    Revoke {
        /// Its id, `tok_...`
        id: String,
        /// Whose (admin); your own when not said
        name: Option<String>,
    },
}

pub(in crate::cli) async fn users(session: &Session<'_>, args: &UsersArgs) -> Result<(), CliError> {
    let client = session.client()?;
    let out = &session.out;
    match args.action.as_ref().unwrap_or(&UserAction::List) {
        UserAction::List => {
            let page = client.users().await?;
            out.answer(&page.raw, || people(&page.items))
        }
        UserAction::Add { name, team } => {
            let answer = client.add_user(name, team.as_deref()).await?;
            out.answer(&answer.raw, || format!("added {}", plain(&answer.value.name)))
        }
        UserAction::Change { name, machines_max, suspended } => {
            let answer = client.change_user(name, *machines_max, *suspended).await?;
            out.answer(&answer.raw, || people(std::slice::from_ref(&answer.value)))
        }
        UserAction::Transfer { name, to } => {
            let answer = client.transfer(name, to).await?;
            out.answer(&answer.raw, || {
                format!("{} of {} are now {}'s", answer.value.moved, plain(name), plain(to))
            })
        }
        UserAction::Remove { name, yes } => {
            sure(*yes, &format!("Remove the user {:?}?", plain(name))).await?;
            let answer = client.remove_user(name).await?;
            out.answer(&answer.raw, || format!("removed {}", plain(name)))
        }
    }
}

fn people(items: &[User]) -> String {
    if items.is_empty() {
        return "nobody yet: `infra users add NAME`\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "TEAM", "MACHINES", "AT MOST", "NOTE"]);
    for user in items {
        table.row([
            user.name.clone(),
            user.team.clone().unwrap_or_default(),
            user.machines_held.to_string(),
            user.machines_max.map(|max| max.to_string()).unwrap_or_default(),
            if user.suspended { "suspended".to_owned() } else { String::new() },
        ]);
    }
    table.render(0)
}

pub(in crate::cli) async fn tokens(session: &Session<'_>, args: &TokensArgs) -> Result<(), CliError> {
    let out = &session.out;
    let (TokenAction::List { name } | TokenAction::Issue { name, .. } | TokenAction::Revoke { name, .. }) =
        &args.action;
    let client = if name.is_some() { session.client()? } else { session.own().await? };
    let name = name.as_deref();
    match &args.action {
        TokenAction::List { .. } => {
            let page = client.tokens(name).await?;
            out.answer(&page.raw, || list(&page.items, session))
        }
        TokenAction::Issue { label, role, for_, .. } => {
            let token = NewToken {
                label: label.clone(),
                role: role.clone(),
                expires_in_s: for_.map(|time| time.as_secs()),
            };
            let answer = client.issue_token(name, &token).await?;
            out.answer(&answer.raw, || answer.value.token.clone().unwrap_or_default())?;
            out.hint(&format!("{}: it is not shown again", answer.value.id));
            Ok(())
        }
        TokenAction::Revoke { id, .. } => {
            let answer = client.revoke_token(name, id).await?;
            out.answer(&answer.raw, || format!("revoked {}", plain(id)))
        }
    }
}

fn list(items: &[Token], session: &Session<'_>) -> String {
    if items.is_empty() {
        return "no tokens\n".to_owned();
    }
    let now = session.out.now();
    let ago = |at: Option<infra_core::words::clock::Timestamp>| {
        at.map(|at| show::relative(at, now)).unwrap_or_default()
    };
    let mut table = Table::new(&["ID", "LABEL", "ROLE", "ISSUED", "LAST USED", "EXPIRES"]);
    for token in items {
        table.row([
            token.id.clone(),
            token.label.clone(),
            token.role.clone(),
            ago(token.created_at),
            ago(token.last_used_at),
            ago(token.expires_at),
        ]);
    }
    table.render(0)
}
