//! The sim's hands and truth, in the words of the simulation.

use futures_util::FutureExt;
use infra_core::SystemEntropy;
use infra_core::contracts::store::{Change, Commit, Expect, ListBy, ListQuery, RecordKind, ReservationStore};
use infra_core::nouns::cloud::ThingState;
use infra_core::nouns::launch::EndCause;
use infra_core::nouns::reservation::Reservation;
use infra_core::nouns::switch::{Switch, SwitchScope, SwitchValue};
use infra_core::records::Stored;
use infra_core::testing::VirtualClock;
use infra_core::words::clock::{Clock, Timestamp};
use infra_core::words::ids::{CommitId, LaunchToken, ResourceId};
use infra_core::words::lane::ResourceKind;
use infra_providers::sim::{FaultEffect, HandMade, Match, Rule};
use infra_store::MemoryStore;

use super::skin::Cloud;
use super::world::SHARDS;

/// A thing as it truly is.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: ResourceId,
    pub token: Option<LaunchToken>,
    pub account: String,
    pub machine: bool,
    pub snapshot: bool,
    /// Which data is on it.
    pub disk: u64,
    /// Usable: running, or off, or a finished copy.
    pub whole: bool,
    pub marked: bool,
    /// There, and billed.
    pub there: bool,
    /// There, and nobody has ordered its end.
    pub alive: bool,
    pub on: bool,
    pub created_at: Timestamp,
}

/// Everything that ever was.
pub fn everything(sim: &Cloud) -> Vec<Seen> {
    let seen = |thing: infra_providers::sim::TruthThing| Seen {
        marked: thing.mark().is_some(),
        there: thing.alive(),
        alive: thing.alive() && thing.state != ThingState::Ending,
        on: matches!(thing.state, ThingState::Building | ThingState::Running),
        token: thing.made_under,
        account: thing.account.to_string(),
        machine: thing.kind == ResourceKind::Machine,
        snapshot: thing.kind == ResourceKind::Snapshot,
        disk: thing.disk,
        whole: !matches!(thing.state, ThingState::Error | ThingState::Ending | ThingState::Ended)
            && (thing.kind != ResourceKind::Snapshot || thing.state == ThingState::Running),
        created_at: thing.created_at,
        id: sim.id_of(&thing),
    };
    sim.truth().into_iter().map(seen).collect()
}

/// Machines that are there; only those that a call made, when asked so.
pub fn machines(sim: &Cloud, by_call: bool) -> Vec<Seen> {
    let wanted = |seen: &Seen| seen.alive && seen.machine && (!by_call || seen.token.is_some());
    everything(sim).into_iter().filter(wanted).collect()
}

/// The next calls of an operation go wrong.
pub fn rule(sim: &Cloud, op: &str, effect: FaultEffect, times: u64) {
    sim.rule(Rule::once(op, effect).times(u32::try_from(times).ok()));
}

/// The next create call of machines goes wrong; satellites are spared.
pub fn machine_rule(sim: &Cloud, effect: FaultEffect) {
    let machines = Match { kind: Some(ResourceKind::Machine), ..Match::default() };
    sim.rule(Rule::once("launch", effect).only(machines));
}

pub fn no_rules(sim: &Cloud) {
    sim.clear_rules();
}

pub fn make(sim: &Cloud) -> ResourceId {
    let wish = HandMade {
        account: "acc-ada".parse().expect("legal"),
        region: sim.region(),
        zone: None,
        type_name: None,
        name: Some("precious".to_owned()),
        tags: std::collections::BTreeMap::new(),
    };
    let made = sim.make_by_hand(wish).expect("the region offers something");
    shown(sim, &made).expect("it was just made")
}

pub fn copy(sim: &Cloud, id: &ResourceId) -> Option<ResourceId> {
    let copied = sim.copy_marks(&sim.inner(id)?)?;
    shown(sim, &copied)
}

/// A firewall of DigitalOcean stands before a tag, and whoever copies a machine copies that tag: nobody ends the
/// firewall before they have taken it off.
pub fn move_out(sim: &Cloud, id: &ResourceId) {
    let _known = sim.inner(id).is_some_and(|id| sim.take_tag(&id, "infra-firewall"));
}

/// What the client calls a thing of the sim.
fn shown(sim: &Cloud, id: &ResourceId) -> Option<ResourceId> {
    sim.truth().iter().find(|thing| &thing.id == id).map(|thing| sim.id_of(thing))
}

pub fn vanish(sim: &Cloud, id: &ResourceId) {
    let _known = sim.inner(id).is_some_and(|id| sim.vanish(&id));
}

pub fn end(sim: &Cloud, id: &ResourceId) {
    let _known = sim.inner(id).is_some_and(|id| sim.end_by_hand(&id));
}

pub fn strip(sim: &Cloud, id: &ResourceId) {
    let _known = sim.inner(id).is_some_and(|id| sim.strip_marks(&id));
}

/// All keys of a user lead to somebody else's account, or back to their own.
pub fn mislead(sim: &Cloud, user: &str, away: bool) {
    let to = away.then(|| "elsewhere".parse().expect("legal"));
    for account in ["acc", "acc0", "acc1", "acc2"] {
        sim.lead_key(&format!("sim-{account}-{user}"), to.clone());
    }
}

/// A switch is thrown straight in the store, as another replica would.
pub fn throw_switch(store: &MemoryStore, clock: &VirtualClock, value: SwitchValue) {
    let switch = Switch {
        scope: SwitchScope::Global,
        value,
        by: "another replica".to_owned(),
        why: "a race".to_owned(),
        at: clock.wall(),
        until: None,
    };
    let place = Switch::place(&switch.scope.id());
    let was = store
        .get(std::slice::from_ref(&place))
        .now_or_never()
        .expect("memory never waits")
        .expect("it reads");
    let expect = was[0].as_ref().map_or(Expect::Absent, |record| Expect::Version(record.version));
    put(store, clock, &switch, expect);
}

/// Everything is released straight in the store, as another replica would.
pub fn release_everything(store: &MemoryStore, clock: &VirtualClock) {
    let query = ListQuery {
        by: ListBy::All,
        kind: RecordKind::Reservation,
        state_max: None,
        after: None,
        limit: 1000,
    };
    let page = store.list(&query).now_or_never().expect("memory never waits").expect("it reads");
    for record in page.items {
        let mut reservation: Reservation = serde_json::from_slice(&record.body).expect("it reads");
        if reservation.desired.present {
            reservation.desired.present = false;
            reservation.desired.change += 1;
            reservation.end_cause = Some(EndCause::Asked);
            put(store, clock, &reservation, Expect::Version(record.version));
        }
    }
}

fn put<T: Stored>(store: &MemoryStore, clock: &VirtualClock, value: &T, expect: Expect) {
    let body = serde_json::to_vec(value).expect("records serialise");
    let change = Change::Put { key: value.key(), expect, index: value.index(SHARDS), body };
    let commit = Commit { id: CommitId::draw(clock.wall(), &SystemEntropy), changes: vec![change] };
    store.commit(&commit).now_or_never().expect("memory never waits").expect("nobody else writes");
}
