//! Leases on devices: what the allocator grants.

use std::collections::BTreeMap;
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
