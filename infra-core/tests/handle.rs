//! The handle with everything under it: the real engine on real threads, a store in memory, and a simulated cloud
//! whose truth is what is compared against.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::store::{ListBy, ListQuery, RecordKind};
use infra_core::infra::{IdempotencyKey, ListOptions, NewKey, Reserved};
use infra_core::nouns::account::TokenRole;
use infra_core::nouns::cloud::ThingState;
use infra_core::nouns::installation::Recovery;
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::Phase;
use infra_core::words::clock::later;
use infra_core::words::ids::{AccountId, CloudName, ReservationId, ResourceId, UserId};
use infra_core::words::lane::ResourceKind;
use infra_core::words::limits::Rate;
use infra_core::words::planted::{Bug, Planted};
use infra_core::words::secret::{MasterKey, Secret, digest};
use infra_core::{Clock, Infra, InfraError, Limits, ReservationStore, SystemClock, UserHandle};
use infra_providers::sim::{SimConfig, SimDriver, SimWorld, Span, TruthThing};
use infra_store::MemoryStore;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// What is waited for comes within milliseconds; a loaded machine may take this long.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const HOME: &str = "machine-a:/var/lib/infra";

/// A cloud and a store; installations come and go.
struct World {
    sim: SimWorld,
    store: Arc<MemoryStore>,
}

impl World {
    fn new() -> Self {
        let account = |name: &str| AccountId::new(name).expect("a legal name");
        let mut config = SimConfig::small(1);
        config.keys = [("planted-key-of-ada", "acct-ada"), ("planted-key-of-ben", "acct-ben")]
            .map(|(key, name)| (key.to_owned(), account(name)))
            .into();
        config.boot = Span::millis(1, 30);
        config.stop = Span::millis(1, 30);
        config.terminate = Span::millis(1, 30);
        config.list_lag = Span::ZERO;
        config.id_lag = Span::ZERO;
        config.visible_within = Duration::from_millis(200);
        let sim = SimWorld::new(config, Arc::new(SystemClock));
        Self { sim, store: Arc::new(MemoryStore::new()) }
    }

    async fn open(&self, home: &str, planted: Planted) -> Infra {
        let mut limits = Limits::default();
        limits.poll_every = Duration::from_millis(20);
        limits.listing_every = Duration::from_millis(100);
        limits.listing_idle_every = Duration::from_millis(200);
        limits.retry_min = Duration::from_millis(100);
        limits.create_rate = Rate::OPEN;
        limits.terminate_rate = Rate::OPEN;
        let builder = Infra::builder()
            .with_store(Arc::clone(&self.store) as _)
            .with_driver(Arc::new(SimDriver::new(self.sim.clone())))
            .with_master_key(MasterKey::new([7; 32]))
            .with_home(home)
            .with_limits(limits)
            .with_planted(planted);
        within("build", builder.build()).await.expect("all parts are there")
    }

    /// An open installation with a user `ada` who has a key.
    async fn of_ada() -> (Self, Infra, UserHandle) {
        let world = Self::new();
        let infra = world.open(HOME, Planted::NONE).await;
        let ada = person(&infra, "ada").await;
        (world, infra, ada)
    }

    fn machines(&self) -> Vec<TruthThing> {
        self.sim.truth().into_iter().filter(|thing| thing.kind == ResourceKind::Machine).collect()
    }

    /// States of the machines that are there and billed.
    fn alive(&self) -> Vec<ThingState> {
        self.machines().into_iter().filter(TruthThing::alive).map(|thing| thing.state).collect()
    }

    /// Waits until the cloud has exactly so many machines, all in one state.
    async fn come_to(&self, count: usize, state: ThingState) {
        let so = || async { self.alive() == vec![state; count] };
        assert!(eventually(so).await, "wanted {count} {state:?}, there are {:?}", self.alive());
    }

    /// Every record body of every kind.
    async fn bodies(&self) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        for kind in RecordKind::ALL {
            let mut after = None;
            for _page in 0..100 {
                let query = ListQuery { by: ListBy::All, kind, state_max: None, after, limit: 1000 };
                let page = self.store.list(&query).await.expect("memory answers");
                bodies.extend(page.items.into_iter().map(|record| record.body));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(after, None, "a hundred pages are enough");
        }
        bodies
    }
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::select! {
        done = work => done,
        () = SystemClock.sleep(PATIENCE) => panic!("{what} took more than {PATIENCE:?}"),
    }
}

async fn eventually<F: Future<Output = bool>>(so: impl Fn() -> F) -> bool {
    let until = SystemClock.mono() + PATIENCE;
    while SystemClock.mono() < until {
        if so().await {
            return true;
        }
        SystemClock.sleep(LOOK_EVERY).await;
    }
    so().await
}

fn name(user: &str) -> UserId {
    UserId::new(user).expect("a legal name")
}

fn sim() -> CloudName {
    CloudName::new("sim").expect("a legal name")
}

fn key(token: &str) -> NewKey {
    let fields = BTreeMap::from([("token".to_owned(), Secret::new(token.to_owned()))]);
    NewKey { provider: sim(), label: "default".to_owned(), kind: "static".to_owned(), fields }
}

/// Adds a user and its key of the account `acct-<user>`.
async fn person(infra: &Infra, user: &str) -> UserHandle {
    infra.operator().add_user(&name(user), None).await.expect("the name is free");
    let handle = infra.user(&name(user));
    handle.save_key(&key(&format!("planted-key-of-{user}"))).await.expect("the sim knows this key");
    handle
}

fn wish(count: u32) -> Request {
    let mut request = Request::default();
    request.vcpus = Some(1.0);
    request.count = Some(count);
    request
}

/// Waits until it is as desired or over.
async fn settled(user: &UserHandle, id: &ReservationId, phase: Phase) {
    let view = user.wait(id, PATIENCE).await.expect("it is ours");
    assert_eq!(view.state, phase, "{view:?}");
}

async fn ready(user: &UserHandle, count: u32) -> ReservationId {
    let id = user.reserve(&wish(count), None).await.expect("the sim has room").view.id;
    settled(user, &id, Phase::Ready).await;
    id
}

async fn ended(user: &UserHandle, id: &ReservationId) {
    user.release(id).await.expect("it is ours");
    settled(user, id, Phase::Released).await;
}

async fn own(user: &UserHandle) -> BTreeSet<ReservationId> {
    let options = ListOptions { all: true, limit: Some(200), ..ListOptions::default() };
    user.list(&options).await.expect("the store answers").items.into_iter().map(|view| view.id).collect()
}

async fn held(infra: &Infra, user: &str) -> u32 {
    infra.operator().get_user(&name(user)).await.expect("the user is there").machines_held
}

/// The same reserve many times at once.
async fn at_once(
    user: &UserHandle,
    times: usize,
    key: Option<IdempotencyKey>,
) -> Vec<Result<Reserved, InfraError>> {
    let mut calls = JoinSet::new();
    // All begin together: a call that was over before the next one is made would race with nobody.
    let start = Arc::new(Barrier::new(times));
    for _ in 0..times {
        let (user, key, start) = (user.clone(), key.clone(), Arc::clone(&start));
        calls.spawn(async move {
            start.wait().await;
            user.reserve(&wish(1), key.as_ref()).await
        });
    }
    within("reserve", calls.join_all()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tenants_at_once_never_touch_each_others_accounts_or_records() {
    let (world, infra, ada) = World::of_ada().await;
    let ben = person(&infra, "ben").await;
    let mut calls = JoinSet::new();
    for turn in 0..20 {
        let user = if turn % 2 == 0 { ada.clone() } else { ben.clone() };
        calls.spawn(async move { (user.id().to_string(), ready(&user, 1).await) });
    }
    let made = within("reserve", calls.join_all()).await;
    let of = |user: &str| -> BTreeSet<ReservationId> {
        made.iter().filter(|(owner, _)| owner == user).map(|(_, id)| id.clone()).collect()
    };
    let mut owners = BTreeMap::new();
    for (owner, id) in &made {
        let view = infra.user(&name(owner)).get(id).await.expect("it is theirs");
        owners.extend(view.units.iter().filter_map(|unit| Some((unit.provider_id.clone()?, owner.clone()))));
    }
    let machines = world.machines();
    assert_eq!((machines.len(), owners.len()), (20, 20));
    for machine in machines {
        let owner = owners.get(machine.id.as_str()).expect("a reservation made it");
        assert_eq!(machine.account.as_str(), format!("acct-{owner}"));
        let right = digest(format!("planted-key-of-{owner}").as_bytes());
        assert!(!machine.key.is_empty() && right.starts_with(&machine.key), "{owner}: {}", machine.key);
    }
    assert_eq!((own(&ada).await, own(&ben).await), (of("ada"), of("ben")));
    let foreign = of("ben").pop_first().expect("ten of them");
    let later = later(SystemClock.wall(), Duration::from_secs(60));
    for refused in [
        ada.get(&foreign).await.map(drop),
        ada.extend(&foreign, later, None).await.map(drop),
        ada.stop(&foreign, None).await.map(drop),
        ada.start(&foreign, None).await.map(drop),
        ada.set_count(&foreign, 0, None).await.map(drop),
        ada.set_tags(&foreign, &BTreeMap::new(), None).await.map(drop),
        ada.wait(&foreign, PATIENCE).await.map(drop),
        ada.release(&foreign).await.map(drop),
    ] {
        assert!(matches!(refused, Err(InfraError::NotFound { what: "reservation", .. })), "{refused:?}");
    }
    assert_eq!(ben.get(&foreign).await.expect("it is his").state, Phase::Ready);
    infra.shutdown().await;
}

/// Reservations made and answers replayed by twenty calls at once under one key; calls that failed are in neither.
async fn twenty_under_one_key(user: &UserHandle) -> (usize, usize) {
    let key = IdempotencyKey::new("POST reservations", "once").expect("a legal key");
    let answers = at_once(user, 20, Some(key)).await;
    let replayed = answers.iter().flatten().filter(|answer| answer.replayed).count();
    let made = own(user).await;
    let answered: BTreeSet<ReservationId> =
        answers.iter().flatten().map(|answer| answer.view.id.clone()).collect();
    assert!(answered.is_subset(&made));
    (made.len(), replayed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_sent_twenty_times_at_once_buys_one_machine() {
    let (world, infra, ada) = World::of_ada().await;
    assert_eq!(twenty_under_one_key(&ada).await, (1, 19));
    let id = own(&ada).await.pop_first().expect("one was made");
    settled(&ada, &id, Phase::Ready).await;
    assert_eq!((world.machines().len(), held(&infra, "ada").await), (1, 1));
    let key = IdempotencyKey::new("POST reservations", "once").expect("a legal key");
    let other = ada.reserve(&wish(2), Some(&key)).await;
    assert!(matches!(other, Err(InfraError::IdempotencyMismatch)), "{other:?}");
    assert_eq!((own(&ada).await.len(), held(&infra, "ada").await), (1, 1));
    infra.shutdown().await;
}

// On one thread the twenty stand in one queue: between the two writes of the first all others are asked.
#[tokio::test]
async fn a_key_written_apart_from_its_reservation_is_caught() {
    let world = World::new();
    let infra = world.open(HOME, Planted::one(Bug::C20KeyInItsOwnWrite)).await;
    let ada = person(&infra, "ada").await;
    assert_ne!(twenty_under_one_key(&ada).await, (1, 19));
    infra.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rush_of_reserves_never_exceeds_the_machines_a_user_may_hold() {
    let (world, infra, ada) = World::of_ada().await;
    infra.operator().set_machines_max(&name("ada"), Some(20)).await.expect("the user is there");
    let answers = at_once(&ada, 30, None).await;
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert!(matches!(refused, InfraError::OverLimit { max: 20, .. }), "{refused:?}");
    }
    let made: Vec<ReservationId> = answers.iter().flatten().map(|answer| answer.view.id.clone()).collect();
    assert_eq!((made.len(), held(&infra, "ada").await), (20, 20));
    let mut ends = JoinSet::new();
    for id in made {
        let ada = ada.clone();
        ends.spawn(async move { ended(&ada, &id).await });
    }
    within("release", ends.join_all()).await;
    assert_eq!(held(&infra, "ada").await, 0);
    world.come_to(0, ThingState::Running).await;
    infra.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_key_still_ends_what_it_made_and_is_not_lost_while_machines_live() {
    let (world, infra, ada) = World::of_ada().await;
    let old = ready(&ada, 1).await;
    ada.save_key(&key("planted-key-of-ben")).await.expect("the sim knows this key");
    let keys = ada.keys().await.expect("the store answers");
    let retired: BTreeMap<&str, bool> = keys.iter().map(|key| (key.account.as_str(), key.retired)).collect();
    assert_eq!(retired, BTreeMap::from([("acct-ada", true), ("acct-ben", false)]));
    let new = ready(&ada, 1).await;
    let accounts: Vec<String> = world.machines().iter().map(|thing| thing.account.to_string()).collect();
    assert_eq!(accounts, ["acct-ada", "acct-ben"]);
    for (left, id) in [(1, old), (0, new)] {
        let removed = ada.remove_key(&sim(), "default").await;
        assert!(matches!(removed, Err(InfraError::InUse { what: "key", .. })), "{removed:?}");
        ended(&ada, &id).await;
        assert_eq!(world.alive().len(), left);
    }
    ada.remove_key(&sim(), "default").await.expect("nothing needs it any more");
    assert_eq!(ada.keys().await.expect("the store answers"), []);
    let refused = ada.reserve(&wish(1), None).await;
    assert!(matches!(refused, Err(InfraError::NoCredentials)), "{refused:?}");
    infra.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_cloud_refuses_is_not_stored() {
    let (world, infra, _) = World::of_ada().await;
    infra.operator().add_user(&name("eve"), None).await.expect("the name is free");
    let eve = infra.user(&name("eve"));
    let refused = eve.save_key(&key("no-such-key")).await;
    assert!(matches!(refused, Err(InfraError::InvalidCredentials { .. })), "{refused:?}");
    assert_eq!(eve.keys().await.expect("the store answers"), []);
    let tenant = infra.operator().get_user(&name("eve")).await.expect("she is there").tenant;
    let by = ListBy::Tenant { tenant, prefix: String::new() };
    for kind in [RecordKind::Credential, RecordKind::Lane] {
        let query = ListQuery { by: by.clone(), kind, state_max: None, after: None, limit: 10 };
        assert_eq!(world.store.list(&query).await.expect("memory answers").items, []);
    }
    infra.shutdown().await;
}

/// A ready reservation whose store is then opened at another place.
async fn carried_away() -> (World, Infra, UserHandle, ReservationId) {
    let (world, infra, ada) = World::of_ada().await;
    let id = ready(&ada, 2).await;
    within("shutdown", infra.shutdown()).await;
    let away = world.open("machine-b:/srv/copy", Planted::NONE).await;
    let ada = away.user(&name("ada"));
    (world, away, ada, id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_opened_elsewhere_changes_nothing_until_it_is_said_to_have_moved() {
    let (world, infra, ada, id) = carried_away().await;
    let end = later(SystemClock.wall(), Duration::from_secs(60));
    for refused in [
        ada.reserve(&wish(1), None).await.map(drop),
        ada.extend(&id, end, None).await.map(drop),
        ada.stop(&id, None).await.map(drop),
        ada.set_count(&id, 0, None).await.map(drop),
        ada.release(&id).await.map(drop),
        ada.save_key(&key("planted-key-of-ben")).await.map(drop),
        ada.remove_key(&sim(), "default").await,
        infra.operator().add_user(&name("eve"), None).await.map(drop),
    ] {
        assert!(matches!(refused, Err(InfraError::Frozen { .. })), "{refused:?}");
    }
    assert_eq!(ada.get(&id).await.expect("readable").state, Phase::Ready);
    assert_eq!(own(&ada).await, BTreeSet::from([id.clone()]));
    assert_eq!(ada.keys().await.expect("readable").len(), 1);
    let status = infra.operator().recover(Recovery::Moved).await.expect("it was opened elsewhere");
    assert_eq!((status.frozen, status.home.as_str()), (None, "machine-b:/srv/copy"));
    assert_eq!(world.alive().len(), 2);
    ended(&ada, &id).await;
    assert_eq!(world.alive().len(), 0);
    infra.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_lets_everything_go_and_never_touches_the_originals_machines() {
    let (world, infra, ada, id) = carried_away().await;
    let originals: BTreeSet<ResourceId> = world.machines().into_iter().map(|machine| machine.id).collect();
    let before = infra.operator().status().await.expect("readable").installation;
    let status = infra.operator().recover(Recovery::Clone).await.expect("it is frozen");
    assert_eq!(status.frozen, None);
    assert_ne!(status.installation, before);
    let view = ada.wait(&id, PATIENCE).await.expect("readable");
    assert!(matches!(view.state, Phase::Failed | Phase::Released), "{view:?}");
    assert!(eventually(|| async { held(&infra, "ada").await == 0 }).await);
    assert_eq!(ada.keys().await.expect("readable"), []);
    // With a key again the copy sees the machines; they are still not its own.
    ada.save_key(&key("planted-key-of-ada")).await.expect("the sim knows this key");
    ended(&ada, &ready(&ada, 1).await).await;
    let left = world.machines();
    let left: Vec<_> = left.iter().filter(|machine| originals.contains(&machine.id)).collect();
    assert_eq!(left.len(), 2);
    for machine in left {
        assert!(machine.alive() && machine.terminate_ordered_at.is_none(), "{machine:?}");
        assert_eq!(machine.state, ThingState::Running);
    }
    infra.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_stands_in_any_record_or_is_printed() {
    const KEY: &str = "planted-key-of-ada";
    const SETUP: &str = "#!/bin/sh\necho planted-secret-of-setup\n";
    let (world, infra, ada) = World::of_ada().await;
    let mut request = wish(1);
    request.setup = Some(SETUP.to_owned());
    request.tags = BTreeMap::from([("shown".to_owned(), "planted-tag".to_owned())]);
    let once = IdempotencyKey::new("POST reservations", "once").expect("a legal key");
    let reserved = ada.reserve(&request, Some(&once)).await.expect("the sim has room");
    settled(&ada, &reserved.view.id, Phase::Ready).await;
    let machine = world.machines().pop().expect("one was made");
    assert!(machine.user_data.is_some(), "the script reached the cloud");
    let bodies = world.bodies().await;
    let holds = |text: &str| bodies.iter().any(|body| body.windows(text.len()).any(|w| w == text.as_bytes()));
    assert!(holds("planted-tag"), "what is no secret is found by this search");
    let token = infra.operator().issue_token(&name("ada"), "t", TokenRole::User, None).await;
    let (_, token) = token.expect("the user is there");
    let printed = format!(
        "{infra:?} {ada:?} {:?} {:?} {:?} {:?} {token:?}",
        key(KEY),
        ada.keys().await,
        ada.get(&reserved.view.id).await,
        infra.operator().status().await,
    );
    for secret in [KEY, "planted-secret-of-setup", token.expose()] {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!holds(secret) && !holds(&hex), "{secret} stands in a record");
        assert!(!printed.contains(secret), "{secret} is printed");
    }
    infra.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_and_power_come_true_in_the_cloud_and_nothing_is_left_over() {
    let (world, infra, ada) = World::of_ada().await;
    let id = ready(&ada, 1).await;
    for count in [4, 0, 2, 5, 1, 3] {
        ada.set_count(&id, count, None).await.expect("within the limits");
        world.come_to(count as usize, ThingState::Running).await;
        assert_eq!(held(&infra, "ada").await, count);
    }
    settled(&ada, &id, Phase::Ready).await;
    ada.stop(&id, None).await.expect("the sim can");
    world.come_to(3, ThingState::Stopped).await;
    settled(&ada, &id, Phase::Stopped).await;
    ada.start(&id, None).await.expect("nothing is paused");
    world.come_to(3, ThingState::Running).await;
    settled(&ada, &id, Phase::Ready).await;
    ended(&ada, &id).await;
    world.come_to(0, ThingState::Running).await;
    assert_eq!(held(&infra, "ada").await, 0);
    infra.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_with_a_duration_ends_by_itself() {
    let (world, infra, ada) = World::of_ada().await;
    let mut request = wish(2);
    request.duration_s = Some(2);
    let id = ada.reserve(&request, None).await.expect("the sim has room").view.id;
    let over = || async { ada.get(&id).await.is_ok_and(|view| view.state == Phase::Released) };
    assert!(eventually(over).await, "{:?}", ada.get(&id).await);
    let machines = world.machines();
    assert_eq!(machines.len(), 2);
    assert!(machines.iter().all(|machine| !machine.alive()));
    let view = ada.get(&id).await.expect("readable after its end");
    let (ready, over) = (view.ready_at.expect("it was ready"), view.over_at.expect("it is over"));
    assert!(over >= later(ready, Duration::from_secs(2)), "{ready} {over}");
    infra.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acts_after_a_shutdown_and_the_next_start_goes_on() {
    let (world, infra, ada) = World::of_ada().await;
    let id = ready(&ada, 1).await;
    within("shutdown", infra.shutdown()).await;
    within("a second shutdown", infra.shutdown()).await;
    let calls = world.sim.counts();
    ada.set_count(&id, 2, None).await.expect("the handle goes on working");
    SystemClock.sleep(Duration::from_millis(500)).await;
    assert_eq!(world.sim.counts(), calls);
    assert_eq!(world.alive().len(), 1);
    let again = world.open(HOME, Planted::NONE).await;
    world.come_to(2, ThingState::Running).await;
    ended(&again.user(&name("ada")), &id).await;
    within("shutdown", again.shutdown()).await;
}
