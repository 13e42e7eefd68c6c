//! Accepting reservations: all of it in one commit, for the right tenant, and never more than allowed.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use infra_core::InfraError;
use infra_core::infra::{Infra, ReservationView};
use infra_core::nouns::account::IdempotencyRecord;
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::Reservation;
use infra_core::nouns::switch::{SwitchScope, SwitchValue};
use infra_core::words::planted::{Bug, Planted};

use super::house::{Crashing, HOME, House, once, parts, sim_key, wish, word};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_replays_at_once_make_one_reservation() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let ada = ada.clone();
            tokio::spawn(async move { ada.reserve(&wish(2), Some(&once("k-1"))).await })
        })
        .collect();
    let mut fresh = 0;
    let mut ids = Vec::new();
    for call in calls {
        let answer = call.await.expect("no panic").expect("accepted or replayed");
        fresh += usize::from(!answer.replayed);
        ids.push(answer.view.id);
    }
    ids.dedup();
    assert_eq!((fresh, ids.len()), (1, 1));
    assert_eq!(house.all::<Reservation>().await.len(), 1);
    assert_eq!(house.held(&ada).await, 2, "counted once");
}

#[tokio::test]
async fn a_key_with_another_body_user_or_route_is_not_a_replay() {
    let house = House::quiet().await;
    let (ada, ben) = (house.user("ada").await, house.user("ben").await);
    let first = ada.reserve(&wish(1), Some(&once("k"))).await.expect("accepted");
    let other = ada.reserve(&wish(2), Some(&once("k"))).await.expect_err("another body");
    assert!(matches!(other, InfraError::IdempotencyMismatch), "{other}");
    let bens = ben.reserve(&wish(1), Some(&once("k"))).await.expect("another user");
    assert!(!bens.replayed && bens.view.id != first.view.id);
    let route = infra_core::infra::IdempotencyKey::new("POST templates", "k").expect("printable");
    assert!(!ada.reserve(&wish(1), Some(&route)).await.expect("another route").replayed);
}

#[tokio::test]
async fn a_replay_is_answered_after_everything_has_changed() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let first = ada.reserve(&wish(1), Some(&once("k"))).await.expect("accepted").view;
    ada.remove_key(&super::house::sim(), "default").await.expect("nothing runs on it");
    throw(&house, &SwitchScope::Global, SwitchValue::NoCreates).await;
    let again = ada.reserve(&wish(1), Some(&once("k"))).await.expect("a replay asks for nothing");
    assert!(again.replayed);
    assert_eq!(again.view.id, first.id);
}

/// The law of C20, for any implementation: die at the n-th commit, start again, repeat; one reservation stands.
async fn reservations_after_a_crash_at(n: u32, planted: Planted) -> usize {
    let house = House::quiet().await;
    let ada = house.user("ada").await.id().clone();
    let open = |commits: u32| {
        let store = Crashing { inner: house.store.clone(), commits_left: AtomicU32::new(commits) };
        parts(Arc::new(store), &house.sim).with_home(HOME).with_planted(planted).without_engine().build()
    };
    let dying = open(n).await.expect("opens without a write");
    let _ = dying.user(&ada).reserve(&wish(1), Some(&once("k"))).await;
    let next: Infra = open(u32::MAX).await.expect("opens");
    next.user(&ada).reserve(&wish(1), Some(&once("k"))).await.expect("the client repeats it");
    let keys = house.all::<IdempotencyRecord>().await;
    assert_eq!(keys.len(), 1);
    house.all::<Reservation>().await.len()
}

#[tokio::test]
async fn a_crash_between_key_and_reservation_makes_no_second_one() {
    for n in 0..4 {
        assert_eq!(reservations_after_a_crash_at(n, Planted::NONE).await, 1, "died at commit {n}");
    }
    let mut caught = false;
    for n in 0..4 {
        caught |= reservations_after_a_crash_at(n, Planted::one(Bug::C20KeyInItsOwnWrite)).await != 1;
    }
    assert!(caught, "the law catches a key in a write of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_at_once_never_hold_more_than_machines_max() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let calls: Vec<_> = (0..30)
        .map(|_| {
            let ada = ada.clone();
            tokio::spawn(async move { ada.reserve(&wish(1), None).await })
        })
        .collect();
    let (mut accepted, mut refused) = (0, 0);
    for call in calls {
        match call.await.expect("no panic") {
            Ok(_) => accepted += 1,
            Err(InfraError::OverLimit { max: 20, held: 20, asked: 1 }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((accepted, refused), (20, 10));
    assert_eq!(house.held(&ada).await, 20);
    assert_eq!(house.all::<Reservation>().await.len(), 20);
}

#[tokio::test]
async fn two_tenants_never_meet() {
    let house = House::quiet().await;
    let (ada, ben) = (house.user("ada").await, house.user("ben").await);
    let mut made: Vec<ReservationView> = Vec::new();
    for _ in 0..3 {
        made.push(ada.reserve(&wish(1), None).await.expect("accepted").view);
        made.push(ben.reserve(&wish(1), None).await.expect("accepted").view);
    }
    for record in house.all::<Reservation>().await {
        let own = format!("acc-{}", record.value.owner);
        assert!(!record.value.spec.choices.is_empty());
        assert!(record.value.spec.choices.iter().all(|choice| choice.lane.account.as_str() == own));
    }
    let adas = made.iter().find(|view| view.user == *ada.id()).expect("made").id.clone();
    let missing = |answer: Result<(), InfraError>| {
        let error = answer.expect_err("somebody else's");
        assert!(matches!(error, InfraError::NotFound { what: "reservation", .. }), "{error}");
    };
    missing(ben.get(&adas).await.map(drop));
    missing(ben.release(&adas).await.map(drop));
    missing(ben.stop(&adas, None).await.map(drop));
    missing(ben.start(&adas, None).await.map(drop));
    missing(ben.set_count(&adas, 2, None).await.map(drop));
    missing(ben.set_tags(&adas, &std::collections::BTreeMap::new(), None).await.map(drop));
    missing(ben.confirm_mark(&adas, 0).await);
    missing(ben.wait(&adas, std::time::Duration::ZERO).await.map(drop));
    let page = ben.list(&Default::default()).await.expect("lists");
    assert!(page.items.len() == 3 && page.items.iter().all(|view| view.user == *ben.id()));
    assert!(ben.keys().await.expect("lists").iter().all(|key| key.account.as_str() == "acc-ben"));
}

#[tokio::test]
async fn one_team_shares_keys_but_not_reservations() {
    let house = House::quiet().await;
    let team = "qa".parse().expect("legal");
    let (ada, ben) = ("ada".parse().expect("legal"), "ben".parse().expect("legal"));
    house.operator().add_user(&ada, Some(&team)).await.expect("new");
    house.operator().add_user(&ben, Some(&team)).await.expect("new");
    let (ada, ben) = (house.infra.user(&ada), house.infra.user(&ben));
    ada.save_key(&sim_key("default", "sim-acc-qa")).await.expect("good");
    let bens = ben.reserve(&wish(1), None).await.expect("with the team's key").view;
    assert!(matches!(ada.get(&bens.id).await, Err(InfraError::NotFound { .. })));
    assert_eq!((house.held(&ada).await, house.held(&ben).await), (0, 1));
}

/// What makes a good request a bad one.
type Change = fn(&mut Request);

#[tokio::test]
async fn a_refusal_stores_nothing() {
    let house = House::quiet().await;
    let (ada, poor) = (house.user("ada").await, house.keyless("poor").await);
    let before = house.newest().await;
    let table: [(&str, Change); 7] = [
        ("OutOfRange", |r| r.count = Some(100_000)),
        ("OutOfRange", |r| r.vcpus = Some(f64::NAN)),
        ("NoFit", |r| r.vcpus = Some(4000.0)),
        ("UnknownRegion", |r| r.region = Some("atlantis".parse().expect("legal"))),
        ("UnknownImage", |r| r.image = Some("ami-nowhere".parse().expect("legal"))),
        ("Unfulfillable", |r| r.idle_timeout_s = Some(60)),
        ("OverLimit", |r| r.count = Some(21)),
    ];
    for (expected, change) in table {
        let mut request = wish(1);
        change(&mut request);
        let error = ada.reserve(&request, Some(&once(expected))).await.expect_err(expected);
        assert_eq!(word(&error), expected, "{error}");
    }
    let error = poor.reserve(&wish(1), None).await.expect_err("no key");
    assert!(matches!(error, InfraError::NoCredentials), "{error}");
    assert_eq!(house.newest().await, before, "nothing was written");
}

async fn throw(house: &House, scope: &SwitchScope, value: SwitchValue) {
    house.operator().set_switch(scope, value, "op", "drill", None).await.expect("throws");
}

#[tokio::test]
async fn a_thrown_switch_stops_what_asks_for_more_and_nothing_else() {
    let house = House::quiet().await;
    let (ada, ben) = (house.user("ada").await, house.user("ben").await);
    let held = ada.reserve(&wish(2), None).await.expect("accepted").view.id;
    let tenant = house.operator().get_user(ada.id()).await.expect("is there").tenant;
    for scope in [SwitchScope::Global, SwitchScope::Tenant(tenant)] {
        throw(&house, &scope, SwitchValue::NoCreates).await;
        for answer in [
            ada.reserve(&wish(1), None).await.map(drop),
            ada.set_count(&held, 3, None).await.map(drop),
            ada.start(&held, None).await.map(drop),
        ] {
            let error = answer.expect_err("asks for more");
            assert!(matches!(&error, InfraError::Paused { scope: by, .. } if *by == scope), "{error}");
        }
        assert_eq!(ben.reserve(&wish(1), None).await.is_ok(), scope != SwitchScope::Global);
        ada.set_count(&held, 1, None).await.expect("asks for less");
        ada.set_count(&held, 1, None).await.expect("asks for the same");
        throw(&house, &scope, SwitchValue::Open).await;
        ada.set_count(&held, 2, None).await.expect("open again");
    }
    for lane in house.operator().status().await.expect("answers").lanes {
        throw(&house, &SwitchScope::Lane(lane.lane.id()), SwitchValue::Frozen).await;
    }
    let error = ada.quote(&wish(1)).await.expect_err("every lane is off");
    assert!(matches!(error, InfraError::Paused { scope: SwitchScope::Lane(_), .. }), "{error}");
}
