//! What a lane's worker remembers between ticks: brakes and cadence. All of it may be forgotten by a crash.
//!
//! # Flow
//! One worker per lane and process. It remembers how fast calls may go, whether the cloud has been failing,
//! when it was last listed and looked at, whether the identity was right and the store was witnessed, and
//! what was missing from the last listing.
//!
//! # Guarantees
//! * Identity and witness begin as "no": a worker that has just started changes nothing before it has asked.
//! * Nothing here decides what is wanted; it only delays.
//!
//! * Whoever asks a brake and is let through has paid for it; asking the fuse costs nothing until it is burnt.
//!
//! # Assumptions
//! Brakes are measured by the monotonic clock: a wall that jumps neither opens nor empties them.
//!
//! # Caveats
//! A process that crashes in a loop begins each time with full buckets and an unblown fuse. What it may make
//! is still limited by what is wanted, and by the rows that are already there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::world::Engine;
use crate::contracts::observer::Observer;
use crate::contracts::provider::{CloudProvider, Facts, ReadPace};
use crate::contracts::store::Expect;
use crate::nouns::cloud::ThingState;
use crate::nouns::installation::LaneRecord;
use crate::nouns::launch::{Launch, Want};
use crate::nouns::switch::{Switch, SwitchScope, SwitchValue};
use crate::plan::brake::{Breaker, Bucket, VerbClass};
use crate::plan::guard;
use crate::plan::reservation::LaneView;
use crate::records::{RepoError, Seen, Stored, Txn, Versioned, system_tenant};
use crate::words::clock::Timestamp;
use crate::words::fault::FaultKind;
use crate::words::ids::{CredentialId, ResourceId, TenantId};
use crate::words::lane::{Lane, LaneId};
use crate::words::limits::Limits;
use crate::words::planted::Bug;

/// One lane's worker.
#[derive(Debug)]
pub(in crate::engine) struct LaneWorker {
    pub(super) lane: Lane,
    /// The rows as they were read last: every pass reads them again.
    pub(super) rows_seen: Seen<Launch>,
    observer: Arc<dyn Observer>,
    reads: Arc<Reads>,
    state: Mutex<State>,
}

/// When an account may be looked at again, by the monotonic clock. Limits on requests are the account's (DigitalOcean's
/// 5,000 an hour are), so when one of its lanes is asked to wait all of them do.
#[derive(Debug, Default)]
pub(in crate::engine) struct Reads(Mutex<Duration>);

impl Reads {
    fn may(&self, now: Duration) -> bool {
        now >= *self.0.lock().expect("no panic under this lock")
    }

    fn pause(&self, until: Duration) {
        let mut resume = self.0.lock().expect("no panic under this lock");
        *resume = until.max(*resume);
    }
}

/// Everything a worker remembers, behind one lock that is never held over an await.
#[derive(Debug)]
struct State {
    /// What the cloud can do; `None` until a first key connected.
    facts: Option<Facts>,
    /// Calls that make or turn on.
    creating: Bucket,
    /// Calls that end or turn off.
    ending: Bucket,
    create_breaker: Breaker,
    /// Recorded, and asked by nobody: an ending is never held by it.
    end_breaker: Breaker,
    read_breaker: Breaker,
    /// When creates were let go, and how many machines each: the fuse, over the last hour.
    creates: VecDeque<(Duration, u32)>,
    /// When the last listing was begun, whatever became of it.
    listed_at: Option<Duration>,
    /// When things were last looked at by id.
    looked_at: Option<Duration>,
    /// The last answer to "who is this key?" was this lane's account.
    identity_right: bool,
    /// A complete listing has agreed with the store; never taken back, because a freeze stops everything.
    witnessed: bool,
    /// A person allowed a mass ending until then, by the wall.
    mass_allowed_until: Option<Timestamp>,
    /// What a listing should have shown and did not, since when.
    suspicious: BTreeMap<ResourceId, Duration>,
    /// Marked things without a row, and when each was first seen.
    orphans: BTreeMap<ResourceId, Duration>,
    /// Too much of the lane is in error: nothing is replaced here.
    sick: bool,
    /// Passes so far: who begins changes with each.
    turns: usize,
    /// Since when a create, and an ending, waits for its rate.
    waiting: [Option<Duration>; 2],
    /// What was said last of the breakers.
    told_open: Option<bool>,
    /// The key that listing and looking last used.
    key: Option<(TenantId, CredentialId)>,
    /// Keys that the cloud refused, or that led to another account, and until when others are tried before them.
    passed_over: BTreeMap<(TenantId, CredentialId), Duration>,
}

/// Orphans and suspicions remembered per lane at most. Beyond it suspects wait for the next listing, and orphans
/// are watched from anew: both come late, none is lost.
const REMEMBERED_MAX: usize = 10_000;
/// A key that did not work is tried last for so long.
const PASSED_OVER_FOR: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3600);

impl LaneWorker {
    /// A worker that knows nothing. Its buckets are the configured ones until a connection has told the
    /// cloud's own.
    pub(in crate::engine) fn new(
        lane: Lane,
        limits: &Limits,
        now: Duration,
        observer: Arc<dyn Observer>,
        reads: Arc<Reads>,
    ) -> Self {
        let state = State {
            facts: None,
            creating: Bucket::full(limits.create_rate, now),
            ending: Bucket::full(limits.terminate_rate, now),
            create_breaker: Breaker::closed(limits),
            end_breaker: Breaker::closed(limits),
            read_breaker: Breaker::closed(limits),
            creates: VecDeque::new(),
            listed_at: None,
            looked_at: None,
            identity_right: false,
            witnessed: false,
            mass_allowed_until: None,
            suspicious: BTreeMap::new(),
            orphans: BTreeMap::new(),
            sick: false,
            turns: 0,
            waiting: [None; 2],
            told_open: None,
            key: None,
            passed_over: BTreeMap::new(),
        };
        Self { lane, rows_seen: Seen::default(), observer, reads, state: Mutex::new(state) }
    }

    /// What this lane shares with `other` when both are of one account.
    pub(in crate::engine) fn shares_reads(&self, other: &Lane) -> Option<Arc<Reads>> {
        let account = |lane: &Lane| (lane.cloud.clone(), lane.endpoint.clone(), lane.account.clone());
        (account(&self.lane) == account(other)).then(|| Arc::clone(&self.reads))
    }

    /// Works on the state under its lock.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().expect("no panic under this lock"))
    }

    /// The cloud refuses the key at hand, or it leads to another account: other keys of the lane are tried first for a
    /// while. One dead key must not stop what a living one can still end.
    pub(super) fn pass_over_key(&self, now: Duration) {
        self.with(|state| {
            if let Some(key) = state.key.take() {
                state.passed_over.insert(key, now + PASSED_OVER_FOR);
            }
        });
    }

    /// The number of this pass, for sharing the lane's rate between tenants.
    pub(super) fn next_turn(&self) -> usize {
        self.with(|state| {
            state.turns = state.turns.wrapping_add(1);
            state.turns
        })
    }

    /// What planners need to know; `None` while no key reaches this lane. Connects if nobody has yet: planning must
    /// know what the cloud can do before there is anything to list. Not calm means that nothing new is begun or
    /// replaced here; what is there goes on. A breaker that wants a canary is calm enough: where nothing that was sent
    /// may be sent again, a new attempt is the only canary there is.
    pub(in crate::engine) async fn view(&self, engine: &Engine) -> Option<LaneView> {
        if self.with(|state| state.facts.is_none()) {
            self.provider(engine).await?;
        }
        let now = engine.parts.clock.mono();
        self.with(|state| {
            let calm = state.create_breaker.would_allow(now) && !state.sick;
            state.facts.clone().map(|facts| LaneView { facts, calm })
        })
    }

    /// Any connection that reaches this lane: listing and looking need no particular tenant's key, and a lane is
    /// one account, so all of them show the same. Active keys are tried first, retired ones last; what does not
    /// connect is said in the log and is no error, since another key may.
    pub(in crate::engine) async fn provider(&self, engine: &Engine) -> Option<Arc<dyn CloudProvider>> {
        let connections = &engine.parts.connections;
        let mut keys = match connections.for_lane(&self.lane).await {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(lane = %self.lane, %error, "the keys of a lane cannot be read");
                return None;
            }
        };
        let now = engine.parts.clock.mono();
        let passed_over = self.with(|state| {
            state.passed_over.retain(|_, until| *until > now);
            state.passed_over.clone()
        });
        keys.sort_by_key(|key| passed_over.contains_key(&(key.tenant.clone(), key.credential.clone())));
        for key in keys {
            match connections.provider(&key.tenant, &key.credential, &self.lane).await {
                Ok(connected) => {
                    self.with(|state| state.key = Some((key.tenant.clone(), key.credential.clone())));
                    self.remember_facts(engine, connected.provider.facts());
                    return Some(connected.provider);
                }
                Err(error) => {
                    tracing::warn!(lane = %self.lane, key = %key.credential, %error, "key does not connect");
                }
            }
        }
        None
    }

    /// The lane's id.
    pub(in crate::engine) fn id(&self) -> LaneId {
        self.lane.id()
    }

    /// The first connection tells what this cloud can do, and how fast: its buckets replace the configured
    /// ones.
    fn remember_facts(&self, engine: &Engine, facts: &Facts) {
        let now = engine.parts.clock.mono();
        self.with(|state| {
            if state.facts.is_none() {
                state.creating = Bucket::full(facts.create_rate, now);
                state.ending = Bucket::full(facts.terminate_rate, now);
                state.facts = Some(facts.clone());
            }
        });
    }

    /// Is a listing due? More often while something is in motion or unknown.
    pub(super) fn listing_due(&self, engine: &Engine, rows: &[Versioned<Launch>]) -> bool {
        let limits = &engine.parts.limits;
        let busy = rows.iter().any(|row| in_motion(&row.value));
        let every = if busy { limits.listing_every } else { limits.listing_idle_every };
        let every = every.max(self.read_pace().list_every);
        let now = engine.parts.clock.mono();
        self.with(|state| state.listed_at.is_none_or(|at| now >= at + every))
    }

    /// May things in motion be looked at again? Says yes once per interval.
    pub(super) fn look_due(&self, engine: &Engine) -> bool {
        let now = engine.parts.clock.mono();
        let every = engine.parts.limits.poll_every.max(self.read_pace().look_every);
        self.with(|state| {
            let due = state.looked_at.is_none_or(|at| now >= at + every);
            if due {
                state.looked_at = Some(now);
            }
            due
        })
    }

    /// How seldom this cloud wants to be read; as often as anybody likes until it is known.
    fn read_pace(&self) -> ReadPace {
        self.with(|state| state.facts.as_ref().map(|facts| facts.reads)).unwrap_or_default()
    }

    /// A listing has been begun: also one that fails is not repeated at once.
    pub(super) fn listed(&self, now: Duration) {
        self.with(|state| state.listed_at = Some(now));
    }

    /// What the cloud answered to "who is this key?": whether that is the account of this lane.
    pub(super) fn set_identity(&self, right: bool) {
        self.with(|state| state.identity_right = right);
    }

    /// Was the last answer the right one? `false` until it has been asked.
    pub(super) fn is_identity_right(&self) -> bool {
        self.with(|state| state.identity_right)
    }

    /// A complete listing agreed with the store: no mark in it is newer than the store, and nothing of what it
    /// shows stands in a row that was never sent.
    pub(super) fn witness(&self) {
        self.with(|state| state.witnessed = true);
    }

    /// Has a complete listing agreed with the store since this process began?
    pub(super) fn is_witnessed(&self) -> bool {
        self.with(|state| state.witnessed)
    }

    /// Is so much of the lane unhealthy that replacing would feed an outage? Judged after every listing, over the
    /// things of all tenants: an outage of a cloud is nobody's alone.
    pub(super) fn judge_health(&self, rows: &[Versioned<Launch>], limits: &Limits) {
        let things = || rows.iter().flat_map(|row| row.value.alive());
        let total = things().count();
        let bad = things().filter(|thing| thing.state == ThingState::Error).count();
        let share = Limits { unhealthy_share: limits.lane_unhealthy_share, ..limits.clone() };
        self.with(|state| state.sick = guard::is_unhealthy(bad, total, &share));
    }

    /// Takes over what a person allowed, from the lane's record.
    pub(super) fn allow_mass(&self, record: &LaneRecord) {
        self.with(|state| state.mass_allowed_until = record.mass_allowed_until);
    }

    /// Has a person allowed a mass ending, and not too long ago?
    pub(super) fn is_mass_allowed(&self, now: Timestamp) -> bool {
        self.with(|state| state.mass_allowed_until.is_some_and(|until| now < until))
    }

    /// Could a create call go now? Asked before anything is read for it: where a thousand attempts wait for a rate of
    /// two a second, nearly all of them would be read for nothing. Costs nothing; [`Self::may_call`] decides.
    pub(super) fn could_create(&self, now: Duration) -> bool {
        self.with(|state| state.creating.has(now) && state.create_breaker.would_allow(now))
    }

    /// Takes what one call of a class costs; `false` when a brake says no. A create that the breaker refuses has
    /// taken from the bucket all the same: in trouble that only makes the lane slower.
    pub(super) fn may_call(&self, class: VerbClass, now: Duration) -> bool {
        let (may, waited) = self.with(|state| match class {
            VerbClass::Create => {
                let waited = waited(state.creating.take(now), &mut state.waiting[0], now);
                (waited.is_some() && state.create_breaker.allow(now), waited)
            }
            // Endings that people wait for are still tried while the breaker is open: slowly, as the bucket gives.
            VerbClass::End => {
                let waited = waited(state.ending.take(now), &mut state.waiting[1], now);
                (waited.is_some(), waited)
            }
            VerbClass::Read => (self.reads.may(now) && state.read_breaker.allow(now), None),
        });
        waited.into_iter().for_each(|waited| self.observer.limiter_wait(&self.lane, waited));
        may
    }

    /// A call came back: `failure` is `None` for success. Feeds the breaker of its class, and pauses its bucket for
    /// as long as the cloud asked for (`retry_after`). Reads have no bucket, their cadence is their limit; when the cloud
    /// asks to wait, every lane of the account does.
    pub(super) fn came_back(
        &self,
        class: VerbClass,
        now: Duration,
        failure: Option<FaultKind>,
        retry_after: Option<Duration>,
    ) {
        self.with(|state| {
            let (breaker, bucket) = match class {
                VerbClass::Create => (&mut state.create_breaker, Some(&mut state.creating)),
                VerbClass::End => (&mut state.end_breaker, Some(&mut state.ending)),
                VerbClass::Read => (&mut state.read_breaker, None),
            };
            breaker.record(now, failure);
            if let (Some(bucket), Some(wait)) = (bucket, retry_after) {
                bucket.pause(now, wait);
            }
        });
        if class == VerbClass::Read {
            self.wait_before_reads(now, retry_after);
        }
        self.tell_breakers();
    }

    /// The cloud asked to be left alone for so long, if it did.
    pub(super) fn wait_before_reads(&self, now: Duration, retry_after: Option<Duration>) {
        retry_after.into_iter().for_each(|wait| self.reads.pause(now + wait));
    }

    /// May this account be looked at? `false` while it was asked to wait, through this lane or another one.
    pub(super) fn may_read(&self, now: Duration) -> bool {
        self.reads.may(now)
    }

    /// Says whether any breaker of the lane is open, when that is news.
    fn tell_breakers(&self) {
        let news = self.with(|state| {
            let breakers = [&state.create_breaker, &state.end_breaker, &state.read_breaker];
            let open = breakers.into_iter().any(Breaker::is_open);
            (state.told_open.replace(open) != Some(open)).then_some(open)
        });
        news.into_iter().for_each(|open| self.observer.breaker(&self.lane, open));
    }

    /// Would `count` machines more still be plausible? `wanted` is what the asking reservation wants altogether: a
    /// large one may make three times that in an hour, a small one shares the lane's flat number. Asking burns
    /// nothing: whoever waits asks again and again.
    pub(super) fn fuse(&self, now: Duration, count: u32, wanted: u32, limits: &Limits) -> bool {
        self.with(|state| {
            while state.creates.front().is_some_and(|(at, _)| now.saturating_sub(*at) > HOUR) {
                state.creates.pop_front();
            }
            let made: u32 = state.creates.iter().map(|(_, n)| n).sum();
            !guard::is_lane_runaway(made + count, wanted, limits)
        })
    }

    /// So many creates are allowed to go: they count against the fuse for an hour.
    pub(super) fn burn(&self, now: Duration, count: u32) {
        self.with(|state| state.creates.push_back((now, count)));
    }

    /// So many of them were refused for want of capacity: nothing was begun.
    pub(super) fn unburn(&self, count: u32) {
        self.with(|state| {
            if let Some(at) = state.creates.iter().rposition(|(_, begun)| *begun == count) {
                state.creates.remove(at);
            }
        });
    }

    /// A thing that should be there was not in a complete listing: it is looked at by id.
    pub(super) fn suspect(&self, id: &ResourceId, now: Duration) {
        self.with(|state| {
            if state.suspicious.len() < REMEMBERED_MAX {
                state.suspicious.entry(id.clone()).or_insert(now);
            }
        });
    }

    /// What listings should have shown and did not; each is looked at once by id.
    pub(super) fn take_suspects(&self) -> BTreeMap<ResourceId, Duration> {
        self.with(|state| std::mem::take(&mut state.suspicious))
    }

    /// An orphan was seen; since when? By our monotonic clock and since this process began: a restart watches it
    /// anew, so it is reported later, and never too early.
    pub(super) fn orphan_since(&self, id: &ResourceId, now: Duration) -> Duration {
        self.with(|state| {
            if state.orphans.len() >= REMEMBERED_MAX {
                state.orphans.clear();
            }
            *state.orphans.entry(id.clone()).or_insert(now)
        })
    }
}

/// How long a call waited for its rate that may go now; `None` while it waits. Counted is the longest wait of a lane and
/// class, because calls have no names here.
fn waited(taken: bool, since: &mut Option<Duration>, now: Duration) -> Option<Duration> {
    if !taken {
        since.get_or_insert(now);
        return None;
    }
    Some(since.take().map_or(Duration::ZERO, |since| now.saturating_sub(since)))
}

/// Is anything about this row not settled? That decides only how often the lane is listed: every 5 seconds or
/// every 60. A row without things counts as moving, since only a listing may show what it made.
fn in_motion(row: &Launch) -> bool {
    let settled = |state: ThingState, want: Want| {
        matches!((state, want), (ThingState::Running, Want::On) | (ThingState::Stopped, Want::Off))
    };
    row.things.is_empty()
        || row.alive().any(|thing| thing.missing.is_some() || !settled(thing.state, row.want_of(thing)))
}

/// The switches that cover a lane and the tenants in it, as read at the beginning of a tick.
///
/// # Guarantees
/// * What is read here decides, and the commit that acts on it checks the very versions that were read: a switch
///   thrown in between fails the commit.
/// * A switch that was never thrown is read as open, and its absence is checked.
/// * A switch with an end opens by itself at that moment; no write is needed for it, so nothing conflicts.
#[derive(Debug)]
pub(super) struct Switches {
    read: BTreeMap<String, (Expect, SwitchValue)>,
}

impl Switches {
    /// Reads every switch that covers the lane or one of its tenants, with the version a commit will check. One
    /// read per scope and tick, however many rows there are.
    ///
    /// # Errors
    /// [`RepoError`]: without its switches a tick does nothing.
    pub(super) async fn read(
        engine: &Engine,
        lane: &Lane,
        rows: &[Versioned<Launch>],
    ) -> Result<Self, RepoError> {
        let mut scopes = vec![SwitchScope::Global, SwitchScope::Lane(lane.id())];
        let tenants: std::collections::BTreeSet<&TenantId> =
            rows.iter().map(|row| &row.value.tenant).collect();
        scopes.extend(tenants.into_iter().map(|tenant| SwitchScope::Tenant(tenant.clone())));
        let now = engine.now();
        let mut read = BTreeMap::new();
        for scope in scopes {
            let found: Option<Versioned<Switch>> = engine.parts.repo.get(Switch::place(&scope.id())).await?;
            let entry = found.map_or((Expect::Absent, SwitchValue::Open), |switch| {
                (Expect::Version(switch.version), switch.value.value_at(now))
            });
            read.insert(scope.id(), entry);
        }
        Ok(Self { read })
    }

    /// The switches that cover one tenant in this lane: global, the lane's, the tenant's. A switch that was not
    /// read forbids everything: a tenant's first row may be written after this tick began.
    fn covering(
        &self,
        lane: &Lane,
        tenant: &TenantId,
    ) -> impl Iterator<Item = (String, Expect, SwitchValue)> {
        [SwitchScope::Global, SwitchScope::Lane(lane.id()), SwitchScope::Tenant(tenant.clone())]
            .into_iter()
            .map(|scope| {
                let unread = (Expect::Absent, SwitchValue::Frozen);
                let (expect, value) = self.read.get(&scope.id()).copied().unwrap_or(unread);
                (scope.id(), expect, value)
            })
    }

    /// May something be made, or turned on, for this row's tenant?
    pub(super) fn allow_create(&self, row: &Launch) -> bool {
        self.covering(&row.lane, &row.tenant).all(|(_, _, value)| value.allows_create())
    }

    /// May something be ended, or turned off, for this row's tenant?
    pub(super) fn allow_delete(&self, row: &Launch) -> bool {
        self.covering(&row.lane, &row.tenant).all(|(_, _, value)| value.allows_delete())
    }

    /// Makes a commit fail when any of these switches was thrown since it was read: three checks, of the 24 changes
    /// that a commit takes.
    pub(super) fn check(&self, engine: &Engine, row: &Launch, txn: &mut Txn) {
        if engine.parts.planted.is(Bug::C19SwitchUnchecked) {
            return;
        }
        for (id, expect, _) in self.covering(&row.lane, &row.tenant) {
            txn.check(Switch::place(&id), expect);
        }
    }
}

/// The record of a lane.
pub(super) fn lane_place(lane: &Lane) -> crate::contracts::store::Key {
    crate::contracts::store::Key { tenant: system_tenant(), kind: LaneRecord::KIND, id: lane.id().0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::observer::NoObserver;
    use crate::testing::fixtures;
    use crate::words::lane::Endpoint;

    #[test]
    fn a_tenant_who_came_after_the_switches_were_read_waits_for_the_next_tick() {
        let lane = fixtures::lane();
        let open = (Expect::Absent, SwitchValue::Open);
        let known: TenantId = "known".parse().expect("a legal name");
        let scopes = [SwitchScope::Global, SwitchScope::Lane(lane.id()), SwitchScope::Tenant(known.clone())];
        let switches = Switches { read: scopes.iter().map(|scope| (scope.id(), open)).collect() };
        let may =
            |tenant: &TenantId| switches.covering(&lane, tenant).all(|(_, _, value)| value.allows_create());
        assert!(may(&known));
        assert!(!may(&"new".parse().expect("a legal name")), "its own switch was never read");
    }

    #[test]
    fn waiting_for_a_rate_never_blows_the_fuse() {
        let limits = Limits::default();
        let name = "sim";
        let lane = Lane {
            cloud: name.parse().expect("a legal name"),
            endpoint: Endpoint::default(),
            account: name.parse().expect("a legal name"),
            region: name.parse().expect("a legal name"),
        };
        let worker = LaneWorker::new(lane, &limits, Duration::ZERO, Arc::new(NoObserver), Arc::default());
        let asked = |now| worker.fuse(now, 1, 30, &limits);
        assert!((0..1000).all(|n| asked(Duration::from_millis(n))), "nothing was sent");
        worker.burn(Duration::from_secs(1), limits.lane_creates_per_hour);
        assert!(!asked(Duration::from_secs(2)), "one too many in an hour");
        assert!(asked(Duration::from_secs(3602)), "an hour later");
    }

    #[test]
    fn a_cloud_that_asks_one_lane_to_wait_is_left_alone_by_all_lanes_of_the_account() {
        let lane = |account: &str, region: &str| Lane {
            cloud: "digitalocean".parse().expect("a legal name"),
            endpoint: Endpoint::default(),
            account: account.parse().expect("a legal name"),
            region: region.parse().expect("a legal name"),
        };
        let worker = |lane, reads| {
            LaneWorker::new(lane, &Limits::default(), Duration::ZERO, Arc::new(NoObserver), reads)
        };
        let first = worker(lane("ada", "ams3"), Arc::default());
        let reads = |of: &Lane| first.shares_reads(of).unwrap_or_default();
        let beside = lane("ada", "nyc3");
        let second = worker(beside.clone(), reads(&beside));
        let strange = lane("eve", "ams3");
        let third = worker(strange.clone(), reads(&strange));
        let (now, wait) = (Duration::from_secs(10), Duration::from_secs(60));
        first.came_back(VerbClass::Read, now, Some(FaultKind::Throttled), Some(wait));
        let may = |worker: &LaneWorker, at| worker.may_call(VerbClass::Read, at);
        assert_eq!((may(&first, now), may(&second, now), may(&third, now)), (false, false, true));
        assert!(may(&first, now + wait) && may(&second, now + wait), "and no longer than that");
    }
}
