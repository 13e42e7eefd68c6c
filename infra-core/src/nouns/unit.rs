//! One wanted slot of a reservation.

use serde::{Deserialize, Serialize};

use super::launch::{Thing, Want};
use crate::words::clock::Timestamp;
use crate::words::ids::{LaunchToken, ReservationId, Role, TenantId};

/// Where a slot is. Authoritative; the reservation's phase is derived from its units' stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing was tried yet, or the next try waits.
    Waiting,
    /// An attempt is under way.
    Launching,
    /// The cloud is building it.
    Booting,
    /// Software is being set up.
    SettingUp,
    /// Its readiness is being checked.
    Probing,
    /// Usable.
    Ready,
    /// Finishing its work before it goes.
    Draining,
    /// On its way off.
    Stopping,
    /// Off.
    Off,
    /// On its way out.
    Ending,
    /// Out, as wished.
    Gone,
    /// It vanished and is not replaced without a person.
    Lost,
    /// It could not be made.
    Failed,
}

impl Stage {
    /// Nothing of it is left in any cloud.
    #[must_use]
    pub const fn over(self) -> bool {
        matches!(self, Self::Gone | Self::Lost | Self::Failed)
    }
}

/// An offer that a slot walked past because it lacked something, which passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Its index in the reservation's list.
    pub from: usize,
    /// The next attempt from then on begins there again.
    pub until: Timestamp,
}

/// One wanted slot of a reservation; its own record, because a thousand of them fit no single row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Whose.
    pub tenant: TenantId,
    /// Of which reservation.
    pub reservation: ReservationId,
    /// Which slot.
    pub no: u32,
    /// What for.
    pub role: Role,
    /// What is wanted of it.
    pub want: Want,
    /// Where it is.
    pub stage: Stage,
    /// The attempt that fills it.
    pub current: Option<LaunchToken>,
    /// How often it has been filled: a slot outlives its machines.
    pub incarnation: u32,
    /// What must survive the machine: a snapshot while it is off.
    pub kept: Vec<Thing>,
    /// The attempt that made what is kept, or is making it.
    #[serde(default)]
    pub snapshot: Option<LaunchToken>,
    /// Sweeps and scale-down skip it until then.
    pub protect_until: Option<Timestamp>,
    /// Index of the offer that its next attempt takes, in the reservation's list.
    pub offer: usize,
    /// The best offer that it walked past for want of capacity or quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<Passed>,
    /// Attempts in a row that came to nothing.
    pub failed: u32,
    /// The next attempt may not start before.
    pub retry_at: Option<Timestamp>,
    /// Why it is where it is.
    pub reason: Option<String>,
}

impl Unit {
    /// Notes that an offer lacks something until then. Of several the best one counts: the way down the list begins
    /// there again, and what is still lacking behind it is skipped as ever.
    pub fn pass(&mut self, from: usize, until: Timestamp) {
        if self.passed.is_none_or(|passed| from < passed.from) {
            self.passed = Some(Passed { from, until });
        }
    }

    /// Begins again at the best offer that it walked past, once that may have what it lacked.
    pub fn return_to_best(&mut self, now: Timestamp) {
        if let Some(passed) = self.passed.take_if(|passed| passed.until <= now) {
            self.offer = passed.from;
        }
    }
}
