//! Leases on devices: what the allocator grants.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::words::clock::Timestamp;
use crate::words::ids::{DeviceId, LaunchToken, LeaseId, PoolId, TenantId};
use crate::words::lane::Fence;

/// Digest of a lease's secret: knowing an id is not enough to renew or release.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretHash(pub String);

/// A grant of devices that lives while it is renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// Rises with every grant: a device's guard refuses older ones.
    pub fence: Fence,
    /// Digest of the holder's secret.
    pub secret: SecretHash,
    /// Life of one renewal.
    pub ttl: Duration,
    /// Runs out then unless renewed.
    pub expires_at: Timestamp,
    /// Cannot be renewed beyond.
    pub max_until: Timestamp,
}

/// One device of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Free labels: `arch`, `board`, `rack`.
    pub labels: BTreeMap<String, String>,
}

/// Where a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// May be granted.
    Free,
    /// Held by a lease.
    Leased,
    /// Its clean-up runs; not granted before it has cut the old session.
    Cleaning,
    /// Its clean-up failed; a person must look.
    Broken,
}

/// What one slot of a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Demand {
    /// Labels that must be equal.
    pub labels: BTreeMap<String, String>,
}

impl Demand {
    /// Would this device do?
    #[must_use]
    pub fn is_met_by(&self, device: &Device) -> bool {
        self.labels.iter().all(|(label, value)| device.labels.get(label) == Some(value))
    }
}

/// Another device for every slot, or the first slot that cannot be served beside those before it. Earlier devices
/// are taken first, but no choice starves a later slot: those who can do with another device move along.
///
/// # Errors
/// The slot.
pub fn assign(
    demands: &BTreeMap<String, Demand>,
    from: &[&Device],
) -> Result<BTreeMap<String, DeviceId>, String> {
    let mut taken = BTreeMap::new();
    for slot in demands.keys() {
        if !seat(slot, demands, from, &mut BTreeSet::new(), &mut taken) {
            return Err(slot.clone());
        }
    }
    Ok(taken.into_iter().map(|(device, slot)| (slot.clone(), device.clone())).collect())
}

/// One step of matching by augmenting paths: linear in slots times devices.
fn seat<'a>(
    slot: &'a String,
    demands: &BTreeMap<String, Demand>,
    from: &[&'a Device],
    tried: &mut BTreeSet<&'a DeviceId>,
    taken: &mut BTreeMap<&'a DeviceId, &'a String>,
) -> bool {
    for device in from.iter().filter(|device| demands[slot].is_met_by(device)) {
        let holder = taken.get(&device.id).copied();
        if tried.insert(&device.id) && holder.is_none_or(|it| seat(it, demands, from, tried, taken)) {
            taken.insert(&device.id, slot);
            return true;
        }
    }
    false
}

/// A request for devices: all of its demands or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocateRequest {
    /// Made by the caller: the same id again answers the same grant.
    pub request: LaunchToken,
    /// Whose.
    pub tenant: TenantId,
    /// From which pool.
    pub pool: PoolId,
    /// What for each slot.
    pub demands: BTreeMap<String, Demand>,
    /// Digest of the holder's secret.
    pub secret: SecretHash,
    /// Life of one renewal.
    pub ttl: Duration,
    /// Longest life.
    pub max_life: Duration,
    /// Queue when nothing is free?
    pub queue: bool,
}

/// The answer to a request. Never waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allocation {
    /// All demands are met.
    Granted {
        /// The lease.
        lease: Lease,
        /// Which device fills which slot.
        devices: BTreeMap<String, DeviceId>,
    },
    /// In line: a `changes` event tells of the grant.
    Queued {
        /// Place in line, 1 is next.
        position: u32,
    },
    /// Nothing free and not asked to queue.
    Busy {
        /// Worth asking again after.
        retry_after: Duration,
    },
    /// This request's lease has ended: it is never granted again.
    Ended,
}

/// A renewal by the holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// Which lease.
    pub lease: LeaseId,
    /// The fence the holder was given.
    pub fence: Fence,
    /// Digest of the secret.
    pub secret: SecretHash,
}

/// What became of a renewal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Renewed {
    /// Good until.
    Until(Timestamp),
    /// Being destroyed or over: never OK for something that is going.
    Gone,
    /// Not the holder.
    Forbidden,
    /// No such lease.
    NotFound,
}

/// A release by the holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRequest {
    /// Which lease.
    pub lease: LeaseId,
    /// Digest of the secret.
    pub secret: SecretHash,
}

/// What became of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Released {
    /// Done, now or before.
    Done,
    /// Not the holder.
    Forbidden,
    /// No such lease.
    NotFound,
}

/// One device as the pool sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// Which.
    pub device: Device,
    /// Where.
    pub state: DeviceState,
    /// Held by.
    pub lease: Option<Lease>,
    /// For which request: how a lost reply is resolved.
    pub request: Option<LaunchToken>,
}

/// Something happened in a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolEvent {
    /// Order of events; pass the last one back to get what followed.
    pub at: Fence,
    /// For which request.
    pub request: LaunchToken,
    /// What.
    pub what: PoolEventKind,
}

/// What happened in a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolEventKind {
    /// A request was granted.
    Granted,
    /// A lease ended: released, expired or revoked.
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(all: &[&str]) -> BTreeMap<String, String> {
        all.iter().map(|label| ((*label).to_owned(), "yes".to_owned())).collect()
    }

    #[test]
    fn an_early_choice_starves_no_later_slot() {
        let device = |id: &str, has: &[&str]| Device { id: id.parse().expect("a name"), labels: labels(has) };
        let all = [device("d1", &["big", "fast"]), device("d2", &["big"]), device("d3", &["fast"])];
        let from: Vec<&Device> = all.iter().collect();
        let demand = |slot: &str, asks: &[&str]| (slot.to_owned(), Demand { labels: labels(asks) });
        let met =
            assign(&BTreeMap::from([demand("a", &["big"]), demand("b", &["big"]), demand("c", &[])]), &from);
        let slots: BTreeSet<DeviceId> = met.expect("there are three").into_values().collect();
        assert_eq!(slots.len(), 3);
        let met = assign(&BTreeMap::from([demand("a", &["fast"]), demand("b", &["big", "fast"])]), &from);
        assert_eq!(met.map(|it| (it["a"].to_string(), it["b"].to_string())), Ok(("d3".into(), "d1".into())));
        let two = BTreeMap::from([demand("a", &["big", "fast"]), demand("b", &["big", "fast"])]);
        assert_eq!(assign(&two, &from), Err("b".to_owned()));
    }
}
