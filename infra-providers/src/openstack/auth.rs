//! Credentials: who logs in and for which project, from a key's fields to Keystone's request.
//!
//! Kinds: `password` (`username` or `user_id`, `password`, `project_name` or `project_id`, domains),
//! `application_credential` (`application_credential_id` or `_name` with its user, `application_credential_secret`),
//! `token` (`token`, project), `clouds_yaml` (`clouds_yaml`: the file's text; `cloud`: which entry, if several).

use std::collections::BTreeMap;

use infra_core::contracts::provider::ProviderError;
use infra_core::nouns::credential::Credential;
use infra_core::words::secret::Secret;
use serde_json::{Value, json};

use super::clouds_yaml::CloudEntry;
use super::settings::{Interface, versioned};
use crate::failure::invalid;

/// The domain that every Keystone has.
const DEFAULT_DOMAIN: &str = "default";

const USER: [&str; 4] = ["username", "user_id", "user_domain_name", "user_domain_id"];
const PROJECT: [&str; 4] = ["project_name", "project_id", "project_domain_name", "project_domain_id"];
const DOMAIN: [&str; 3] = ["domain_name", "domain_id", "default_domain"];
const APPLICATION: [&str; 3] =
    ["application_credential_id", "application_credential_name", "application_credential_secret"];

/// Who logs in, and for which project.
#[derive(Debug, Clone)]
pub struct Login {
    method: Method,
    scope: Option<Named>,
}

#[derive(Debug, Clone)]
enum Method {
    Password { user: Named, password: Secret },
    ApplicationCredential { id: Application, secret: Secret },
    Token { token: Secret },
}

#[derive(Debug, Clone)]
enum Application {
    Id(String),
    Name { name: String, user: Named },
}

/// A user or project: by its id, or by a name that is unique in its domain.
#[derive(Debug, Clone)]
enum Named {
    Id(String),
    Name { name: String, domain: Value },
}

impl Named {
    fn to_json(&self) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id }),
            Self::Name { name, domain } => json!({ "name": name, "domain": domain }),
        }
    }
}

/// Why the fields are no login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// A field is missing or empty.
    #[error("field {field} is missing")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// A way to log in that is not known here.
    #[error("kind {kind:?} is not known; password, application_credential, token, clouds_yaml are")]
    Kind {
        /// What it says.
        kind: String,
    },
}

/// Fields by name; empty ones count as missing.
struct Fields<'a>(&'a BTreeMap<String, Secret>);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).filter(|value| !value.expose().is_empty())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.expose().to_owned())
    }

    fn must(&self, field: &'static str) -> Result<Secret, LoginError> {
        self.get(field).cloned().ok_or(LoginError::Missing { field })
    }

    /// `id` wins over `name`, as in OpenStack's own clients; a domain may be said for both user and project.
    fn domain(&self, of: &str) -> Value {
        let said = |name: String, key: &str| self.text(&name).map(|text| json!({ key: text }));
        said(format!("{of}_domain_id"), "id")
            .or_else(|| said(format!("{of}_domain_name"), "name"))
            .or_else(|| said("domain_id".to_owned(), "id"))
            .or_else(|| said("domain_name".to_owned(), "name"))
            .or_else(|| said("default_domain".to_owned(), "id"))
            .unwrap_or_else(|| json!({ "id": DEFAULT_DOMAIN }))
    }

    fn user(&self) -> Result<Named, LoginError> {
        match (self.text("user_id"), self.text("username")) {
            (Some(id), _) => Ok(Named::Id(id)),
            (None, Some(name)) => Ok(Named::Name { name, domain: self.domain("user") }),
            (None, None) => Err(LoginError::Missing { field: "username" }),
        }
    }

    fn project(&self) -> Result<Named, LoginError> {
        match (self.text("project_id"), self.text("project_name")) {
            (Some(id), _) => Ok(Named::Id(id)),
            (None, Some(name)) => Ok(Named::Name { name, domain: self.domain("project") }),
            (None, None) => Err(LoginError::Missing { field: "project_name" }),
        }
    }
}

impl Login {
    /// A login from the fields of a kind; what is not asked for is ignored.
    ///
    /// # Errors
    /// [`LoginError`].
    pub fn of_fields(kind: &str, fields: &BTreeMap<String, Secret>) -> Result<Self, LoginError> {
        let fields = Fields(fields);
        match kind {
            "password" => Ok(Self {
                method: Method::Password { user: fields.user()?, password: fields.must("password")? },
                scope: Some(fields.project()?),
            }),
            "token" => Ok(Self {
                method: Method::Token { token: fields.must("token")? },
                scope: Some(fields.project()?),
            }),
            "application_credential" => {
                let id = match (
                    fields.text("application_credential_id"),
                    fields.text("application_credential_name"),
                ) {
                    (Some(id), _) => Application::Id(id),
                    (None, Some(name)) => Application::Name { name, user: fields.user()? },
                    (None, None) => {
                        return Err(LoginError::Missing { field: "application_credential_id" });
                    }
                };
                let secret = fields.must("application_credential_secret")?;
                // It carries its project: naming one is an error at Keystone.
                Ok(Self { method: Method::ApplicationCredential { id, secret }, scope: None })
            }
            kind => Err(LoginError::Kind { kind: kind.to_owned() }),
        }
    }

    /// Keystone's request. Holds the secret.
    pub(super) fn to_body(&self) -> Value {
        let (word, method) = match &self.method {
            Method::Password { user, password } => {
                let mut user = user.to_json();
                user["password"] = json!(password.expose());
                ("password", json!({ "user": user }))
            }
            Method::Token { token } => ("token", json!({ "id": token.expose() })),
            Method::ApplicationCredential { id, secret } => {
                let mut application = match id {
                    Application::Id(id) => json!({ "id": id }),
                    Application::Name { name, user } => json!({ "name": name, "user": user.to_json() }),
                };
                application["secret"] = json!(secret.expose());
                ("application_credential", application)
            }
        };
        let mut auth = json!({ "identity": { "methods": [word], word: method } });
        if let Some(project) = &self.scope {
            auth["scope"] = json!({ "project": project.to_json() });
        }
        json!({ "auth": auth })
    }
}

/// A key as a driver gets it: the login, and what its `clouds.yaml` says besides.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) login: Login,
    pub(super) region: Option<String>,
    pub(super) interface: Option<Interface>,
}

impl Key {
    /// Takes a credential apart. `auth_url` is the one that the operator configured: a key for another Keystone is
    /// refused rather than shown to this one.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] for another kind, a missing, empty or unknown field.
    pub(super) fn of(credential: &Credential, auth_url: &str) -> Result<Self, ProviderError> {
        let refused = |error: &dyn std::fmt::Display| invalid(format!("credential: {error}"));
        check_names(credential)?;
        if credential.kind != "clouds_yaml" {
            let login = Login::of_fields(&credential.kind, &credential.fields);
            let login = login.map_err(|error| refused(&error))?;
            return Ok(Self { login, region: None, interface: None });
        }
        let fields = Fields(&credential.fields);
        let text = fields.must("clouds_yaml").map_err(|error| refused(&error))?;
        let entry = CloudEntry::read(text.expose(), fields.text("cloud").as_deref());
        let entry = entry.map_err(|error| refused(&error))?;
        if versioned(&entry.auth_url) != versioned(auth_url) {
            return Err(invalid(format!("clouds.yaml is of another cloud: this one is at {auth_url}")));
        }
        Ok(Self { login: entry.login, region: entry.region, interface: entry.interface })
    }
}

/// Fields that a credential of this kind may have; `None` for a kind that there is not.
pub(super) fn known_fields(kind: &str) -> Option<Vec<&'static str>> {
    match kind {
        "password" => Some([&USER[..], &["password"], &PROJECT, &DOMAIN].concat()),
        "token" => Some([&["token"][..], &PROJECT, &DOMAIN].concat()),
        "application_credential" => Some([&APPLICATION[..], &USER, &DOMAIN].concat()),
        "clouds_yaml" => Some(vec!["clouds_yaml", "cloud"]),
        _ => None,
    }
}

fn check_names(credential: &Credential) -> Result<(), ProviderError> {
    let Some(known) = known_fields(&credential.kind) else { return Ok(()) };
    match credential.fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(other) => {
            Err(invalid(format!("credential field {other:?} is not known; {} are", known.join(", "))))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, fields: &[(&str, &str)]) -> Result<Key, ProviderError> {
        let fields =
            fields.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
        let provider = "lab".parse().expect("a legal name");
        Key::of(&Credential { provider, kind: kind.to_owned(), fields: fields.collect() }, "http://k:5000/v3")
    }

    #[test]
    fn each_kind_says_what_keystone_asks_for() {
        let user = [("username", "ada"), ("password", "hunter2")];
        let project = [("project_name", "engines"), ("project_domain_name", "Labs")];
        let password = key("password", &[&user[..], &project].concat()).expect("whole");
        let body = password.login.to_body();
        let asked = &body["auth"]["identity"]["password"]["user"];
        assert_eq!(asked, &json!({"name": "ada", "domain": {"id": "default"}, "password": "hunter2"}));
        let scope = json!({"project": {"name": "engines", "domain": {"name": "Labs"}}});
        assert_eq!(body["auth"]["scope"], scope);
        let application = [("application_credential_id", "7"), ("application_credential_secret", "hunter2")];
        let application = key("application_credential", &application).expect("whole").login.to_body();
        assert_eq!(application["auth"].get("scope"), None, "it carries its project");
        let token = key("token", &[("token", "hunter2"), ("project_id", "9")]).expect("whole").login;
        assert_eq!(token.to_body()["auth"]["scope"], json!({"project": {"id": "9"}}));
        assert!(!format!("{password:?} {token:?}").contains("hunter2"));
    }

    #[test]
    fn a_key_that_is_not_whole_is_refused_without_repeating_it() {
        let yaml = "clouds: {lab: {auth: {auth_url: http://evil:5000, username: a, password: hunter2, project_id: b}}}";
        for (kind, fields, said) in [
            ("static", &[][..], "kind \"static\" is not known"),
            ("password", &[("username", "ada"), ("password", "")], "password is missing"),
            ("password", &[("user", "ada"), ("password", "hunter2")], "\"user\" is not known; username"),
            ("password", &[("username", "ada"), ("password", "hunter2")], "project_name is missing"),
            ("application_credential", &[("application_credential_secret", "hunter2")], "credential_id"),
            ("clouds_yaml", &[("clouds_yaml", yaml)], "another cloud"),
            ("clouds_yaml", &[], "clouds_yaml is missing"),
        ] {
            let error = key(kind, fields).expect_err(said).to_string();
            assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
        }
    }
}
