//! People and their access tokens.

use infra_core::nouns::account::{self, AccessToken, TokenRole};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{TenantId, UserId};
use infra_core::words::secret::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::keys::default_label;

/// A user to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "ada"}))]
pub struct NewUser {
    /// Its name; must not begin with `_`.
    #[schema(value_type = String, min_length = 1, max_length = 195, pattern = "^[A-Za-z0-9.:@/+-][A-Za-z0-9._:@/+-]*$")]
    pub name: UserId,
    /// Its team; alone when not said. Must not begin with `_` or `user:`.
    #[serde(default)]
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 200,
        pattern = "^(?!user:)[A-Za-z0-9.:@/+-][A-Za-z0-9._:@/+-]*$"
    )]
    pub team: Option<TenantId>,
}

/// What an admin may change of a user; what is not said stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"machines_max": 50}))]
pub struct UserChange {
    /// Machines this user may hold.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 4294967295_u32, format = Int64)]
    pub machines_max: Option<u32>,
    /// No creates, no changes; releases go on.
    #[serde(default)]
    pub suspended: Option<bool>,
}

/// A user. A lone user's tenant is its own business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Its name.
    pub name: UserId,
    /// Its team; `null` when it is alone.
    #[schema(required = true)]
    pub team: Option<TenantId>,
    /// Since when.
    pub created_at: Timestamp,
    /// Machines it may hold; `null` for the installation's limit.
    #[schema(required = true, format = Int64)]
    pub machines_max: Option<u32>,
    /// Machines counted against that limit now.
    #[schema(format = Int64)]
    pub machines_held: u32,
    /// No creates, no changes; releases go on.
    pub suspended: bool,
}

impl From<&account::User> for User {
    fn from(user: &account::User) -> Self {
        Self {
            name: user.id.clone(),
            team: Some(user.tenant.clone()).filter(|team| !team.as_str().starts_with("user:")),
            created_at: user.created_at,
            machines_max: user.machines_max,
            machines_held: user.machines_held,
            suspended: user.suspended,
        }
    }
}

/// An access token to issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"label": "laptop", "role": "user"}))]
pub struct NewToken {
    /// The user's own name for it.
    #[serde(default = "default_label")]
    #[schema(max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$", default = "default")]
    pub label: String,
    /// What it may do.
    #[serde(default = "default_role")]
    pub role: TokenRole,
    /// Life, seconds; for ever when not said.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 3162240000_i64)]
    pub expires_in_s: Option<u64>,
}

const fn default_role() -> TokenRole {
    TokenRole::User
}

/// An access token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its public id.
    pub id: String,
    /// The user's own name for it.
    pub label: String,
    /// What it may do.
    pub role: TokenRole,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; `null` for ever.
    #[schema(required = true)]
    pub expires_at: Option<Timestamp>,
}

impl From<&AccessToken> for Token {
    fn from(token: &AccessToken) -> Self {
        Self {
            id: token.id.clone(),
            label: token.label.clone(),
            role: token.role,
            created_at: token.created_at,
            expires_at: token.expires_at,
        }
    }
}

/// An access token and, this one time, its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedToken {
    /// Its public id.
    pub id: String,
    /// The user's own name for it.
    pub label: String,
    /// What it may do.
    pub role: TokenRole,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; `null` for ever.
    #[schema(required = true)]
    pub expires_at: Option<Timestamp>,
    /// The secret: send it as `Authorization: Bearer <token>`. Shown this once.
    #[serde(serialize_with = "shown_once", deserialize_with = "hidden")]
    #[schema(value_type = String, format = Password, example = "infra_0123...")]
    pub token: Secret,
}

impl IssuedToken {
    /// The one answer in which the secret stands.
    #[must_use]
    pub fn new(token: &AccessToken, secret: Secret) -> Self {
        let Token { id, label, role, created_at, expires_at } = token.into();
        Self { id, label, role, created_at, expires_at, token: secret }
    }
}

fn shown_once<S: serde::Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose())
}

fn hidden<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(Secret::new)
}
