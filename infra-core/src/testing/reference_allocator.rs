//! The smallest allocator that keeps its contract: one lock, everything in memory, every rule in the open.
//!
//! It is what the laws are tried on, and what a durable allocator can be compared with. Time is the injected
//! [`Clock`]'s monotonic scale, so a wall that jumps ends nothing; `expires_at` is told by the wall for people.
//!
//! # Assumptions
//! Clean-up takes `grace` after a lease ended and always works. Leases that ran out are ended by whoever calls
//! next, as of the moment they ran out: nothing runs in the background, and nobody can see the difference.
//!
//! # Caveats
//! Not durable, nothing is ever forgotten, and everything is found by looking through all of it. The line is strict:
//! its first request holds up those behind it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::contracts::{allocator::*, store::Page};
use crate::nouns::lease::*;
use crate::words::{clock::*, ids::*, lane::Fence, secret::same_digest};

/// Devices by whose pool they are in.
pub type Pools = BTreeMap<(TenantId, PoolId), Vec<Device>>;

/// An allocator in memory.
#[derive(Debug)]
pub struct ReferenceAllocator(Arc<dyn Clock>, Mutex<State>);

#[derive(Debug, Default)]
struct State {
    pools: Pools,
    grace: Duration,
    now: Duration,
    wall: Timestamp,
    /// In the order they came, with what they were given: those without a lease are the lines.
    asked: Vec<(AllocateRequest, Given)>,
    events: Vec<PoolEvent>,
}

/// What a request was given. Durations are points of the monotonic scale.
#[derive(Debug, Default)]
struct Given {
    lease: Option<Lease>,
    devices: BTreeMap<String, DeviceId>,
    until: Duration,
    max: Duration,
    ended: Option<Duration>,
}

impl ReferenceAllocator {
    /// Devices stand in their pool by id. One whose lease has ended is cleaned for `grace`, then free.
    pub fn new(clock: Arc<dyn Clock>, grace: Duration, pools: Pools) -> Self {
        Self(clock, Mutex::new(State { pools, grace, ..State::default() }))
    }

    /// The state with everything done that was due by now. Nobody sees it otherwise. Everything that time alone
    /// brings about happens here, in one place: a lease that ran out, then the line behind it.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.1.lock().expect("nobody panics while allocating");
        (state.now, state.wall) = (self.0.mono(), self.0.wall());
        // Who found it busy and did not queue is told so and forgotten.
        state.asked.retain(|(of, given)| of.queue || given.lease.is_some());
        (0..state.asked.len()).for_each(|at| _ = state.end(at, false));
        (0..state.asked.len()).for_each(|at| state.serve(at));
        state
    }
}

impl State {
    /// The devices of a pool, by id. Another tenant's pool is unknown, exactly as one that nobody made.
    fn devices(&self, tenant: &TenantId, pool: &PoolId) -> Result<Vec<&Device>, AllocateError> {
        let known = self.pools.get(&(tenant.clone(), pool.clone()));
        known.map(|it| it.iter().collect()).ok_or_else(|| AllocateError::UnknownPool { pool: pool.clone() })
    }

    /// Where a device is, and whose: a lease that has ended holds its devices until they are clean.
    fn view(&self, tenant: &TenantId, pool: &PoolId, device: &Device) -> DeviceView {
        let holds = |it: &Given| it.ended.is_none_or(|ended| self.now < ended + self.grace);
        let mut here = self.asked.iter().filter(|(it, _)| (&it.tenant, &it.pool) == (tenant, pool));
        let held = here.find(|(_, it)| holds(it) && it.devices.values().any(|id| *id == device.id));
        let live = held.filter(|(_, given)| given.ended.is_none());
        let state = live.map_or(DeviceState::Cleaning, |_| DeviceState::Leased);
        let state = held.map_or(DeviceState::Free, |_| state);
        let (request, lease) = live.map(|(it, given)| (it.request, given.lease.clone())).unzip();
        DeviceView { device: device.clone(), state, lease: lease.flatten(), request }
    }

    /// How many of its pool waited before a request that waits or came last.
    fn ahead(&self, of: &AllocateRequest) -> u32 {
        let same = |it: &AllocateRequest| (&it.tenant, &it.pool) == (&of.tenant, &of.pool);
        let before = self.asked.iter().take_while(|(it, _)| !(same(it) && it.request == of.request));
        let line = before.filter(|(it, given)| same(it) && given.lease.is_none());
        u32::try_from(line.count()).unwrap_or(u32::MAX - 1)
    }

    /// Grants a waiting request all of its devices, if it is next and they are free.
    fn serve(&mut self, at: usize) {
        let (of, given) = &self.asked[at];
        let mut free = self.devices(&of.tenant, &of.pool).unwrap_or_default();
        free.retain(|device| self.view(&of.tenant, &of.pool, device).state == DeviceState::Free);
        let next = given.lease.is_none() && self.ahead(of) == 0;
        let Some(devices) = assign(&of.demands, &free).ok().filter(|_| next) else { return };
        let (ttl, first, secret) = (of.ttl, of.ttl.min(of.max_life), of.secret.clone());
        let (until, max) = (self.now.saturating_add(first), self.now.saturating_add(of.max_life));
        let (expires_at, max_until) = (later(self.wall, first), later(self.wall, of.max_life));
        let fence = self.event(at, PoolEventKind::Granted);
        let id = LeaseId::new(format!("lse_{}", fence.seq)).expect("a short id");
        let lease = Some(Lease { id, fence, secret, ttl, expires_at, max_until });
        self.asked[at].1 = Given { lease, devices, until, max, ended: None };
    }

    /// Writes down what happened to a request, and draws the fence from the same row of numbers: a grant's fence and
    /// its place in the events are one.
    fn event(&mut self, at: usize, what: PoolEventKind) -> Fence {
        let fence = Fence { epoch: 0, seq: self.events.len() as u64 + 1 };
        self.events.push(PoolEvent { at: fence, request: self.asked[at].0.request, what });
        fence
    }

    /// Ends a lease, once: when it ran out, or now if that was `asked`.
    fn end(&mut self, at: usize, asked: bool) -> Released {
        let Given { lease, until, ended, .. } = &mut self.asked[at].1;
        if lease.is_some() && ended.is_none() && (asked || *until < self.now) {
            *ended = Some(self.now.min(*until));
            self.event(at, PoolEventKind::Ended);
        }
        Released::Done
    }

    /// Where the request of a lease stands, and whether the caller knows its secret.
    fn holder(&self, lease: &LeaseId, secret: &SecretHash) -> Option<(usize, bool)> {
        let of_lease = |(_, given): &(_, Given)| given.lease.as_ref().is_some_and(|it| it.id == *lease);
        let at = self.asked.iter().position(of_lease)?;
        Some((at, same_digest(&self.asked[at].0.secret.0, &secret.0)))
    }

    /// Secret and fence are compared before anything is told of the lease's life: a stranger learns nothing from the
    /// answer. A renewal never passes the longest life.
    fn renew(&mut self, it: &Renewal) -> Renewed {
        let Some((at, knows)) = self.holder(&it.lease, &it.secret) else { return Renewed::NotFound };
        let Given { lease, until, max, ended, .. } = &mut self.asked[at].1;
        let holds = |lease: &&mut Lease| knows && lease.fence == it.fence;
        let Some(lease) = lease.as_mut().filter(holds) else { return Renewed::Forbidden };
        let None = ended else { return Renewed::Gone };
        *until = self.now.saturating_add(lease.ttl).min(*max);
        lease.expires_at = later(self.wall, until.saturating_sub(self.now));
        Renewed::Until(lease.expires_at)
    }
}

#[async_trait::async_trait]
impl Allocator for ReferenceAllocator {
    async fn allocate(&self, request: &AllocateRequest) -> Result<Allocation, AllocateError> {
        let mut state = self.settled();
        let all = state.devices(&request.tenant, &request.pool)?;
        let why = format!("pool {} has too few such devices", request.pool);
        assign(&request.demands, &all).map_err(|slot| AllocateError::Unfulfillable { slot, why })?;
        let token = (&request.tenant, request.request);
        let known = state.asked.iter().position(|(it, _)| (&it.tenant, it.request) == token);
        let at = known.unwrap_or(state.asked.len());
        state.asked.extend(known.is_none().then(|| (request.clone(), Given::default())));
        state.serve(at);
        let (known, Given { lease, devices, ended, .. }) = &state.asked[at];
        match (lease.clone(), devices.clone(), ended) {
            _ if known != request => Err(AllocateError::RequestMismatch),
            (_, _, Some(_)) => Ok(Allocation::Ended),
            (Some(lease), devices, None) => Ok(Allocation::Granted { lease, devices }),
            _ if request.queue => Ok(Allocation::Queued { position: state.ahead(request) + 1 }),
            _ => Ok(Allocation::Busy { retry_after: Duration::from_secs(20) }),
        }
    }

    async fn renew(&self, renewals: &[Renewal]) -> Result<Vec<Renewed>, AllocateError> {
        Ok(renewals.iter().map(|it| self.settled().renew(it)).collect())
    }

    async fn release(&self, releases: &[ReleaseRequest]) -> Result<Vec<Released>, AllocateError> {
        let mut state = self.settled();
        let outcome = |it: &ReleaseRequest| match state.holder(&it.lease, &it.secret) {
            None => Released::NotFound,
            Some((_, false)) => Released::Forbidden,
            Some((at, true)) => state.end(at, true),
        };
        Ok(releases.iter().map(outcome).collect())
    }

    async fn list(&self, query: &PoolQuery) -> Result<Page<DeviceView, DeviceId>, AllocateError> {
        let (state, PoolQuery { tenant, pool, request, after, limit }) = (self.settled(), query);
        let all = state.devices(tenant, pool)?.into_iter().filter(|it| Some(&it.id) > after.as_ref());
        let mut items: Vec<_> = all.map(|it| state.view(tenant, pool, it)).collect();
        items.retain(|it| request.is_none() || it.request == *request);
        let (last, more) = (items.get(limit.wrapping_sub(1)), items.get(*limit));
        let next = more.and(last).map(|it| it.device.id.clone());
        items.truncate(*limit);
        Ok(Page { items, next })
    }

    async fn changes(&self, after: Fence, _wait: Duration) -> Result<Vec<PoolEvent>, AllocateError> {
        Ok(self.settled().events.iter().filter(|it| it.at > after).cloned().collect())
    }
}
