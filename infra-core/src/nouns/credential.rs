//! Keys to clouds: sealed at rest, never shown again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::words::clock::Timestamp;
use crate::words::ids::{AccountId, CloudName, CredentialId, TenantId, UserId};
use crate::words::secret::{Sealed, Secret};

/// A key in the open, as a driver gets it to connect. Never stored, never printed.
#[derive(Debug, Clone)]
pub struct Credential {
    /// For which cloud.
    pub provider: CloudName,
    /// Which form: `static`, `assume_role`, `password`, `token`, ...
    pub kind: String,
    /// Its fields by their wire names.
    pub fields: BTreeMap<String, Secret>,
}

/// The result of the last check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CredentialStatus {
    /// The cloud said who it is.
    Valid,
    /// The cloud said no.
    Invalid,
    /// The cloud did not answer.
    Unverified,
}

/// A key at rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCredential {
    /// `provider/label/account`.
    pub id: CredentialId,
    /// Whose.
    pub tenant: TenantId,
    /// Who saved it.
    pub saved_by: UserId,
    /// For which cloud.
    pub provider: CloudName,
    /// The user's own name for it.
    pub label: String,
    /// Which form.
    pub kind: String,
    /// Its fields as one sealed JSON object.
    pub sealed: Sealed,
    /// Digest of the fields' names and values, cut short: tells two keys apart, tells nothing else.
    pub fingerprint: String,
    /// The account the cloud named.
    pub account: AccountId,
    /// Who the cloud says this is: an ARN, a team, a project.
    pub identity: String,
    /// The last check.
    pub status: CredentialStatus,
    /// When.
    pub checked_at: Timestamp,
    /// Used only to look at and end what was made with it.
    pub retired: bool,
}

impl StoredCredential {
    /// The place its secret is sealed for: a row moved to another tenant does not open.
    #[must_use]
    pub fn place(tenant: &TenantId, id: &CredentialId) -> String {
        format!("{tenant}/credential/{id}")
    }
}
