//! One store's identity, and who may work on what.

use serde::{Deserialize, Serialize};

use crate::words::clock::Timestamp;
use crate::words::ids::{BootId, CredentialId, InstallationId, ReplicaId, TenantId};
use crate::words::lane::{Fence, Lane, Version};

/// The store's own identity: whose marks are ours, and where it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// Part of every mark.
    pub id: InstallationId,
    /// Bumped at every restore or clone, so that no fence is issued twice.
    pub epoch: u32,
    /// Where the store lives: machine and path, or a configured address.
    pub home: String,
    /// Shape of the records.
    pub schema: u32,
    /// Since when.
    pub created_at: Timestamp,
    /// No mutation until a person says what happened.
    pub frozen: Option<Frozen>,
    /// No deadline fires before this moment (after a restore).
    pub deadlines_held_until: Option<Timestamp>,
    /// Marks up to this commit number are known to be newer than the store, and a person said why.
    pub witness_floor: Version,
}

/// Why nothing is changed in any cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Frozen {
    /// Opened at another place than where it lives: moved, or a copy?
    Elsewhere {
        /// Where it was opened.
        opened_at: String,
    },
    /// A cloud shows marks newer than the store: it was restored from a backup.
    OlderThanCloud {
        /// Where.
        lane: String,
        /// The newest mark there.
        seen: Version,
        /// The store's newest commit.
        newest: Version,
    },
}

/// What a person says about a frozen store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// It moved here; there is no other.
    Moved,
    /// It is a copy: new installation, keys dropped, the original's machines let go.
    Clone,
    /// It was restored from a backup: new epoch, deadlines held for a day.
    Restored,
}

/// A lane ever used: swept for ever, whether or not anything lives there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneRecord {
    /// Which.
    pub lane: Lane,
    /// Since when.
    pub created_at: Timestamp,
    /// Keys that reach it: (tenant, credential).
    pub keys: Vec<(TenantId, CredentialId)>,
    /// A person allowed a mass ending here until then.
    #[serde(default)]
    pub mass_allowed_until: Option<Timestamp>,
}

/// A fenced claim on a shard of tenants or on a lane. Its heartbeat stands in a record of its own, so that
/// renewing it does not fail the commits that check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// On what.
    pub on: String,
    /// Who holds it.
    pub holder: ReplicaId,
    /// Which start of the holder.
    pub boot: BootId,
    /// Rises with every change of holder.
    pub fence: Fence,
}

/// A claim's heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Of which claim.
    pub on: String,
    /// Which start of the holder.
    pub boot: BootId,
    /// Valid until; also the store's own high-water of time.
    pub until: Timestamp,
    /// Written at.
    pub at: Timestamp,
}
