//! `infra profile`, `infra teams` and `infra shares`.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::sure;
use crate::cli::error::CliError;
use crate::cli::request::ssh_key;
use crate::cli::session::{Session, meant};
use crate::cli::show::{self, Table, plain};
use crate::client::{Profile, Share, Team};

/// What to do with your profile.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Requests are filled up with what it says where they do not say themselves.
Examples:
  infra profile set --ssh-key ~/.ssh/id_ed25519.pub --region sim-ams --time-zone Europe/Berlin
  infra profile clear region software")]
pub(in crate::cli) struct ProfileArgs {
    #[command(subcommand)]
    action: Option<ProfileAction>,
}

#[derive(Debug, Clone, Subcommand)]
enum ProfileAction {
    /// What it says (the same as without a word)
    Show,
    /// Say something in it; what is not named stays as it is
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true)
        .args(["time_zone", "region", "os", "ssh_keys", "software"]))]
    Set {
        /// Your time zone, like Europe/Berlin
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// Where to make things, when a request does not say
        #[arg(long, value_name = "REGION")]
        region: Option<String>,
        /// Which operating system, when a request does not say
        #[arg(long, value_name = "NAME")]
        os: Option<String>,
        /// A public key, or its file, for requests that name none; may stand several times
        #[arg(long = "ssh-key", value_name = "FILE")]
        ssh_keys: Vec<String>,
        /// Software, for requests that name none; may stand several times
        #[arg(long, value_name = "NAME")]
        software: Vec<String>,
    },
    /// Say nothing of something any more
    Clear {
        /// Of what
        #[arg(required = true, value_name = "FIELD",
            value_parser = ["time_zone", "region", "os", "ssh_public_keys", "software"])]
        fields: Vec<String>,
    },
}

pub(in crate::cli) async fn profile(session: &Session<'_>, args: &ProfileArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let was = client.profile().await?;
    let mut says = was.value.preferences.clone();
    match args.action.as_ref().unwrap_or(&ProfileAction::Show) {
        ProfileAction::Show => return session.out.answer(&was.raw, || said(&was.value)),
        ProfileAction::Set { time_zone, region, os, ssh_keys, software } => {
            let keys = ssh_keys.iter().map(|key| ssh_key(key)).collect::<Result<Vec<_>, _>>()?;
            for (name, value) in [
                ("time_zone", time_zone.clone().map(Value::from)),
                ("region", region.clone().map(Value::from)),
                ("os", os.clone().map(Value::from)),
                ("ssh_public_keys", (!keys.is_empty()).then(|| json!(keys))),
                ("software", (!software.is_empty()).then(|| json!(software))),
            ] {
                says.extend(value.map(|value| (name.to_owned(), value)));
            }
        }
        ProfileAction::Clear { fields } => says.retain(|name, _| !fields.contains(name)),
    }
    // What was never said is `null` in the answer, and is left out of what is sent.
    says.retain(|_, value| !value.is_null());
    let answer = client.set_profile(&Value::Object(says), was.value.version).await?;
    session.out.answer(&answer.raw, || said(&answer.value))
}

fn said(profile: &Profile) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => Some(plain(text)),
        Value::Array(items) if !items.is_empty() => {
            let items = items.iter().filter_map(Value::as_str).map(plain);
            Some(items.collect::<Vec<_>>().join("\n                   "))
        }
        _ => None,
    };
    let lines = ["time_zone", "region", "os", "ssh_public_keys", "software"].into_iter().filter_map(|name| {
        profile.preferences.get(name).and_then(text).map(|value| format!("{name:<18} {value}\n"))
    });
    let lines: String = lines.collect();
    if lines.is_empty() { "it says nothing yet: `infra profile set --help`\n".to_owned() } else { lines }
}

/// What to do with teams.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Who is in a team shares its keys and sees its templates. A user moves only while holding nothing.
Examples:
  infra --profile admin teams add qa ada ben      makes the team if there is none
  infra --profile admin teams remove qa ben       ben is a team of one again
  infra --profile admin teams remove qa           and so is everybody")]
pub(in crate::cli) struct TeamsArgs {
    #[command(subcommand)]
    action: Option<TeamAction>,
}

#[derive(Debug, Clone, Subcommand)]
enum TeamAction {
    /// Every team (the same as without a word)
    List,
    /// Who is in one
    Show {
        /// The team
        team: String,
    },
    /// Put users into a team
    Add {
        /// The team
        team: String,
        /// Whom
        #[arg(required = true)]
        users: Vec<String>,
    },
    /// Put users out of a team or, when none is named, remove the team
    Remove {
        /// The team
        team: String,
        /// Whom
        users: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

pub(in crate::cli) async fn teams(session: &Session<'_>, args: &TeamsArgs) -> Result<(), CliError> {
    let client = session.client()?;
    let out = &session.out;
    match args.action.as_ref().unwrap_or(&TeamAction::List) {
        TeamAction::List => {
            let page = client.teams().await?;
            out.answer(&page.raw, || table(&page.items, session))
        }
        TeamAction::Show { team } => {
            let answer = client.team(team).await?;
            out.answer(&answer.raw, || table(std::slice::from_ref(&answer.value), session))
        }
        TeamAction::Add { team, users } => {
            let was = match client.team(team).await {
                Ok(answer) => Some(answer.value),
                Err(error) if error.code() == "not-found" => None,
                Err(error) => return Err(error.into()),
            };
            let there = was.as_ref().map(|was| was.members.clone()).unwrap_or_default();
            let members: BTreeSet<String> = there.into_iter().chain(users.iter().cloned()).collect();
            let members: Vec<String> = members.into_iter().collect();
            let answer = client.set_team(team, &members, was.map(|was| was.version)).await?;
            out.answer(&answer.raw, || table(std::slice::from_ref(&answer.value), session))
        }
        TeamAction::Remove { team, users, yes } if users.is_empty() => {
            sure(*yes, &format!("Remove the team {:?}?", plain(team))).await?;
            let answer = client.remove_team(team).await?;
            out.answer(&answer.raw, || format!("removed the team {}", plain(team)))
        }
        TeamAction::Remove { team, users, .. } => {
            let was = client.team(team).await?.value;
            if let Some(stranger) = users.iter().find(|user| !was.members.contains(user)) {
                return Err(CliError::Usage(format!("{stranger:?} is not in the team {team:?}")));
            }
            let members: Vec<String> =
                was.members.iter().filter(|member| !users.contains(member)).cloned().collect();
            let answer = client.set_team(team, &members, Some(was.version)).await?;
            out.answer(&answer.raw, || table(std::slice::from_ref(&answer.value), session))
        }
    }
}

fn table(items: &[Team], session: &Session<'_>) -> String {
    if items.is_empty() {
        return "no teams: `infra teams add TEAM USER...` makes one\n".to_owned();
    }
    let now = session.out.now();
    let mut table = Table::new(&["TEAM", "SINCE", "MEMBERS"]);
    for team in items {
        let since = team.created_at.map(|at| show::relative(at, now)).unwrap_or_default();
        table.row([team.name.clone(), since, team.members.join(", ")]);
    }
    table.render(0)
}

/// What to do with a reservation's shares.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
A viewer looks; a user also stops, starts and extends. All else stays yours.
Examples:
  infra shares add rsv_... ben --role user
  infra shares list rsv_...
  infra shares remove rsv_... ben
  infra list --shared                      what team mates share with you")]
pub(in crate::cli) struct SharesArgs {
    #[command(subcommand)]
    action: ShareAction,
}

#[derive(Debug, Clone, Subcommand)]
enum ShareAction {
    /// Whom it is shared with
    List {
        /// The reservation's id, or its name
        id: String,
    },
    /// Share it with a team mate
    Add {
        /// The reservation's id, or its name
        id: String,
        /// With whom
        #[arg(value_name = "USER")]
        mate: String,
        /// What they may
        #[arg(long, default_value = "viewer", value_parser = ["viewer", "user"])]
        role: String,
    },
    /// Take a share back
    Remove {
        /// The reservation's id, or its name
        id: String,
        /// From whom
        #[arg(value_name = "USER")]
        mate: String,
    },
}

pub(in crate::cli) async fn shares(session: &Session<'_>, args: &SharesArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let out = &session.out;
    match &args.action {
        ShareAction::List { id } => {
            let page = client.shares(&meant(&client, id).await?).await?;
            out.answer(&page.raw, || with(&page.items))
        }
        ShareAction::Add { id, mate, role } => {
            let answer = client.share(&meant(&client, id).await?, mate, role).await?;
            out.answer(&answer.raw, || {
                format!("shared with {} as {}", plain(&answer.value.user), plain(&answer.value.role))
            })
        }
        ShareAction::Remove { id, mate } => {
            let answer = client.unshare(&meant(&client, id).await?, mate).await?;
            out.answer(&answer.raw, || format!("taken back from {}", plain(mate)))
        }
    }
}

fn with(items: &[Share]) -> String {
    if items.is_empty() {
        return "shared with nobody\n".to_owned();
    }
    let mut table = Table::new(&["USER", "ROLE"]);
    for share in items {
        table.row([share.user.clone(), share.role.clone()]);
    }
    table.render(0)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_profile_is_shown_as_nothing_or_out_of_order() {
        let profile = |preferences: Value| {
            let preferences: Map<String, Value> = preferences.as_object().expect("an object").clone();
            said(&Profile { preferences, version: 1, changed_at: None })
        };
        assert!(profile(json!({"os": null, "software": []})).starts_with("it says nothing yet"));
        let shown = profile(json!({"software": ["git", "docker"], "os": "ubuntu 24.04"}));
        assert_eq!(
            shown,
            "os                 ubuntu 24.04\nsoftware           git\n                   docker\n"
        );
    }
}
