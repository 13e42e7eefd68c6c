//! From flags, environment and file to a client: flags win over the environment, which wins over the file.

use std::path::PathBuf;

use infra_core::words::secret::Secret;

use super::args::Global;
use super::config::{self, Config, Env, Profile};
use super::error::CliError;
use super::show::{Out, plain};
use crate::client::{Client, ListQuery, Reservation, Target};

/// The profile when none is named.
pub(super) const PROFILE: &str = "default";

/// What a command works with.
pub(super) struct Session<'a> {
    pub(super) global: &'a Global,
    pub(super) env: Env<'a>,
    pub(super) out: Out,
}

impl Session<'_> {
    /// The name of the login.
    pub(super) fn profile(&self) -> String {
        let named = self.global.profile.clone().or_else(|| self.var("INFRA_PROFILE"));
        named.unwrap_or_else(|| PROFILE.to_owned())
    }

    pub(super) fn var(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    pub(super) fn url(&self) -> Option<String> {
        self.global.url.clone().or_else(|| self.var("INFRA_URL"))
    }

    pub(super) fn user(&self) -> Option<String> {
        self.global.user.clone().or_else(|| self.var("INFRA_USER"))
    }

    pub(super) fn ca_file(&self) -> Option<PathBuf> {
        self.global.ca_file.clone().or_else(|| self.var("INFRA_CA_FILE").map(PathBuf::from))
    }

    /// A client as whoever is logged in.
    pub(super) fn client(&self) -> Result<Client, CliError> {
        let saved = self.saved()?;
        let url = self.url().or_else(|| saved.as_ref().map(|profile| profile.url.clone()));
        let token = self.var("INFRA_TOKEN").map(Secret::new);
        // A token goes to the server that it was given for, and to no other that a flag names.
        let saved_token = saved.as_ref().filter(|profile| same_server(self.url().as_deref(), &profile.url));
        let token = token.clone().or_else(|| saved_token.map(Profile::token));
        let (Some(url), Some(token)) = (url, token) else {
            return Err(self.no_login());
        };
        let with_env_token = self.var("INFRA_TOKEN").is_some();
        // The saved user is the saved token's.
        let saved_user = saved.as_ref().filter(|_| !with_env_token).and_then(|profile| profile.user.clone());
        self.connect(&url, token, self.user().or(saved_user), saved.as_ref())
    }

    /// A client for a login that is known.
    pub(super) fn connect(
        &self,
        url: &str,
        token: Secret,
        user: Option<String>,
        saved: Option<&Profile>,
    ) -> Result<Client, CliError> {
        let insecure = self.global.insecure || saved.is_some_and(|profile| profile.insecure);
        let mut target = Target::new(url, token)?.with_insecure(insecure);
        if let Some(user) = user {
            target = target.with_user(user);
        }
        let saved_file = || saved.and_then(|profile| profile.ca_file.clone());
        if let Some(file) = self.ca_file().or_else(saved_file) {
            target = target.with_ca_file(file);
        }
        Ok(Client::new(target)?)
    }

    /// As [`Self::client`], and surely with a user: who only has a token is asked for by the token.
    pub(super) async fn own(&self) -> Result<Client, CliError> {
        let client = self.client()?;
        if client.target().user().is_some() {
            return Ok(client);
        }
        match client.who_am_i().await {
            Ok(answer) => match answer.value.user {
                Some(user) => Ok(Client::new(client.target().clone().with_user(user))?),
                None => Ok(client),
            },
            Err(error) if error.is_no_such_path() => Ok(client),
            Err(error) => Err(error.into()),
        }
    }

    fn saved(&self) -> Result<Option<Profile>, CliError> {
        let whole_env = self.var("INFRA_URL").is_some() && self.var("INFRA_TOKEN").is_some();
        let named = self.global.profile.is_some();
        if whole_env && !named {
            return Ok(None);
        }
        let mut config = Config::read(&config::path(self.env)?)?;
        let name = self.profile();
        let found = config.profiles.remove(&name);
        if found.is_none() && (named || self.var("INFRA_PROFILE").is_some()) {
            let known: Vec<String> = config.profiles.into_keys().collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(CliError::Config(format!(
                "there is no login {name:?}; known: {known}. `infra login --profile {name}` makes it"
            )));
        }
        Ok(found)
    }

    fn no_login(&self) -> CliError {
        let what = if self.url().is_some() { "no token for that server" } else { "not logged in" };
        CliError::Config(format!("{what}: `infra login` asks for it, or set INFRA_URL and INFRA_TOKEN"))
    }
}

fn same_server(named: Option<&str>, saved: &str) -> bool {
    named.is_none_or(|named| named.trim_end_matches('/') == saved.trim_end_matches('/'))
}

/// The id that a person means: the id itself, or the name of the one living reservation that has it.
pub(super) async fn meant(client: &Client, said: &str) -> Result<String, CliError> {
    if said.starts_with("rsv_") {
        return Ok(said.to_owned());
    }
    let all = client.reservations(&ListQuery::default()).await?;
    let mut named = all.items.iter().filter(|one: &&Reservation| one.name() == Some(said));
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one.id.clone()),
        (None, _) => {
            // The server's own words and code for something that is not there.
            client.reservation(said).await?;
            Ok(said.to_owned())
        }
        (Some(one), Some(other)) => Err(CliError::Usage(format!(
            "more than one reservation is named {:?}: {}, {}{}; say the id",
            plain(said),
            one.id,
            other.id,
            if named.next().is_some() { ", ..." } else { "" }
        ))),
    }
}
