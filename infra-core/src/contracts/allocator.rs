//! Pools of devices: to devices what a cloud is to machines. It owns its grants in its own log.
//!
//! # Guarantees asked of implementers
//! * `allocate` never waits; the same request id answers the same grant, and [`Allocation::Ended`] for ever once
//!   its lease has ended.
//! * All demands of a request or none; at most one unexpired grant per device.
//! * A release and an expiry beat a late renewal; a renewal is never OK for something that is going.
//! * Fences rise with every grant.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::store::Page;
use crate::nouns::lease::{
    AllocateRequest, Allocation, DeviceView, PoolEvent, ReleaseRequest, Released, Renewal, Renewed,
};
use crate::words::fault::{Effect, Fault, FaultKind};
use crate::words::ids::{DeviceId, LaunchToken, PoolId, TenantId};
use crate::words::lane::Fence;

/// Which devices to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolQuery {
    /// Whose.
    pub tenant: TenantId,
    /// Of which pool.
    pub pool: PoolId,
    /// Only those granted to this request: how a lost reply is resolved.
    pub request: Option<LaunchToken>,
    /// Begin after this device.
    pub after: Option<DeviceId>,
    /// At most so many.
    pub limit: usize,
}

/// Grants devices.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Allocator: Send + Sync + Debug {
    /// All demands or none, now, in line, or busy.
    ///
    /// # Errors
    /// [`AllocateError::Unfulfillable`] when the pool could never meet a demand.
    async fn allocate(&self, request: &AllocateRequest) -> Result<Allocation, AllocateError>;

    /// Renews leases, each with its own outcome.
    ///
    /// # Errors
    /// [`AllocateError::Unavailable`].
    async fn renew(&self, renewals: &[Renewal]) -> Result<Vec<Renewed>, AllocateError>;

    /// Releases leases, each with its own outcome. Repeating is fine.
    ///
    /// # Errors
    /// [`AllocateError::Unavailable`].
    async fn release(&self, releases: &[ReleaseRequest]) -> Result<Vec<Released>, AllocateError>;

    /// Devices of a pool, ordered by id.
    ///
    /// # Errors
    /// [`AllocateError::UnknownPool`].
    async fn list(&self, query: &PoolQuery) -> Result<Page<DeviceView, DeviceId>, AllocateError>;

    /// What happened after a fence. Waits up to `wait` for the first; polling is legal.
    ///
    /// # Errors
    /// [`AllocateError::Unavailable`].
    async fn changes(&self, after: Fence, wait: Duration) -> Result<Vec<PoolEvent>, AllocateError>;
}

/// Why an allocator did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// No such pool for this tenant.
    #[error("no pool {pool}")]
    UnknownPool {
        /// Which.
        pool: PoolId,
    },
    /// No set of devices of the pool could ever meet the demands.
    #[error("demand {slot} can never be met: {why}")]
    Unfulfillable {
        /// Which demand.
        slot: String,
        /// Why.
        why: String,
    },
    /// The same request id came with another request.
    #[error("request id was used for another request")]
    RequestMismatch,
    /// The log did not answer.
    #[error("allocator does not answer: {why}")]
    Unavailable {
        /// What happened.
        why: String,
        /// May it have happened?
        effect: Effect,
    },
}

impl Fault for AllocateError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::UnknownPool { .. } => FaultKind::NotFound,
            Self::Unfulfillable { .. } | Self::RequestMismatch => FaultKind::Invalid,
            Self::Unavailable { .. } => FaultKind::Unavailable,
        }
    }

    fn effect(&self) -> Effect {
        match self {
            Self::Unavailable { effect, .. } => *effect,
            _ => Effect::NotApplied,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }
}
