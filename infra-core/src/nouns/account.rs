//! People: users, their access tokens, and what they hold against their limits.

use serde::{Deserialize, Serialize};

use crate::words::clock::Timestamp;
use crate::words::ids::{ReservationId, TenantId, UserId};

/// Who asks and owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub id: UserId,
    /// Its tenant; the user's own name when it is alone.
    pub tenant: TenantId,
    /// Since when.
    pub created_at: Timestamp,
    /// Machines this user may hold; the limit of [`crate::Limits`] when not set.
    pub machines_max: Option<u32>,
    /// Machines counted against that limit, in the same commits that plan and end them.
    pub machines_held: u32,
    /// No creates, no changes; releases go on.
    pub suspended: bool,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenRole {
    /// Everything its user may.
    User,
    /// Only look.
    Viewer,
    /// Act for the user named in a header.
    Bot,
}

/// An access token; only its digest is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Its public id.
    pub id: String,
    /// Digest of the secret.
    pub digest: String,
    /// Whose.
    pub user: UserId,
    /// The user's own name for it.
    pub label: String,
    /// What it may do.
    pub role: TokenRole,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

/// An idempotency key, written in the same commit as what it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// Whose.
    pub tenant: TenantId,
    /// Digest of (route, key): the record's id.
    pub id: String,
    /// Digest of the body it came with.
    pub body: String,
    /// What it made.
    pub reservation: ReservationId,
    /// Set when the reservation is over: the key may be forgotten then.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Since when.
    pub created_at: Timestamp,
}
