//! What a lane lacked lately: one record per lane, read by every ranking and every plan.
//!
//! # Why in the store
//! The front door that ranks, and the replica that launches, may be two processes; and a restart in the middle of a
//! shortage must not ask for everything again. So the memory survives whatever the store survives. It is advice and
//! never a proof: losing it costs a few refused calls.

use serde::{Deserialize, Serialize};

use super::request::Market;
use crate::words::clock::Timestamp;
use crate::words::ids::{TypeName, Zone};
use crate::words::lane::Lane;

/// Offers that a record remembers at most, the newest: a lane has more types than anybody tries in three minutes.
const REMEMBERED_MAX: usize = 256;

/// What was lacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// The zone has none of that type.
    Capacity,
    /// The account may have no more of that type, wherever in the region.
    Quota,
}

/// One offer that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scarce {
    /// Which type.
    pub type_name: TypeName,
    /// In which zone; `None` for all of them: a quota is of the account, not of a zone.
    pub zone: Option<Zone>,
    /// On which market.
    pub market: Market,
    /// What was lacking.
    pub lack: Lack,
    /// What the cloud said, for people.
    pub said: String,
    /// It is not asked for before.
    pub until: Timestamp,
}

/// What a lane lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scarcity {
    /// Where: cloud, endpoint, account and region.
    pub lane: Lane,
    /// What; entries whose time is over stay until the next is written.
    pub offers: Vec<Scarce>,
}

impl Scarcity {
    /// A lane that lacks nothing yet.
    #[must_use]
    pub const fn of(lane: Lane) -> Self {
        Self { lane, offers: Vec::new() }
    }

    /// Remembers a refusal in place of an older one of the same offer, and forgets what is over by `now`.
    pub fn remember(&mut self, scarce: Scarce, now: Timestamp) {
        let same = |old: &Scarce| {
            (&old.type_name, &old.zone, old.market) == (&scarce.type_name, &scarce.zone, scarce.market)
        };
        self.offers.retain(|old| old.until > now && !same(old));
        self.offers.push(scarce);
        let surplus = self.offers.len().saturating_sub(REMEMBERED_MAX);
        self.offers.drain(..surplus);
    }
}
