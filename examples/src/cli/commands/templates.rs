//! `infra templates` and `infra save`.

use clap::{Args, Subcommand};

use super::sure;
use crate::cli::error::CliError;
use crate::cli::request::RequestArgs;
use crate::cli::session::{Session, meant};
use crate::cli::show::{self, Table, plain};
use crate::client::Template;

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
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// What is kept (the same as without a word)
    List,
    /// What one asks for
    Show {
        /// Its name
        name: String,
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
            let page = client.templates().await?;
            out.answer(&page.raw, || list(&page.items, session))
        }
        Action::Show { name } => {
            let answer = client.template(name).await?;
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
