//! The forms of a credential, taken apart. Nothing here does I/O.

use std::collections::BTreeMap;

use infra_core::contracts::provider::ProviderError;
use infra_core::nouns::credential::Credential;
use infra_core::words::secret::Secret;

use super::api::AssumeRole;
use crate::failure::invalid;

/// Keys as a request is signed with them; the fields of a credential of kind `static`.
#[derive(Debug, Clone)]
pub struct StaticKeys {
    /// `access_key_id`.
    pub access_key_id: Secret,
    /// `secret_access_key`.
    pub secret_access_key: Secret,
    /// `session_token`, of temporary keys.
    pub session_token: Option<Secret>,
}

/// What a credential asks for.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// `static`: keys that stand in it.
    Static(StaticKeys),
    /// `assume_role`: a role, assumed with keys that stand in it, or with the operator's own.
    AssumeRole { role: AssumeRole, base: Option<StaticKeys> },
    /// `ambient`: the operator's own keys.
    Ambient,
}

const KEYS: [&str; 3] = ["access_key_id", "secret_access_key", "session_token"];
const ROLE: [&str; 2] = ["role_arn", "external_id"];

impl Form {
    /// Fields that a credential of this kind may have; `None` for a kind that there is not.
    pub(super) fn known_fields(kind: &str) -> Option<Vec<&'static str>> {
        match kind {
            "static" => Some(KEYS.to_vec()),
            "assume_role" => Some([&KEYS[..], &ROLE[..]].concat()),
            "ambient" => Some(Vec::new()),
            _ => None,
        }
    }

    /// Takes a credential apart.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] for another kind, a missing, empty or unknown field.
    pub(super) fn of(credential: &Credential) -> Result<Self, ProviderError> {
        let fields = Fields(&credential.fields);
        match credential.kind.as_str() {
            "static" => {
                fields.only(&KEYS)?;
                Ok(Self::Static(fields.keys()?))
            }
            "assume_role" => {
                fields.only(&[&KEYS[..], &ROLE[..]].concat())?;
                let own = KEYS.iter().any(|name| fields.0.contains_key(*name));
                Ok(Self::AssumeRole {
                    role: fields.role()?,
                    base: if own { Some(fields.keys()?) } else { None },
                })
            }
            "ambient" => {
                fields.only(&[])?;
                Ok(Self::Ambient)
            }
            other => Err(invalid(format!(
                "credential kind {other:?} is not known; static, assume_role and ambient are"
            ))),
        }
    }
}

struct Fields<'a>(&'a BTreeMap<String, Secret>);

impl Fields<'_> {
    fn only(&self, known: &[&str]) -> Result<(), ProviderError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(other) if known.is_empty() => {
                Err(invalid(format!("credential field {other:?} is not known; there are none")))
            }
            Some(other) => {
                Err(invalid(format!("credential field {other:?} is not known; {} are", known.join(", "))))
            }
        }
    }

    fn get(&self, name: &str) -> Option<Secret> {
        self.0.get(name).filter(|value| !value.expose().is_empty()).cloned()
    }

    fn must(&self, name: &str) -> Result<Secret, ProviderError> {
        self.get(name).ok_or_else(|| invalid(format!("credential field {name} is missing")))
    }

    fn keys(&self) -> Result<StaticKeys, ProviderError> {
        Ok(StaticKeys {
            access_key_id: self.must("access_key_id")?,
            secret_access_key: self.must("secret_access_key")?,
            session_token: self.get("session_token"),
        })
    }

    fn role(&self) -> Result<AssumeRole, ProviderError> {
        let role_arn = self.must("role_arn")?.expose().to_owned();
        // arn:aws:iam::123456789012:role/name, in any partition.
        let parts: Vec<&str> = role_arn.splitn(6, ':').collect();
        if !matches!(parts.as_slice(), ["arn", _, "iam", "", account, role]
            if account.len() == 12 && role.starts_with("role/"))
        {
            return Err(invalid("credential field role_arn is no ARN of a role"));
        }
        Ok(AssumeRole {
            role_arn,
            external_id: self.get("external_id").map(|id| id.expose().to_owned()),
            session_name: "infra".to_owned(),
        })
    }
}
