//! `clouds.yaml`, the file OpenStack's own tools keep their keys in: one entry becomes a login.
//!
//! Fields that tools keep for themselves (`volume_api_version`, ...) are ignored; ways to log in that are not known
//! here are refused. Errors never repeat a value that may be a secret.

use std::collections::BTreeMap;

use infra_core::words::secret::Secret;
use serde::Deserialize;

use super::auth::{Login, LoginError};
use super::settings::Interface;

/// Largest file that is read, bytes.
const TEXT_MAX: usize = 256 * 1024;

/// Why an entry cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloudsYamlError {
    /// No YAML, or not of this form.
    #[error("clouds.yaml cannot be read: line {line} is not what was expected")]
    Unreadable {
        /// Which line, from 1; 0 when not known.
        line: u64,
    },
    /// Above the limit.
    #[error("clouds.yaml of {bytes} bytes is above {TEXT_MAX}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// No entry of this name, or no name given where there are several.
    #[error("clouds.yaml has no single entry {wanted:?}; it has {has}")]
    NoEntry {
        /// Which was wanted.
        wanted: String,
        /// Which there are.
        has: String,
    },
    /// The entry is no login.
    #[error("clouds.yaml: {source}")]
    Login {
        /// Why.
        source: LoginError,
    },
    /// A way to log in that is not known here.
    #[error(
        "auth_type {auth_type:?} is not known; password, v3password, token, v3token, v3applicationcredential are"
    )]
    AuthType {
        /// What it says.
        auth_type: String,
    },
    /// An interface that no catalogue has.
    #[error("interface {interface:?} is not known; public, internal, admin are")]
    Interface {
        /// What it says.
        interface: String,
    },
}

/// One entry.
#[derive(Debug, Clone)]
pub struct CloudEntry {
    /// Keystone's address.
    pub auth_url: String,
    /// Who logs in, and for which project.
    pub login: Login,
    /// The region, if the entry names one.
    pub region: Option<String>,
    /// Which addresses, if the entry names one.
    pub interface: Option<Interface>,
}

#[derive(Deserialize)]
struct File {
    clouds: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: BTreeMap<String, String>,
    auth_type: Option<String>,
    region_name: Option<String>,
    interface: Option<String>,
    endpoint_type: Option<String>,
}

impl CloudEntry {
    /// Reads one entry: the named one, or the only one.
    ///
    /// # Errors
    /// [`CloudsYamlError`].
    pub fn read(text: &str, cloud: Option<&str>) -> Result<Self, CloudsYamlError> {
        if text.len() > TEXT_MAX {
            return Err(CloudsYamlError::TooLong { bytes: text.len() });
        }
        let mut file: File = serde_saphyr::from_str(text).map_err(|error| CloudsYamlError::Unreadable {
            line: error.location().map_or(0, |at| at.line()),
        })?;
        let names: Vec<String> = file.clouds.keys().cloned().collect();
        let chosen = match (cloud, &names[..]) {
            (Some(name), _) => file.clouds.remove(name),
            (None, [only]) => file.clouds.remove(only),
            (None, _) => None,
        };
        let no_entry = || CloudsYamlError::NoEntry {
            wanted: cloud.unwrap_or_default().to_owned(),
            has: names.join(", "),
        };
        chosen.ok_or_else(no_entry)?.taken_apart()
    }
}

impl Entry {
    fn taken_apart(self) -> Result<CloudEntry, CloudsYamlError> {
        let kind = match self.auth_type.as_deref().unwrap_or("password") {
            "password" | "v3password" => "password",
            "token" | "v3token" => "token",
            "v3applicationcredential" => "application_credential",
            other => return Err(CloudsYamlError::AuthType { auth_type: other.to_owned() }),
        };
        let word = self.interface.or(self.endpoint_type);
        let interface = word
            .map(|word| Interface::from_word(&word).ok_or(CloudsYamlError::Interface { interface: word }));
        let fields: BTreeMap<String, Secret> =
            self.auth.into_iter().map(|(name, value)| (today(name), Secret::new(value))).collect();
        let login = |source| CloudsYamlError::Login { source };
        let auth_url =
            fields.get("auth_url").ok_or(LoginError::Missing { field: "auth_url" }).map_err(login)?;
        Ok(CloudEntry {
            auth_url: auth_url.expose().to_owned(),
            login: Login::of_fields(kind, &fields).map_err(login)?,
            region: self.region_name,
            interface: interface.transpose()?,
        })
    }
}

/// Projects were once called tenants.
fn today(name: String) -> String {
    match name.as_str() {
        "tenant_name" => "project_name".to_owned(),
        "tenant_id" => "project_id".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
clouds:
  lab:
    auth_type: password
    auth:
      auth_url: https://keys.example:5000/v3
      username: "ada"
      password: hunter2
      project_name: engines
      user_domain_name: Default
      project_domain_id: default
    region_name: RegionOne
    interface: internal
    identity_api_version: 3
  robot:
    auth_type: v3applicationcredential
    auth:
      auth_url: https://keys.example:5000
      application_credential_id: 0123
      application_credential_secret: hunter2
"#;

    #[test]
    fn an_entry_says_who_where_and_for_which_project() {
        let lab = CloudEntry::read(FILE, Some("lab")).expect("it is there");
        assert_eq!((lab.region.as_deref(), lab.interface), (Some("RegionOne"), Some(Interface::Internal)));
        let body = lab.login.to_body();
        assert_eq!(body["auth"]["identity"]["password"]["user"]["domain"]["name"], "Default");
        assert_eq!(body["auth"]["scope"]["project"]["domain"]["id"], "default");
        let robot = CloudEntry::read(FILE, Some("robot")).expect("it is there");
        let id = &robot.login.to_body()["auth"]["identity"]["application_credential"]["id"];
        assert_eq!(id, "0123", "a number in a file is still a name");
        assert!(!format!("{lab:?} {robot:?}").contains("hunter2"), "{lab:?}");
    }

    #[test]
    fn a_file_that_says_too_little_is_refused_without_repeating_it() {
        let one = &FILE[..FILE.find("  robot").expect("it is there")];
        assert!(CloudEntry::read(one, None).is_ok(), "the only entry needs no name");
        for (file, cloud, said) in [
            (FILE.to_owned(), None, "lab, robot"),
            (FILE.to_owned(), Some("nope"), "lab, robot"),
            (one.replace("password: hunter2", "passwort: hunter2"), None, "password is missing"),
            (one.replace("project_name", "projekt_name"), None, "project_name is missing"),
            (one.replace("auth_type: password", "auth_type: v3oidcpassword"), None, "v3oidcpassword"),
            (one.replace("internal", "sideways"), None, "sideways"),
            (one.replace("\"ada\"", "[hunter2"), None, "cannot be read"),
            (format!("clouds: hunter2 {}", "x".repeat(TEXT_MAX)), None, "is above"),
        ] {
            let error = CloudEntry::read(&file, cloud).expect_err(said).to_string();
            assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
        }
    }
}
