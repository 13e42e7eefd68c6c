//! Kill switches: stored, checked in the very commit that writes a send.

use serde::{Deserialize, Serialize};

use crate::words::clock::Timestamp;
use crate::words::ids::TenantId;
use crate::words::lane::LaneId;

/// What a switch covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SwitchScope {
    /// Everything.
    Global,
    /// One lane.
    Lane(LaneId),
    /// One tenant.
    Tenant(TenantId),
}

impl SwitchScope {
    /// The record id of this scope's switch.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Global => "global".to_owned(),
            Self::Lane(lane) => format!("lane:{lane}"),
            Self::Tenant(tenant) => format!("tenant:{tenant}"),
        }
    }
}

/// What a switch forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SwitchValue {
    /// Nothing.
    #[default]
    Open,
    /// Nothing new is made or turned on.
    NoCreates,
    /// Nothing is ended or turned off.
    NoDeletes,
    /// Nothing at all.
    Frozen,
}

impl SwitchValue {
    /// May things be made and turned on?
    #[must_use]
    pub const fn allows_create(self) -> bool {
        matches!(self, Self::Open | Self::NoDeletes)
    }

    /// May things be ended and turned off?
    #[must_use]
    pub const fn allows_delete(self) -> bool {
        matches!(self, Self::Open | Self::NoCreates)
    }
}

/// A switch and who threw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// What it covers.
    pub scope: SwitchScope,
    /// What it forbids.
    pub value: SwitchValue,
    /// Who threw it.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// It opens by itself then.
    pub until: Option<Timestamp>,
}

impl Switch {
    /// What it forbids at a moment.
    #[must_use]
    pub fn value_at(&self, now: Timestamp) -> SwitchValue {
        if self.until.is_some_and(|until| until <= now) { SwitchValue::Open } else { self.value }
    }
}
