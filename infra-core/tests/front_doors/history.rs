//! What happened is told: once, in order, by whom, however much it is; and forgotten in time, and not before.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use infra_core::contracts::observer::{CallOutcome, Observer, Op, Tally};
use infra_core::infra::{HistoryEntry, HistoryOptions, Told, UserHandle};
use infra_core::nouns::actor::{Actor, By};
use infra_core::nouns::event::{Event, Place};
use infra_core::nouns::launch::Launch;
use infra_core::nouns::reservation::{Phase, Reservation};
use infra_core::records::Stored;
use infra_core::words::clock::later;
use infra_core::words::fault::FaultKind;
use infra_core::words::ids::{RequestId, ReservationId};
use infra_core::words::lane::{Lane, ResourceKind};
use infra_core::words::planted::{Bug, Planted};
use infra_core::{Clock, Infra, InfraError, SystemClock};
use infra_store::MemoryStore;

use super::house::{HOME, House, limits, parts, quick, sim_key, wish, word};

/// A loaded machine may take this long.
const PATIENCE: Duration = Duration::from_secs(60);

fn on(id: &str) -> Option<RequestId> {
    Some(RequestId::new(id).expect("legal"))
}

async fn eventually<F: Future<Output = bool>>(what: &str, so: impl Fn() -> F) {
    let until = SystemClock.mono() + PATIENCE;
    while !so().await {
        assert!(SystemClock.mono() < until, "never: {what}");
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
}

/// The whole history, in pages of seven.
async fn history(user: &UserHandle, id: &ReservationId) -> Vec<HistoryEntry> {
    let mut all = Vec::new();
    let mut options = HistoryOptions { limit: Some(7), after: None };
    loop {
        let page = user.history(id, &options).await.expect("it is ours");
        all.extend(page.items);
        options.after = page.next;
        if page.next.is_none() {
            return all;
        }
    }
}

async fn ready(user: &UserHandle, count: u32) -> ReservationId {
    let id = user.reserve(&wish(count), None).await.expect("room").view.id;
    let view = user.wait(&id, PATIENCE).await.expect("ours");
    assert_eq!(view.state, Phase::Ready, "{view:?}");
    id
}

async fn over(user: &UserHandle, id: &ReservationId) {
    eventually("it is over", || async { user.get(id).await.is_ok_and(|view| view.over_at.is_some()) }).await;
}

fn things(entries: &[HistoryEntry]) -> Vec<String> {
    let lost = entries.iter().filter_map(|entry| match &entry.event {
        Event::Lost { thing, .. } => Some(thing.to_string()),
        _ => None,
    });
    lost.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_machines_lost_at_once_are_thirty_entries() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    house.operator().set_machines_max(ada.id(), Some(100)).await.expect("is there");
    let id = ready(&ada, 30).await;
    for known in house.operator().status().await.expect("answers").lanes {
        house.operator().allow_mass(&known.lane.id(), PATIENCE).await.expect("the lane is known");
    }
    let machines = || house.sim.truth().into_iter().filter(|thing| thing.kind == ResourceKind::Machine);
    for machine in machines() {
        assert!(house.sim.end_by_hand(&machine.id));
    }
    eventually("thirty are lost", || async { things(&history(&ada, &id).await).len() >= 30 }).await;
    SystemClock.sleep(Duration::from_millis(300)).await;
    let told = things(&history(&ada, &id).await);
    let (each, all): (BTreeSet<_>, BTreeSet<_>) =
        (told.iter().cloned().collect(), machines().map(|machine| machine.id.to_string()).collect());
    assert_eq!((told.len(), each), (30, all), "each is told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_say_afterwards_that_it_was_somebody_else() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    let acting = |request: &str| ada.clone().acting(Actor::token("tok_1").on(on(request)));
    let id = acting("req-make").reserve(&wish(1), None).await.expect("room").view.id;
    ada.wait(&id, PATIENCE).await.expect("ours");
    let ends = later(SystemClock.wall(), Duration::from_secs(7200));
    acting("req-extend").extend(&id, ends, None).await.expect("it is there");
    house
        .infra
        .user(ada.id())
        .acting(Actor::admin().on(on("req-end")))
        .release(&id)
        .await
        .expect("it is there");
    over(&ada, &id).await;
    let told = history(&ada, &id).await;
    assert!(told.windows(2).all(|pair| pair[0].place < pair[1].place), "in order: {told:?}");
    let by = |text: &str| text.parse::<By>().expect("an actor");
    let who: Vec<_> = told.iter().map(|entry| (entry.by.clone(), entry.request_id.clone())).collect();
    assert_eq!(who[0], (by("token:tok_1"), on("req-make")), "{told:?}");
    let changed: Vec<_> = told.iter().filter(|entry| matches!(entry.event, Event::Desired { .. })).collect();
    let Event::Desired { moved, .. } = &changed[0].event else { unreachable!("filtered") };
    assert_eq!((moved.len(), moved[0].field.as_str()), (1, "ends_at"), "{moved:?}");
    assert_eq!(moved[0].after, serde_json::json!(ends));
    assert_ne!(moved[0].before, moved[0].after);
    assert_eq!((&changed[1].by, &changed[1].request_id), (&By::Admin, &on("req-end")));
    // What the engine does bears the request that it follows from; the last word says what it came to.
    let last = told.last().expect("there are entries");
    assert_eq!((&last.by, &last.request_id), (&By::Engine, &on("req-end")));
    assert!(last.cost.is_some_and(|cost| cost.nanos > 0), "{last:?}");
    assert_eq!(phases(&told), told_phases(&told), "each phase follows the one before");
    let attempts = told.iter().filter(|entry| matches!(entry.event, Event::Attempt { .. })).count();
    assert!(attempts >= 1, "{told:?}");
    let eve = house.user("eve").await;
    let refused = eve.history(&id, &HistoryOptions::default()).await.expect_err("it is not hers");
    assert_eq!(word(&refused), "NotFound");
}

fn phases(told: &[HistoryEntry]) -> Vec<Phase> {
    let to = told.iter().filter_map(|entry| match entry.event {
        Event::Phase { phase, .. } => Some(phase),
        _ => None,
    });
    to.collect()
}

/// The phases by where each came from: the same list, but for its ends.
fn told_phases(told: &[HistoryEntry]) -> Vec<Phase> {
    let from = told.iter().filter_map(|entry| match entry.event {
        Event::Phase { was, .. } => was,
        _ => None,
    });
    let last = phases(told).last().copied();
    from.skip(1).chain(last).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_broke_off_anywhere_goes_on_exactly_there() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(2), None).await.expect("room").view.id;
    let mut mark: Option<String> = None;
    let (mut places, mut states) = (Vec::<Place>::new(), 0);
    let mut released = false;
    // A new watch for every single thing that is told.
    loop {
        let mut watch = ada.watch(&id, mark.as_deref()).await.expect("it is ours");
        match watch.next(Duration::from_secs(5)).await.expect("it is ours") {
            Told::Entry(entry) => places.push(entry.place),
            Told::State(view) => {
                states += 1;
                if view.state == Phase::Ready && !released {
                    released = true;
                    ada.release(&id).await.expect("it is ours");
                }
            }
            Told::Quiet => {}
            Told::Over => break,
        }
        mark = Some(watch.mark());
    }
    let all: Vec<Place> = history(&ada, &id).await.into_iter().map(|entry| entry.place).collect();
    assert_eq!(places, all, "every entry once, in order");
    assert!(states >= 3, "only {states} states were told");
    for wrong in ["x", "1", "1.2.3", "01.2", "1.2/zz", "-1.0", "1.2/"] {
        let refused = ada.watch(&id, Some(wrong)).await.expect_err(wrong);
        assert_eq!(word(&refused), "OutOfRange", "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_in_is_the_owners_alone_and_stands_nowhere_in_clear() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    let id = ready(&ada, 1).await;
    let way = ada.clone().acting(Actor::token("tok_1").on(on("req-key"))).access(&id).await.expect("hers");
    let private = way.private_key.expect("nobody named a key, so one was made");
    assert!(private.expose().starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
    assert_eq!((way.machines.len(), way.public_keys.len(), way.made_here), (1, 1, true));
    assert_eq!((way.machines[0].port, way.machines[0].user.as_deref()), (22, Some("ubuntu")));
    // The machine was made with the public half.
    let made = house.all::<Launch>().await.into_iter().find(|row| row.value.kind() == ResourceKind::Machine);
    let body = format!("{:?}", made.expect("it is there").value.frozen.body);
    assert!(body.contains(way.public_keys[0].split(' ').nth(1).expect("a key")), "{body}");
    let admin =
        house.infra.user(ada.id()).acting(Actor::admin()).access(&id).await.expect("admins see the doors");
    assert!(admin.private_key.is_none(), "and not the keys");
    let told = history(&ada, &id).await;
    let asked: Vec<_> = told.iter().filter(|e| matches!(e.event, Event::Accessed { .. })).collect();
    assert!(matches!(asked[0].event, Event::Accessed { secrets: true, .. }), "{asked:?}");
    assert!(matches!(asked[1].event, Event::Accessed { secrets: false, .. }), "{asked:?}");
    assert_eq!((&asked[0].request_id, &asked[1].by, asked.len()), (&on("req-key"), &By::Admin, 2));
    let core = private.expose().lines().nth(1).expect("a key has lines");
    for record in house.records().await {
        let text = String::from_utf8_lossy(&record.body).into_owned();
        assert!(!text.contains(core) && !text.contains("PRIVATE KEY"), "{:?}", record.key);
    }
    let mut named = wish(1);
    named.ssh_public_keys = vec![way.public_keys[0].clone()];
    let other = ada.reserve(&named, None).await.expect("room").view.id;
    let way = ada.access(&other).await.expect("hers");
    assert!(way.private_key.is_none() && !way.made_here && way.public_keys == named.ssh_public_keys);
    let eve = house.user("eve").await;
    assert_eq!(word(&eve.access(&id).await.expect_err("not hers")), "NotFound");
}

/// An installation that forgets within milliseconds, unless something speaks against it.
async fn forgetful(planted: Planted) -> (House, Infra) {
    let (store, sim) = (Arc::new(MemoryStore::new()), quick());
    let mut limits = limits();
    limits.released_readable_for = Duration::from_millis(500);
    // Longer than it takes to end everything: what it came to is counted from rows.
    limits.keep_closed_for = Duration::from_secs(3);
    limits.idempotency_keep = Duration::from_millis(100);
    let open = parts(store.clone(), &sim).with_home(HOME).with_limits(limits).with_planted(planted);
    let infra = open.build().await.expect("opens");
    (House { store, sim, infra: infra.clone() }, infra)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_is_forgotten_whole_and_what_is_open_is_not() {
    let (house, _) = forgetful(Planted::NONE).await;
    let ada = house.user("ada").await;
    let (kept, gone) = (ready(&ada, 1).await, ready(&ada, 2).await);
    ada.release(&gone).await.expect("hers");
    over(&ada, &gone).await;
    assert!(!history(&ada, &gone).await.is_empty(), "readable for a while");
    let cost = ada.get(&gone).await.map(|view| view.cost_so_far);
    assert!(matches!(cost, Ok(Some(cost)) if cost.nanos > 0), "{cost:?}");
    let left = || async {
        let all = house.records().await;
        let of_it = all.into_iter().filter(|record| record.key.id.split('/').next() == Some(gone.as_str()));
        of_it
            .map(|r| format!("{:?} {} {}", r.key.kind, r.key.id, String::from_utf8_lossy(&r.body)))
            .collect::<Vec<_>>()
    };
    for _ in 0..1500 {
        if left().await.is_empty() {
            break;
        }
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(left().await, Vec::<String>::new(), "everything of it is forgotten");
    assert!(matches!(ada.get(&gone).await, Err(InfraError::NotFound { .. })));
    SystemClock.sleep(Duration::from_millis(500)).await;
    assert_eq!(ada.get(&kept).await.expect("it is open").state, Phase::Ready);
    assert!(!history(&ada, &kept).await.is_empty());
}

/// Is some row open, or young, whose reservation is gone?
async fn forgotten_too_early(house: &House) -> bool {
    let reservations: BTreeSet<ReservationId> =
        house.all::<Reservation>().await.into_iter().map(|record| record.value.id).collect();
    let rows = house.all::<Launch>().await;
    rows.iter().any(|row| !reservations.contains(&row.value.reservation))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_that_may_still_have_a_late_birth_is_kept() {
    for (planted, early) in [(Planted::NONE, false), (Planted::one(Bug::ForgottenTooEarly), true)] {
        let (store, sim) = (Arc::new(MemoryStore::new()), quick());
        let mut limits = limits();
        limits.released_readable_for = Duration::from_millis(100);
        let open = parts(store.clone(), &sim).with_home(HOME).with_limits(limits).with_planted(planted);
        let house = House { store, sim, infra: open.build().await.expect("opens") };
        let ada = house.user("ada").await;
        let id = ready(&ada, 1).await;
        ada.release(&id).await.expect("hers");
        if early {
            eventually("the defect forgets it", || forgotten_too_early(&house)).await;
        } else {
            over(&ada, &id).await;
            SystemClock.sleep(Duration::from_secs(1)).await;
            assert!(!forgotten_too_early(&house).await, "its rows are kept for thirty days");
            assert!(ada.get(&id).await.is_ok());
        }
    }
}

/// Remembers what it heard.
#[derive(Debug, Default)]
struct Ears {
    calls: Mutex<Vec<(Op, &'static str)>>,
    tally: Mutex<Tally>,
    commits: Mutex<u64>,
    droppings: Mutex<u64>,
    open: Mutex<Vec<bool>>,
}

impl Observer for Ears {
    fn provider_call(&self, _: &Lane, op: Op, outcome: CallOutcome, _: Duration) {
        self.calls.lock().expect("no panic").push((op, outcome.word()));
    }
    fn limiter_wait(&self, _: &Lane, _: Duration) {}
    fn breaker(&self, _: &Lane, open: bool) {
        self.open.lock().expect("no panic").push(open);
    }
    fn listed(&self, _: &Lane, _: bool) {}
    fn droppings(&self, _: &Lane, count: u64) {
        *self.droppings.lock().expect("no panic") = count;
    }
    fn store_commit(&self, _: Option<FaultKind>, _: Duration) {
        *self.commits.lock().expect("no panic") += 1;
    }
    fn turned(&self, tally: &Tally) {
        self.tally.lock().expect("no panic").clone_from(tally);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_watches_hears_calls_commits_and_how_far_things_are() {
    let (store, sim, ears) = (Arc::new(MemoryStore::new()), quick(), Arc::new(Ears::default()));
    let mut limits = limits();
    (limits.orphan_sightings_apart, limits.orphan_age_min) = (Duration::ZERO, Duration::ZERO);
    let open = parts(store.clone(), &sim).with_home(HOME).with_limits(limits);
    let infra = open.with_observer(Arc::<Ears>::clone(&ears)).build().await.expect("opens");
    let house = House { store, sim, infra };
    let ada = house.keyless("ada").await;
    ada.save_key(&sim_key("default", "sim-acc-ada")).await.expect("a good key");
    ready(&ada, 2).await;
    eventually("two are wanted and there", || async {
        let tally = ears.tally.lock().expect("no panic").clone();
        (tally.want, tally.have, tally.building, tally.diverged_at) == (2, 2, 0, None)
            && tally.reservations == [(Phase::Ready, 1)]
    })
    .await;
    let heard = |op| ears.calls.lock().expect("no panic").contains(&(op, "ok"));
    // A listing may show a machine before anybody looks at it by id.
    assert!([Op::Launch, Op::List, Op::Identify, Op::Catalogue].into_iter().all(heard));
    assert!(*ears.commits.lock().expect("no panic") > 5);
    assert_eq!(ears.open.lock().expect("no panic").first(), Some(&false));
    let health = house.operator().health().await.expect("answers");
    assert!(health.is_ready(), "{health:?}");
    // A copied mark is a thing of ours without a row of its own: it is shown for as long as it stands there.
    let machine = house.sim.truth().into_iter().find(|thing| thing.kind == ResourceKind::Machine);
    let copy = house.sim.copy_marks(&machine.expect("it is there").id).expect("made");
    let shown = || async {
        let status = house.operator().status().await.expect("answers");
        status.lanes.iter().flat_map(|lane| &lane.droppings).any(|dropping| dropping.thing == copy)
    };
    eventually("the dropping is shown", shown).await;
    eventually("and counted", || async { *ears.droppings.lock().expect("no panic") == 1 }).await;
    assert!(house.sim.vanish(&copy));
    eventually("until it is gone", || async { !shown().await }).await;
}

#[test]
fn a_place_has_one_name() {
    let place = Place { commit: infra_core::words::lane::Version(7), nth: 3 };
    assert_eq!(place.to_string().parse(), Ok(place));
    for wrong in ["", "7", "7.", ".3", "07.3", "7.03", "+7.3", "7.3 ", "7.4294967296", "x.y"] {
        assert!(wrong.parse::<Place>().is_err(), "{wrong:?}");
    }
    assert_eq!(infra_core::nouns::retention::Retention::KIND as u8, 20, "a number is for ever");
}
