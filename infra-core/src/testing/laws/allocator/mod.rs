//! The laws of [`Allocator`].
//!
//! A subject is opened fresh for each law: tenant `team` has the pool `lab` of [`devices`], time is virtual, and a
//! device is free again at the latest [`Subject::clean_after`] after its lease ended.
//!
//! # Caveats
//! Time moves only when a law says so: an allocator that reads another clock than the subject's keeps none of the
//! laws about leases.

mod grants;
mod leases;
mod line;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{Law, Unmet};
use crate::contracts::allocator::{Allocator, PoolQuery};
use crate::nouns::lease::{
    AllocateRequest, Allocation, Demand, Device, DeviceView, Lease, ReleaseRequest, Released, Renewal,
    Renewed, SecretHash,
};
use crate::testing::VirtualClock;
use crate::words::ids::{DeviceId, LaunchToken, PoolId, TenantId};
use crate::words::secret::digest;

/// An allocator and the time it lives in.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The allocator under test.
    pub allocator: Arc<dyn Allocator>,
    /// Its clock.
    pub clock: Arc<VirtualClock>,
    /// Longest time from a lease's end to its device being free.
    pub clean_after: Duration,
}

/// Every law.
#[must_use]
pub fn laws() -> Vec<Law<Subject>> {
    laws![
        grants::the_same_request_answers_the_same_grant,
        grants::a_request_id_is_not_used_for_another_request,
        grants::an_ended_request_is_ended_for_ever,
        grants::all_demands_are_met_or_none,
        grants::every_slot_has_a_device_of_its_own_that_fits,
        grants::a_device_has_one_holder_at_a_time,
        grants::an_impossible_demand_is_named,
        grants::a_foreign_tenant_sees_nothing,
        grants::fences_rise_with_every_grant,
        leases::a_released_device_is_cleaned_before_it_is_granted,
        leases::an_expired_device_is_cleaned_before_it_is_granted,
        leases::an_expiry_frees_the_device,
        leases::a_renewal_lasts_its_ttl,
        leases::a_late_renewal_loses,
        leases::a_release_beats_a_later_renewal,
        leases::a_release_can_be_repeated,
        leases::a_wrong_secret_renews_nothing,
        leases::a_wrong_secret_releases_nothing,
        leases::another_fence_renews_nothing,
        leases::an_unknown_lease_is_not_found,
        leases::each_renewal_has_its_own_outcome,
        leases::max_life_caps_every_renewal,
        leases::a_wall_clock_jump_ends_nothing,
        line::the_line_is_served_in_order,
        line::a_newcomer_does_not_overtake_the_line,
        line::busy_leaves_nothing_behind,
        line::a_lost_reply_is_found_by_its_request,
        line::pages_hold_each_device_once,
        line::changes_tell_every_grant_and_end_in_order,
    ]
}

const TTL: Duration = Duration::from_secs(60);
const MAX_LIFE: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

/// Whose pool it is.
///
/// # Panics
/// Never: the name is legal.
#[must_use]
pub fn tenant() -> TenantId {
    TenantId::new("team").expect("a legal name")
}

/// The pool.
///
/// # Panics
/// Never: the name is legal.
#[must_use]
pub fn pool() -> PoolId {
    PoolId::new("lab").expect("a legal name")
}

/// The pool's devices: `d1` is big and fast, `d2` big, `d3` fast.
///
/// # Panics
/// Never: the names are legal.
#[must_use]
pub fn devices() -> Vec<Device> {
    let device = |id: &str, has: &[&str]| Device {
        id: DeviceId::new(id).expect("a legal name"),
        labels: has.iter().map(|label| ((*label).to_owned(), "yes".to_owned())).collect(),
    };
    vec![device("d1", &["big", "fast"]), device("d2", &["big"]), device("d3", &["fast"])]
}

/// The nth request: one slot, any device, does not queue.
fn ask(nth: u128) -> AllocateRequest {
    AllocateRequest {
        request: LaunchToken(Uuid::from_u128(nth)),
        tenant: tenant(),
        pool: pool(),
        demands: BTreeMap::from([("slot".to_owned(), Demand::default())]),
        secret: SecretHash(digest(&nth.to_be_bytes())),
        ttl: TTL,
        max_life: MAX_LIFE,
        queue: false,
    }
}

/// The nth request, for slots with the labels each must have.
fn ask_for(nth: u128, slots: &[(&str, &[&str])]) -> AllocateRequest {
    let labels = |all: &[&str]| all.iter().map(|label| ((*label).to_owned(), "yes".to_owned())).collect();
    let demand = |(slot, all): &(&str, &[&str])| ((*slot).to_owned(), Demand { labels: labels(all) });
    AllocateRequest { demands: slots.iter().map(demand).collect(), ..ask(nth) }
}

/// The nth request, for every device at once.
fn ask_all(nth: u128) -> AllocateRequest {
    ask_for(nth, &[("a", &[]), ("b", &[]), ("c", &[])])
}

fn queued(request: AllocateRequest) -> AllocateRequest {
    AllocateRequest { queue: true, ..request }
}

fn renewal(lease: &Lease) -> Renewal {
    Renewal { lease: lease.id.clone(), fence: lease.fence, secret: lease.secret.clone() }
}

fn release_of(lease: &Lease) -> ReleaseRequest {
    ReleaseRequest { lease: lease.id.clone(), secret: lease.secret.clone() }
}

impl Subject {
    /// Asks for what must be granted.
    async fn granted(&self, request: &AllocateRequest) -> Result<(Lease, BTreeMap<String, DeviceId>), Unmet> {
        match self.allocator.allocate(request).await? {
            Allocation::Granted { lease, devices } => Ok((lease, devices)),
            other => Err(Unmet::Broken(format!("{other:?} where devices are free"))),
        }
    }

    /// Asks for what cannot be granted now.
    async fn not_granted(&self, request: &AllocateRequest) -> Result<Allocation, Unmet> {
        match self.allocator.allocate(request).await? {
            Allocation::Granted { devices, .. } => Err(Unmet::Broken(format!("{devices:?} is granted"))),
            other => Ok(other),
        }
    }

    async fn renewed(&self, lease: &Lease) -> Result<Renewed, Unmet> {
        self.renewed_by(renewal(lease)).await
    }

    async fn renewed_by(&self, renewal: Renewal) -> Result<Renewed, Unmet> {
        let mut outcomes = self.allocator.renew(&[renewal]).await?;
        outcomes.pop().ok_or_else(|| Unmet::Broken("a renewal without an outcome".to_owned()))
    }

    async fn released(&self, release: ReleaseRequest) -> Result<Released, Unmet> {
        let mut outcomes = self.allocator.release(&[release]).await?;
        outcomes.pop().ok_or_else(|| Unmet::Broken("a release without an outcome".to_owned()))
    }

    /// Every device as the pool shows it.
    async fn views(&self, request: Option<LaunchToken>) -> Result<Vec<DeviceView>, Unmet> {
        let query = PoolQuery { tenant: tenant(), pool: pool(), request, after: None, limit: 100 };
        Ok(self.allocator.list(&query).await?.items)
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Time passes until what has ended by now is clean.
    fn clean(&self) {
        self.pass(self.clean_after + SECOND);
    }
}
