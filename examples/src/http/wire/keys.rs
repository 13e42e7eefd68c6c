//! Keys to clouds.

use std::collections::BTreeMap;
use std::fmt;

use infra_core::infra::KeyView;
use infra_core::nouns::credential::CredentialStatus;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{AccountId, CloudName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A key to a cloud, to be checked, sealed and saved. What else the cloud needs stands beside `kind`, as strings:
/// `access_key_id` and `secret_access_key`, `token`, `username`, ...
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"provider": "sim", "label": "default", "kind": "static", "token": "sim-demo"}))]
pub struct NewKey {
    /// For which configured cloud.
    pub provider: CloudName,
    /// The team's own name for it.
    #[serde(default = "default_label")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$", default = "default")]
    pub label: String,
    /// Which form of key: `static`, `assume_role`, `token`, `password`, `application_credential`, ...
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    pub kind: String,
    /// Whatever else the cloud needs; its driver knows which fields those are.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, String>)]
    pub fields: BTreeMap<String, Value>,
}

pub(super) fn default_label() -> String {
    "default".to_owned()
}

impl fmt::Debug for NewKey {
    /// The names of the fields alone: their values are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("provider", &self.provider)
            .field("label", &self.label)
            .field("kind", &self.kind)
            .field("fields", &self.fields.keys())
            .finish()
    }
}

/// A saved key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// For which cloud.
    pub provider: CloudName,
    /// The team's own name for it.
    pub label: String,
    /// Which form of key.
    pub kind: String,
    /// Tells two keys apart, tells nothing else.
    pub fingerprint: String,
    /// The last check.
    pub status: CredentialStatus,
    /// Who the cloud says this is.
    pub identity: String,
    /// The account the cloud named.
    pub account: AccountId,
    /// When it was checked.
    pub checked_at: Timestamp,
    /// Replaced by a key of another account: only looks at and ends what it made.
    pub retired: bool,
}

impl From<&KeyView> for Key {
    fn from(key: &KeyView) -> Self {
        Self {
            provider: key.provider.clone(),
            label: key.label.clone(),
            kind: key.kind.clone(),
            fingerprint: key.fingerprint.clone(),
            status: key.status,
            identity: key.identity.clone(),
            account: key.account.clone(),
            checked_at: key.checked_at,
            retired: key.retired,
        }
    }
}
