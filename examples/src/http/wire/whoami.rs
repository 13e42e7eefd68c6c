//! Who a token is.

use infra_core::nouns::account::TokenRole;
use infra_core::words::ids::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whose token it is, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI {
    /// Whose; `null` for the admin's, which is nobody's own.
    #[schema(required = true, value_type = Option<String>)]
    pub user: Option<UserId>,
    /// What it may do.
    pub role: Role,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CallerRole)]
pub enum Role {
    /// Everything.
    Admin,
    /// Everything its user may.
    User,
    /// Only look.
    Viewer,
    /// Act for the user named in a header.
    Bot,
}

impl From<TokenRole> for Role {
    fn from(role: TokenRole) -> Self {
        match role {
            TokenRole::User => Self::User,
            TokenRole::Viewer => Self::Viewer,
            TokenRole::Bot => Self::Bot,
        }
    }
}
