//! What must hold at the moment a request reaches the cloud, read from the store itself: the strongest place to
//! check, because it does not depend on what happens to become of the request.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use infra_core::SystemEntropy;
use infra_core::contracts::provider::{Facts, OwnedHandle, TokenScope};
use infra_core::contracts::store::ReservationStore;
use infra_core::nouns::cloud::{Act, PowerMode};
use infra_core::nouns::launch::{EndCause, FrozenLaunch, Launch, LaunchState, SendRecord};
use infra_core::nouns::reservation::{DeadlineKind, Reservation};
use infra_core::nouns::switch::{Switch, SwitchScope, SwitchValue};
use infra_core::records::{Repo, Stored, TokenRef, Versioned};
use infra_core::testing::VirtualClock;
use infra_core::words::clock::{Clock, Timestamp, between};
use infra_core::words::ids::ResourceId;
use infra_core::words::lane::Version;
use infra_core::words::limits::Limits;
use infra_core::words::planted::Planted;
use infra_store::MemoryStore;

/// Why no mutation may leave, and in which accounts; in all when none is named.
#[derive(Debug, Clone)]
pub struct Seal {
    pub why: &'static str,
    pub accounts: Vec<String>,
}

/// Watches one replica's requests. Violations are collected, not thrown: the harness decides when to stop.
#[derive(Debug)]
pub struct Door {
    /// True time, which the replica's own wall may have left.
    pub truth: VirtualClock,
    pub store: Arc<MemoryStore>,
    pub limits: Limits,
    /// Things that people made by hand: nobody may act on them.
    pub by_hand: Mutex<BTreeSet<ResourceId>>,
    /// No mutation may leave, because of this.
    pub sealed: Mutex<Option<Seal>>,
    violations: Mutex<Vec<String>>,
}

impl Door {
    pub fn new(truth: VirtualClock, store: Arc<MemoryStore>, limits: Limits) -> Self {
        Self {
            truth,
            store,
            limits,
            by_hand: Mutex::default(),
            sealed: Mutex::default(),
            violations: Mutex::default(),
        }
    }

    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().expect("no panic under this lock").clone()
    }

    pub fn violated(&self, what: String) {
        self.violations.lock().expect("no panic under this lock").push(what);
    }

    fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violated(what());
        }
    }

    /// Reads a record without waiting: the store in memory never does.
    pub fn read<T: Stored>(&self, key: infra_core::contracts::store::Key) -> Option<Versioned<T>> {
        repo(&self.store, &self.truth).get(key).now_or_never().expect("memory never waits").expect("it reads")
    }

    /// A create call is about to leave.
    pub fn launch(&self, frozen: &FrozenLaunch, facts: &Facts) {
        let account = launch_account(self, frozen);
        self.check_sealed("launch", &account);
        let token = frozen.token;
        let row: Option<Versioned<Launch>> = self
            .read::<TokenRef>(TokenRef::place(token))
            .and_then(|reference| self.read(reference.value.launch));
        let Some(row) = row else { return self.violated(format!("launch of {token}, which has no row")) };
        let launch = &row.value;
        self.expect(launch.state == LaunchState::Sent, || format!("launch of {token} in {:?}", launch.state));
        self.expect(launch.frozen == *frozen, || format!("launch of {token} with another body than stored"));
        let earlier = &launch.sends[..launch.sends.len().saturating_sub(1)];
        let tokenless = facts.kind(launch.kind()).is_some_and(|kind| kind.token == TokenScope::None);
        let refused = earlier.iter().all(SendRecord::refused);
        self.expect(!tokenless || refused, || format!("{token} sent again without an idempotency token"));
        let now = self.truth.wall();
        let fresh = launch.first_sent().is_none_or(|at| between(at, now) < self.limits.resend_within);
        self.expect(fresh || refused, || format!("{token} sent again long after its first send"));
        self.check_wanted(launch, now);
        self.check_switches(&row, "launch", SwitchValue::allows_create);
    }

    fn check_wanted(&self, launch: &Launch, now: Timestamp) {
        let place = Reservation::place(&launch.tenant, &launch.reservation);
        let reservation: Option<Versioned<Reservation>> = self.read(place);
        let wanted = reservation.is_some_and(|reservation| {
            let ends = reservation.value.deadlines.0.get(&DeadlineKind::Ends).copied();
            reservation.value.desired.present && ends.is_none_or(|ends| now < ends)
        });
        self.expect(wanted, || {
            format!("launch of {} for {}, which is over", launch.token, launch.reservation)
        });
    }

    /// A switch that was acknowledged before the send or order was written must have stopped it.
    fn check_switches(&self, row: &Versioned<Launch>, what: &str, allowed: impl Fn(SwitchValue) -> bool) {
        let launch = &row.value;
        let scopes = [
            SwitchScope::Global,
            SwitchScope::Lane(launch.lane.id()),
            SwitchScope::Tenant(launch.tenant.clone()),
        ];
        for scope in scopes {
            let Some(switch) = self.read::<Switch>(Switch::place(&scope.id())) else { continue };
            let forbids = !allowed(switch.value.value_at(self.truth.wall()));
            let earlier = switch.version < row.version;
            self.expect(!(forbids && earlier), || format!("{what} of {} against a switch", launch.token));
        }
    }

    /// An act is about to leave.
    pub fn act(&self, on: &OwnedHandle, act: Act) {
        self.check_sealed(act.word(), on.lane().account.as_str());
        let by_hand = self.by_hand.lock().expect("no panic under this lock").contains(on.id());
        self.expect(!by_hand, || format!("{} on {}, which a person made", act.word(), on.id()));
        let row: Option<Versioned<Launch>> = self
            .read::<TokenRef>(TokenRef::place(on.mark().token))
            .and_then(|reference| self.read(reference.value.launch));
        let Some(row) = row else {
            return self.violated(format!("{} on {}, which has no row", act.word(), on.id()));
        };
        self.check_switches(&row, act.word(), |value| match act {
            Act::Terminate => value.allows_delete(),
            Act::Power(PowerMode::On) => value.allows_create(),
            Act::Power(_) => value.allows_delete(),
            Act::Mark | Act::Unmark => value != SwitchValue::Frozen,
        });
        if act == Act::Terminate {
            self.check_end(on, &row);
        }
    }

    fn check_end(&self, on: &OwnedHandle, row: &Versioned<Launch>) {
        let listed = row.value.things.iter().any(|thing| &thing.id == on.id());
        self.expect(listed, || format!("end of {}, which is not on its row", on.id()));
        let place = Reservation::place(&row.value.tenant, &row.value.reservation);
        let Some(reservation) = self.read::<Reservation>(place) else { return };
        let ends = reservation.value.deadlines.0.get(&DeadlineKind::Ends).copied();
        let early =
            row.value.cause == Some(EndCause::Deadline) && ends.is_some_and(|at| self.truth.wall() < at);
        self.expect(!early, || format!("{} ended before its time", on.id()));
    }

    fn check_sealed(&self, what: &str, account: &str) {
        let seal = self.sealed.lock().expect("no panic under this lock").clone();
        if let Some(seal) =
            seal.filter(|seal| seal.accounts.is_empty() || seal.accounts.iter().any(|a| a == account))
        {
            self.violated(format!("{what} although {}", seal.why));
        }
    }
}

/// The account that a launch's row names; empty when there is no row.
fn launch_account(door: &Door, frozen: &FrozenLaunch) -> String {
    let reference = door.read::<TokenRef>(TokenRef::place(frozen.token));
    let row = reference.and_then(|reference| door.read::<Launch>(reference.value.launch));
    row.map_or_else(String::new, |row| row.value.lane.account.to_string())
}

/// The store's newest commit.
pub fn newest(store: &MemoryStore) -> Version {
    let changes = store.changes(Version(u64::MAX), std::time::Duration::ZERO);
    changes.now_or_never().expect("memory never waits").expect("it reads").newest
}

/// Typed access to a store in memory, for reading.
pub fn repo(store: &Arc<MemoryStore>, clock: &VirtualClock) -> Repo {
    let store: Arc<MemoryStore> = Arc::clone(store);
    Repo::new(store, Arc::new(clock.clone()), Arc::new(SystemEntropy), super::world::SHARDS, Planted::NONE)
}
