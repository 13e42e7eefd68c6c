//! `infra templates` and `infra save`.

use clap::{Args, Subcommand};

use super::sure;
use crate::cli::error::CliError;
use crate::cli::request::RequestArgs;
use crate::cli::session::{Session, meant};
use crate::cli::show::{self, Table, plain};
use crate::client::{Template, TemplateName};

/// What to do with them.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  infra save rsv_... --as web              keep what a reservation asked for
  infra templates                          what is kept
  infra templates show web
  infra reserve --template web --count 5   ask for it again, with your own keys")]
pub(in crate::cli) struct TemplatesArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// Whose: a team mate's
    #[arg(long, value_name = "USER", global = true)]
    owner: Option<String>,
}

/// Reads `web` or `web@3`.
pub(super) fn versioned(text: &str) -> Result<(String, Option<u32>), String> {
    match text.split_once('@') {
        None => Ok((text.to_owned(), None)),
        Some((name, version)) => {
            let version =
                version.parse().map_err(|_| "must be NAME or NAME@VERSION, like web@3".to_owned())?;
            Ok((name.to_owned(), Some(version)))
        }
    }
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// What is kept (the same as without a word)
    List,
    /// What one asks for
    Show {
        /// Its name; web@3 is its third version
        #[arg(value_name = "NAME[@VERSION]", value_parser = versioned)]
        name: (String, Option<u32>),
    },
    /// Keep a request that was never made
    Save {
        /// Its name
        name: String,
        #[command(flatten)]
        request: Box<RequestArgs>,
    },
    /// Forget one; what was reserved with it stays
    Remove {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Which one, and the name to keep it under.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  infra save rsv_... --as web")]
pub(in crate::cli) struct SaveArgs {
    /// The reservation's id, or its name
    id: String,
    /// The template's name; a name that is taken gets a new version
    #[arg(long = "as", value_name = "NAME")]
    name: String,
}

pub(in crate::cli) async fn save(session: &Session<'_>, args: &SaveArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let id = meant(&client, &args.id).await?;
    let answer = client.save_template(&args.name, &id).await?;
    session.out.answer(&answer.raw, || saved(&answer.value))
}

fn saved(template: &Template) -> String {
    let version = template.version.map(|version| format!(", version {version}")).unwrap_or_default();
    format!("kept as {:?}{version}: {}", plain(&template.name), plain(&show::asked(&template.request)))
}

pub(in crate::cli) async fn templates(session: &Session<'_>, args: &TemplatesArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let out = &session.out;
    match args.action.as_ref().unwrap_or(&Action::List) {
        Action::List => {
            let page = client.templates(args.owner.as_deref()).await?;
            out.answer(&page.raw, || list(&page.items, session))
        }
        Action::Show { name } => {
            let (name, version) = name.clone();
            let which = TemplateName { name, owner: args.owner.clone(), version };
            let answer = client.template(&which).await?;
            out.answer(&answer.raw, || saved(&answer.value).replacen("kept as ", "", 1))
        }
        Action::Save { name, request } => {
            let answer = client.save_request(name, &request.fields()?).await?;
            out.answer(&answer.raw, || saved(&answer.value))
        }
        Action::Remove { name, yes } => {
            sure(*yes, &format!("Forget the template {:?}?", plain(name))).await?;
            let answer = client.remove_template(name).await?;
            out.answer(&answer.raw, || format!("forgot the template {:?}", plain(name)))
        }
    }
}

fn list(items: &[Template], session: &Session<'_>) -> String {
    if items.is_empty() {
        return "no templates: `infra save ID --as NAME` keeps what a reservation asked for\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "OWNER", "VERSION", "KEPT", "ASKS FOR"]);
    let now = session.out.now();
    for one in items {
        table.row([
            one.name.clone(),
            one.owner.clone().unwrap_or_default(),
            one.version.map(|version| version.to_string()).unwrap_or_default(),
            one.created_at.map(|at| show::relative(at, now)).unwrap_or_default(),
            show::asked(&one.request),
        ]);
    }
    table.render(0)
}
