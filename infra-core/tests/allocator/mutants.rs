//! Allocators that are wrong in one point each: they alter what the right one is asked, or what it says.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::allocator::{AllocateError, PoolQuery};
use infra_core::contracts::store::Page;
use infra_core::nouns::lease::{
    AllocateRequest, Allocation, DeviceView, Lease, PoolEvent, ReleaseRequest, Released, Renewal, Renewed,
};
use infra_core::testing::VirtualClock;
use infra_core::testing::laws::allocator::{Subject, tenant};
use infra_core::testing::reference_allocator::ReferenceAllocator;
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::{DeviceId, LaunchToken, LeaseId};
use infra_core::words::lane::Fence;
use infra_core::{Allocator, Clock};
use uuid::Uuid;

use crate::{GRACE, reference, subject};

/// What is wrong; the law that must catch it is in [`broken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    ForgetsRequests,
    FollowsFirstBody,
    RevivesEnded,
    GrantsAPart,
    OneDeviceForAll,
    TwoMinds,
    WaitsForTheImpossible,
    OneTenantForAll,
    SameFence,
    NoGrace,
    NeverExpires,
    RenewsInWordsOnly,
    RenewsWhatIsGone,
    ReleasesInWordsOnly,
    ReleasesOnce,
    AsksNoSecretToRenew,
    AsksNoSecretToRelease,
    AsksNoFence,
    KnowsEveryLease,
    MixesUpOutcomes,
    NoMaxLife,
    LastComeFirstServed,
    NoLine,
    QueuesEverybody,
    ForgetsTheFilter,
    OnePageForEver,
    TellsAllAgain,
    TrustsTheWall,
}

/// The subject that breaks a law.
pub(crate) fn broken(law: &'static str) -> Option<Subject> {
    use Defect::*;
    let defect = match law {
        "the_same_request_answers_the_same_grant" => ForgetsRequests,
        "a_request_id_is_not_used_for_another_request" => FollowsFirstBody,
        "an_ended_request_is_ended_for_ever" => RevivesEnded,
        "all_demands_are_met_or_none" => GrantsAPart,
        "every_slot_has_a_device_of_its_own_that_fits" => OneDeviceForAll,
        "a_device_has_one_holder_at_a_time" => TwoMinds,
        "an_impossible_demand_is_named" => WaitsForTheImpossible,
        "a_foreign_tenant_sees_nothing" => OneTenantForAll,
        "fences_rise_with_every_grant" => SameFence,
        "a_released_device_is_cleaned_before_it_is_granted" => NoGrace,
        "an_expired_device_is_cleaned_before_it_is_granted" => NoGrace,
        "an_expiry_frees_the_device" => NeverExpires,
        "a_renewal_lasts_its_ttl" => RenewsInWordsOnly,
        "a_late_renewal_loses" => RenewsWhatIsGone,
        "a_release_beats_a_later_renewal" => ReleasesInWordsOnly,
        "a_release_can_be_repeated" => ReleasesOnce,
        "a_wrong_secret_renews_nothing" => AsksNoSecretToRenew,
        "a_wrong_secret_releases_nothing" => AsksNoSecretToRelease,
        "another_fence_renews_nothing" => AsksNoFence,
        "an_unknown_lease_is_not_found" => KnowsEveryLease,
        "each_renewal_has_its_own_outcome" => MixesUpOutcomes,
        "max_life_caps_every_renewal" => NoMaxLife,
        "the_line_is_served_in_order" => LastComeFirstServed,
        "a_newcomer_does_not_overtake_the_line" => NoLine,
        "busy_leaves_nothing_behind" => QueuesEverybody,
        "a_lost_reply_is_found_by_its_request" => ForgetsTheFilter,
        "pages_hold_each_device_once" => OnePageForEver,
        "changes_tell_every_grant_and_end_in_order" => TellsAllAgain,
        "a_wall_clock_jump_ends_nothing" => TrustsTheWall,
        _ => return None,
    };
    Some(subject(|clock| Arc::new(Mutant::new(defect, clock))))
}

/// A clock whose monotonic scale is the wall.
#[derive(Debug)]
struct WallOnly(Arc<VirtualClock>);

#[async_trait]
impl Clock for WallOnly {
    fn wall(&self) -> Timestamp {
        self.0.wall()
    }

    fn mono(&self) -> Duration {
        Duration::try_from(self.0.wall().duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default()
    }

    async fn sleep(&self, for_: Duration) {
        self.0.sleep(for_).await;
    }
}

#[derive(Debug)]
struct Mutant {
    defect: Defect,
    clock: Arc<VirtualClock>,
    inner: ReferenceAllocator,
    /// A second truth about the same devices.
    other: ReferenceAllocator,
    drawn: AtomicU64,
    first_bodies: Mutex<BTreeMap<LaunchToken, AllocateRequest>>,
    leases: Mutex<BTreeMap<LeaseId, Lease>>,
    released: Mutex<Vec<LeaseId>>,
    held_back: Mutex<Option<AllocateRequest>>,
}

impl Mutant {
    fn new(defect: Defect, clock: Arc<VirtualClock>) -> Self {
        let time: Arc<dyn Clock> = match defect {
            Defect::TrustsTheWall => Arc::new(WallOnly(clock.clone())),
            _ => clock.clone(),
        };
        let grace = if defect == Defect::NoGrace { Duration::ZERO } else { GRACE };
        Self {
            defect,
            clock,
            inner: reference(time.clone(), grace),
            other: reference(time, grace),
            drawn: AtomicU64::new(0),
            first_bodies: Mutex::default(),
            leases: Mutex::default(),
            released: Mutex::default(),
            held_back: Mutex::default(),
        }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// The same wish under an id that nobody has used.
    fn renamed(&self, request: &AllocateRequest) -> AllocateRequest {
        let nth = 1_000_000 + u128::from(self.drawn.fetch_add(1, Ordering::SeqCst));
        AllocateRequest { request: LaunchToken(Uuid::from_u128(nth)), ..request.clone() }
    }

    fn alter_request(&self, request: &AllocateRequest) -> AllocateRequest {
        let mut altered = request.clone();
        match self.defect {
            Defect::ForgetsRequests => altered = self.renamed(request),
            Defect::FollowsFirstBody => {
                let mut bodies = self.first_bodies.lock().expect("not poisoned");
                altered = bodies.entry(request.request).or_insert(altered).clone();
            }
            Defect::OneTenantForAll => altered.tenant = tenant(),
            Defect::NeverExpires => {
                (altered.ttl, altered.max_life) =
                    (Duration::from_secs(1 << 30), Duration::from_secs(1 << 30));
            }
            Defect::NoMaxLife => altered.max_life = Duration::from_secs(1 << 30),
            Defect::NoLine => altered.queue = false,
            Defect::QueuesEverybody => altered.queue = true,
            _ => {}
        }
        altered
    }

    async fn alter_answer(
        &self,
        request: &AllocateRequest,
        answer: Result<Allocation, AllocateError>,
    ) -> Result<Allocation, AllocateError> {
        let retry_after = Duration::from_secs(1);
        match (self.defect, answer) {
            (Defect::RevivesEnded, Ok(Allocation::Ended)) => {
                self.inner.allocate(&self.renamed(request)).await
            }
            (Defect::GrantsAPart, Ok(Allocation::Busy { .. })) => {
                let mut part = self.renamed(request);
                part.demands = part.demands.into_iter().take(1).collect();
                self.inner.allocate(&part).await
            }
            (Defect::OneDeviceForAll, Ok(Allocation::Granted { lease, mut devices })) => {
                let first: Vec<DeviceId> = devices.values().take(1).cloned().collect();
                devices.values_mut().for_each(|it| *it = first[0].clone());
                Ok(Allocation::Granted { lease, devices })
            }
            (Defect::WaitsForTheImpossible, Err(AllocateError::Unfulfillable { .. })) => {
                Ok(Allocation::Queued { position: 1 })
            }
            (Defect::SameFence, Ok(Allocation::Granted { mut lease, devices })) => {
                lease.fence = Fence { epoch: 0, seq: 1 };
                Ok(Allocation::Granted { lease, devices })
            }
            (Defect::NoLine, Ok(Allocation::Busy { .. })) if request.queue => {
                let mut bodies = self.first_bodies.lock().expect("not poisoned");
                bodies.insert(request.request, request.clone());
                Ok(Allocation::Queued { position: u32::try_from(bodies.len()).unwrap_or(0) })
            }
            (Defect::QueuesEverybody, Ok(Allocation::Queued { .. })) if !request.queue => {
                Ok(Allocation::Busy { retry_after })
            }
            (_, answer) => answer,
        }
    }

    /// The first who queues is let in after the second.
    async fn turned_around(&self, request: &AllocateRequest) -> Result<Allocation, AllocateError> {
        let held_back = {
            let mut held_back = self.held_back.lock().expect("not poisoned");
            match held_back.take() {
                None if self.drawn.fetch_add(1, Ordering::SeqCst) == 0 => {
                    *held_back = Some(request.clone());
                    return Ok(Allocation::Queued { position: 1 });
                }
                held => held,
            }
        };
        let answer = self.inner.allocate(request).await;
        match held_back {
            Some(first) => {
                self.inner.allocate(&first).await?;
                Ok(Allocation::Queued { position: 2 })
            }
            None => answer,
        }
    }

    fn alter_renewal(&self, renewal: &Renewal) -> Renewal {
        let mut altered = renewal.clone();
        if let Some(lease) = self.leases.lock().expect("not poisoned").get(&renewal.lease) {
            if self.is(Defect::AsksNoSecretToRenew) {
                altered.secret = lease.secret.clone();
            }
            if self.is(Defect::AsksNoFence) {
                altered.fence = lease.fence;
            }
        }
        altered
    }
}

#[async_trait]
impl Allocator for Mutant {
    async fn allocate(&self, request: &AllocateRequest) -> Result<Allocation, AllocateError> {
        if self.is(Defect::LastComeFirstServed) && request.queue {
            return self.turned_around(request).await;
        }
        let altered = self.alter_request(request);
        let odd = self.is(Defect::TwoMinds) && request.request.0.as_u128() % 2 == 1;
        let asked = if odd { &self.other } else { &self.inner };
        let answer = self.alter_answer(request, asked.allocate(&altered).await).await;
        if let Ok(Allocation::Granted { lease, .. }) = &answer {
            self.leases.lock().expect("not poisoned").insert(lease.id.clone(), lease.clone());
        }
        answer
    }

    async fn renew(&self, renewals: &[Renewal]) -> Result<Vec<Renewed>, AllocateError> {
        let altered: Vec<Renewal> = renewals.iter().map(|it| self.alter_renewal(it)).collect();
        if self.is(Defect::RenewsInWordsOnly) {
            let until = Renewed::Until(later(self.clock.wall(), Duration::from_secs(60)));
            return Ok(vec![until; renewals.len()]);
        }
        let mut outcomes = self.inner.renew(&altered).await?;
        for outcome in &mut outcomes {
            match (self.defect, &outcome) {
                (Defect::RenewsWhatIsGone, Renewed::Gone) => *outcome = Renewed::Until(self.clock.wall()),
                (Defect::KnowsEveryLease, Renewed::NotFound) => *outcome = Renewed::Gone,
                _ => {}
            }
        }
        if self.is(Defect::MixesUpOutcomes) {
            outcomes.reverse();
        }
        Ok(outcomes)
    }

    async fn release(&self, releases: &[ReleaseRequest]) -> Result<Vec<Released>, AllocateError> {
        let mut altered = releases.to_vec();
        if self.is(Defect::ReleasesInWordsOnly) {
            return Ok(vec![Released::Done; releases.len()]);
        }
        if self.is(Defect::AsksNoSecretToRelease) {
            let leases = self.leases.lock().expect("not poisoned");
            altered.iter_mut().for_each(|it| it.secret = leases[&it.lease].secret.clone());
        }
        if self.is(Defect::TwoMinds) {
            let (one, two) = (self.inner.release(&altered).await?, self.other.release(&altered).await?);
            return Ok(if one[0] == Released::Done { one } else { two });
        }
        let mut outcomes = self.inner.release(&altered).await?;
        if self.is(Defect::ReleasesOnce) {
            let mut released = self.released.lock().expect("not poisoned");
            for (outcome, release) in outcomes.iter_mut().zip(releases) {
                if released.contains(&release.lease) {
                    *outcome = Released::NotFound;
                }
                released.push(release.lease.clone());
            }
        }
        Ok(outcomes)
    }

    async fn list(&self, query: &PoolQuery) -> Result<Page<DeviceView, DeviceId>, AllocateError> {
        let mut altered = query.clone();
        match self.defect {
            Defect::OneTenantForAll => altered.tenant = tenant(),
            Defect::ForgetsTheFilter => altered.request = None,
            Defect::OnePageForEver => altered.after = None,
            _ => {}
        }
        self.inner.list(&altered).await
    }

    async fn changes(&self, after: Fence, wait: Duration) -> Result<Vec<PoolEvent>, AllocateError> {
        let after = if self.is(Defect::TellsAllAgain) { Fence::default() } else { after };
        self.inner.changes(after, wait).await
    }
}
