//! `infra login`, `logout`, `whoami`.

use clap::Args;
use infra_core::words::secret::Secret;

use crate::cli::config::{self, Config, Profile};
use crate::cli::error::CliError;
use crate::cli::prompt;
use crate::cli::session::Session;
use crate::client::{Client, ClientError};

/// Where a server on this machine listens when nothing else is said.
const HERE: &str = "http://127.0.0.1:8080";

/// How the token comes in.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The token is typed where nobody sees it, or comes from standard input; it is never an argument, because arguments
stay in the shell's history and show in the list of processes.

Examples:
  infra login                                              asks for everything
  infra login --url https://infra.example.com --token-stdin < token-file
  infra login --profile admin --token-stdin < infra-data/admin-token")]
pub(in crate::cli) struct LoginArgs {
    /// Read the token from standard input
    #[arg(long)]
    token_stdin: bool,
}

pub(in crate::cli) async fn login(session: &Session<'_>, args: &LoginArgs) -> Result<(), CliError> {
    let path = config::path(session.env)?;
    let mut config = Config::read(&path)?;
    let name = session.profile();
    let before = config.profiles.get(&name).cloned();
    let known = before.as_ref().map_or(HERE, |profile| &profile.url);
    let url = match session.url() {
        Some(url) => url,
        // Whoever pipes a token in sits nowhere to be asked.
        None if args.token_stdin => known.to_owned(),
        None => prompt::line("Address of the server", Some(known)).await?,
    };
    let token = if args.token_stdin {
        let text = prompt::standard_input()?;
        Secret::new(text.trim().to_owned())
    } else {
        prompt::secret("Token").await?
    };
    let client = session.connect(&url, token.clone(), session.user(), before.as_ref())?;
    let (user, role) = owner(session, &client).await?;
    let mut profile = Profile::new(client.target().address().to_owned(), user.clone(), &token);
    profile.insecure = session.global.insecure || before.as_ref().is_some_and(|before| before.insecure);
    profile.ca_file = match session.ca_file() {
        Some(file) => Some(std::path::absolute(&file).unwrap_or(file)),
        None => before.and_then(|before| before.ca_file),
    };
    config.profiles.insert(name.clone(), profile);
    config.write(&path)?;
    let who = user.unwrap_or_else(|| "the admin".to_owned());
    session.out.note(&format!(
        "logged in at {} as {who} ({role}); saved as {name:?} in {}",
        client.target().address(),
        path.display()
    ));
    Ok(())
}

/// Whose token it is, and what it may: asked of the server, so that a wrong one is noticed now.
async fn owner(session: &Session<'_>, client: &Client) -> Result<(Option<String>, String), CliError> {
    match client.who_am_i().await {
        Ok(answer) => {
            let (role, own) = (answer.value.role, answer.value.user);
            return match (session.user(), own) {
                // Only the admin's and a bot's token act for others.
                (Some(named), Some(own)) if named != own && role != "bot" => {
                    Err(CliError::Config(format!("this token is {own:?}'s, not {named:?}'s")))
                }
                (named, own) => Ok((named.or(own), role)),
            };
        }
        Err(error) if error.is_no_such_path() => {}
        Err(error) => return Err(error.into()),
    }
    // An older server: the admin may look at everything, everybody else at their own.
    match client.status().await {
        Ok(_) => return Ok((session.user(), "admin".to_owned())),
        Err(error) if matches!(error.code(), "forbidden" | "not-found") => {}
        Err(error) => return Err(error.into()),
    }
    let user = match session.user() {
        Some(user) => user,
        None if prompt::somebody() => prompt::line("Your user name", None).await?,
        None => return Err(CliError::Usage("whose token is it? Say --user NAME".to_owned())),
    };
    let client = Client::new(client.target().clone().with_user(user.clone()))?;
    match client.keys().await {
        Ok(_) => Ok((Some(user), "user".to_owned())),
        Err(error) if error.code() == "not-found" => {
            let error = ClientError::Target {
                address: client.target().address().to_owned(),
                why: format!("this token is not {user:?}'s"),
            };
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}

pub(in crate::cli) fn logout(session: &Session<'_>) -> Result<(), CliError> {
    let path = config::path(session.env)?;
    let mut config = Config::read(&path)?;
    let name = session.profile();
    if config.profiles.remove(&name).is_none() {
        return Err(CliError::Config(format!("there is no login {name:?}")));
    }
    config.write(&path)?;
    session
        .out
        .note(&format!("forgot the login {name:?}; the token itself still counts until it is revoked"));
    Ok(())
}

pub(in crate::cli) async fn who_am_i(session: &Session<'_>) -> Result<(), CliError> {
    let client = session.client()?;
    let answer = client.who_am_i().await?;
    session.out.answer(&answer.raw, || {
        let who = answer.value.user.clone().unwrap_or_else(|| "the admin".to_owned());
        let acting = client.target().user().filter(|user| *user != who);
        let acting = acting.map(|user| format!(", acting for {user}")).unwrap_or_default();
        format!("{who} ({}) at {}{acting}", answer.value.role, client.target().address())
    })?;
    match client.ready().await {
        Ok(_) => Ok(()),
        Err(error) => {
            session.out.note(&format!("the server may not work now: {error}"));
            Ok(())
        }
    }
}
