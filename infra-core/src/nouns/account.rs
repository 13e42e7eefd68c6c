//! People: users and their teams, their access tokens, their profiles, and what they hold against their limits.

use serde::{Deserialize, Serialize};

use super::template::TemplateRef;
use crate::words::clock::Timestamp;
use crate::words::ids::{Region, ReservationId, TenantId, UserId};

/// Who asks and owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub id: UserId,
    /// Its tenant; the user's own name when it is alone.
    pub tenant: TenantId,
    /// Since when.
    pub created_at: Timestamp,
    /// In this tenant since then; since `created_at` when never moved.
    #[serde(default)]
    pub joined_at: Option<Timestamp>,
    /// Machines this user may hold; the limit of [`crate::Limits`] when not set.
    pub machines_max: Option<u32>,
    /// Machines counted against that limit, in the same commits that plan and end them.
    pub machines_held: u32,
    /// No creates, no changes; releases go on.
    pub suspended: bool,
}

impl User {
    /// Since when it is in its tenant. Names this membership: who leaves and comes back, and who bears the name of
    /// somebody who was removed, has another.
    #[must_use]
    pub fn member_since(&self) -> Timestamp {
        self.joined_at.unwrap_or(self.created_at)
    }
}

/// A team that somebody set up: users who share keys, and may share what they hold. Who is in it, its users say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// Its name, which is its users' tenant.
    pub id: TenantId,
    /// Since when.
    pub created_at: Timestamp,
    /// Bumped whenever somebody comes or goes, in the commit of that: two who leave at once cannot both think that
    /// the other one stays.
    pub change: u64,
}

/// What a user's requests are filled up with, and how it is spoken to. Absent means "not said".
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Preferences {
    /// IANA name of the user's time zone: `Europe/Berlin`.
    #[cfg_attr(feature = "utoipa", schema(min_length = 1, max_length = 100, example = "Europe/Berlin"))]
    pub time_zone: Option<String>,
    /// Where to make things, when a request does not say and it can be had there.
    pub region: Option<Region>,
    /// Which operating system, when a request names neither one nor an image and it can be had.
    #[cfg_attr(
        feature = "utoipa",
        schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")
    )]
    pub os: Option<String>,
    /// OpenSSH public keys, for requests that name none.
    #[cfg_attr(feature = "utoipa", schema(schema_with = crate::words::schema::ssh_public_keys))]
    pub ssh_public_keys: Vec<String>,
    /// Software, for requests that name none, where something here installs it.
    #[cfg_attr(feature = "utoipa", schema(schema_with = crate::words::schema::software))]
    pub software: Vec<String>,
}

/// A user's preferences as stored. They follow the user from team to team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Whose.
    pub user: UserId,
    /// When that user was created: the next of that name is somebody else.
    pub since: Timestamp,
    /// What it says.
    pub preferences: Preferences,
    /// When it was said.
    pub changed_at: Timestamp,
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
    /// About when it was last shown: written once in a while, never at the cost of a request.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
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
    /// The reservation it made, if it made one.
    #[serde(default)]
    pub reservation: Option<ReservationId>,
    /// The version of a template it made, if it made one.
    #[serde(default)]
    pub template: Option<TemplateRef>,
    /// What was answered, as JSON, where neither of the two says it. Never a secret.
    #[serde(default)]
    pub answer: Option<String>,
    /// When it may be forgotten: of a reservation set once that is over.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Since when.
    pub created_at: Timestamp,
}
